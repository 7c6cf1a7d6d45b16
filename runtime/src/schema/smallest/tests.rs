use proptest::prelude::*;
use serde_json::json;

use super::*;

#[test]
fn instances_are_small() {
    for (schema, instance) in [
        (json!({"enum": ["bug", "billing"]}), json!("bug")),
        (json!({"type": "integer", "minimum": 1, "maximum": 5}), json!(1)),
        (json!({"type": "integer", "exclusiveMinimum": 1, "multipleOf": 3}), json!(3)),
        (json!({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}), json!(0.5)),
        (json!({"type": "number", "maximum": -2.5}), json!(-2.5)),
        (json!({"type": "string", "minLength": 2}), json!("xx")),
        (json!({"type": ["null", "string"]}), json!(null)),
        (json!({"type": "array", "minItems": 2, "items": {"const": 1}}), json!([1, 1])),
        (json!({"required": ["a"], "properties": {"a": {"type": "boolean"}, "b": {}}}), json!({"a": false})),
        (
            json!({"$defs": {"n": {"minimum": 2}}, "properties": {"n": {"$ref": "#/$defs/n"}}, "required": ["n"]}),
            json!({"n": 2}),
        ),
        (json!({"anyOf": [{"type": "string"}, {"type": "integer"}], "minLength": 1}), json!("x")),
        (json!({"allOf": [{"required": ["a"]}, {"required": ["b"]}]}), json!({"a": null, "b": null})),
        (
            json!({"$defs": {"n": {"minimum": 2}}, "items": {"enum": [1, 2], "$ref": "#/$defs/n"}, "minItems": 1}),
            json!([2]),
        ),
        (json!({}), json!(null)),
    ] {
        assert_eq!(smallest(&schema), Some(instance), "{schema}");
    }
}

#[test]
fn what_cannot_be_followed_has_no_instance() {
    for schema in [
        json!(false),
        json!({"type": "string", "pattern": "^[0-9]+$"}),
        json!({"enum": [1], "type": "nonsense"}),
        json!({"$ref": "#/absent"}),
        json!({"type": "object", "required": ["next"], "properties": {"next": {"$ref": "#"}}}),
        json!({"type": "integer", "minimum": 5, "maximum": 4}),
    ] {
        assert_eq!(smallest(&schema), None, "{schema}");
    }
}

fn schemas() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        prop::collection::vec("[a-z]{1,4}", 1..4).prop_map(|values| json!({"enum": values})),
        (-50i64..50, 0i64..50)
            .prop_map(|(low, width)| json!({"type": "integer", "minimum": low, "maximum": low + width})),
        (-50i64..50, 1i64..9)
            .prop_map(|(low, step)| json!({"type": "integer", "exclusiveMinimum": low, "multipleOf": step})),
        (-5.0f64..5.0, 0.1f64..5.0).prop_map(
            |(low, width)| json!({"type": "number", "exclusiveMinimum": low, "exclusiveMaximum": low + width})
        ),
        (0u8..9).prop_map(|least| json!({"type": "string", "minLength": least})),
        Just(json!({"type": "boolean"})),
        Just(json!({"type": "null"})),
        Just(json!({"type": ["string", "null"]})),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            (inner.clone(), 0u8..4).prop_map(|(items, least)| json!({"type": "array", "items": items, "minItems": least})),
            (prop::collection::btree_map("[a-d]", inner.clone(), 0..4), any::<bool>()).prop_map(|(properties, all)| {
                let required: Vec<&String> = properties.keys().filter(|name| all || name.as_str() < "c").collect();
                json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
            }),
            prop::collection::vec(inner, 1..3).prop_map(|choices| json!({"anyOf": choices})),
        ]
    })
}

proptest! {
    #[test]
    fn an_instance_satisfies_its_schema(schema in schemas()) {
        let instance = smallest(&schema);
        prop_assert!(instance.as_ref().is_some_and(|instance| jsonschema::is_valid(&schema, instance)), "{schema}: {instance:?}");
    }
}
