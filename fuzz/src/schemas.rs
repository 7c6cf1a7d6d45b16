//! From a JSON schema to a constraint.

use std::sync::LazyLock;

use serde_json::Value;
use superstep_inference::testing::TinyModel;
use superstep_inference::{ChatMessage, Generator, LoadOptions, Model, Request, Role, Sampling};
use superstep_runtime::Schema;

static GENERATOR: LazyLock<Generator> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("there is a place for files that go again");
    let path = folder.path().join("model.gguf");
    TinyModel::default().write(&path).expect("the file can be written");
    let model = Model::load(&path, &LoadOptions::default()).expect("the tiny model is whole");
    Generator::start(model).expect("there is a thread")
});

/// Lets a model that draws at random write under a schema: what comes out is an instance of it, or an error.
pub fn schemas(data: &[u8]) {
    let Some((seed, text)) = data.split_first() else { return };
    let Ok(schema) = serde_json::from_slice::<Value>(text) else { return };
    let sampling = Sampling {
        temperature: 1.0,
        seed: u64::from(*seed),
        max_tokens: 8 + usize::from(*seed) % 32,
        ..Sampling::default()
    };
    let messages = vec![ChatMessage::new(Role::User, "write")];
    let request = Request { messages, sampling, schema: Some(schema.clone()) };
    let Ok(stream) = GENERATOR.submit(request) else { return };
    let Ok(completion) = stream.completion_blocking() else { return };
    let compiled = Schema::compile(&schema).expect("what constrains is a schema");
    let value: Value = serde_json::from_str(&completion.text).expect("what was written is JSON");
    if let Err(why) = compiled.check(&value) {
        panic!("{value} is no instance of {schema}: {why}");
    }
}
