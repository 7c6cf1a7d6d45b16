//! From the JSON schema of a type to the structural schema that an API server demands.
//!
//! References are put in place, null beside a type goes, words become one enumeration, a union becomes an object
//! whose members exclude each other by a rule, and numbers get the formats that a server knows. Whatever may hold
//! any JSON is on a list; a type that is not on it does not become free by mistake.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use super::{limits, lists, rules};

/// The members that may hold any JSON.
const FREE: [(&str, &str); 19] = [
    ("CommandTool", "parameters"),
    ("CustomProgram", "parameters"),
    ("DocumentSpec", "metadata{}"),
    ("Engine", "scripted"),
    ("GraphProgram", "parameters"),
    ("HttpTool", "parameters"),
    ("HumanProgram", "default"),
    ("HumanProgram", "schema"),
    ("InputSpec", "schema"),
    ("JudgeVerdict", "schema"),
    ("Links", "inline[]"),
    ("OutputFormat", "schema"),
    ("ParametersSpec", "default"),
    ("ParametersSpec", "schema"),
    ("RunInput", "inline"),
    ("RunSpec", "parameters"),
    ("SetField", "value"),
    ("VertexSpec", "value"),
    // A list of names or the word `Any`, which no structural schema can tell apart.
    ("VertexSpec", "sends"),
];

/// Of those, the ones that are objects, whatever these hold. A rule can only see what has a type.
const OBJECTS: [(&str, &str); 4] = [
    ("Engine", "scripted"),
    ("GraphProgram", "parameters"),
    ("ParametersSpec", "default"),
    ("RunSpec", "parameters"),
];

/// Of those, the ones in which null says something else than leaving them out.
const NULLABLE: [(&str, &str); 2] = [("RunInput", "inline"), ("SetField", "value")];

/// The structural schema of an object with this spec and this status.
pub(super) fn object<Spec: JsonSchema, Status: JsonSchema>(description: &str) -> Schema {
    let mut generator = SchemaSettings::draft2020_12().for_deserialize().into_generator();
    let spec = generator.subschema_for::<Spec>().to_value();
    let status = generator.subschema_for::<Status>().to_value();
    let structure = Structure { definitions: generator.take_definitions(true) };
    let root = |field| Place { definition: "", field, listed: false };
    let mut spec = structure.schema(root("spec"), &spec);
    spec.insert("description".to_owned(), "What is wanted.".into());
    let mut status = structure.schema(root("status"), &status);
    status.insert("description".to_owned(), "What the operator says of it.".into());
    let whole = json!({
        "description": description,
        "type": "object",
        "required": ["spec"],
        "properties": {"spec": spec, "status": status},
    });
    Schema::try_from(whole).expect("an object is a schema")
}

struct Structure {
    definitions: Map<String, Value>,
}

/// Where a schema stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// The definition that has the field.
    definition: &'a str,
    /// The field, with `[]` for the items of a list and `{}` for the members of a map.
    field: &'a str,
    /// Whether it is inside an item of a list. There, what is left out stays left out: a list that the server
    /// completes looks changed to whoever compares it with its manifest.
    listed: bool,
}

impl Structure {
    fn schema(&self, place: Place<'_>, written: &Value) -> Map<String, Value> {
        let (kind, bare) = self.bare(members(written), "");
        let mut made = if is_free(&bare) {
            free(place)
        } else if let Some(words) = words(&bare) {
            json_map(json!({"type": "string", "enum": words}))
        } else if let Some(variants) = variants(&bare) {
            self.union(place, &kind, &variants)
        } else {
            match simple_type(&bare) {
                "object" => self.object(place, &kind, &bare),
                "array" => self.list(place, &bare),
                "string" => text(place, &kind, &bare),
                "integer" => integer(&bare),
                "number" => number(&bare),
                other => json_map(json!({"type": other})),
            }
        };
        if let Some(description) = description(&bare) {
            made.insert("description".to_owned(), description.into());
        }
        let given = bare.get("default").filter(|default| !default.is_null() && !place.listed).cloned();
        let key = lists::default_key(place.definition, place.field).map(Value::from);
        if let Some(default) = given.or(key) {
            made.insert("default".to_owned(), default);
        }
        made
    }

    /// The schema itself, behind references and beside null, with the name of its definition.
    fn bare(&self, schema: &Map<String, Value>, kind: &str) -> (String, Map<String, Value>) {
        let behind = |inner: &Value, kind: &str| {
            let (kind, mut bare) = self.bare(members(inner), kind);
            for kept in ["description", "default"] {
                if let Some(value) = schema.get(kept) {
                    bare.insert(kept.to_owned(), value.clone());
                }
            }
            (kind, bare)
        };
        let reference = schema.get("$ref").and_then(Value::as_str);
        if let Some(name) = reference.and_then(|reference| reference.strip_prefix("#/$defs/")) {
            // Names with a slash or a tilde would be escaped; no type has one.
            return behind(&self.definitions[name], name);
        }
        let choices = schema.get("anyOf").and_then(Value::as_array).map(Vec::as_slice);
        match choices {
            Some([one, null] | [null, one]) if null.get("type").is_some_and(|kind| kind == "null") => {
                behind(one, kind)
            }
            Some(_) | None => (kind.to_owned(), schema.clone()),
        }
    }

