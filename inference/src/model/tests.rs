use std::path::PathBuf;

use super::*;
use crate::testing::TinyModel;

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn put(&self, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join("some.gguf");
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn error(&self, bytes: &[u8]) -> String {
        let path = self.put(bytes);
        let error = Model::load(&path, &LoadOptions::default()).err().expect("it is refused").to_string();
        assert!(error.contains("some.gguf"), "{error}");
        error
    }
}

fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).expect("it is there");
    let mut bytes = bytes.to_vec();
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    bytes
}

#[test]
fn every_format_loads_and_those_without_a_fast_kernel_are_converted() {
    let bench = Bench::new();
    let table = [
        ("F32", "Q8_0"),
        ("F16", "Q8_0"),
        ("BF16", "Q8_0"),
        ("Q4_0", "Q8_0"),
        ("Q4_1", "Q8_0"),
        ("Q5_0", "Q8_0"),
        ("Q5_1", "Q8_0"),
        ("Q8_0", "Q8_0"),
        ("Q2_K", "Q8_0"),
        ("Q3_K", "Q8_0"),
        ("Q4_K", "Q4K"),
        ("Q5_K", "Q8_0"),
        ("Q6_K", "Q6K"),
    ];
    for (format, held) in table {
        let tiny = TinyModel { format: format.to_owned(), hidden: 256, ..TinyModel::default() };
        let model = Model::load(&bench.put(&tiny.bytes()), &LoadOptions::default()).unwrap();
        let description = model.description();
        assert!(description.held.iter().any(|found| found.name == held), "{format}: {description:?}");
        assert_eq!(description.context_length, 512);
    }
}

#[test]
fn converted_weights_give_nearly_the_same_logits() {
    let bench = Bench::new();
    let logits = |format: &str| {
        let tiny = TinyModel { format: format.to_owned(), ..TinyModel::default() };
        let model = Model::load(&bench.put(&tiny.bytes()), &LoadOptions::default()).unwrap();
        let rows = [10, 20, 30].iter().enumerate().map(|(position, token)| crate::network::Row {
            slot: 0,
            position,
            token: *token,
            wanted: position == 2,
            adapter: None,
        });
        let rows: Vec<_> = rows.collect();
        let batch = crate::network::Batch { rows: &rows, adapters: &[] };
        model.network.forward(&mut model.cache(), batch).unwrap().remove(0)
    };
    let exact = logits("F32");
    let size = exact.iter().map(|logit| logit * logit).sum::<f32>();
    for (format, tolerance) in [("Q8_0", 0.001), ("F16", 0.001), ("Q5_1", 0.02), ("Q4_1", 0.1)] {
        let error: f32 = exact.iter().zip(logits(format)).map(|(a, b)| (a - b) * (a - b)).sum();
        assert!(error / size < tolerance, "{format}: {}", error / size);
    }
}

#[test]
fn every_architecture_loads() {
    let bench = Bench::new();
    for architecture in crate::architecture::SUPPORTED {
        let tiny = TinyModel {
            architecture: architecture.to_owned(),
            pre: "qwen2".to_owned(),
            ..TinyModel::default()
        };
        let bytes = tiny.bytes();
        let model = Model::load(&bench.put(&bytes), &LoadOptions::default()).unwrap();
        assert_eq!(model.description().architecture, architecture);
    }
}

#[test]
fn what_an_architecture_needs_is_missed_by_its_name() {
    let bench = Bench::new();
    for (architecture, tensor, other) in [
        ("qwen3", "blk.0.attn_k_norm", "blk.0.attn_k_narm"),
        ("gemma2", "blk.0.post_attention_norm", "blk.0.past_attention_norm"),
        ("gemma3", "blk.0.post_ffw_norm", "blk.0.past_ffw_norm"),
        ("phi3", "blk.0.attn_qkv", "blk.0.attn_qkw"),
        ("qwen2moe", "blk.0.ffn_gate_inp_shexp", "blk.0.ffn_gate_imp_shexp"),
        ("qwen3moe", "blk.0.ffn_down_exps", "blk.0.ffn_dawn_exps"),
    ] {
        let tiny = TinyModel { architecture: architecture.to_owned(), ..TinyModel::default() };
        let error = bench.error(&replaced(&tiny.bytes(), tensor, other));
        // Without the joined one each of its parts is looked for.
        let missed = if architecture == "phi3" { "blk.0.attn_q." } else { tensor };
        assert!(error.contains("no tensor") && error.contains(missed), "{error}");
    }
    let tiny =
        TinyModel { architecture: "qwen2".to_owned(), pre: "qwen2".to_owned(), ..TinyModel::default() };
    let biased = replaced(&tiny.bytes(), "blk.0.attn_q.bias", "blk.0.attn_z.bias");
    assert!(bench.error(&biased).contains("the bias \"blk.0.attn_z.bias\""));
    let scaled = TinyModel { scaling: Some("dynamic".to_owned()), ..TinyModel::default() };
    assert!(bench.error(&scaled.bytes()).contains("rope scaling \"dynamic\" (none, linear, yarn"));
    let mixed = TinyModel {
        architecture: "qwen2".to_owned(),
        pre: "qwen2".to_owned(),
        mixture: true,
        ..TinyModel::default()
    };
    assert!(bench.error(&mixed.bytes()).contains("a mixture of 4 experts"));
}

