use serde_json::json;

use super::*;
use crate::request::Sampling;
use crate::sampling::Sampler;
use crate::testing::TinyModel;

fn grammar() -> (Grammar, Tokenizer) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    TinyModel::default().write(&path).unwrap();
    let tokenizer = Tokenizer::from_gguf(&crate::gguf::Gguf::open(&path).unwrap()).unwrap();
    (Grammar::new(&tokenizer).unwrap(), tokenizer)
}

/// A source of choices, seeded.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

fn schema(dice: &mut Dice, depth: u64) -> Value {
    let leaves = 10;
    match dice.roll(if depth == 0 { leaves } else { leaves + 3 }) {
        0 => json!({"type": "string"}),
        1 => json!({"type": "string", "minLength": dice.roll(5), "maxLength": 5 + dice.roll(20)}),
        2 => json!({"type": "integer"}),
        3 => json!({"type": "number", "minimum": 0}),
        4 => json!({"enum": ["red", "green", 7, null, true]}),
        5 => json!({"type": ["boolean", "null"]}),
        6 => json!({"type": "string", "pattern": "^[A-Z]{2,4}-[0-9]{3}$"}),
        7 => json!({}),
        8 => json!({"type": "object", "minProperties": 1}),
        9 => json!({"type": ["array", "integer"]}),
        10 => json!({"type": "array", "items": schema(dice, depth - 1), "minItems": dice.roll(3)}),
        11 => json!({"anyOf": [schema(dice, depth - 1), schema(dice, depth - 1)]}),
        _ => {
            let names: Vec<String> = (0..1 + dice.roll(4)).map(|i| format!("name{i}")).collect();
            let properties: serde_json::Map<_, _> =
                names.iter().map(|name| (name.clone(), schema(dice, depth - 1))).collect();
            let required = names.len() - usize::try_from(dice.roll(2)).unwrap().min(names.len());
            json!({"type": "object", "properties": properties, "required": names[..required]})
        }
    }
}

/// Writes with random logits until the end or the limit.
fn write(
    constraint: &mut Constraint,
    tokenizer: &Tokenizer,
    limit: usize,
    seed: u64,
) -> Result<String, GenerateError> {
    let mut sampler = Sampler::new(Sampling { temperature: 1.0, seed, ..Sampling::default() }, &[]);
    let mut bytes = Vec::new();
    for used in 0..limit {
        let Allowed::Mask(mask) = constraint.allowed()? else { break };
        let mut logits: Vec<f32> = (0..tokenizer.len())
            .map(|id| if mask[id / 32] & (1 << (id % 32)) == 0 { f32::NEG_INFINITY } else { 0.0 })
            .collect();
        let token = sampler.choose(&mut logits);
        if tokenizer.is_end(token) {
            break;
        }
        let Some(taken) = constraint.take(token, limit - used - 1)? else { break };
        bytes.extend_from_slice(tokenizer.bytes(taken));
    }
    assert!(constraint.is_complete());
    Ok(String::from_utf8(bytes).unwrap())
}

#[test]
fn random_output_is_an_instance_of_any_schema_or_an_error() {
    let (grammar, tokenizer) = grammar();
    let mut dice = Dice(42);
    let (mut finished, mut short, mut unfinished) = (0, 0, 0);
    for case in 0..150 {
        let schema = schema(&mut dice, 3);
        let limit = 10 + usize::try_from(dice.roll(150)).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let mut constraint = match grammar.constrain(&schema, limit) {
            Ok(constraint) => constraint,
            Err(GenerateError::SchemaTooLong { needed, .. }) => {
                assert!(needed > limit);
                short += 1;
                continue;
            }
            Err(error) => panic!("{error}: {schema}"),
        };
        match write(&mut constraint, &tokenizer, limit, case) {
            Ok(text) => {
                let value = serde_json::from_str(&text).unwrap();
                assert!(validator.is_valid(&value), "{text} for {schema}");
                finished += 1;
            }
            Err(GenerateError::SchemaUnfinished { .. }) => unfinished += 1,
            Err(error) => panic!("{error}: {schema}"),
        }
    }
    assert!(finished > 100, "{finished} finished, {short} too short, {unfinished} unfinished");
    assert_eq!(unfinished, 0, "{finished} finished, {short} too short");
}

#[test]
fn the_smallest_limit_is_enough() {
    let (grammar, tokenizer) = grammar();
    let node = json!({
        "$ref": "#/$defs/node",
        "$defs": {"node": {
            "type": "object",
            "required": ["value", "next"],
            "properties": {
                "value": {"type": "string"},
                "next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/node"}]},
            },
        }},
    });
    let list = json!({"type": "array", "items": {"type": "string"}, "minItems": 2});
    for schema in [node, list, json!({}), json!(true)] {
        let GenerateError::SchemaTooLong { needed, .. } = (match grammar.constrain(&schema, 0) {
            Err(error) => error,
            Ok(_) => panic!("an instance has tokens"),
        }) else {
            panic!("another error")
        };
        for (limit, seed) in (needed..needed + 40).zip(0..) {
            let mut constraint = grammar.constrain(&schema, limit).unwrap();
            let text = write(&mut constraint, &tokenizer, limit, seed).unwrap();
            let value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            assert!(jsonschema::is_valid(&schema, &value), "{text}");
        }
    }
}

#[test]
fn schemas_that_cannot_be_enforced_are_refused() {
    let (grammar, _) = grammar();
    let table = [
        json!({"type": "strin"}),
        json!({"not": {"type": "string"}}),
        json!({"$ref": "#/$defs/missing"}),
        json!({"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#"}}}),
        json!({"type": "integer", "minimum": 5, "maximum": 3}),
        json!({"type": "array", "items": {"type": "string"}, "uniqueItems": true}),
        json!(false),
    ];
    for schema in table {
        for refused in [grammar.constrain(&schema, 100).map(|_| ()), check_schema(&schema)] {
            let Err(GenerateError::Schema { reason }) = refused else { panic!("{schema} is accepted") };
            assert!(!reason.is_empty());
        }
    }
    let mut dice = Dice(7);
    for schema in (0..20).map(|_| schema(&mut dice, 3)) {
        assert_eq!(check_schema(&schema).map_err(|error| error.to_string()), Ok(()), "{schema}");
    }
}
