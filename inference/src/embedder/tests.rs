use serde::Deserialize;

use super::*;
use crate::testing::{TinyEmbedder, present_model};

#[derive(Deserialize)]
struct Row {
    text: String,
    tokens: usize,
    vector: Vec<f32>,
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// The vectors are those of `testdata/embeddings.py`, which says how it is run.
#[test]
fn a_real_model_agrees_with_the_reference() {
    let Some(folder) = present_model("all-MiniLM-L6-v2") else { return };
    let digest = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db".to_owned();
    let options = EmbedderOptions { sha256: Some(digest), ..EmbedderOptions::default() };
    let embedder = Embedder::load(&folder, &options).unwrap();
    assert_eq!((embedder.description().dimension, embedder.description().max_tokens), (384, 256));
    let rows: Vec<Row> = serde_json::from_str(include_str!("../../testdata/embeddings.json")).unwrap();
    let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
    let vectors = embedder.embed(&texts).unwrap();
    for (row, vector) in rows.iter().zip(&vectors) {
        let tokens = embedder.count_tokens(&row.text).unwrap().min(256);
        assert_eq!(tokens, row.tokens, "{}", row.text);
        let cosine = dot(&row.vector, vector) / dot(&row.vector, &row.vector).sqrt();
        assert!(cosine > 0.999_999, "{cosine} {}", row.text);
    }
    assert!(dot(&vectors[0], &vectors[1]) > 0.6 && dot(&vectors[0], &vectors[2]) < 0.2);
    assert_eq!(embedder.count_tokens(&rows[5].text).unwrap(), 302);
}

struct Bench(tempfile::TempDir);

impl Bench {
    fn new(tiny: &TinyEmbedder) -> Self {
        let folder = tempfile::tempdir().unwrap();
        tiny.write(folder.path()).unwrap();
        Self(folder)
    }

    fn load(&self) -> Embedder {
        Embedder::load(self.0.path(), &EmbedderOptions::default()).unwrap()
    }

    fn error(&self) -> String {
        Embedder::load(self.0.path(), &EmbedderOptions::default()).err().expect("it is refused").to_string()
    }
}

#[test]
fn a_text_has_the_same_vector_in_any_batch() {
    let embedder = Bench::new(&TinyEmbedder::default()).load();
    let long = "red green ".repeat(200);
    let texts = ["red", "", "a green blue", &long, "red", "blue ".repeat(20).as_str()].map(str::to_owned);
    let texts: Vec<&str> = texts.iter().map(String::as_str).cycle().take(120).collect();
    let together = embedder.embed(&texts).unwrap();
    assert_eq!(together.len(), texts.len());
    for (text, vector) in texts.iter().zip(&together).take(6) {
        let alone = embedder.embed(&[text]).unwrap().remove(0);
        assert_eq!(alone.len(), embedder.description().dimension);
        assert!((dot(&alone, &alone) - 1.0).abs() < 1e-5, "its length is 1");
        assert!(dot(&alone, vector) > 0.999_999, "{text:?}");
    }
    assert!(dot(&together[0], &together[2]) < 0.999, "other texts have other vectors");
    assert_eq!(embedder.embed(&[]).unwrap(), Vec::<Vec<f32>>::new());
}

#[test]
fn what_is_too_long_is_cut() {
    let bench = Bench::new(&TinyEmbedder::default());
    let embedder = bench.load();
    let long = "red ".repeat(100);
    assert_eq!(embedder.count_tokens(&long).unwrap(), 102);
    let most = embedder.description().max_tokens;
    assert_eq!(most, 32);
    let cut = "red ".repeat(most - 2);
    assert_eq!(embedder.embed(&[&long]).unwrap(), embedder.embed(&[&cut]).unwrap());
}

#[test]
fn the_first_token_may_stand_for_the_text_and_halves_for_floats() {
    let vector = |tiny: &TinyEmbedder| Bench::new(tiny).load().embed(&["red green"]).unwrap().remove(0);
    let tiny = TinyEmbedder::default();
    let mean = vector(&tiny);
    let first = vector(&TinyEmbedder { pooling: Some("cls"), ..tiny });
    assert!(dot(&mean, &first) < 0.999);
    assert_eq!(vector(&TinyEmbedder { pooling: Some("mean"), ..tiny }), mean);
    for format in ["F16", "BF16"] {
        let half = vector(&TinyEmbedder { format, ..tiny });
        assert!(half != mean && dot(&mean, &half) > 0.999, "{format}");
    }
    assert_eq!(vector(&TinyEmbedder { prefix: "bert.", ..tiny }), mean);
    let roberta = TinyEmbedder { architecture: "xlm-roberta", ..tiny };
    assert_eq!(vector(&TinyEmbedder { prefix: "roberta.", ..roberta }), vector(&roberta));
}

#[test]
fn errors_name_the_file_and_what_is_supported() {
    let tiny = TinyEmbedder::default();
    let edited = |file: &str, from: &str, to: &str| {
        let bench = Bench::new(&tiny);
        let path = bench.0.path().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from} in {text}");
        std::fs::write(path, text.replace(from, to)).unwrap();
        bench.error()
    };
    let table: [(String, &[&str]); 8] = [
        (edited("config.json", "\"bert\"", "\"albert\""), &["config.json", "\"albert\"", "bert, roberta"]),
        (edited("config.json", "\"gelu\"", "\"relu\""), &["config.json", "\"relu\"", "gelu"]),
        (edited("config.json", "\"hidden_size\":64", "\"hidden_size\":48"), &["multiples of 16"]),
        (edited("config.json", "\"hidden_size\":64", "\"hidden_size\":128"), &["model.safetensors", "shape"]),
        (edited("config.json", "{", "["), &["config.json", "malformed"]),
        (edited("tokenizer.json", "WordPiece", "WordPeace"), &["tokenizer.json", "malformed"]),
        (Bench::new(&TinyEmbedder { pooling: Some("max"), ..tiny }).error(), &["1_Pooling", "the mean"]),
        (Bench::new(&TinyEmbedder { format: "F64", ..tiny }).error(), &["F64", "F32, F16, BF16"]),
    ];
    for (error, parts) in table {
        assert!(parts.iter().all(|part| error.contains(part)), "{parts:?} in {error}");
    }
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        let bench = Bench::new(&tiny);
        std::fs::remove_file(bench.0.path().join(file)).unwrap();
        let error = bench.error();
        assert!(error.contains(file) && error.contains("does not exist"), "{error}");
    }
    let bench = Bench::new(&tiny);
    let path = bench.0.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    for len in (0..bytes.len()).step_by(bytes.len() / 50) {
        std::fs::write(&path, &bytes[..len]).unwrap();
        let error = bench.error();
        assert!(error.contains("model.safetensors") && error.contains("malformed"), "{error}");
    }
    std::fs::write(&path, &bytes).unwrap();
    let options = EmbedderOptions { sha256: Some("0".repeat(64)), ..EmbedderOptions::default() };
    assert!(matches!(Embedder::load(bench.0.path(), &options), Err(LoadError::Digest { .. })));
}
