//! Names of vertices and ports.

use std::cmp::Ordering;
use std::fmt;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $type(Arc<str>);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Whether the name has the form `[a-z][a-z0-9_]*`, at most 63 characters.
            pub fn is_well_formed(&self) -> bool {
                well_formed(&self.0)
            }
        }

        impl Ord for $type {
            /// That of the texts. Clones, which share theirs, are not read: messages are sorted by who sent them.
            fn cmp(&self, other: &Self) -> Ordering {
                if Arc::ptr_eq(&self.0, &other.0) { Ordering::Equal } else { self.0.cmp(&other.0) }
            }
        }

        impl PartialOrd for $type {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl From<&str> for $type {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $type {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "pattern": "^[a-z][a-z0-9_]*$", "maxLength": 63})
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &self.0)
            }
        }
    };
}

name! {
    /// The name of a vertex, unique in its graph. Names of models, tools and aggregators have the
    /// same type, for they follow the same rule; CEL would read a hyphen as a subtraction.
    VertexName
}

name! {
    /// The port on which a message leaves a vertex; edges listen to one port.
    Port
}

impl Port {
    /// The port of an edge that names none.
    pub const DEFAULT: &'static str = "out";
    /// The port on which the failure of a vertex leaves it, where an edge takes it.
    pub const ERROR: &'static str = "error";
    /// The port on which a prompt tells how likely its tokens were.
    pub const LOGPROBS: &'static str = "logprobs";
    /// The port of a retrieval that has taken documents in and searched for nothing.
    pub const INDEXED: &'static str = "indexed";

    /// Whether this is the port of an edge that names none.
    pub fn is_default(&self) -> bool {
        self.as_str() == Self::DEFAULT
    }
}

impl Default for Port {
    /// All share one text: nearly every message leaves on this port.
    fn default() -> Self {
        static DEFAULT: LazyLock<Port> = LazyLock::new(|| Port::from(Port::DEFAULT));
        DEFAULT.clone()
    }
}

fn well_formed(text: &str) -> bool {
    let mut letters = text.bytes();
    letters.next().is_some_and(|first| first.is_ascii_lowercase())
        && letters.all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'_')
        && text.len() <= 63
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_no_hyphen_and_begin_with_a_letter() {
        for (text, good) in [
            ("judge", true),
            ("judge_2", true),
            ("a", true),
            ("2judge", false),
            ("my-judge", false),
            ("", false),
            ("Judge", false),
        ] {
            assert_eq!(VertexName::from(text).is_well_formed(), good, "{text}");
        }
    }
}
