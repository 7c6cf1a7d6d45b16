//! Reading a tree as a typed document.

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use superstep_graph::Segment;

use super::{Cause, Fault, Kind, Member, Node};

impl Node {
    fn unexpected(&self) -> Unexpected<'_> {
        match &self.kind {
            Kind::Null => Unexpected::Unit,
            Kind::Bool(value) => Unexpected::Bool(*value),
            Kind::Signed(number) => Unexpected::Signed(*number),
            Kind::Unsigned(number) => Unexpected::Unsigned(*number),
            Kind::Float(number) => Unexpected::Float(*number),
            Kind::Text(text) => Unexpected::Str(text),
            Kind::List(_) => Unexpected::Seq,
            Kind::Object(_) => Unexpected::Map,
        }
    }
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.kind {
            Kind::Null => visitor.visit_unit(),
            Kind::Bool(value) => visitor.visit_bool(*value),
            Kind::Signed(number) => visitor.visit_i64(*number),
            Kind::Unsigned(number) => visitor.visit_u64(*number),
            Kind::Float(number) => visitor.visit_f64(*number),
            Kind::Text(text) => visitor.visit_borrowed_str(text),
            Kind::List(items) => visitor.visit_seq(Items { items: items.iter().enumerate() }),
            Kind::Object(members) => visitor.visit_map(Members { members: members.iter(), open: None }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.kind == Kind::Null { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.kind {
            Kind::Text(word) => {
                visitor.visit_enum(IntoDeserializer::<Fault>::into_deserializer(word.as_str()))
            }
            Kind::Object(members) if members.len() == 1 => visitor.visit_enum(Tagged(&members[0])),
            Kind::Object(members) => {
                let one_of = format!(
                    "exactly one of {} is expected, and {} are given",
                    known.join(", "),
                    members.len()
                );
                Err(Fault::new(Cause::Other(one_of)))
            }
            Kind::Null
            | Kind::Bool(_)
            | Kind::Signed(_)
            | Kind::Unsigned(_)
            | Kind::Float(_)
            | Kind::List(_) => {
                Err(Fault::invalid_type(self.unexpected(), &format!("one of {}", known.join(", ")).as_str()))
            }
        }
    }

    /// Serde would take a list for an object, its items for the members in the order of the type.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.kind {
            Kind::List(_) => Err(Fault::invalid_type(self.unexpected(), &visitor)),
            Kind::Null
            | Kind::Bool(_)
            | Kind::Signed(_)
            | Kind::Unsigned(_)
            | Kind::Float(_)
            | Kind::Text(_)
            | Kind::Object(_) => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

struct Items<'de> {
    items: std::iter::Enumerate<std::slice::Iter<'de, Node>>,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some((index, item)) = self.items.next() else { return Ok(None) };
        seed.deserialize(item).map(Some).map_err(|fault| fault.under(Segment::Index(index), || item.focus()))
    }
}

struct Members<'de> {
    members: std::slice::Iter<'de, Member>,
    open: Option<&'de Member>,
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let Some(member) = self.members.next() else { return Ok(None) };
        self.open = Some(member);
        let name: StrDeserializer<'de, Fault> = member.name.as_str().into_deserializer();
        seed.deserialize(name).map(Some).map_err(|fault| fault.at(|| member.span.clone()))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let member = self.open.take().expect("serde asks for a key before its value");
        seed.deserialize(&member.value)
            .map_err(|fault| fault.under(Segment::Field(member.name.clone()), || member.focus()))
    }
}

/// An enumeration whose variants have content: an object of one member.
struct Tagged<'de>(&'de Member);

impl<'de> EnumAccess<'de> for Tagged<'de> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Fault> {
        let name: StrDeserializer<'de, Fault> = self.0.name.as_str().into_deserializer();
        let variant = seed.deserialize(name).map_err(|fault| fault.at(|| self.0.span.clone()))?;
        Ok((variant, self))
    }
}

impl<'de> Tagged<'de> {
    fn content<T>(self, read: impl FnOnce(&'de Node) -> Result<T, Fault>) -> Result<T, Fault> {
        read(&self.0.value)
            .map_err(|fault| fault.under(Segment::Field(self.0.name.clone()), || self.0.focus()))
    }
}

impl<'de> VariantAccess<'de> for Tagged<'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        self.content(|node| Err(Fault::invalid_type(node.unexpected(), &"a word without content")))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        self.content(|node| seed.deserialize(node))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.content(|node| node.deserialize_any(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.content(|node| node.deserialize_any(visitor))
    }
}
