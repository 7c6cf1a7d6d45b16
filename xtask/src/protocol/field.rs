//! A field: its number, its names and its shape stay.

use super::breaks::Break;
use super::schema::is_map_entry;
use prost_types::field_descriptor_proto::Label;
use prost_types::{DescriptorProto, FieldDescriptorProto};
use std::fmt;

/// What of a field the other end relies on.
pub(super) struct Field<'a> {
    pub(super) name: &'a str,
    pub(super) number: i32,
    json_name: &'a str,
    kind: String,
    cardinality: Cardinality,
    oneof: Option<&'a str>,
}

/// How often a field occurs, and whether its absence can be told from its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cardinality {
    Single,
    Optional,
    Repeated,
    /// Only proto2 has it.
    Required,
}

impl<'a> Field<'a> {
    /// Fields of a message, which has this full name.
    pub(super) fn all(name: &str, message: &'a DescriptorProto) -> Vec<Self> {
        message.field.iter().map(|field| Self::read(name, message, field)).collect()
    }

    fn read(scope: &str, message: &'a DescriptorProto, field: &'a FieldDescriptorProto) -> Self {
        // A field that is `optional` is alone in a oneof that nobody wrote.
        let written = field.oneof_index.filter(|_| !field.proto3_optional());
        let oneof = written.and_then(|index| message.oneof_decl.get(usize::try_from(index).ok()?));
        Self {
            name: field.name(),
            number: field.number(),
            json_name: field.json_name(),
            kind: entry(scope, message, field).map_or_else(|| kind(field), map),
            cardinality: Cardinality::of(field),
            oneof: oneof.map(|oneof| oneof.name()),
        }
    }

    /// What of it has changed beside its number.
    pub(super) fn breaks(&self, subject: &str, is: &Self) -> Vec<Break> {
        const NONE: &str = "none";
        // The name in JSON follows from the name: one that changes with it needs no word of its own.
        let in_json = || Break::unless_same(subject, "name in JSON", self.json_name, is.json_name);
        let changes = [
            Break::unless_same(subject, "name", self.name, is.name).or_else(in_json),
            Break::unless_same(subject, "type", &self.kind, &is.kind),
            Break::unless_same(subject, "cardinality", self.cardinality, is.cardinality),
            Break::unless_same(subject, "oneof", self.oneof.unwrap_or(NONE), is.oneof.unwrap_or(NONE)),
        ];
        changes.into_iter().flatten().collect()
    }
}

impl Cardinality {
    fn of(field: &FieldDescriptorProto) -> Self {
        match field.label() {
            Label::Repeated => Self::Repeated,
            Label::Required => Self::Required,
            Label::Optional if field.proto3_optional() => Self::Optional,
            Label::Optional => Self::Single,
        }
    }
}

/// The message that stands for the entries of a field, if it is a map.
fn entry<'a>(
    scope: &str,
    message: &'a DescriptorProto,
    field: &FieldDescriptorProto,
) -> Option<&'a DescriptorProto> {
    let name = field.type_name().strip_prefix('.')?.strip_prefix(scope)?.strip_prefix('.')?;
    message.nested_type.iter().find(|nested| nested.name() == name && is_map_entry(nested))
}

fn map(entry: &DescriptorProto) -> String {
    let kinds: Vec<String> = entry.field.iter().map(kind).collect();
    format!("map<{}>", kinds.join(", "))
}

/// Such as `string`, or `message superstep.v1.Run`.
fn kind(field: &FieldDescriptorProto) -> String {
    let noun = field.r#type().as_str_name().trim_start_matches("TYPE_").to_lowercase();
    match field.type_name().trim_start_matches('.') {
        "" => noun,
        name => format!("{noun} {name}"),
    }
}

impl fmt::Display for Cardinality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Single => "single",
            Self::Optional => "optional",
            Self::Repeated => "repeated",
            Self::Required => "required",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tiny::broken;

    const OTHERS: &str =
        "message B {} message C {} enum E { E_UNSPECIFIED = 0; } enum F { F_UNSPECIFIED = 0; }";

    /// What breaks when a message whose only field is the first one has the second one.
    fn changed(old: &str, new: &str) -> Vec<String> {
        let whole = |field: &str| format!("message A {{ {field} }} {OTHERS}");
        broken(&whole(old), &whole(new))
    }

    #[test]
    fn a_type_stays() {
        for (old, new, was, is) in [
            ("string", "bytes", "string", "bytes"),
            ("int32", "int64", "int32", "int64"),
            ("uint32", "sint32", "uint32", "sint32"),
            ("B", "C", "message superstep.v1.B", "message superstep.v1.C"),
            ("E", "F", "enum superstep.v1.E", "enum superstep.v1.F"),
            ("B", "E", "message superstep.v1.B", "enum superstep.v1.E"),
            (
                "map<string, B>",
                "map<string, C>",
                "map<string, message superstep.v1.B>",
                "map<string, message superstep.v1.C>",
            ),
            (
                "map<int32, B>",
                "map<int64, B>",
                "map<int32, message superstep.v1.B>",
                "map<int64, message superstep.v1.B>",
            ),
        ] {
            let found = changed(&format!("{old} x = 1;"), &format!("{new} x = 1;"));
            assert_eq!(found, [format!("field superstep.v1.A.x = 1: type was {was}, is {is}")]);
        }
    }

    #[test]
    fn a_map_stays_a_map() {
        let entry = "message XEntry { string key = 1; string value = 2; }";
        let (map, list) = ("map<string, string> x = 1;", format!("repeated XEntry x = 1; {entry}"));
        let type_was = "field superstep.v1.A.x = 1: type was";
        assert_eq!(
            changed(map, &list),
            [format!("{type_was} map<string, string>, is message superstep.v1.A.XEntry")]
        );
        assert_eq!(
            changed(&list, map),
            [
                format!("{type_was} message superstep.v1.A.XEntry, is map<string, string>"),
                "message superstep.v1.A.XEntry: was removed".to_owned(),
            ]
        );
    }

    #[test]
    fn a_cardinality_stays() {
        for (old, new, was, is) in [
            ("", "repeated", "single", "repeated"),
            ("repeated", "", "repeated", "single"),
            ("", "optional", "single", "optional"),
            ("optional", "", "optional", "single"),
            ("optional", "repeated", "optional", "repeated"),
        ] {
            let found = changed(&format!("{old} string x = 1;"), &format!("{new} string x = 1;"));
            assert_eq!(found, [format!("field superstep.v1.A.x = 1: cardinality was {was}, is {is}")]);
        }
    }

    #[test]
    fn a_field_stays_in_its_oneof() {
        let (alone, within) = ("string x = 1;", "oneof o { string x = 1; }");
        let other = "oneof p { string x = 1; }";
        for (old, new, was, is) in
            [(alone, within, "none", "o"), (within, alone, "o", "none"), (within, other, "o", "p")]
        {
            assert_eq!(changed(old, new), [format!("field superstep.v1.A.x = 1: oneof was {was}, is {is}")]);
        }
    }

    #[test]
    fn a_name_in_json_stays() {
        let found = changed("string x_y = 1;", "string x_y = 1 [json_name = \"z\"];");
        assert_eq!(found, ["field superstep.v1.A.x_y = 1: name in JSON was xY, is z"]);
    }
}
