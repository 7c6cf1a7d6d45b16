//! Tiny model files for tests: real in every part, random in their weights, loaded in milliseconds.

mod adapter;
mod embedder;
mod family;
mod pieces;
mod present;
mod said;
mod unweighted;
mod writer;

use std::path::Path;

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};

pub use self::adapter::TinyAdapter;
pub use self::embedder::{TinyEmbedder, TinyHead};
use self::family::{Fill, Part};
pub use self::present::present_model;
pub use self::said::{Said, said};
pub use self::unweighted::Unweighted;
use self::writer::Writer;
use crate::tokenizer::character_of;

/// The layout that most chat models are trained with.
const CHAT_ML: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] \
                       + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ \
                       '<|im_start|>assistant\\n' }}{% endif %}";
/// Token types of GGUF.
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const CONTROLS: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
const MERGES: [(&str, &str); 6] =
    [("t", "h"), ("th", "e"), ("\"", ":"), ("\"", ","), ("\":", "\""), ("Ġ", "a")];
const QUERY_HEADS: usize = 4;
const KEY_VALUE_HEADS: usize = 2;

/// What a tiny model file is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TinyModel {
    /// Makes the weights.
    pub seed: u64,
    /// The GGUF name of the format of all matrices, such as `Q8_0`.
    pub format: String,
    /// The width of the network: a multiple of 64, of 256 for the formats `Q2_K` to `Q6_K`.
    pub hidden: usize,
    /// Positions that the model says it was made for.
    pub context_length: u32,
    /// The architecture that the file names.
    pub architecture: String,
    /// How angles are scaled, as the file says it: `linear`, `yarn`, `longrope`, or `factors` for those of Llama 3.
    pub scaling: Option<String>,
    /// Whether layers have experts also where the architecture does not ask for them.
    pub mixture: bool,
    /// How far back layers with a window look; none have one of an architecture without.
    pub window: u32,
    /// The pre-tokenizer that the file names.
    pub pre: String,
    /// With this the vocabulary is one of pieces, and says whether texts are read as if there were a space in front.
    pub pieces: Option<bool>,
    /// The chat template.
    pub template: Option<String>,
    /// Whether the output has a matrix of its own, beside the embedding.
    pub untied: bool,
}

impl Default for TinyModel {
    fn default() -> Self {
        Self {
            seed: 1,
            format: "Q8_0".to_owned(),
            hidden: 64,
            context_length: 512,
            architecture: "llama".to_owned(),
            scaling: None,
            mixture: false,
            window: 8,
            pre: "smollm".to_owned(),
            pieces: None,
            template: Some(CHAT_ML.to_owned()),
            untied: false,
        }
    }
}

