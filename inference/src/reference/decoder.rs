//! A language model in double precision and plain loops, apart from any code of this crate: what tests compare with.

use std::collections::HashMap;

use super::Matrix;
use super::gguf::{self, Tensors, Value};

/// A model that was read from the bytes of a GGUF file. Tensors are `F32`.
pub(crate) struct Decoder {
    metadata: HashMap<String, Value>,
    tensors: Tensors,
}

impl Decoder {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let (metadata, tensors) = gguf::read(bytes);
        Self { metadata, tensors }
    }

    /// The logits behind each of some tokens, in a context of so many.
    pub(crate) fn logits(&self, tokens: &[usize], context: usize) -> Matrix {
        let hidden = self.size("embedding_length");
        let scale = if self.is_gemma() { self.number("embedding_length").sqrt() } else { 1.0 };
        let table = self.tensor("token_embd.weight");
        let embed =
            |token: &usize| table[token * hidden..(token + 1) * hidden].iter().map(move |x| x * scale);
        let mut rows: Matrix = tokens.iter().map(|token| embed(token).collect()).collect();
        for layer in 0..self.size("block_count") {
            let seen = self.attention(layer, &rows, context);
            add(&mut rows, &self.behind(layer, "post_attention_norm", seen));
            let worked = self.feed_forward(layer, &rows);
            add(&mut rows, &self.behind(layer, "post_ffw_norm", worked));
        }
        let normed = self.norm(&rows, "output_norm.weight");
        let has_own = self.tensors.contains_key("output.weight");
        let logits = self.dense(&normed, if has_own { "output.weight" } else { "token_embd.weight" });
        let bound = self.number_or("final_logit_softcapping", 0.0);
        logits.into_iter().map(|row| row.into_iter().map(|x| capped(x, bound)).collect()).collect()
    }

    fn attention(&self, layer: usize, rows: &Matrix, context: usize) -> Matrix {
        let name = |part: &str| format!("blk.{layer}.{part}");
        let normed = self.norm(rows, &name("attn_norm.weight"));
        let (heads, shared) = (self.size("attention.head_count"), self.size("attention.head_count_kv"));
        let even = self.number("embedding_length") / self.number("attention.head_count");
        let dim = whole(self.number_or("attention.key_length", even));
        let [mut query, mut key, value] = if self.tensors.contains_key(&name("attn_qkv.weight")) {
            let all = self.dense(&normed, &name("attn_qkv.weight"));
            let (query, key) = (heads * dim, shared * dim);
            [0..query, query..query + key, query + key..query + 2 * key]
                .map(|own| all.iter().map(|row| row[own.clone()].to_vec()).collect::<Matrix>())
        } else {
            ["attn_q", "attn_k", "attn_v"].map(|part| {
                let mut product = self.dense(&normed, &name(&format!("{part}.weight")));
                if let Some((_, bias)) = self.tensors.get(&name(&format!("{part}.bias"))) {
                    product.iter_mut().for_each(|row| row.iter_mut().zip(bias).for_each(|(x, b)| *x += b));
                }
                product
            })
        };
        for (rows, part) in [(&mut query, "attn_q_norm.weight"), (&mut key, "attn_k_norm.weight")] {
            for (position, row) in rows.iter_mut().enumerate() {
                for head in row.chunks_exact_mut(dim) {
                    if self.tensors.contains_key(&name(part)) {
                        head.copy_from_slice(&self.norm(&[head.to_vec()], &name(part))[0]);
                    }
                    self.rotate(layer, head, position, context);
                }
            }
        }
        let bound = self.number_or("attn_logit_softcapping", 0.0);
        let mut seen = vec![vec![0.0; heads * dim]; rows.len()];
        for head in 0..heads {
            let own = head * dim..(head + 1) * dim;
            let theirs = head / (heads / shared) * dim..(head / (heads / shared) + 1) * dim;
            for row in 0..rows.len() {
                let first = self.window(layer).map_or(0, |window| (row + 1).saturating_sub(window));
                let score = |other: usize| {
                    let product: f64 = query[row][own.clone()]
                        .iter()
                        .zip(&key[other][theirs.clone()])
                        .map(|(q, k)| q * k)
                        .sum();
                    capped(product / real(dim).sqrt(), bound).exp()
                };
                let scores: Vec<f64> = (first..=row).map(score).collect();
                let sum: f64 = scores.iter().sum();
                for (other, score) in (first..=row).zip(scores) {
                    for (x, v) in seen[row][own.clone()].iter_mut().zip(&value[other][theirs.clone()]) {
                        *x += score / sum * v;
                    }
                }
            }
        }
        self.dense(&seen, &name("attn_output.weight"))
    }

    /// How far back a layer looks, if that is limited.
    fn window(&self, layer: usize) -> Option<usize> {
        let window = whole(self.number_or("attention.sliding_window", 0.0));
        let has_one = match self.architecture() {
            "gemma2" | "gemma3" => layer == 0,
            "phi3" => true,
            _ => false,
        };
        (has_one && window > 0).then_some(window)
    }

    fn rotate(&self, layer: usize, head: &mut [f64], position: usize, context: usize) {
        let dim = head.len();
        let is_local = self.architecture() == "gemma3" && self.window(layer).is_some();
        let base = self.number(if is_local { "rope.freq_base_swa" } else { "rope.freq_base" });
        let original = self.number_or("rope.scaling.original_context_length", real(context));
        let long = if real(context) > original { "rope_factors_long" } else { "rope_factors_short" };
        let mut named = ["rope_freqs", long].into_iter();
        let factors = named.find_map(|name| self.tensors.get(&format!("{name}.weight")));
        let kind = match self.metadata.get(&self.key("rope.scaling.type")) {
            Some(Value::Text(kind)) => kind.as_str(),
            _ => "none",
        };
        let factor = self.number_or("rope.scaling.factor", 1.0);
        let mut size = self.number_or("rope.scaling.attn_factor", 1.0);
        if kind == "yarn" {
            size *= 1.0 + 0.1 * factor.ln();
        }
        for pair in 0..dim / 2 {
            let mut angle = real(position) * base.powf(-2.0 * real(pair) / real(dim));
            angle /= factors.map_or(1.0, |(_, factors)| factors[pair]);
            if kind == "linear" {
                angle /= factor;
            }
            if kind == "yarn" {
                // The pair that makes so many turns in the original context.
                let at = |turns: f64| {
                    real(dim) * (original / (turns * std::f64::consts::TAU)).ln() / (2.0 * base.ln())
                };
                let (first, last) = (at(32.0).floor().max(0.0), at(1.0).ceil().min(real(dim) - 1.0));
                let slow = ((real(pair) - first) / (last - first)).clamp(0.0, 1.0);
                angle = angle * (1.0 - slow) + angle / factor * slow;
            }
            let is_llama = self.architecture() == "llama";
            let (one, other) = if is_llama { (2 * pair, 2 * pair + 1) } else { (pair, pair + dim / 2) };
            let (x, y) = (head[one] * size, head[other] * size);
            head[one] = x * angle.cos() - y * angle.sin();
            head[other] = x * angle.sin() + y * angle.cos();
        }
    }

    fn feed_forward(&self, layer: usize, rows: &Matrix) -> Matrix {
        let name = |part: &str| format!("blk.{layer}.{part}.weight");
        let normed = self.norm(rows, &name("ffn_norm"));
        if self.tensors.contains_key(&name("ffn_gate_inp")) {
            return normed.iter().map(|row| self.of_experts(layer, row)).collect();
        }
        let (gate, up) = if self.architecture() == "phi3" {
            let both = self.dense(&normed, &name("ffn_up"));
            both.iter().map(|row| (row[..row.len() / 2].to_vec(), row[row.len() / 2..].to_vec())).unzip()
        } else {
            (self.dense(&normed, &name("ffn_gate")), self.dense(&normed, &name("ffn_up")))
        };
        self.dense(&self.gated(&gate, &up), &name("ffn_down"))
    }

    fn of_experts(&self, layer: usize, row: &[f64]) -> Vec<f64> {
        let name = |part: &str| format!("blk.{layer}.{part}.weight");
        let one = [row.to_vec()];
        let logits = self.dense(&one, &name("ffn_gate_inp")).remove(0);
        let total: f64 = logits.iter().map(|logit| logit.exp()).sum();
        let mut likely: Vec<(usize, f64)> =
            logits.iter().map(|logit| logit.exp() / total).enumerate().collect();
        likely.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        likely.truncate(self.size("expert_used_count"));
        if self.architecture() != "qwen2moe" {
            let chosen: f64 = likely.iter().map(|(_, weight)| weight).sum();
            likely.iter_mut().for_each(|(_, weight)| *weight /= chosen);
        }
        let mut given = vec![vec![0.0; row.len()]];
        for (expert, weight) in likely {
            let gate = self.of_expert(&one, &name("ffn_gate_exps"), expert);
            let up = self.of_expert(&one, &name("ffn_up_exps"), expert);
            let mut output = self.of_expert(&self.gated(&gate, &up), &name("ffn_down_exps"), expert);
            output[0].iter_mut().for_each(|x| *x *= weight);
            add(&mut given, &output);
        }
        if let Some((_, gate)) = self.tensors.get(&name("ffn_gate_inp_shexp")) {
            let logit: f64 = gate.iter().zip(row).map(|(gate, x)| gate * x).sum();
            let (gate, up) =
                (self.dense(&one, &name("ffn_gate_shexp")), self.dense(&one, &name("ffn_up_shexp")));
            let mut output = self.dense(&self.gated(&gate, &up), &name("ffn_down_shexp"));
            output[0].iter_mut().for_each(|x| *x /= 1.0 + (-logit).exp());
            add(&mut given, &output);
        }
        given.remove(0)
    }

    fn gated(&self, gate: &Matrix, up: &Matrix) -> Matrix {
        let activated = |x: f64| {
            if self.is_gemma() {
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
                0.5 * x * (1.0 + inner.tanh())
            } else {
                x / (1.0 + (-x).exp())
            }
        };
        let row = |(gate, up): (&Vec<f64>, &Vec<f64>)| {
            gate.iter().zip(up).map(|(gate, up)| activated(*gate) * up).collect()
        };
        gate.iter().zip(up).map(row).collect()
    }

    /// What a layer gave, normalised if there is such a norm.
    fn behind(&self, layer: usize, norm: &str, rows: Matrix) -> Matrix {
        let name = format!("blk.{layer}.{norm}.weight");
        if self.tensors.contains_key(&name) { self.norm(&rows, &name) } else { rows }
    }

    fn norm(&self, rows: &[Vec<f64>], name: &str) -> Matrix {
        let (weight, epsilon) = (self.tensor(name), self.number("attention.layer_norm_rms_epsilon"));
        let row = |row: &Vec<f64>| {
            let mean = row.iter().map(|x| x * x).sum::<f64>() / real(row.len());
            row.iter().zip(weight).map(|(x, weight)| x / (mean + epsilon).sqrt() * weight).collect()
        };
        rows.iter().map(row).collect()
    }

    fn dense(&self, rows: &[Vec<f64>], name: &str) -> Matrix {
        let (shape, weight) = &self.tensors[name];
        products(rows, weight, shape[1])
    }

    fn of_expert(&self, rows: &[Vec<f64>], name: &str, expert: usize) -> Matrix {
        let (shape, weight) = &self.tensors[name];
        let len = shape[1] * shape[2];
        products(rows, &weight[expert * len..(expert + 1) * len], shape[2])
    }

    fn tensor(&self, name: &str) -> &[f64] {
        &self.tensors[name].1
    }

    fn is_gemma(&self) -> bool {
        self.architecture().starts_with("gemma")
    }

    fn architecture(&self) -> &str {
        match &self.metadata["general.architecture"] {
            Value::Text(name) => name,
            Value::Number(_) | Value::Other => panic!("the architecture is no text"),
        }
    }

    fn key(&self, suffix: &str) -> String {
        format!("{}.{suffix}", self.architecture())
    }

    fn number_or(&self, suffix: &str, default: f64) -> f64 {
        match self.metadata.get(&self.key(suffix)) {
            Some(Value::Number(number)) => *number,
            _ => default,
        }
    }

    fn number(&self, suffix: &str) -> f64 {
        let number = self.number_or(suffix, f64::NAN);
        assert!(!number.is_nan(), "{suffix}");
        number
    }

    fn size(&self, suffix: &str) -> usize {
        whole(self.number(suffix))
    }
}

fn products(rows: &[Vec<f64>], weight: &[f64], columns: usize) -> Matrix {
    let product = |row: &Vec<f64>| {
        let outputs = weight.chunks_exact(columns);
        outputs.map(|weight| row.iter().zip(weight).map(|(x, weight)| x * weight).sum()).collect()
    };
    rows.iter().map(product).collect()
}

fn add(rows: &mut Matrix, more: &Matrix) {
    for (row, more) in rows.iter_mut().zip(more) {
        row.iter_mut().zip(more).for_each(|(x, more)| *x += more);
    }
}

fn capped(x: f64, bound: f64) -> f64 {
    if bound == 0.0 { x } else { bound * (x / bound).tanh() }
}

fn real(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sizes of tiny models")]
fn whole(number: f64) -> usize {
    assert!(number >= 0.0 && number.fract() == 0.0);
    number as usize
}