#[test]
fn errors_name_the_file_and_what_is_supported() {
    let bench = Bench::new();
    let tiny = TinyModel::default();
    let good = tiny.bytes();
    let table: [(&[u8], &[&str]); 9] = [
        (b"", &["not a GGUF"]),
        (b"PK\x03\x04 something else", &["not a GGUF"]),
        (b"GGUF\x01\x00\x00\x00", &["version 1", "2, 3"]),
        (&good[..good.len() - 1000], &["truncated", "tensor"]),
        (&good[..900], &["truncated"]),
        (&TinyModel { architecture: "gptneox".to_owned(), ..tiny.clone() }.bytes(), &["gptneox", "llama"]),
        (&TinyModel { pre: "whale".to_owned(), ..tiny.clone() }.bytes(), &["whale", "smollm", "qwen2"]),
        (&TinyModel { format: "IQ4_NL".to_owned(), ..tiny.clone() }.bytes(), &["IQ4_NL", "Q4_K"]),
        (&replaced(&good, "ffn_down.weight", "ffn_dawn.weight"), &["no tensor", "ffn_down"]),
    ];
    for (bytes, parts) in table {
        let error = bench.error(bytes);
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
    let mut narrow = good.clone();
    let key = b"llama.feed_forward_length";
    // Behind the key stands the type of the number.
    let at = good.windows(key.len()).position(|window| window == key).unwrap() + key.len() + 4;
    narrow[at..at + 4].copy_from_slice(&1_u32.to_le_bytes());
    assert!(bench.error(&narrow).contains("a layer of 1 floats"));
    let broken = TinyModel { template: Some("{% for %}".to_owned()), ..tiny };
    assert!(bench.error(&broken.bytes()).contains("chat template"));
    let missing = Model::load(&bench.folder.path().join("none.gguf"), &LoadOptions::default());
    assert!(matches!(missing, Err(LoadError::NotFound { .. })));
    let options = LoadOptions { sha256: Some("00".repeat(32)), ..LoadOptions::default() };
    let other = Model::load(&bench.put(&good), &options);
    assert!(matches!(other, Err(LoadError::Digest { .. })));
    let none = LoadOptions { max_concurrent: 0, ..LoadOptions::default() };
    assert!(matches!(Model::load(&bench.put(&good), &none), Err(LoadError::Option { .. })));
}

#[test]
fn no_damage_to_the_header_makes_it_panic() {
    let bench = Bench::new();
    let of_pieces = |architecture: &str, scaling: &str| TinyModel {
        architecture: architecture.to_owned(),
        scaling: Some(scaling.to_owned()),
        pre: "default".to_owned(),
        pieces: Some(true),
        ..TinyModel::default()
    };
    let experts = TinyModel { architecture: "qwen2moe".to_owned(), ..TinyModel::default() };
    for (tiny, step) in [
        (TinyModel::default(), 7),
        (of_pieces("gemma3", "yarn"), 71),
        (of_pieces("phi3", "longrope"), 71),
        (experts, 71),
    ] {
        let good = tiny.bytes();
        let header = good.windows(6).rposition(|window| window == b"weight").unwrap() + 40;
        for at in (0..header).step_by(step) {
            for value in [0, 1, 0x7F, 0xFF] {
                let mut bytes = good.clone();
                bytes[at] = value;
                // Some damage is harmless, such as another name; what counts is that there is an answer.
                drop(Model::load(&bench.put(&bytes), &LoadOptions::default()));
            }
        }
        for len in (0..header).step_by(61) {
            assert!(Model::load(&bench.put(&good[..len]), &LoadOptions::default()).is_err());
        }
    }
}

#[test]
fn chats_are_rendered_by_the_template_of_the_file() {
    let bench = Bench::new();
    let model = Model::load(&bench.put(&TinyModel::default().bytes()), &LoadOptions::default()).unwrap();
    let rendered = model.render_chat(&[ChatMessage::new(crate::Role::User, "hi")]).unwrap();
    assert_eq!(rendered, "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n");
    let tokens = model.tokenize("the ü 12\n<|im_end|>").unwrap();
    assert_eq!((tokens.first(), tokens.last()), (Some(&260), Some(&2)));
    let text: Vec<u8> = tokens.iter().flat_map(|id| model.tokenizer.bytes(*id)).copied().collect();
    assert_eq!(String::from_utf8(text).unwrap(), "the ü 12\n");
}
