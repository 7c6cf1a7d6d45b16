//! What the tensors and the metadata of a tiny model are in each architecture.

use super::writer::Writer;
use super::{KEY_VALUE_HEADS, QUERY_HEADS, TinyModel};

/// Experts of a layer, where there are some.
const EXPERTS: usize = 4;

/// What a tensor is filled with.
pub(super) enum Fill {
    /// Random numbers, in the format of the model.
    Matrix,
    /// Random numbers as floats.
    Floats,
    /// The same float everywhere.
    Same(f32),
    /// Random floats around this one.
    Near(f32),
}

/// A tensor; its shape has the rows first.
pub(super) struct Part {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) fill: Fill,
}

fn is_gemma(model: &TinyModel) -> bool {
    ["gemma2", "gemma3"].contains(&model.architecture.as_str())
}

fn has_experts(model: &TinyModel) -> bool {
    model.mixture || model.architecture.ends_with("moe")
}

/// Floats of a head; those of Gemma are wider than the width of the network tells.
fn dim(model: &TinyModel) -> usize {
    let even = model.hidden / QUERY_HEADS;
    if is_gemma(model) { 2 * even } else { even }
}

/// Writes what only some architectures say.
pub(super) fn put_metadata(model: &TinyModel, writer: &mut Writer) {
    let key = |suffix: &str| format!("{}.{suffix}", model.architecture);
    let size = |value: usize| u32::try_from(value).expect("tiny");
    if is_gemma(model) {
        writer.integer(&key("attention.key_length"), size(dim(model)));
        writer.integer(&key("attention.value_length"), size(dim(model)));
    }
    if is_gemma(model) || model.architecture == "phi3" {
        writer.integer(&key("attention.sliding_window"), model.window);
    }
    if model.architecture == "gemma2" {
        writer.float(&key("attn_logit_softcapping"), 2.0);
        writer.float(&key("final_logit_softcapping"), 3.0);
    }
    if model.architecture == "gemma3" {
        writer.integer(&key("attention.sliding_window_pattern"), 2);
        writer.float(&key("rope.freq_base_swa"), 100.0);
    }
    if has_experts(model) {
        writer.integer(&key("expert_count"), size(EXPERTS));
        writer.integer(&key("expert_used_count"), 2);
        writer.integer(&key("expert_feed_forward_length"), size(2 * model.hidden));
    }
    if model.architecture == "qwen2moe" {
        writer.integer(&key("expert_shared_feed_forward_length"), size(model.hidden));
    }
    match model.scaling.as_deref() {
        None | Some("factors") => {}
        Some("longrope") => {
            writer.integer(&key("rope.scaling.original_context_length"), 256);
            writer.float(&key("rope.scaling.attn_factor"), 1.25);
        }
        Some(kind) => {
            writer.string(&key("rope.scaling.type"), kind);
            writer.float(&key("rope.scaling.factor"), 4.0);
            writer.integer(&key("rope.scaling.original_context_length"), 128);
        }
    }
}

/// All tensors, in the order in which they are filled.
pub(super) fn parts(model: &TinyModel, vocabulary: usize) -> Vec<Part> {
    let hidden = model.hidden;
    let mut parts = vec![part("token_embd.weight", &[vocabulary, hidden], Fill::Matrix)];
    if model.untied {
        parts.push(part("output.weight", &[vocabulary, hidden], Fill::Matrix));
    }
    let pairs = [hidden / QUERY_HEADS / 2];
    match model.scaling.as_deref() {
        Some("factors") => parts.push(part("rope_freqs.weight", &pairs, Fill::Near(2.0))),
        Some("longrope") => {
            parts.push(part("rope_factors_long.weight", &pairs, Fill::Near(3.0)));
            parts.push(part("rope_factors_short.weight", &pairs, Fill::Near(1.5)));
        }
        Some(_) | None => {}
    }
    for layer in 0..2 {
        let of_layer = attention(model).into_iter().chain(feed_forward(model)).chain(vectors(model));
        parts.extend(of_layer.map(|part| Part { name: format!("blk.{layer}.{}", part.name), ..part }));
    }
    parts.push(part("output_norm.weight", &[hidden], near(model, 1.0)));
    parts
}

