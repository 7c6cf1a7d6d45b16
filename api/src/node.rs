//! A YAML document as a tree in which every key and value knows its place.

mod fault;
mod typed;

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};
use superstep_graph::{FieldPath, Segment};

pub(crate) use fault::{Cause, Fault};

/// A value and the bytes at which it begins; for text also where it ends.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// The bytes of a scalar; of a list or an object only where it begins.
    pub(crate) span: Range<usize>,
    /// The value.
    pub(crate) kind: Kind,
}

/// What a [`Node`] holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Object(Vec<Member>),
}

/// A member of an object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Member {
    /// Its name.
    pub(crate) name: String,
    /// The bytes of the name.
    pub(crate) span: Range<usize>,
    /// Its value.
    pub(crate) value: Node,
}

impl Node {
    /// The member of that name, if this is an object that has it.
    pub(crate) fn member(&self, name: &str) -> Option<&Member> {
        match &self.kind {
            Kind::Object(members) => members.iter().find(|member| member.name == name),
            Kind::Null
            | Kind::Bool(_)
            | Kind::Signed(_)
            | Kind::Unsigned(_)
            | Kind::Float(_)
            | Kind::Text(_)
            | Kind::List(_) => None,
        }
    }

    /// The text, if it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            Kind::Null
            | Kind::Bool(_)
            | Kind::Signed(_)
            | Kind::Unsigned(_)
            | Kind::Float(_)
            | Kind::List(_)
            | Kind::Object(_) => None,
        }
    }

    /// What to underline for the value as a whole: a scalar itself, the first key of an object, the
    /// first item of a list.
    pub(crate) fn focus(&self) -> Range<usize> {
        match &self.kind {
            Kind::Object(members) => members.first().map_or(self.span.clone(), Member::whole),
            Kind::List(items) => items.first().map_or(self.span.clone(), Self::focus),
            Kind::Null
            | Kind::Bool(_)
            | Kind::Signed(_)
            | Kind::Unsigned(_)
            | Kind::Float(_)
            | Kind::Text(_) => self.span.clone(),
        }
    }

    fn is_scalar(&self) -> bool {
        !matches!(self.kind, Kind::List(_) | Kind::Object(_))
    }

    /// The node at `path`.
    pub(crate) fn find(&self, path: &FieldPath) -> Option<&Self> {
        path.0.iter().try_fold(self, |node, segment| match (segment, &node.kind) {
            (Segment::Field(name), _) => node.member(name).map(|member| &member.value),
            (Segment::Index(index), Kind::List(items)) => items.get(*index),
            (Segment::Index(_), _) => None,
        })
    }

    /// What to underline for `path`, or for the part of it that the document has.
    pub(crate) fn locate(&self, path: &FieldPath) -> Range<usize> {
        let mut node = self;
        let mut span = self.focus();
        for segment in &path.0 {
            match (segment, &node.kind) {
                (Segment::Field(name), Kind::Object(members)) => {
                    let Some(member) = members.iter().find(|member| member.name == *name) else {
                        return span;
                    };
                    span = member.focus();
                    node = &member.value;
                }
                (Segment::Index(index), Kind::List(items)) => {
                    let Some(item) = items.get(*index) else { return span };
                    span = item.focus();
                    node = item;
                }
                (Segment::Field(_) | Segment::Index(_), _) => return span,
            }
        }
        span
    }
}

impl Member {
    /// What to underline for the member: a scalar value, else the key.
    pub(crate) fn focus(&self) -> Range<usize> {
        if self.value.is_scalar() && !self.value.span.is_empty() {
            self.value.span.clone()
        } else {
            self.span.clone()
        }
    }

    /// The key, and the value with it if that is a scalar of the same stretch of text.
    fn whole(&self) -> Range<usize> {
        if self.value.is_scalar() && self.value.span.start >= self.span.end {
            self.span.start..self.value.span.end.max(self.span.end)
        } else {
            self.span.clone()
        }
    }
}

/// The bytes of a location that came from a text in memory.
pub(crate) fn bytes(location: Location) -> Range<usize> {
    let size = |number: Option<u64>| usize::try_from(number.unwrap_or_default()).unwrap_or_default();
    let start = size(location.span().byte_offset());
    start..start + size(location.span().byte_len())
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, defined, .. } = Spanned::<Kind>::deserialize(deserializer)?;
        Ok(Self { span: bytes(defined), kind: value })
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON can express")
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_none<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kind, D::Error> {
        Kind::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Kind, E> {
        Ok(u64::try_from(value).map_or(Kind::Signed(value), Kind::Unsigned))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Kind, E> {
        Ok(Kind::Unsigned(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Kind, E> {
        Ok(Kind::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Kind, E> {
        Ok(Kind::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Kind, E> {
        Ok(Kind::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Kind, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Kind::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kind, A::Error> {
        let mut members = Vec::new();
        while let Some(Spanned { value: name, defined, .. }) = map.next_key::<Spanned<String>>()? {
            members.push(Member { name, span: bytes(defined), value: map.next_value()? });
        }
        Ok(Kind::Object(members))
    }
}
