//! What breaks between two descriptor sets, by the rules that buf calls `WIRE_JSON`, and some that are stricter.

use super::schema::Schema;
use super::{enumeration, message, service};
use prost_types::FileDescriptorSet;
use std::collections::BTreeMap;
use std::fmt;

/// A change by which those who speak the old form and those who speak the new one misunderstand each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Break {
    /// What has changed, by its kind and its name.
    subject: String,
    what: String,
}

impl Break {
    pub(super) fn new(subject: &str, what: impl Into<String>) -> Self {
        Self { subject: subject.to_owned(), what: what.into() }
    }

    /// An aspect that has to stay as it is, unless it has stayed.
    pub(super) fn unless_same<T: fmt::Display + PartialEq>(
        subject: &str,
        aspect: &str,
        was: T,
        is: T,
    ) -> Option<Self> {
        (was != is).then(|| Self::new(subject, format!("{aspect} was {was}, is {is}")))
    }
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.what)
    }
}

/// What of the old set the new one breaks, in the order of names.
///
/// Files do not count: what moves from one to another in its package is the same.
pub(super) fn between(old: &FileDescriptorSet, new: &FileDescriptorSet) -> Vec<Break> {
    let (old, new) = (Schema::new(old), Schema::new(new));
    let mut breaks = each("package", &old.packages, &new.packages, |_, (), ()| Vec::new());
    breaks.extend(each("service", &old.services, &new.services, service::breaks));
    breaks.extend(each("message", &old.messages, &new.messages, message::breaks));
    breaks.extend(each("enum", &old.enums, &new.enums, enumeration::breaks));
    breaks
}

/// None may be removed, and each must stay as `compare` demands, which is given its full name.
pub(super) fn each<T>(
    noun: &str,
    old: &BTreeMap<String, T>,
    new: &BTreeMap<String, T>,
    compare: impl Fn(&str, &T, &T) -> Vec<Break>,
) -> Vec<Break> {
    let found = old.iter().flat_map(|(name, was)| match new.get(name) {
        Some(is) => compare(name, was, is),
        None => vec![Break::new(&format!("{noun} {name}"), "was removed")],
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::super::tiny::{broken, compiled};
    use super::*;

    const ALL: &str = "
        message A { string a = 1; oneof x { string b = 2; string c = 3; } map<string, E> d = 4; }
        enum E { E_UNSPECIFIED = 0; E_ONE = 1; }
        service S { rpc Do(A) returns (A); }
    ";

    #[test]
    fn the_same_breaks_nothing() {
        assert_eq!(broken(ALL, ALL), [""; 0]);
    }

    #[test]
    fn what_is_added_breaks_nothing() {
        let more = "
            message A { string a = 1; oneof x { string b = 2; string c = 3; string f = 6; }
                map<string, E> d = 4; N e = 5; message N { repeated bytes a = 1; } }
            message B {}
            enum E { E_UNSPECIFIED = 0; E_ONE = 1; E_TWO = 2; }
            enum F { F_UNSPECIFIED = 0; }
            service S { rpc Do(A) returns (A); rpc More(stream B) returns (B); }
            service T {}
        ";
        assert_eq!(broken(ALL, more), [""; 0]);
    }

    #[test]
    fn the_order_of_declarations_does_not_matter() {
        let turned = "
            service S { rpc Do(A) returns (A); }
            enum E { E_UNSPECIFIED = 0; E_ONE = 1; }
            message A { map<string, E> d = 4; oneof x { string c = 3; string b = 2; } string a = 1; }
        ";
        assert_eq!(broken(ALL, turned), [""; 0]);
    }

    #[test]
    fn no_package_is_removed() {
        let set = |package| compiled(&format!("syntax = \"proto3\"; package {package}; message A {{}}"));
        let found: Vec<String> = between(&set("a.v1"), &set("a.v2")).iter().map(Break::to_string).collect();
        assert_eq!(found, ["package a.v1: was removed", "message a.v1.A: was removed"]);
    }

    #[test]
    fn no_service_message_or_enum_is_removed() {
        let old = "service S {} message A { message N {} enum E { E_UNSPECIFIED = 0; } } message B {}";
        assert_eq!(
            broken(old, "message A {}"),
            [
                "service superstep.v1.S: was removed",
                "message superstep.v1.A.N: was removed",
                "message superstep.v1.B: was removed",
                "enum superstep.v1.A.E: was removed",
            ]
        );
    }
}