fn part(name: &str, shape: &[usize], fill: Fill) -> Part {
    Part { name: name.to_owned(), shape: shape.to_vec(), fill }
}

/// What vectors are filled with: of the oldest architectures always the same.
fn near(model: &TinyModel, float: f32) -> Fill {
    match model.architecture.as_str() {
        "llama" | "qwen2" | "qwen3" => Fill::Same(float),
        _ => Fill::Near(float),
    }
}

fn attention(model: &TinyModel) -> Vec<Part> {
    let (hidden, dim) = (model.hidden, dim(model));
    let (query, key) = (QUERY_HEADS * dim, KEY_VALUE_HEADS * dim);
    let mut parts = if model.architecture == "phi3" {
        vec![part("attn_qkv.weight", &[query + 2 * key, hidden], Fill::Matrix)]
    } else {
        [("attn_q", query), ("attn_k", key), ("attn_v", key)]
            .map(|(name, rows)| part(&format!("{name}.weight"), &[rows, hidden], Fill::Matrix))
            .into()
    };
    parts.push(part("attn_output.weight", &[hidden, query], Fill::Matrix));
    parts
}

fn feed_forward(model: &TinyModel) -> Vec<Part> {
    let (hidden, wide) = (model.hidden, 2 * model.hidden);
    let matrix = |name: &str, shape: &[usize]| part(&format!("{name}.weight"), shape, Fill::Matrix);
    if model.architecture == "phi3" {
        return vec![matrix("ffn_up", &[2 * wide, hidden]), matrix("ffn_down", &[hidden, wide])];
    }
    if !has_experts(model) {
        let (gate, up) = (matrix("ffn_gate", &[wide, hidden]), matrix("ffn_up", &[wide, hidden]));
        return vec![gate, up, matrix("ffn_down", &[hidden, wide])];
    }
    let mut parts = vec![
        part("ffn_gate_inp.weight", &[EXPERTS, hidden], Fill::Floats),
        matrix("ffn_gate_exps", &[EXPERTS, wide, hidden]),
        matrix("ffn_up_exps", &[EXPERTS, wide, hidden]),
        matrix("ffn_down_exps", &[EXPERTS, hidden, wide]),
    ];
    if model.architecture == "qwen2moe" {
        parts.push(part("ffn_gate_inp_shexp.weight", &[1, hidden], Fill::Near(0.0)));
        for name in ["ffn_gate_shexp", "ffn_up_shexp", "ffn_down_shexp"] {
            parts.push(matrix(name, &[hidden, hidden]));
        }
    }
    parts
}

fn vectors(model: &TinyModel) -> Vec<Part> {
    let (hidden, dim) = (model.hidden, dim(model));
    let architecture = model.architecture.as_str();
    let vector = |name: &str, len: usize, float: f32| part(name, &[len], near(model, float));
    let mut parts = Vec::new();
    if ["qwen2", "qwen2moe"].contains(&architecture) {
        for (name, heads) in [("q", QUERY_HEADS), ("k", KEY_VALUE_HEADS), ("v", KEY_VALUE_HEADS)] {
            parts.push(vector(&format!("attn_{name}.bias"), heads * dim, 0.1));
        }
    }
    if ["qwen3", "qwen3moe", "gemma3"].contains(&architecture) {
        parts.push(vector("attn_q_norm.weight", dim, 1.5));
        parts.push(vector("attn_k_norm.weight", dim, 1.5));
    }
    parts.push(vector("attn_norm.weight", hidden, 1.0));
    parts.push(vector("ffn_norm.weight", hidden, 1.0));
    if is_gemma(model) {
        parts.push(vector("post_attention_norm.weight", hidden, 1.0));
        parts.push(vector("post_ffw_norm.weight", hidden, 1.0));
    }
    parts
}
