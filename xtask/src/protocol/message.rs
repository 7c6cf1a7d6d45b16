//! A message: none of its fields is removed without a trace.

use super::breaks::Break;
use super::field::Field;
use super::reserved::Reserved;
use prost_types::DescriptorProto;

/// What of a message breaks; fields are known by their numbers.
pub(super) fn breaks(name: &str, old: &&DescriptorProto, new: &&DescriptorProto) -> Vec<Break> {
    let fields = Field::all(name, new);
    let reserved = Reserved::of_message(new);
    let mut breaks: Vec<Break> =
        Field::all(name, old).iter().flat_map(|was| of_field(name, was, &fields, &reserved)).collect();
    breaks.extend(Reserved::of_message(old).released(&format!("message {name}"), &reserved));
    breaks
}

fn of_field(message: &str, was: &Field<'_>, fields: &[Field<'_>], reserved: &Reserved<'_>) -> Vec<Break> {
    let subject = format!("field {message}.{} = {}", was.name, was.number);
    if let Some(is) = fields.iter().find(|field| field.number == was.number) {
        return was.breaks(&subject, is);
    }
    let change = match fields.iter().find(|field| field.name == was.name) {
        Some(is) => Break::unless_same(&subject, "number", was.number, is.number),
        None => reserved.removed(&subject, was.number, was.name),
    };
    change.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::super::tiny::broken;

    fn changed(old: &str, new: &str) -> Vec<String> {
        broken(&format!("message A {{ {old} }}"), &format!("message A {{ {new} }}"))
    }

    #[test]
    fn a_number_stays() {
        assert_eq!(
            changed("string x = 1;", "string x = 2;"),
            ["field superstep.v1.A.x = 1: number was 1, is 2"]
        );
    }

    #[test]
    fn a_name_stays() {
        assert_eq!(
            changed("string x = 1;", "string y = 1;"),
            ["field superstep.v1.A.x = 1: name was x, is y"]
        );
        assert_eq!(
            changed("string x = 1; string y = 2;", "string y = 1; string x = 2;"),
            ["field superstep.v1.A.x = 1: name was x, is y", "field superstep.v1.A.y = 2: name was y, is x"]
        );
    }

    #[test]
    fn a_field_is_removed_only_if_its_number_and_its_name_are_reserved() {
        let old = "string x = 2; string z = 3;";
        let removed = |what: &str| vec![format!("field superstep.v1.A.x = 2: was removed, and {what}")];
        for (new, found) in [
            ("", removed("neither its number nor its name is reserved")),
            ("reserved \"x\";", removed("its number is not reserved")),
            ("reserved 2;", removed("its name is not reserved")),
            // The end of a range of fields is not in it, as the descriptor has it.
            ("reserved 1; reserved \"x\";", removed("its number is not reserved")),
            ("reserved 2; reserved \"x\";", vec![]),
            ("reserved 1 to 2; reserved \"x\";", vec![]),
        ] {
            assert_eq!(changed(old, &format!("{new} string z = 3;")), found, "{new}");
        }
    }

    #[test]
    fn fields_of_nested_messages_are_fields() {
        let found = changed("message N { string x = 1; }", "message N { bytes x = 1; }");
        assert_eq!(found, ["field superstep.v1.A.N.x = 1: type was string, is bytes"]);
    }

    #[test]
    fn a_map_is_removed_with_its_entries() {
        assert_eq!(changed("map<string, string> x = 1;", "reserved 1; reserved \"x\";"), [""; 0]);
    }

    #[test]
    fn what_was_reserved_stays_reserved() {
        assert_eq!(
            changed(
                "reserved 2, 5 to 9; reserved \"x\", \"y\";",
                "reserved 5 to 8; reserved \"y\"; string x = 2;"
            ),
            [
                "message superstep.v1.A: number 2 is not reserved any more",
                "message superstep.v1.A: numbers 5 to 9 are not all reserved any more",
                "message superstep.v1.A: name x is not reserved any more",
            ]
        );
        assert_eq!(changed("reserved 2, 5 to 9;", "reserved 1 to 3, 5 to 6, 7 to 20, 30 to max;"), [""; 0]);
    }
}
