//! A tiny LoRA adapter.

use std::fs;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};

use super::{KEY_VALUE_HEADS, QUERY_HEADS, Random};
use crate::kernel::narrow;

/// What the folder of an adapter for a [`TinyModel`](super::TinyModel) is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct TinyAdapter {
    /// Makes the weights.
    pub seed: u64,
    /// The width of the model.
    pub hidden: usize,
    /// The modules that it changes, as PEFT names them.
    pub modules: Vec<&'static str>,
    /// Rows of the thin matrices.
    pub rank: usize,
    /// As much as it changes them.
    pub alpha: f64,
    /// What stands in its `adapter_config.json` beside what has to.
    pub config: Value,
}

impl Default for TinyAdapter {
    fn default() -> Self {
        let attention = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"];
        let modules =
            attention.into_iter().chain(["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]).collect();
        Self { seed: 1, hidden: 64, modules, rank: 4, alpha: 8.0, config: json!({}) }
    }
}

impl TinyAdapter {
    /// Writes the files into `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// What the operating system said.
    pub fn write(&self, folder: &Path) -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut config = json!({"peft_type": "LORA", "r": self.rank, "lora_alpha": self.alpha, "bias": "none",
            "target_modules": self.modules, "task_type": "CAUSAL_LM", "lora_dropout": 0.05});
        for (member, value) in self.config.as_object().into_iter().flatten() {
            config[member] = value.clone();
        }
        fs::write(folder.join("adapter_config.json"), config.to_string())?;
        fs::write(folder.join("adapter_model.safetensors"), self.weights())
    }

    /// The bytes of the file of tensors.
    ///
    /// # Panics
    /// If two modules have one name.
    #[must_use]
    pub fn weights(&self) -> Vec<u8> {
        let bytes =
            |floats: Vec<f32>| floats.iter().flat_map(|float| float.to_le_bytes()).collect::<Vec<u8>>();
        let tensors = self.tensors().into_iter();
        let tensors: Vec<_> = tensors.map(|(name, shape, floats)| (name, shape, bytes(floats))).collect();
        let views = tensors.iter().map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
            (name, view.expect("the bytes are as many as the shape says"))
        });
        safetensors::serialize(views, None).expect("the names differ")
    }

    /// The tensors by name, with their shapes, rows first.
    pub(crate) fn tensors(&self) -> Vec<(String, Vec<usize>, Vec<f32>)> {
        let mut random = Random(self.seed.wrapping_add(1000));
        let mut tensors = Vec::new();
        for layer in 0..2 {
            for module in &self.modules {
                let (inputs, outputs) = self.sides(module);
                for (which, shape) in [("A", [self.rank, inputs]), ("B", [outputs, self.rank])] {
                    let name = format!("base_model.model.model.layers.{layer}.{module}.lora_{which}.weight");
                    let floats = (0..shape[0] * shape[1]).map(|_| random.next() * 0.2).collect();
                    tensors.push((name, shape.to_vec(), floats));
                }
            }
        }
        tensors
    }

    /// What is added to a matrix by its name in a GGUF file, row by row, or nothing if it is not changed. With `dim`,
    /// the rows of each head of so many floats lie in pairs of neighbours, as such a file has them.
    pub(super) fn product(&self, layer: usize, name: &str, dim: Option<usize>) -> Option<Vec<f32>> {
        let modules = [
            ("attn_q", "self_attn.q_proj"),
            ("attn_k", "self_attn.k_proj"),
            ("attn_v", "self_attn.v_proj"),
            ("attn_output", "self_attn.o_proj"),
            ("ffn_gate", "mlp.gate_proj"),
            ("ffn_up", "mlp.up_proj"),
            ("ffn_down", "mlp.down_proj"),
        ];
        let (_, module) = modules.into_iter().find(|(known, _)| *known == name)?;
        let tensors = self.tensors();
        let tensor = |which: &str| {
            let name = format!("base_model.model.model.layers.{layer}.{module}.lora_{which}.weight");
            tensors.iter().find(|(known, _, _)| *known == name).map(|(_, _, floats)| floats)
        };
        let (inward, outward) = (tensor("A")?, tensor("B")?);
        let (inputs, outputs) = self.sides(module);
        let scale = narrow(self.alpha / self.rank as f64);
        let mut product = Vec::with_capacity(inputs * outputs);
        for row in 0..outputs {
            // Row `2 pair + half` of a head was trained as row `half * dim / 2 + pair`.
            let row = dim.map_or(row, |dim| row / dim * dim + row % 2 * (dim / 2) + row % dim / 2);
            for column in 0..inputs {
                let inner = 0..self.rank;
                let terms = inner.map(|k| outward[row * self.rank + k] * inward[k * inputs + column]);
                product.push(scale * terms.sum::<f32>());
            }
        }
        Some(product)
    }

    /// Columns and rows of a module.
    fn sides(&self, module: &str) -> (usize, usize) {
        let (hidden, wide) = (self.hidden, 2 * self.hidden);
        let key = hidden / QUERY_HEADS * KEY_VALUE_HEADS;
        match module {
            "self_attn.k_proj" | "self_attn.v_proj" => (hidden, key),
            "mlp.gate_proj" | "mlp.up_proj" => (hidden, wide),
            "mlp.down_proj" => (wide, hidden),
            "lm_head" => (hidden, 288),
            _ => (hidden, hidden),
        }
    }
}
