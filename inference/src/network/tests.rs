use serde_json::Value;

use super::*;
use crate::converted::Kept;
use crate::kernel::narrow;
use crate::model::{LoadOptions, Model};
use crate::reference::decoder::Decoder;
use crate::testing::TinyModel;

/// What llama.cpp computes with the same models; see `families.py` beside it.
fn told() -> Value {
    serde_json::from_str(include_str!("../../testdata/families.json")).unwrap()
}

fn tokens() -> Vec<u32> {
    told()["tokens"]
        .as_array()
        .unwrap()
        .iter()
        .map(|token| u32::try_from(token.as_u64().unwrap()).unwrap())
        .collect()
}

/// The models of `families.py`, by their names there.
fn families() -> Vec<(&'static str, TinyModel)> {
    let tiny = |architecture: &str| TinyModel {
        architecture: architecture.to_owned(),
        format: "F32".to_owned(),
        ..TinyModel::default()
    };
    let scaled = |architecture: &str, scaling: &str| TinyModel {
        scaling: Some(scaling.to_owned()),
        window: 0,
        ..tiny(architecture)
    };
    vec![
        ("llama-linear", scaled("llama", "linear")),
        ("llama-yarn", scaled("llama", "yarn")),
        ("llama-factors", scaled("llama", "factors")),
        ("llama-mixture", TinyModel { mixture: true, ..tiny("llama") }),
        ("qwen2", tiny("qwen2")),
        ("qwen3", tiny("qwen3")),
        ("qwen2moe", TinyModel { untied: true, ..tiny("qwen2moe") }),
        ("qwen3moe", tiny("qwen3moe")),
        ("gemma2", tiny("gemma2")),
        ("gemma3", tiny("gemma3")),
        ("phi3", TinyModel { window: 0, ..tiny("phi3") }),
        ("phi3-short", TinyModel { context_length: 256, ..scaled("phi3", "longrope") }),
        ("phi3-long", scaled("phi3", "longrope")),
    ]
}

fn load(tiny: &TinyModel) -> Model {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    tiny.write(&path).unwrap();
    Model::load(&path, &LoadOptions::default()).unwrap()
}

/// The logits behind every token, read in pieces of so many.
fn logits(model: &Model, tokens: &[u32], piece: usize) -> Vec<Vec<f32>> {
    let row = |(position, token): (usize, &u32)| Row {
        slot: 1,
        position,
        token: *token,
        wanted: true,
        adapter: None,
    };
    let rows: Vec<Row> = tokens.iter().enumerate().map(row).collect();
    let mut cache = model.cache();
    rows.chunks(piece)
        .flat_map(|rows| model.network.forward(&mut cache, Batch { rows, adapters: &[] }).unwrap())
        .collect()
}

fn exact(tiny: &TinyModel, tokens: &[u32]) -> Vec<Vec<f64>> {
    let ids: Vec<usize> = tokens.iter().map(|token| *token as usize).collect();
    Decoder::read(&tiny.bytes()).logits(&ids, tiny.context_length as usize)
}

/// The square of the difference as a share of the square of the second.
fn distance(found: &[f32], exact: &[f64]) -> f64 {
    let error: f64 = found.iter().zip(exact).map(|(x, y)| (f64::from(*x) - y).powi(2)).sum();
    error / exact.iter().map(|y| y * y).sum::<f64>()
}

#[test]
fn the_definition_of_every_family_agrees_with_llama_cpp() {
    let told = told();
    let tokens = tokens();
    for (name, tiny) in families() {
        let told_of = told["families"].as_array().unwrap().iter().find(|family| family["name"] == name);
        let rows = told_of.unwrap()["logits"].as_array().unwrap();
        let exact = exact(&tiny, &tokens);
        for (position, row) in told["positions"].as_array().unwrap().iter().zip(rows) {
            let exact = &exact[usize::try_from(position.as_u64().unwrap()).unwrap()];
            let row: Vec<f32> =
                row.as_array().unwrap().iter().map(|logit| narrow(logit.as_f64().unwrap())).collect();
            let distance = distance(&row, exact);
            assert!(distance < 1e-5, "{name} at {position}: {distance}");
        }
    }
}

