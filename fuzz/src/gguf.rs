//! Model files.

use std::sync::LazyLock;

use superstep_inference::testing::TinyModel;
use superstep_inference::{LoadOptions, Model};
use tempfile::TempDir;

use super::edits::damaged;

static FOLDER: LazyLock<TempDir> =
    LazyLock::new(|| tempfile::tempdir().expect("there is a place for files that go again"));

/// Of several families.
static TINY: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let of = |architecture: &str, pieces: Option<bool>, scaling: Option<&str>| TinyModel {
        architecture: architecture.to_owned(),
        pre: if pieces.is_some() { "default".to_owned() } else { TinyModel::default().pre },
        pieces,
        scaling: scaling.map(str::to_owned),
        ..TinyModel::default()
    };
    let others = [
        of("gemma3", Some(false), Some("yarn")),
        of("phi3", Some(true), Some("longrope")),
        of("qwen2moe", None, None),
    ];
    std::iter::once(TinyModel::default()).chain(others).map(|tiny| tiny.bytes()).collect()
});

/// By its first byte loads the rest as a model file, or a tiny one that is damaged in its header: that gives a
/// model or an error.
pub fn gguf(data: &[u8]) {
    let bytes = match data.split_first() {
        Some((first, rest)) if *first < 32 => rest.to_vec(),
        Some((first, rest)) => damaged(&TINY[usize::from(*first) % TINY.len()], rest),
        None => return,
    };
    let path = FOLDER.path().join("model.gguf");
    std::fs::write(&path, bytes).expect("the file can be written");
    drop(Model::load(&path, &LoadOptions::default()));
}
