//! An enum: its values keep their numbers and their names, the zero among them.

use super::breaks::Break;
use super::reserved::Reserved;
use prost_types::{EnumDescriptorProto, EnumValueDescriptorProto};

/// What of an enum breaks.
pub(super) fn breaks(name: &str, old: &&EnumDescriptorProto, new: &&EnumDescriptorProto) -> Vec<Break> {
    let reserved = Reserved::of_enum(new);
    let mut breaks: Vec<Break> =
        old.value.iter().filter_map(|was| of_value(name, was, &new.value, &reserved)).collect();
    breaks.extend(Reserved::of_enum(old).released(&format!("enum {name}"), &reserved));
    breaks
}

/// Values are known by their names first, since several may have one number.
fn of_value(
    of: &str,
    was: &EnumValueDescriptorProto,
    values: &[EnumValueDescriptorProto],
    reserved: &Reserved<'_>,
) -> Option<Break> {
    let subject = format!("value {of}.{} = {}", was.name(), was.number());
    if let Some(is) = values.iter().find(|value| value.name() == was.name()) {
        return Break::unless_same(&subject, "number", was.number(), is.number());
    }
    match values.iter().find(|value| value.number() == was.number()) {
        Some(is) => Break::unless_same(&subject, "name", was.name(), is.name()),
        None => reserved.removed(&subject, was.number(), was.name()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tiny::broken;

    fn changed(old: &str, new: &str) -> Vec<String> {
        broken(&format!("enum E {{ {old} }}"), &format!("enum E {{ {new} }}"))
    }

    #[test]
    fn a_number_stays() {
        assert_eq!(
            changed("E_UNSPECIFIED = 0; E_ONE = 1;", "E_UNSPECIFIED = 0; E_ONE = 2;"),
            ["value superstep.v1.E.E_ONE = 1: number was 1, is 2"]
        );
    }

    #[test]
    fn a_name_stays() {
        assert_eq!(
            changed("E_UNSPECIFIED = 0; E_ONE = 1;", "E_UNSPECIFIED = 0; E_UNO = 1;"),
            ["value superstep.v1.E.E_ONE = 1: name was E_ONE, is E_UNO"]
        );
    }

    #[test]
    fn the_zero_stays() {
        let old = "E_UNSPECIFIED = 0; E_ONE = 1;";
        let renamed = "value superstep.v1.E.E_UNSPECIFIED = 0: name was E_UNSPECIFIED, is E_NONE";
        assert_eq!(changed(old, "E_NONE = 0; E_ONE = 1;"), [renamed]);
        assert_eq!(changed(old, "reserved \"E_UNSPECIFIED\"; E_NONE = 0; E_ONE = 1;"), [renamed]);
    }

    #[test]
    fn a_value_is_removed_only_if_its_number_and_its_name_are_reserved() {
        let removed = |what: &str| vec![format!("value superstep.v1.E.E_ONE = 1: was removed, and {what}")];
        for (new, found) in [
            ("", removed("neither its number nor its name is reserved")),
            ("reserved \"E_ONE\";", removed("its number is not reserved")),
            ("reserved 1;", removed("its name is not reserved")),
            ("reserved 1; reserved \"E_ONE\";", vec![]),
            ("reserved 1 to 3; reserved \"E_ONE\";", vec![]),
        ] {
            assert_eq!(changed("E_UNSPECIFIED = 0; E_ONE = 1;", &format!("{new} E_UNSPECIFIED = 0;")), found);
        }
    }

    #[test]
    fn what_was_reserved_stays_reserved() {
        assert_eq!(
            changed(
                "reserved 2 to 4; reserved \"X\"; E_UNSPECIFIED = 0;",
                "reserved 2 to 3; E_UNSPECIFIED = 0;"
            ),
            [
                "enum superstep.v1.E: numbers 2 to 4 are not all reserved any more",
                "enum superstep.v1.E: name X is not reserved any more",
            ]
        );
    }
}
