//! A tiny model of the BERT family.

use std::fs;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Map, Value, json};

use super::Random;

const HIDDEN: usize = 64;
const FEED_FORWARD: usize = 96;
const POSITIONS: usize = 40;
const MAX_TOKENS: usize = 32;
const WORDS: [&str; 12] =
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "green", "blue", "a", "[", "]", "sep", "##s"];
/// As many, for the tokenizer of XLM-RoBERTa.
const PIECES: [&str; WORDS.len()] =
    ["<s>", "<pad>", "</s>", "<unk>", "▁red", "▁green", "▁blue", "▁a", "▁[", "▁]", "▁sep", "s"];

/// What the folder of a tiny model of the BERT family is made of: two layers of two heads, and a vocabulary of colours.
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
    /// The architecture, as `config.json` names it: `bert`, `roberta` or `xlm-roberta`.
    pub architecture: &'static str,
    /// The head that it is published with.
    pub head: Option<TinyHead>,
}

/// A head of a [`TinyEmbedder`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TinyHead {
    /// Whether it reads tokens, and not texts.
    pub reads_tokens: bool,
    /// What it can say.
    pub labels: &'static [&'static str],
    /// Whether the labels do not exclude each other.
    pub is_multiple: bool,
}

impl TinyHead {
    /// That of a cross-encoder.
    pub const RELEVANCE: Self = Self { reads_tokens: false, labels: &["LABEL_0"], is_multiple: false };
}

impl Default for TinyEmbedder {
    fn default() -> Self {
        Self { seed: 1, format: "F32", prefix: "", pooling: None, architecture: "bert", head: None }
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
        fs::write(folder.join("config.json"), self.config().to_string())?;
        let sentence = json!({"max_seq_length": MAX_TOKENS});
        fs::write(folder.join("sentence_bert_config.json"), sentence.to_string())?;
        if let Some(pooling) = self.pooling {
            let token = if pooling == "cls" { "token" } else { "tokens" };
            let modes = json!({format!("pooling_mode_{pooling}_{token}"): true});
            fs::create_dir(folder.join("1_Pooling"))?;
            fs::write(folder.join("1_Pooling/config.json"), modes.to_string())?;
        }
        let tokenizer = if self.is_bert() { word_pieces() } else { sentence_pieces() };
        fs::write(folder.join("tokenizer.json"), tokenizer.to_string())?;
        fs::write(folder.join("model.safetensors"), self.weights(|_| true))
    }

    /// Writes the files of the head alone into `folder`.
    ///
    /// # Errors
    /// What the operating system said.
    ///
    /// # Panics
    /// If it has none.
    pub fn write_head(&self, folder: &Path) -> std::io::Result<()> {
        assert!(self.head.is_some(), "there is a head");
        fs::write(folder.join("config.json"), self.config().to_string())?;
        let is_head = |name: &str| name.contains("classifier") || name.contains("pooler");
        fs::write(folder.join("model.safetensors"), self.weights(is_head))
    }

    fn is_bert(&self) -> bool {
        self.architecture == "bert"
    }

    /// Kinds of tokens that it tells apart.
    fn kinds(&self) -> usize {
        if self.is_bert() { 2 } else { 1 }
    }

    fn config(&self) -> Value {
        let mut config = json!({
            "model_type": self.architecture, "hidden_size": HIDDEN, "intermediate_size": FEED_FORWARD,
            "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": WORDS.len(),
            "max_position_embeddings": POSITIONS, "type_vocab_size": self.kinds(), "layer_norm_eps": 1e-12,
            "hidden_act": "gelu", "pad_token_id": usize::from(!self.is_bert()),
        });
        if let Some(head) = self.head {
            let family = if self.is_bert() { "Bert" } else { "XLMRoberta" };
            let reads = if head.reads_tokens { "Token" } else { "Sequence" };
            let labels = head.labels.iter().enumerate().map(|(id, label)| (id.to_string(), json!(label)));
            config["architectures"] = json!([format!("{family}For{reads}Classification")]);
            config["id2label"] = Value::Object(labels.collect());
            if head.is_multiple {
                config["problem_type"] = json!("multi_label_classification");
            }
        }
        config
    }

    /// The tensors with these names.
    fn weights(&self, is_wanted: impl Fn(&str) -> bool) -> Vec<u8> {
        let mut random = Random(self.seed);
        let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
        let encoder =
            shapes(self.kinds()).into_iter().map(|(name, shape)| (format!("{}{name}", self.prefix), shape));
        for (name, shape) in encoder.chain(self.head_shapes()) {
            let middle = if name.ends_with("Norm.weight") { 1.0 } else { 0.0 };
            let floats: Vec<f32> =
                (0..shape.iter().product()).map(|_| middle + random.next() * 0.3).collect();
            let bytes = floats.into_iter().flat_map(|float| self.bytes(float)).collect();
            if is_wanted(&name) {
                tensors.push((name, shape, bytes));
            }
        }
        let views = tensors.iter().map(|(name, shape, bytes)| {
            let view = TensorView::new(self.dtype(), shape.clone(), bytes);
            (name, view.expect("the bytes are as many as the shape says"))
        });
        safetensors::serialize(views, None).expect("the names differ")
    }

