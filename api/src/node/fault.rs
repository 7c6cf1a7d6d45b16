//! Why a tree is not the document that was expected.

use std::fmt;
use std::ops::Range;

use serde::de::{self, Expected, Unexpected};
use superstep_graph::Segment;

/// A mistake found while a tree was read as a document, with its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fault {
    /// The way to the value at fault, its last step first.
    pub(crate) way: Vec<Segment>,
    /// What to underline.
    pub(crate) span: Option<Range<usize>>,
    /// What is wrong.
    pub(crate) cause: Cause,
}

/// What is wrong with a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cause {
    /// An object has a member that the document does not.
    UnknownField { name: String, known: &'static [&'static str] },
    /// A word is none of an enumeration.
    UnknownWord { word: String, known: &'static [&'static str] },
    /// An object lacks a member.
    MissingField { name: &'static str },
    /// A value has the wrong type or lies out of range.
    Wrong { found: String, expected: String },
    /// Anything that a type says about itself.
    Other(String),
}

impl Fault {
    pub(crate) fn new(cause: Cause) -> Self {
        Self { way: Vec::new(), span: None, cause }
    }

    /// The same fault, seen from one level further out.
    pub(super) fn under(mut self, step: Segment, span: impl FnOnce() -> Range<usize>) -> Self {
        self.way.push(step);
        self.at(span)
    }

    /// The same fault, at `span` if it has no nearer place.
    pub(super) fn at(mut self, span: impl FnOnce() -> Range<usize>) -> Self {
        self.span.get_or_insert_with(span);
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::UnknownField { name, .. } => write!(f, "unknown field {name:?}"),
            Cause::UnknownWord { word, known } => write!(f, "{word:?} is none of {}", known.join(", ")),
            Cause::MissingField { name } => write!(f, "field {name:?} is missing"),
            Cause::Wrong { found, expected } => write!(f, "{found} stands where {expected} is expected"),
            Cause::Other(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Cause::Other(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(Cause::Wrong { found: describe(found), expected: plain(&expected.to_string()) })
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        Self::new(Cause::UnknownWord { word: word.to_owned(), known })
    }

    fn unknown_field(name: &str, known: &'static [&'static str]) -> Self {
        Self::new(Cause::UnknownField { name: name.to_owned(), known })
    }

    fn missing_field(name: &'static str) -> Self {
        Self::new(Cause::MissingField { name })
    }
}

fn describe(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Map => "an object".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Unit | Unexpected::Option => "null".to_owned(),
        Unexpected::Str(text) => format!("the text {text:?}"),
        Unexpected::Bool(value) => format!("{value}"),
        Unexpected::Unsigned(number) => format!("the number {number}"),
        Unexpected::Signed(number) => format!("the number {number}"),
        Unexpected::Float(number) => format!("the number {number}"),
        other @ (Unexpected::Char(_)
        | Unexpected::Bytes(_)
        | Unexpected::NewtypeStruct
        | Unexpected::Enum
        | Unexpected::UnitVariant
        | Unexpected::NewtypeVariant
        | Unexpected::TupleVariant
        | Unexpected::StructVariant
        | Unexpected::Other(_)) => other.to_string(),
    }
}

/// What serde expects, in the words of someone who writes YAML.
fn plain(expected: &str) -> String {
    match expected {
        "a string" | "string" => "a text".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "an object".to_owned(),
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number from 0".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        other if other.starts_with("struct ") => "an object".to_owned(),
        other => other.to_owned(),
    }
}