#[test]
fn every_family_computes_what_its_definition_says() {
    let tokens = tokens();
    let windowed = TinyModel {
        architecture: "phi3".to_owned(),
        format: "F32".to_owned(),
        window: 5,
        ..TinyModel::default()
    };
    for (name, tiny) in families().into_iter().chain([("phi3-window", windowed)]) {
        let exact = exact(&tiny, &tokens);
        let model = load(&tiny);
        let found = logits(&model, &tokens, tokens.len());
        // Weights and activations of eight bits are what differs. It may give a row to other experts than were meant, where
        // two are nearly as good, so that some rows may be far off.
        let off = middle(found.iter().zip(&exact).map(|(found, exact)| distance(found, exact)));
        assert!(off < 0.003, "{name}: {off}");
        for piece in [1, 5] {
            let again = logits(&model, &tokens, piece);
            let whole = found.iter().map(|row| row.iter().map(|x| f64::from(*x)).collect::<Vec<_>>());
            let off = middle(again.iter().zip(whole).map(|(again, whole)| distance(again, &whole)));
            assert!(off < 0.001, "{name} in pieces of {piece}: {off}");
        }
    }
}

#[test]
fn every_family_computes_from_a_file_what_it_computes_from_memory() {
    let tokens = tokens();
    for (format, hidden) in [("F32", 64), ("Q4_K", 256)] {
        for (name, tiny) in families() {
            let tiny = TinyModel { format: format.to_owned(), hidden, ..tiny };
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("tiny.gguf");
            tiny.write(&path).unwrap();
            let load =
                |converted| Model::load(&path, &LoadOptions { converted, ..LoadOptions::default() }).unwrap();
            let [first, second] = [(); 2].map(|()| load(Some(folder.path().join("converted"))));
            let plain = load(None);
            let kept = [&plain, &first, &second].map(|model| model.description().kept.clone());
            assert_eq!(kept, [Kept::Memory, Kept::Written, Kept::Found], "{name} {format}");
            let expected = logits(&plain, &tokens, 5);
            for model in [first, second] {
                assert_eq!(model.description().stored, plain.description().stored, "{name} {format}");
                assert_eq!(model.description().held, plain.description().held, "{name} {format}");
                let kept = &model.description().kept;
                assert!(logits(&model, &tokens, 5) == expected, "{name} {format}: {kept:?}");
            }
        }
    }
}

/// That of which as many are greater as are smaller.
fn middle(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

#[test]
fn what_distinguishes_families_changes_what_they_compute() {
    let tokens = tokens();
    let tiny = |architecture: &str| TinyModel {
        architecture: architecture.to_owned(),
        format: "F32".to_owned(),
        ..TinyModel::default()
    };
    let scaled = |scaling: &str| TinyModel { scaling: Some(scaling.to_owned()), ..tiny("llama") };
    let long = TinyModel { scaling: Some("longrope".to_owned()), window: 0, ..tiny("phi3") };
    let pairs = [
        (tiny("gemma2"), TinyModel { window: 500, ..tiny("gemma2") }),
        (tiny("gemma3"), TinyModel { window: 500, ..tiny("gemma3") }),
        (tiny("phi3"), TinyModel { window: 0, ..tiny("phi3") }),
        (scaled("linear"), tiny("llama")),
        (scaled("yarn"), scaled("linear")),
        (scaled("factors"), tiny("llama")),
        (long.clone(), TinyModel { context_length: 256, ..long }),
    ];
    for (one, other) in pairs {
        let [one_gives, other_gives] = [&one, &other].map(|tiny| logits(&load(tiny), &tokens, 24));
        let exact: Vec<f64> = other_gives[23].iter().map(|logit| f64::from(*logit)).collect();
        assert!(distance(&one_gives[23], &exact) > 0.01, "{one:?} {other:?}");
    }
}