    fn head_shapes(&self) -> Vec<(String, Vec<usize>)> {
        let Some(head) = self.head else { return Vec::new() };
        let mut dense = match (head.reads_tokens, self.is_bert()) {
            (false, true) => vec![(format!("{}pooler.dense", self.prefix), HIDDEN)],
            (false, false) => vec![("classifier.dense".to_owned(), HIDDEN)],
            (true, _) => Vec::new(),
        };
        let has_parts = !head.reads_tokens && !self.is_bert();
        let output = if has_parts { "classifier.out_proj" } else { "classifier" };
        dense.push((output.to_owned(), head.labels.len()));
        let both = |(name, rows): (String, usize)| {
            [(format!("{name}.weight"), vec![rows, HIDDEN]), (format!("{name}.bias"), vec![rows])]
        };
        dense.into_iter().flat_map(both).collect()
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

fn shapes(kinds: usize) -> Vec<(String, Vec<usize>)> {
    let mut shapes = vec![
        ("embeddings.word_embeddings.weight".to_owned(), vec![WORDS.len(), HIDDEN]),
        ("embeddings.position_embeddings.weight".to_owned(), vec![POSITIONS, HIDDEN]),
        ("embeddings.token_type_embeddings.weight".to_owned(), vec![kinds, HIDDEN]),
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

/// The tokenizer of BERT.
fn word_pieces() -> Value {
    let vocabulary: Map<String, Value> =
        WORDS.iter().enumerate().map(|(id, word)| ((*word).to_owned(), json!(id))).collect();
    let mark = |name: &str, kind: u32| json!({"SpecialToken": {"id": name, "type_id": kind}});
    let text = |id: &str, kind: u32| json!({"Sequence": {"id": id, "type_id": kind}});
    let ids = |name: &str, id: u32| json!({"id": name, "ids": [id], "tokens": [name]});
    let mut tokenizer = json!({
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing",
            "single": [mark("[CLS]", 0), text("A", 0), mark("[SEP]", 0)],
            "pair": [mark("[CLS]", 0), text("A", 0), mark("[SEP]", 0), text("B", 1), mark("[SEP]", 1)],
            "special_tokens": {"[CLS]": ids("[CLS]", 2), "[SEP]": ids("[SEP]", 3)}},
        "decoder": null,
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocabulary},
    });
    complete(&mut tokenizer, &WORDS);
    tokenizer
}

/// The tokenizer of XLM-RoBERTa, which puts two marks between texts and does not tell them apart otherwise.
fn sentence_pieces() -> Value {
    let vocabulary: Vec<Value> = PIECES.iter().map(|piece| json!([piece, -1.0])).collect();
    let mark = |name: &str| json!({"SpecialToken": {"id": name, "type_id": 0}});
    let text = |id: &str| json!({"Sequence": {"id": id, "type_id": 0}});
    let ids = |name: &str, id: u32| json!({"id": name, "ids": [id], "tokens": [name]});
    let mut tokenizer = json!({
        "normalizer": null,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"},
            {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true}]},
        "post_processor": {"type": "TemplateProcessing",
            "single": [mark("<s>"), text("A"), mark("</s>")],
            "pair": [mark("<s>"), text("A"), mark("</s>"), mark("</s>"), text("B"), mark("</s>")],
            "special_tokens": {"<s>": ids("<s>", 0), "</s>": ids("</s>", 2)}},
        "decoder": null,
        "model": {"type": "Unigram", "unk_id": 3, "vocab": vocabulary, "byte_fallback": false},
    });
    complete(&mut tokenizer, &PIECES);
    tokenizer
}

/// Adds what all tokenizers have.
fn complete(tokenizer: &mut Value, vocabulary: &[&str]) {
    let added = (0..4).map(|id| {
        json!({"id": id, "content": vocabulary[id], "special": true, "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false})
    });
    tokenizer["version"] = json!("1.0");
    tokenizer["added_tokens"] = added.collect();
    // As real files have it, and nobody wants it.
    tokenizer["padding"] = json!({"strategy": {"Fixed": 24}, "direction": "Right", "pad_to_multiple_of": null,
        "pad_id": 0, "pad_type_id": 0, "pad_token": vocabulary[0]});
    tokenizer["truncation"] =
        json!({"max_length": 24, "strategy": "LongestFirst", "stride": 0, "direction": "Right"});
}
