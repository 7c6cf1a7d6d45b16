use std::path::Path;
use std::sync::Arc;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};

use super::file::interleaved;
use super::*;
use crate::model::{LoadOptions, Model};
use crate::rope::{Pairing, Rope};
use crate::testing::{TinyAdapter, TinyModel};

const LLAMA: (&str, &str) = ("llama", "smollm");
const QWEN: (&str, &str) = ("qwen2", "qwen2");

fn tiny((architecture, pre): (&str, &str)) -> TinyModel {
    TinyModel {
        architecture: architecture.to_owned(),
        pre: pre.to_owned(),
        format: "F32".to_owned(),
        ..TinyModel::default()
    }
}

fn loaded(bytes: &[u8]) -> Model {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    std::fs::write(&path, bytes).unwrap();
    Model::load(&path, &LoadOptions::default()).unwrap()
}

fn adapter(model: &Model, tiny: &TinyAdapter) -> Result<Adapter, crate::LoadError> {
    let folder = tempfile::tempdir().unwrap();
    tiny.write(folder.path()).unwrap();
    Adapter::load(folder.path(), model.network.sizes())
}

/// Rows of a slot, all of whose logits are wanted.
fn rows(slot: usize, adapter: Option<usize>) -> Vec<crate::network::Row> {
    let row = |(position, token): (usize, u32)| crate::network::Row {
        slot,
        position,
        token,
        wanted: true,
        adapter,
    };
    [10, 20, 30, 40, 50].into_iter().enumerate().map(row).collect()
}

fn logits(model: &Model, rows: &[crate::network::Row], adapters: &[Arc<Adapter>]) -> Vec<Vec<f32>> {
    model.network.forward(&mut model.cache(), Batch { rows, adapters }).unwrap()
}

/// The square of the difference as a share of that of the first.
fn distance(one: &[Vec<f32>], other: &[Vec<f32>]) -> f32 {
    let both = one.iter().flatten().zip(other.iter().flatten());
    let error: f32 = both.map(|(x, y)| (x - y) * (x - y)).sum();
    error / one.iter().flatten().map(|x| x * x).sum::<f32>()
}

#[test]
fn a_row_in_the_order_of_the_file_is_rotated_as_in_that_of_the_training() {
    let (dim, heads) = (16, 3);
    let trained: Vec<f32> = (0..48_u16).map(|index| f32::from(index * 7 % 13) - 6.0).collect();
    let ordered = |row: &[f32]| {
        let mut ordered = vec![0.0; dim * heads];
        row.iter().enumerate().for_each(|(index, float)| ordered[interleaved(index, dim)] = *float);
        ordered
    };
    let [mut in_halves, mut in_pairs] = [trained.clone(), ordered(&trained)];
    let frequencies: Vec<f64> = (0..dim / 2).map(|pair| 0.5_f64.powf(pair as f64)).collect();
    Rope::new(Pairing::Halves, &frequencies, 1.0, 8).rotate(7, dim, &mut in_halves);
    Rope::new(Pairing::Interleaved, &frequencies, 1.0, 8).rotate(7, dim, &mut in_pairs);
    assert_ne!(in_halves, trained);
    assert_eq!(ordered(&in_halves), in_pairs);
}

#[test]
fn a_model_with_an_adapter_is_the_model_that_has_it_in_its_weights() {
    for family in [LLAMA, QWEN, ("qwen3", "qwen2")] {
        let tiny = tiny(family);
        let model = loaded(&tiny.bytes());
        let plain = logits(&model, &rows(0, None), &[]);
        let whole = TinyAdapter::default();
        // Each module alone, for a mistake in one may drown in the others.
        let alone = whole.modules.iter().map(|module| TinyAdapter {
            modules: vec![module],
            alpha: 32.0,
            ..TinyAdapter::default()
        });
        for adapted in alone.chain([whole.clone()]) {
            let merged = loaded(&tiny.merged_bytes(Some(&adapted)));
            let merged = logits(&merged, &rows(0, None), &[]);
            let adapters = [Arc::new(adapter(&model, &adapted).unwrap())];
            let with = logits(&model, &rows(0, Some(0)), &adapters);
            let (error, change) = (distance(&merged, &with), distance(&merged, &plain));
            assert!(error < 0.005 && change > 5.0 * error, "{family:?} {adapted:?}: {error} {change}");
        }
    }
}

#[test]
fn rows_of_one_batch_have_their_own_adapters() {
    let model = loaded(&tiny(LLAMA).bytes());
    let adapters: Vec<_> = [(1, 3), (2, 4)]
        .map(|(seed, rank)| TinyAdapter { seed, rank, ..TinyAdapter::default() })
        .iter()
        .map(|tiny| Arc::new(adapter(&model, tiny).unwrap()))
        .collect();
    let places = [Some(1), None, Some(0), Some(1)];
    let mixed: Vec<_> = places.into_iter().enumerate().flat_map(|(slot, place)| rows(slot, place)).collect();
    let together = logits(&model, &mixed, &adapters);
    for (place, together) in places.into_iter().zip(together.chunks_exact(5)) {
        assert_eq!(logits(&model, &rows(0, place), &adapters), together);
    }
    assert_ne!(together[..5], together[5..10]);
    assert_ne!(together[..5], together[10..15]);
    assert_eq!(together[..5], together[15..]);
}

