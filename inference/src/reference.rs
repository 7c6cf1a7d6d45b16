//! An encoder and its heads in double precision and plain loops, apart from any code of this crate: what tests compare
//! with.

pub(crate) mod decoder;
mod gguf;

use std::collections::HashMap;
use std::path::Path;

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// Rows of numbers.
type Matrix = Vec<Vec<f64>>;

/// A model that was read from its folder. Weights are `F32`.
pub(crate) struct Reference {
    tensors: HashMap<String, (Vec<usize>, Vec<f64>)>,
    config: Value,
    prefix: &'static str,
}

impl Reference {
    pub(crate) fn read(folder: &Path) -> Self {
        let config = std::fs::read(folder.join("config.json")).unwrap();
        let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
        let mut tensors = HashMap::new();
        for (name, view) in SafeTensors::deserialize(&bytes).unwrap().tensors() {
            assert_eq!(view.dtype(), Dtype::F32);
            let floats =
                view.data().chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
            tensors.insert(name, (view.shape().to_vec(), floats.map(f64::from).collect()));
        }
        let has = |prefix: &str| tensors.keys().any(|name| name.starts_with(prefix));
        let prefix = ["bert.", "roberta."].into_iter().find(|prefix| has(prefix)).unwrap_or_default();
        Self { config: serde_json::from_slice(&config).unwrap(), prefix, tensors }
    }

    /// The vectors of tokens, of which `kinds` says to which of two texts they belong.
    pub(crate) fn rows(&self, ids: &[usize], kinds: &[usize]) -> Matrix {
        let words = self.matrix("embeddings.word_embeddings");
        let positions = self.matrix("embeddings.position_embeddings");
        let types = self.matrix("embeddings.token_type_embeddings");
        let is_bert = self.config["model_type"] == "bert";
        let first = if is_bert { 0 } else { self.size("pad_token_id") + 1 };
        let mut rows: Matrix = Vec::new();
        for (at, (id, kind)) in ids.iter().zip(kinds).enumerate() {
            let sum =
                |column: usize| words[*id][column] + positions[first + at][column] + types[*kind][column];
            rows.push((0..self.size("hidden_size")).map(sum).collect());
        }
        self.norm(&mut rows, "embeddings.LayerNorm");
        for layer in 0..self.size("num_hidden_layers") {
            rows = self.layer(&rows, &format!("encoder.layer.{layer}."));
        }
        rows
    }

    /// What the head computes of a text with these vectors.
    pub(crate) fn of_text(&self, rows: &[Vec<f64>]) -> Vec<f64> {
        let first = vec![rows[0].clone()];
        let (middle, output) = if self.config["model_type"] == "bert" {
            (format!("{}pooler.dense", self.prefix), "classifier")
        } else {
            ("classifier.dense".to_owned(), "classifier.out_proj")
        };
        let inner = self.dense(&first, &middle);
        let inner: Matrix = inner.into_iter().map(|row| row.into_iter().map(f64::tanh).collect()).collect();
        self.dense(&inner, output).remove(0)
    }

    /// What the head computes of each token.
    pub(crate) fn of_tokens(&self, rows: &[Vec<f64>]) -> Matrix {
        self.dense(rows, "classifier")
    }

    fn layer(&self, rows: &[Vec<f64>], prefix: &str) -> Matrix {
        let name = |part: &str| format!("{}{prefix}{part}", self.prefix);
        let [query, key, value] =
            ["query", "key", "value"].map(|part| self.dense(rows, &name(&format!("attention.self.{part}"))));
        let heads = self.size("num_attention_heads");
        let dim = self.size("hidden_size") / heads;
        let mut attended = vec![vec![0.0; heads * dim]; rows.len()];
        for head in 0..heads {
            let columns = head * dim..(head + 1) * dim;
            for (row, attended) in attended.iter_mut().enumerate() {
                let score = |key: &Vec<f64>| {
                    let product: f64 = columns.clone().map(|column| query[row][column] * key[column]).sum();
                    (product / f64::from(u32::try_from(dim).unwrap()).sqrt()).exp()
                };
                let scores: Vec<f64> = key.iter().map(score).collect();
                let sum: f64 = scores.iter().sum();
                for (score, value) in scores.iter().zip(&value) {
                    for column in columns.clone() {
                        attended[column] += score / sum * value[column];
                    }
                }
            }
        }
        let mut middle = added(rows, &self.dense(&attended, &name("attention.output.dense")));
        self.norm(&mut middle, &format!("{prefix}attention.output.LayerNorm"));
        let inner = self.dense(&middle, &name("intermediate.dense"));
        let inner: Matrix = inner.into_iter().map(|row| row.into_iter().map(gelu).collect()).collect();
        let mut rows = added(&middle, &self.dense(&inner, &name("output.dense")));
        self.norm(&mut rows, &format!("{prefix}output.LayerNorm"));
        rows
    }

    fn dense(&self, rows: &[Vec<f64>], name: &str) -> Matrix {
        let (shape, weight) = &self.tensors[&format!("{name}.weight")];
        let (_, bias) = &self.tensors[&format!("{name}.bias")];
        let product = |row: &Vec<f64>, out: usize| {
            let weight = &weight[out * shape[1]..(out + 1) * shape[1]];
            bias[out] + row.iter().zip(weight).map(|(x, weight)| x * weight).sum::<f64>()
        };
        rows.iter().map(|row| (0..shape[0]).map(|out| product(row, out)).collect()).collect()
    }

    fn norm(&self, rows: &mut [Vec<f64>], name: &str) {
        let part = |part: &str| &self.tensors[&format!("{}{name}.{part}", self.prefix)].1;
        let epsilon = self.config["layer_norm_eps"].as_f64().unwrap();
        for row in rows {
            let count = f64::from(u32::try_from(row.len()).unwrap());
            let mean = row.iter().sum::<f64>() / count;
            let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
            for ((x, weight), bias) in row.iter_mut().zip(part("weight")).zip(part("bias")) {
                *x = (*x - mean) / (variance + epsilon).sqrt() * weight + bias;
            }
        }
    }

    fn matrix(&self, name: &str) -> Matrix {
        let (shape, floats) = &self.tensors[&format!("{}{name}.weight", self.prefix)];
        floats.chunks_exact(shape[1]).map(<[f64]>::to_vec).collect()
    }

    fn size(&self, name: &str) -> usize {
        usize::try_from(self.config[name].as_u64().unwrap()).unwrap()
    }
}

fn added(one: &[Vec<f64>], other: &[Vec<f64>]) -> Matrix {
    let sum = |(one, other): (&Vec<f64>, &Vec<f64>)| one.iter().zip(other).map(|(x, y)| x + y).collect();
    one.iter().zip(other).map(sum).collect()
}

fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2))
}

/// The error function by its Maclaurin series, which converges everywhere.
fn erf(x: f64) -> f64 {
    if x.abs() > 4.0 {
        return x.signum();
    }
    let (mut power, mut sum, mut n) = (x, x, 0.0);
    while power.abs() > 1e-18 {
        n += 1.0;
        power *= -x * x / n;
        sum += power / (2.0 * n + 1.0);
    }
    sum * std::f64::consts::FRAC_2_SQRT_PI
}
