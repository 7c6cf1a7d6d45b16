//! From a JSON schema to a constraint.

use std::sync::LazyLock;

use serde_json::Value;
use superstep_inference::testing::{TinyModel, Unweighted};
use superstep_inference::{LoadOptions, Model, Sampling};
use superstep_runtime::Schema;

/// The vocabulary under which all inputs are written, which is prepared once.
static WRITER: LazyLock<Unweighted> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("there is a place for files that go again");
    let path = folder.path().join("model.gguf");
    TinyModel::default().write(&path).expect("the file can be written");
    Unweighted::new(Model::load(&path, &LoadOptions::default()).expect("the tiny model is whole"))
});

/// Draws an output under a schema: what comes out is an instance of it, or an error. No network is asked: it
/// knows nothing of schemas.
pub fn schemas(data: &[u8]) {
    let Some((seed, text)) = data.split_first() else { return };
    let Ok(schema) = serde_json::from_slice::<Value>(text) else { return };
    let sampling = Sampling {
        temperature: 1.0,
        seed: u64::from(*seed),
        max_tokens: 8 + usize::from(*seed) % 32,
        ..Sampling::default()
    };
    let Ok(completion) = WRITER.write(&schema, sampling) else { return };
    let compiled = Schema::compile(&schema).expect("what constrains is a schema");
    let value: Value = serde_json::from_str(&completion.text).expect("what was written is JSON");
    if let Err(why) = compiled.check(&value) {
        panic!("{value} is no instance of {schema}: {why}");
    }
}