#[test]
fn the_scale_follows_the_configuration() {
    let model = loaded(&tiny(LLAMA).bytes());
    let of = |alpha: f64, config: Value| {
        let tiny = TinyAdapter { alpha, config, ..TinyAdapter::default() };
        logits(&model, &rows(0, Some(0)), &[Arc::new(adapter(&model, &tiny).unwrap())])
    };
    // Of rank 4: an alpha of 8 is a scale of 2, or of 4 with the root of the rank.
    assert_eq!(of(8.0, json!({"use_rslora": true})), of(16.0, json!({})));
    assert_ne!(of(8.0, json!({})), of(16.0, json!({})));
    // A rank that differs by module is that of its tensors.
    assert_eq!(of(8.0, json!({"r": 9, "rank_pattern": {"q_proj": 4}})), of(8.0, json!({})));
    assert_eq!(of(0.0, json!({})), logits(&model, &rows(0, None), &[]));
}

#[test]
fn what_an_adapter_cannot_be_is_refused_by_name() {
    let model = loaded(&tiny(LLAMA).bytes());
    let plain = TinyAdapter::default;
    let configured = |config: Value| TinyAdapter { config, ..plain() };
    let table = [
        (configured(json!({"peft_type": "IA3"})), "IA3"),
        (configured(json!({"use_dora": true})), "DoRA"),
        (configured(json!({"fan_in_fan_out": true})), "other way round"),
        (configured(json!({"lora_bias": true})), "biases"),
        (configured(json!({"bias": "all"})), "biases (all)"),
        (configured(json!({"modules_to_save": ["lm_head"]})), "lm_head"),
        (configured(json!({"alpha_pattern": {"q_proj": 3}})), "alpha"),
        (configured(json!({"r": 0})), "r is 0"),
        (configured(json!({"r": "four"})), "malformed"),
        (TinyAdapter { modules: vec!["mlp.experts"], ..plain() }, "mlp.experts"),
        (TinyAdapter { modules: Vec::new(), ..plain() }, "changes nothing"),
        (TinyAdapter { hidden: 128, ..plain() }, "shape"),
        (TinyAdapter { rank: 0, config: json!({"r": 4}), ..plain() }, "shape"),
    ];
    for (tiny, part) in table {
        let error = adapter(&model, &tiny).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("adapter_"), "{part}: {error}");
    }
    let missing = Adapter::load(Path::new("nowhere"), model.network.sizes());
    assert!(matches!(missing, Err(crate::LoadError::NotFound { .. })));
}

/// An adapter whose file has other bytes.
fn with_weights(model: &Model, bytes: &[u8]) -> Result<Adapter, crate::LoadError> {
    let folder = tempfile::tempdir().unwrap();
    TinyAdapter::default().write(folder.path()).unwrap();
    std::fs::write(folder.path().join("adapter_model.safetensors"), bytes).unwrap();
    Adapter::load(folder.path(), model.network.sizes())
}

#[test]
fn tensors_that_do_not_go_together_are_refused() {
    let model = loaded(&tiny(LLAMA).bytes());
    let name =
        |layer: usize, rest: &str| format!("base_model.model.model.layers.{layer}.self_attn.q_proj.{rest}");
    let file = |tensors: &[(String, Vec<usize>, f32)]| {
        let bytes = |shape: &[usize], float: f32| float.to_le_bytes().repeat(shape.iter().product());
        let tensors: Vec<_> =
            tensors.iter().map(|(name, shape, float)| (name, shape, bytes(shape, *float))).collect();
        let views = tensors.iter().map(|(name, shape, bytes)| {
            (name, TensorView::new(Dtype::F32, (*shape).clone(), bytes).unwrap())
        });
        safetensors::serialize(views, None).unwrap()
    };
    let (inward, outward) = (name(0, "lora_A.weight"), name(0, "lora_B.weight"));
    let good = [(inward.clone(), vec![2, 64], 0.5), (outward.clone(), vec![64, 2], 0.5)];
    assert!(with_weights(&model, &file(&good)).is_ok());
    let table = [
        (vec![good[0].clone()], "no tensor"),
        (vec![good[1].clone()], "no tensor"),
        (vec![good[0].clone(), (outward.clone(), vec![64, 3], 0.5)], "shape"),
        (vec![good[0].clone(), (outward, vec![128], 0.5)], "shape"),
        (vec![(inward, vec![2, 64], f32::NAN), good[1].clone()], "no numbers"),
        (vec![(name(2, "lora_A.weight"), vec![2, 64], 0.5)], "layer 2"),
        (vec![(name(0, "lora_C.weight"), vec![2, 64], 0.5)], "lora_C"),
        (vec![(name(0, "base_layer.weight"), vec![2, 64], 0.5)], "base_layer"),
    ];
    for (tensors, part) in table {
        let error = with_weights(&model, &file(&tensors)).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("adapter_model"), "{part}: {error}");
    }
    let whole = TinyAdapter::default().weights();
    for len in (0..whole.len()).step_by(997) {
        assert!(with_weights(&model, &whole[..len]).is_err(), "{len}");
    }
}
