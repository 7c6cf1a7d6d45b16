//! A tiny sentence model.

use std::fs;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::json;

use super::Random;

const HIDDEN: usize = 64;
const FEED_FORWARD: usize = 96;
const POSITIONS: usize = 40;
const MAX_TOKENS: usize = 32;
const WORDS: [&str; 12] =
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "green", "blue", "a", "[", "]", "sep", "##s"];

/// What the folder of a tiny sentence model is made of: two layers of two heads, and a vocabulary of colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TinyEmbedder {
    /// Makes the weights.
    pub seed: u64,
    /// The format of the weights, as safetensors names it: `F32`, `F16`, `BF16` or `F64`.
    pub format: &'static str,
    /// What the names of all tensors begin with.
    pub prefix: &'static str,
    /// The pooling that is on: `mean`, `cls` or `max`; without one there is no file that says.
    pub pooling: Option<&'static str>,
}

impl Default for TinyEmbedder {
    fn default() -> Self {
        Self { seed: 1, format: "F32", prefix: "", pooling: None }
    }
}

impl TinyEmbedder {
    /// Writes the files into `folder`.
    ///
    /// # Errors
    /// What the operating system said.
    ///
    /// # Panics
    /// If `format` is none of those that it can be.
    pub fn write(&self, folder: &Path) -> std::io::Result<()> {
        let config = json!({
            "model_type": "bert", "hidden_size": HIDDEN, "intermediate_size": FEED_FORWARD, "num_hidden_layers": 2,
            "num_attention_heads": 2, "vocab_size": WORDS.len(), "max_position_embeddings": POSITIONS,
            "type_vocab_size": 2, "layer_norm_eps": 1e-12, "hidden_act": "gelu",
        });
        fs::write(folder.join("config.json"), config.to_string())?;
        let sentence = json!({"max_seq_length": MAX_TOKENS});
        fs::write(folder.join("sentence_bert_config.json"), sentence.to_string())?;
        if let Some(pooling) = self.pooling {
            let token = if pooling == "cls" { "token" } else { "tokens" };
            let modes = json!({format!("pooling_mode_{pooling}_{token}"): true});
            fs::create_dir(folder.join("1_Pooling"))?;
            fs::write(folder.join("1_Pooling/config.json"), modes.to_string())?;
        }
        fs::write(folder.join("tokenizer.json"), tokenizer().to_string())?;
        fs::write(folder.join("model.safetensors"), self.weights())
    }

    fn weights(&self) -> Vec<u8> {
        let mut random = Random(self.seed);
        let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
        for (name, shape) in shapes() {
            let middle = if name.ends_with("Norm.weight") { 1.0 } else { 0.0 };
            let floats = (0..shape.iter().product()).map(|_| middle + random.next() * 0.3);
            let bytes = floats.flat_map(|float| self.bytes(float)).collect();
            tensors.push((format!("{}{name}", self.prefix), shape, bytes));
        }
        let views = tensors.iter().map(|(name, shape, bytes)| {
            let view = TensorView::new(self.dtype(), shape.clone(), bytes);
            (name, view.expect("the bytes are as many as the shape says"))
        });
        safetensors::serialize(views, None).expect("the names differ")
    }

    fn bytes(&self, float: f32) -> Vec<u8> {
        match self.format {
            "F16" => half::f16::from_f32(float).to_le_bytes().to_vec(),
            "BF16" => half::bf16::from_f32(float).to_le_bytes().to_vec(),
            "F64" => f64::from(float).to_le_bytes().to_vec(),
            _ => float.to_le_bytes().to_vec(),
        }
    }

    fn dtype(&self) -> Dtype {
        let table = [("F32", Dtype::F32), ("F16", Dtype::F16), ("BF16", Dtype::BF16), ("F64", Dtype::F64)];
        let row = table.into_iter().find(|(name, _)| *name == self.format);
        row.map(|(_, dtype)| dtype).expect("the format is in the table")
    }
}

fn shapes() -> Vec<(String, Vec<usize>)> {
    let mut shapes = vec![
        ("embeddings.word_embeddings.weight".to_owned(), vec![WORDS.len(), HIDDEN]),
        ("embeddings.position_embeddings.weight".to_owned(), vec![POSITIONS, HIDDEN]),
        ("embeddings.token_type_embeddings.weight".to_owned(), vec![2, HIDDEN]),
    ];
    let mut put = |name: String, shape: Vec<usize>| {
        shapes.push((format!("{name}.weight"), shape.clone()));
        shapes.push((format!("{name}.bias"), vec![shape[0]]));
    };
    put("embeddings.LayerNorm".to_owned(), vec![HIDDEN]);
    for layer in 0..2 {
        let name = |suffix: &str| format!("encoder.layer.{layer}.{suffix}");
        for part in ["self.query", "self.key", "self.value", "output.dense"] {
            put(name(&format!("attention.{part}")), vec![HIDDEN, HIDDEN]);
        }
        put(name("attention.output.LayerNorm"), vec![HIDDEN]);
        put(name("intermediate.dense"), vec![FEED_FORWARD, HIDDEN]);
        put(name("output.dense"), vec![HIDDEN, FEED_FORWARD]);
        put(name("output.LayerNorm"), vec![HIDDEN]);
    }
    shapes
}

fn tokenizer() -> serde_json::Value {
    let vocabulary: serde_json::Map<String, serde_json::Value> =
        WORDS.iter().enumerate().map(|(id, word)| ((*word).to_owned(), json!(id))).collect();
    let added: Vec<_> = (0..4)
        .map(|id| {
            json!({"id": id, "content": WORDS[id], "special": true, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false})
        })
        .collect();
    let mark = |name: &str| json!({"SpecialToken": {"id": name, "type_id": 0}});
    let text = |id: &str| json!({"Sequence": {"id": id, "type_id": 0}});
    let ids = |name: &str, id: u32| json!({"id": name, "ids": [id], "tokens": [name]});
    json!({
        "version": "1.0",
        // As real files have it, and nobody wants it.
        "padding": {"strategy": {"Fixed": 24}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
            "pad_type_id": 0, "pad_token": "[PAD]"},
        "truncation": {"max_length": 24, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
        "added_tokens": added,
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing",
            "single": [mark("[CLS]"), text("A"), mark("[SEP]")],
            "pair": [mark("[CLS]"), text("A"), mark("[SEP]"), text("B"), mark("[SEP]")],
            "special_tokens": {"[CLS]": ids("[CLS]", 2), "[SEP]": ids("[SEP]", 3)}},
        "decoder": null,
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocabulary},
    })
}