    fn object(&self, place: Place<'_>, kind: &str, bare: &Map<String, Value>) -> Map<String, Value> {
        let additional = bare.get("additionalProperties").filter(|schema| *schema != &json!(false));
        let patterned = bare.get("patternProperties").and_then(Value::as_object);
        let of_map = additional.or_else(|| patterned.and_then(|patterns| patterns.values().next()));
        if let Some(of_map) = of_map {
            let field = format!("{}{{}}", place.field);
            let below = Place { field: &field, ..place };
            return json_map(json!({
                "type": "object",
                "additionalProperties": self.schema(below, of_map),
                "maxProperties": limits::items(place.definition, place.field),
            }));
        }
        let mut made = json_map(json!({"type": "object"}));
        let fields = bare.get("properties").and_then(Value::as_object).into_iter().flatten();
        let properties: Map<String, Value> = fields
            .map(|(field, schema)| {
                let below = Place { definition: kind, field, listed: place.listed };
                (field.clone(), self.schema(below, schema).into())
            })
            .collect();
        let choices = choices(bare);
        let visible = choices.iter().all(|choice| properties.get(choice).is_some_and(is_visible));
        if !visible {
            // What a rule does not see is left to a plain demand, whose message says less.
            let demands: Vec<Value> = choices.iter().map(|choice| json!({"required": [choice]})).collect();
            made.insert("oneOf".to_owned(), demands.into());
        }
        if !properties.is_empty() {
            made.insert("properties".to_owned(), properties.into());
        }
        if let Some(required) = bare.get("required") {
            made.insert("required".to_owned(), required.clone());
        }
        if let Some(rules) = rules::of(kind, if visible { &choices } else { &[] }) {
            made.insert("x-kubernetes-validations".to_owned(), rules);
        }
        made
    }

    /// An object with a member for each variant, of which exactly one is given.
    fn union(&self, place: Place<'_>, kind: &str, variants: &[&Map<String, Value>]) -> Map<String, Value> {
        let mut properties = Map::new();
        for variant in variants {
            for (name, schema) in variant.get("properties").and_then(Value::as_object).into_iter().flatten() {
                let below = Place { definition: kind, field: name, listed: place.listed };
                let mut made = self.schema(below, schema);
                if let Some(description) = description(variant) {
                    made.insert("description".to_owned(), description.into());
                }
                properties.insert(name.clone(), made.into());
            }
        }
        let names: Vec<String> = properties.keys().cloned().collect();
        let mut made = json_map(json!({"type": "object", "properties": properties}));
        if let Some(rules) = rules::of(kind, &names) {
            made.insert("x-kubernetes-validations".to_owned(), rules);
        }
        made
    }

    fn list(&self, place: Place<'_>, bare: &Map<String, Value>) -> Map<String, Value> {
        let field = format!("{}[]", place.field);
        let below = Place { field: &field, listed: true, ..place };
        let items = bare.get("items").expect("a list has items");
        let mut made = json_map(json!({
            "type": "array",
            "items": self.schema(below, items),
            "maxItems": limits::items(place.definition, place.field),
        }));
        if let Some(least) = bare.get("minItems") {
            made.insert("minItems".to_owned(), least.clone());
        }
        match lists::merge(place.definition, place.field) {
            lists::Merge::Keyed(keys) => {
                made.insert("x-kubernetes-list-type".to_owned(), "map".into());
                made.insert("x-kubernetes-list-map-keys".to_owned(), keys.into());
            }
            lists::Merge::Set => {
                made.insert("x-kubernetes-list-type".to_owned(), "set".into());
            }
            lists::Merge::Atomic => {}
        }
        made
    }
}

fn free(place: Place<'_>) -> Map<String, Value> {
    let leaf = (place.definition, place.field);
    assert!(FREE.contains(&leaf), "{leaf:?} would hold any JSON on a cluster");
    let mut made = json_map(json!({"x-kubernetes-preserve-unknown-fields": true}));
    if OBJECTS.contains(&leaf) {
        made.insert("type".to_owned(), "object".into());
    }
    if NULLABLE.contains(&leaf) {
        made.insert("nullable".to_owned(), true.into());
    }
    if leaf == ("VertexSpec", "sends") {
        made.insert("pattern".to_owned(), "^Any$".into());
        made.insert("maxItems".to_owned(), limits::items("JoinSpec", "of").into());
    }
    made
}

