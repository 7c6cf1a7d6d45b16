//! Model files.

use std::sync::LazyLock;

use superstep_inference::testing::TinyModel;
use superstep_inference::{LoadOptions, Model};
use tempfile::TempDir;

use super::edits::damaged;

static FOLDER: LazyLock<TempDir> =
    LazyLock::new(|| tempfile::tempdir().expect("there is a place for files that go again"));

static TINY: LazyLock<Vec<u8>> = LazyLock::new(|| TinyModel::default().bytes());

/// By its first byte loads the rest as a model file, or a tiny one that is damaged in its header: that gives a
/// model or an error.
pub fn gguf(data: &[u8]) {
    let bytes = match data.split_first() {
        Some((0..32, rest)) => rest.to_vec(),
        Some((32.., rest)) => damaged(&TINY, rest),
        None => return,
    };
    let path = FOLDER.path().join("model.gguf");
    std::fs::write(&path, bytes).expect("the file can be written");
    drop(Model::load(&path, &LoadOptions::default()));
}
