//! What a refusal says: which fields are wrong, and which rules they break.

use std::collections::BTreeSet;

/// What stands in a refusal beside its complaints and follows from them: rules wait until the object has its form, and what
/// has none cannot be scaled.
const REMARKS: [&str; 2] = ["some validation rules were not checked", " accessor error: "];
/// What is said of a field that is none.
const UNKNOWN: &str = "unknown field";
/// Kinds of mistakes that are rules by themselves.
const KINDS: [&str; 6] =
    ["Required value", "Duplicate value", "Too long", "Too many", UNKNOWN, "duplicate field"];
/// How the API server words the rules of a schema.
const WORDS: [&str; 6] = ["must ", "should ", "shouldn't ", "may not ", "is required", "supported values"];

/// One complaint about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    /// The path of the field.
    pub(super) field: String,
    /// What is said of it.
    pub(super) rule: String,
}

impl Complaint {
    /// Whether it is about a field that no definition has.
    pub(super) fn is_of_unknown_field(&self) -> bool {
        self.rule == UNKNOWN
    }

    /// Whether it says which rule is broken: one of every schema, or one that has these words in the definition.
    pub(super) fn names_a_rule(&self, messages: &BTreeSet<String>) -> bool {
        let (kind, detail) = self.rule.split_once(": ").unwrap_or((&self.rule, ""));
        KINDS.contains(&kind)
            || WORDS.iter().any(|word| detail.contains(word))
            || messages.iter().any(|message| detail.contains(message.as_str()))
    }
}

/// The complaints of a refusal as kubectl prints it; none if it has another form.
pub(super) fn complaints(told: &str) -> Vec<Complaint> {
    if let Some((_, all)) = told.split_once("\" is invalid: ") {
        let all = all.trim();
        let each: Vec<&str> = match all.strip_prefix("* ") {
            Some(several) => several.split("\n* ").collect(),
            None => vec![all],
        };
        let split =
            each.into_iter().filter(|one| !REMARKS.iter().any(|remark| one.contains(remark))).map(|one| {
                let (field, rule) = one.split_once(": ").unwrap_or(("", one));
                Complaint { field: field.to_owned(), rule: rule.trim().to_owned() }
            });
        return split.collect();
    }
    let Some((_, strict)) = told.split_once("strict decoding error: ") else { return Vec::new() };
    let of_kind = |kind: &str| {
        let begin = format!("{kind} \"");
        let fields = strict.split(begin.as_str()).skip(1).filter_map(|rest| rest.split('"').next());
        let complaint = |field: &str| Complaint { field: field.to_owned(), rule: kind.to_owned() };
        fields.map(complaint).collect::<Vec<_>>()
    };
    [of_kind(UNKNOWN), of_kind("duplicate field")].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(told: &str, expected: &[(&str, bool)]) {
        let messages = BTreeSet::from(["exactly one of cel, command is given".to_owned()]);
        let found = complaints(told);
        let found: Vec<(&str, bool)> =
            found.iter().map(|one| (one.field.as_str(), one.names_a_rule(&messages))).collect();
        assert_eq!(found, expected, "{told}");
    }

    #[test]
    fn each_complaint_is_told_with_field_and_rule() {
        check(
            "`kubectl create` failed (exit status: 1): The AgentGraph \"odd-1\" is invalid: spec.vertices[0].name: \
             Invalid value: \"a: b\": spec.vertices[0].name in body should match '^[a-z]$'",
            &[("spec.vertices[0].name", true)],
        );
        check(
            "The ModelServer \"odd-2\" is invalid: \n* spec.engine: Required value\n\
             * spec.replicas: Invalid value: \"null\": spec.replicas in body must be of type integer: \"null\"\n\
             * <nil>: Invalid value: null: some validation rules were not checked because the object was invalid; \
             correct the existing errors to complete validation",
            &[("spec.engine", true), ("spec.replicas", true)],
        );
        check(
            "The ModelServer \"odd-4\" is invalid: \n* spec: Invalid value: \"integer\": spec in body must be of type \
             object: \"integer\"\n* .spec.replicas: Invalid value: 0: .spec.replicas accessor error: -1 is of the type \
             int64, expected map[string]interface{}",
            &[("spec", true)],
        );
        check(
            "The AgentGraph \"odd-3\" is invalid: spec.vertices[1].function: Invalid value: \"object\": exactly one of \
             cel, command is given",
            &[("spec.vertices[1].function", true)],
        );
        check(
            "Error from server (BadRequest): error when creating \"STDIN\": AgentGraph in version \"v1alpha1\" cannot be \
             handled as a AgentGraph: strict decoding error: unknown field \"spec.a.unknownField\", unknown field \
             \"spec.b\"",
            &[("spec.a.unknownField", true), ("spec.b", true)],
        );
    }

    #[test]
    fn who_is_not_told_the_rule_or_the_field_is_found() {
        check(
            "The AgentGraph \"odd-1\" is invalid: spec.entry: Invalid value: \"x\"",
            &[("spec.entry", false)],
        );
        check(
            "The AgentGraph \"odd-1\" is invalid: spec.entry: Invalid value: \"x\": no",
            &[("spec.entry", false)],
        );
        check("The AgentGraph \"odd-1\" is invalid: it is not right", &[("", false)]);
        check("Error from server (InternalError): an error on the server", &[]);
    }
}