impl TinyModel {
    /// Writes the file.
    ///
    /// # Errors
    /// What the operating system said.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        std::fs::write(path, self.bytes())
    }

    /// The bytes of the file.
    ///
    /// # Panics
    /// If `format` is not the name of a format or does not go with `hidden`.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.merged_bytes(None)
    }

    /// The bytes of the file of a model whose matrices have an adapter in them, as if it had been trained whole.
    ///
    /// # Panics
    /// As [`bytes`](Self::bytes), or if the adapter is for another width.
    #[must_use]
    pub fn merged_bytes(&self, adapter: Option<&TinyAdapter>) -> Vec<u8> {
        let mut writer = Writer::default();
        self.put_network(&mut writer);
        let vocabulary = self.put_tokenizer(&mut writer);
        let mut random = Random(self.seed);
        for Part { name, shape, fill } in family::parts(self, vocabulary) {
            let added = adapter.and_then(|adapter| self.added(adapter, &name));
            match fill {
                Fill::Matrix => self.put_matrix((&mut writer, name.as_str()), &shape, &mut random, added),
                Fill::Floats => put_floats(&mut writer, &name, &shape, &mut random),
                Fill::Same(float) => {
                    put_vector(&mut writer, &name, &shape, vec![float; shape.iter().product()]);
                }
                Fill::Near(float) => {
                    let floats =
                        (0..shape.iter().product::<usize>()).map(|_| float + 0.5 * random.next()).collect();
                    put_vector(&mut writer, &name, &shape, floats);
                }
            }
        }
        writer.finish()
    }

    /// What an adapter adds to the matrix of this name.
    fn added(&self, adapter: &TinyAdapter, name: &str) -> Option<Vec<f32>> {
        let (layer, rest) = name.strip_prefix("blk.")?.split_once('.')?;
        let matrix = rest.strip_suffix(".weight")?;
        let is_interleaved = self.architecture == "llama" && ["attn_q", "attn_k"].contains(&matrix);
        let dim = is_interleaved.then_some(self.hidden / QUERY_HEADS);
        adapter.product(layer.parse().ok()?, matrix, dim)
    }

    fn put_network(&self, writer: &mut Writer) {
        let key = |suffix: &str| format!("{}.{suffix}", self.architecture);
        let size = |value: usize| u32::try_from(value).expect("tiny");
        writer.string("general.architecture", &self.architecture);
        writer.string("general.name", "tiny");
        writer.integer(&key("block_count"), 2);
        writer.integer(&key("context_length"), self.context_length);
        writer.integer(&key("embedding_length"), size(self.hidden));
        writer.integer(&key("feed_forward_length"), size(2 * self.hidden));
        writer.integer(&key("attention.head_count"), size(QUERY_HEADS));
        writer.integer(&key("attention.head_count_kv"), size(KEY_VALUE_HEADS));
        writer.float(&key("attention.layer_norm_rms_epsilon"), 1e-5);
        writer.float(&key("rope.freq_base"), 10_000.0);
        family::put_metadata(self, writer);
    }

    fn put_tokenizer(&self, writer: &mut Writer) -> usize {
        if let Some(template) = &self.template {
            writer.string("tokenizer.chat_template", template);
        }
        if let Some(prefixes_space) = self.pieces {
            return pieces::put(writer, &self.pre, prefixes_space);
        }
        let mut tokens: Vec<String> = CONTROLS.iter().map(|name| (*name).to_owned()).collect();
        tokens.extend((0..=u8::MAX).map(|byte| character_of(byte).to_string()));
        tokens.extend(MERGES.iter().map(|(left, right)| format!("{left}{right}")));
        let mut types = vec![NORMAL; tokens.len()];
        types[..CONTROLS.len()].fill(CONTROL);
        while !tokens.len().is_multiple_of(32) {
            tokens.push(format!("<|pad{}|>", tokens.len()));
            types.push(CONTROL);
        }
        writer.string("tokenizer.ggml.model", "gpt2");
        writer.string("tokenizer.ggml.pre", &self.pre);
        writer.strings("tokenizer.ggml.tokens", &tokens);
        writer.strings("tokenizer.ggml.merges", &MERGES.map(|(left, right)| format!("{left} {right}")));
        writer.integers("tokenizer.ggml.token_type", &types);
        writer.integer("tokenizer.ggml.bos_token_id", 1);
        writer.integer("tokenizer.ggml.eos_token_id", 2);
        tokens.len()
    }

    fn put_matrix(
        &self,
        (writer, name): (&mut Writer, &str),
        shape: &[usize],
        random: &mut Random,
        added: Option<Vec<f32>>,
    ) {
        let (type_id, dtype) = format(&self.format);
        let mut floats = matrix(shape, random);
        for (float, added) in floats.iter_mut().zip(added.into_iter().flatten()) {
            *float += added;
        }
        let bytes = Tensor::from_vec(floats, shape, &Device::Cpu)
            .and_then(|tensor| QTensor::quantize(&tensor, dtype))
            .and_then(|tensor| tensor.data().map(std::borrow::Cow::into_owned))
            .expect("the format goes with the width");
        writer.tensor(name, shape, type_id, bytes);
    }
}

/// Random numbers that keep the size of what is multiplied with them.
fn matrix(shape: &[usize], random: &mut Random) -> Vec<f32> {
    let columns = shape.last().copied().unwrap_or(1);
    let scale = 2.0 / (columns as f32).sqrt();
    (0..shape.iter().product::<usize>()).map(|_| random.next() * scale).collect()
}

fn put_floats(writer: &mut Writer, name: &str, shape: &[usize], random: &mut Random) {
    put_vector(writer, name, shape, matrix(shape, random));
}

fn put_vector(writer: &mut Writer, name: &str, shape: &[usize], floats: Vec<f32>) {
    let bytes = floats.iter().flat_map(|float| float.to_le_bytes()).collect();
    writer.tensor(name, shape, 0, bytes);
}

fn format(name: &str) -> (u32, GgmlDType) {
    let table = [
        ("F32", 0, GgmlDType::F32),
        ("F16", 1, GgmlDType::F16),
        ("Q4_0", 2, GgmlDType::Q4_0),
        ("Q4_1", 3, GgmlDType::Q4_1),
        ("Q5_0", 6, GgmlDType::Q5_0),
        ("Q5_1", 7, GgmlDType::Q5_1),
        ("Q8_0", 8, GgmlDType::Q8_0),
        ("Q2_K", 10, GgmlDType::Q2K),
        ("Q3_K", 11, GgmlDType::Q3K),
        ("Q4_K", 12, GgmlDType::Q4K),
        ("Q5_K", 13, GgmlDType::Q5K),
        ("Q6_K", 14, GgmlDType::Q6K),
        ("BF16", 30, GgmlDType::BF16),
        ("IQ4_NL", 20, GgmlDType::Q4_0),
    ];
    let row = table.into_iter().find(|(known, _, _)| *known == name);
    row.map(|(_, id, dtype)| (id, dtype)).expect("the format is in the table")
}

/// Numbers between -1 and 1 from the SplitMix64 generator.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f32 / (1_u32 << 23) as f32 - 1.0
    }
}