fn text(place: Place<'_>, kind: &str, bare: &Map<String, Value>) -> Map<String, Value> {
    let or_number = bare.get("type").is_some_and(|kinds| kinds == &json!(["string", "integer"]));
    let mut made = if or_number {
        json_map(json!({
            "x-kubernetes-int-or-string": true,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
        }))
    } else {
        json_map(json!({"type": "string"}))
    };
    for kept in ["pattern", "enum", "format", "minLength"] {
        if let Some(value) = bare.get(kept) {
            made.insert(kept.to_owned(), value.clone());
        }
    }
    if bare.get("enum").is_none() {
        let own = bare.get("maxLength").and_then(Value::as_u64);
        let most = own.unwrap_or_else(|| limits::text(place.definition, place.field, kind));
        made.insert("maxLength".to_owned(), most.into());
    }
    made
}

/// A server knows no unsigned numbers: they are signed ones with a least value.
fn integer(bare: &Map<String, Value>) -> Map<String, Value> {
    let (format, least, most) = match bare.get("format").and_then(Value::as_str) {
        Some("uint8") => ("int32", Some(json!(0)), Some(json!(u8::MAX))),
        Some("uint32") => ("int64", Some(json!(0)), Some(json!(u32::MAX))),
        Some("uint64" | "uint") => ("int64", Some(json!(0)), None),
        Some("int32") => ("int32", None, None),
        Some(_) | None => ("int64", None, None),
    };
    let mut made = json_map(json!({"type": "integer", "format": format}));
    bounds(&mut made, bare, least, most);
    made
}

fn number(bare: &Map<String, Value>) -> Map<String, Value> {
    let mut made = json_map(json!({"type": "number"}));
    bounds(&mut made, bare, None, None);
    made
}

fn bounds(
    made: &mut Map<String, Value>,
    bare: &Map<String, Value>,
    least: Option<Value>,
    most: Option<Value>,
) {
    // In JSON schema above 2020 an exclusive bound is a number, in OpenAPI 3.0 it is a property of the bound.
    if let Some(above) = bare.get("exclusiveMinimum") {
        made.insert("minimum".to_owned(), above.clone());
        made.insert("exclusiveMinimum".to_owned(), true.into());
    } else if let Some(least) = bare.get("minimum").cloned().or(least) {
        made.insert("minimum".to_owned(), least);
    }
    if let Some(most) = bare.get("maximum").cloned().or(most) {
        made.insert("maximum".to_owned(), most);
    }
}

/// Whether it says nothing of the value, or takes several types.
fn is_free(bare: &Map<String, Value>) -> bool {
    let says = ["type", "oneOf", "enum"].iter().any(|word| bare.contains_key(*word));
    !says || bare.contains_key("anyOf")
}

/// The words of an enumeration whose words are described.
fn words(bare: &Map<String, Value>) -> Option<Vec<Value>> {
    let each = bare.get("oneOf")?.as_array()?.iter();
    each.map(|choice| choice.get("const").cloned()).collect()
}

/// The variants of a union whose variants are objects of one member.
fn variants(bare: &Map<String, Value>) -> Option<Vec<&Map<String, Value>>> {
    if bare.contains_key("properties") {
        return None;
    }
    bare.get("oneOf")?.as_array()?.iter().map(Value::as_object).collect()
}

/// The members of which exactly one is given.
fn choices(bare: &Map<String, Value>) -> Vec<String> {
    let each = bare.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    each.filter_map(|choice| Some(choice.get("required")?.get(0)?.as_str()?.to_owned())).collect()
}

/// Whether the rules of an API server see the value: it, and the items of it, have a type.
fn is_visible(made: &Value) -> bool {
    let typed =
        |schema: &Value| ["type", "x-kubernetes-int-or-string"].iter().any(|word| schema.get(word).is_some());
    typed(made) && made.get("items").is_none_or(typed)
}

fn simple_type(bare: &Map<String, Value>) -> &str {
    match bare.get("type") {
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or("object")
        }
        Some(kind) => kind.as_str().unwrap_or("object"),
        None => "string",
    }
}

/// What `kubectl explain` shows: without links of rustdoc, each paragraph on one line, and with what the words
/// of an enumeration mean.
fn description(bare: &Map<String, Value>) -> Option<String> {
    let own = bare.get("description").and_then(Value::as_str)?;
    let choices = bare.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    let meanings = choices.filter_map(|choice| {
        Some(format!(" {}: {}", choice.get("const")?.as_str()?, choice.get("description")?.as_str()?))
    });
    let whole: String = std::iter::once(own.to_owned()).chain(meanings).collect();
    let paragraphs: Vec<String> = whole.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect();
    Some(paragraphs.join("\n").replace("[`", "`").replace("`]", "`"))
}

fn members(schema: &Value) -> &Map<String, Value> {
    static ANYTHING: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    schema.as_object().unwrap_or(&ANYTHING)
}

fn json_map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            unreachable!("it is written as an object")
        }
    }
}
