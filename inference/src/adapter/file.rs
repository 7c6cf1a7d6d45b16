//! Adapters as PEFT writes them: a folder with `adapter_config.json` and `adapter_model.safetensors`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Adapter, Delta, Site};
use crate::error::LoadError;
use crate::hyperparameters::Hyperparameters;
use crate::kernel::narrow;
use crate::rope::Pairing;
use crate::safetensors::{TensorFile, Tensors, read};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
/// What the names of the layers begin with.
const LAYERS: &str = "base_model.model.model.layers.";
const INWARD: &str = "lora_A.weight";
const OUTWARD: &str = "lora_B.weight";

/// What decides how the tensors are used.
#[derive(Debug, Deserialize)]
struct Config {
    peft_type: String,
    r: u32,
    lora_alpha: f64,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    use_dora: bool,
    #[serde(default)]
    fan_in_fan_out: bool,
    #[serde(default)]
    lora_bias: bool,
    #[serde(default)]
    bias: Option<String>,
    #[serde(default)]
    alpha_pattern: Option<Map<String, Value>>,
    #[serde(default)]
    modules_to_save: Option<Vec<String>>,
}

impl Config {
    /// What it asks for that is not done here.
    fn unsupported(&self) -> Option<String> {
        let bias = self.bias.as_deref().filter(|bias| *bias != "none");
        let saved = self.modules_to_save.as_deref().filter(|modules| !modules.is_empty());
        let told = |is_told: bool, what: &str| is_told.then(|| what.to_owned());
        None.or_else(|| (self.peft_type != "LORA").then(|| format!("an adapter of type {}", self.peft_type)))
            .or_else(|| told(self.use_dora, "DoRA"))
            .or_else(|| told(self.fan_in_fan_out, "an adapter of matrices that lie the other way round"))
            .or_else(|| told(self.lora_bias, "an adapter with biases"))
            .or_else(|| bias.map(|bias| format!("an adapter that trains biases ({bias})")))
            .or_else(|| saved.map(|modules| format!("modules of its own ({})", modules.join(", "))))
            .or_else(|| {
                let differs = self.alpha_pattern.as_ref().is_some_and(|pattern| !pattern.is_empty());
                told(differs, "an alpha that differs by module")
            })
    }

    /// What a product of this rank is multiplied by.
    fn scale(&self, rank: usize) -> f32 {
        let rank = rank as f64;
        narrow(self.lora_alpha / if self.use_rslora { rank.sqrt() } else { rank })
    }
}

impl Site {
    /// The name of its module.
    fn module(self) -> &'static str {
        match self {
            Self::Query => "self_attn.q_proj",
            Self::Key => "self_attn.k_proj",
            Self::Value => "self_attn.v_proj",
            Self::AttentionOutput => "self_attn.o_proj",
            Self::Gate => "mlp.gate_proj",
            Self::Up => "mlp.up_proj",
            Self::Down => "mlp.down_proj",
        }
    }
}

impl Adapter {
    /// Whether there is an adapter in a folder.
    pub(crate) fn is_in(folder: &Path) -> bool {
        folder.join(CONFIG).is_file()
    }

    /// Reads the adapter in a folder, for a network of these sizes.
    pub(crate) fn load(folder: &Path, sizes: &Hyperparameters) -> Result<Self, LoadError> {
        let path = folder.join(CONFIG);
        let config: Config = serde_json::from_slice(&read(&path)?)
            .map_err(|error| LoadError::Malformed { path: path.clone(), reason: error.to_string() })?;
        if let Some(feature) = config.unsupported() {
            return Err(LoadError::Unsupported { path, feature });
        }
        if config.r == 0 || !config.lora_alpha.is_finite() {
            let reason = format!("r is {} and lora_alpha {}", config.r, config.lora_alpha);
            return Err(LoadError::Malformed { path, reason });
        }
        let path = folder.join(WEIGHTS);
        let file = TensorFile::read(&path, None)?;
        let tensors = file.tensors("")?;
        let malformed = |reason: String| LoadError::Malformed { path: path.clone(), reason };
        let mut ranks = BTreeMap::new();
        for (name, shape) in tensors.shapes() {
            let (layer, site, is_inward) = place(name).ok_or_else(|| LoadError::Unsupported {
                path: path.clone(),
                feature: format!("a change of {name:?} (those of projections in layers are)"),
            })?;
            if layer >= sizes.layers {
                return Err(malformed(format!(
                    "{name:?} is of layer {layer} of a model of {}",
                    sizes.layers
                )));
            }
            if sizes.experts.is_some() && matches!(site, Site::Gate | Site::Up | Site::Down) {
                let feature = format!("a change of {name:?} of a model of experts");
                return Err(LoadError::Unsupported { path: path.clone(), feature });
            }
            let rank = if is_inward { shape.first() } else { shape.get(1) };
            let rank = rank.copied().filter(|rank| *rank > 0);
            let rank = rank.ok_or_else(|| malformed(format!("{name:?} has shape {shape:?}")))?;
            // Where the two do not agree, or one is missing, the other is read with a wrong shape and refused.
            ranks.insert((layer, site as usize), rank);
        }
        if ranks.is_empty() {
            return Err(malformed("it changes nothing".to_owned()));
        }
        let mut layers: Vec<_> = (0..sizes.layers).map(|_| Default::default()).collect();
        for ((layer, site), rank) in ranks {
            let site = Site::ALL[site];
            let delta = delta(&tensors, (layer, site), rank, (sizes, &config))?;
            if delta.inward.iter().chain(&delta.outward).any(|float| !float.is_finite()) {
                return Err(malformed(format!(
                    "{} of layer {layer} has floats that are no numbers",
                    site.module()
                )));
            }
            let layer: &mut [Option<Delta>; Site::ALL.len()] = &mut layers[layer];
            layer[site as usize] = Some(delta);
        }
        Ok(Self::new(layers))
    }
}

/// The layer and site of a tensor, and whether it is the inward one.
fn place(name: &str) -> Option<(usize, Site, bool)> {
    let (layer, rest) = name.strip_prefix(LAYERS)?.split_once('.')?;
    let site = Site::ALL.into_iter().find(|site| rest.starts_with(site.module()))?;
    let is_inward = match rest.strip_prefix(site.module())?.strip_prefix('.')? {
        INWARD => true,
        OUTWARD => false,
        _ => return None,
    };
    Some((layer.parse().ok()?, site, is_inward))
}

fn delta(
    tensors: &Tensors<'_>,
    (layer, site): (usize, Site),
    rank: usize,
    (sizes, config): (&Hyperparameters, &Config),
) -> Result<Delta, LoadError> {
    let (inputs, outputs) = site.sides(sizes);
    let name = |which: &str| format!("{LAYERS}{layer}.{}.{which}", site.module());
    let inward = tensors.floats(&name(INWARD), &[rank, inputs])?;
    let rows = tensors.floats(&name(OUTWARD), &[outputs, rank])?;
    let is_rotated = matches!(site, Site::Query | Site::Key);
    let pairing = if is_rotated { sizes.architecture.pairing } else { Pairing::Halves };
    let scale = config.scale(rank);
    let mut outward = vec![0.0; rank * outputs];
    for (row, floats) in rows.chunks_exact(rank).enumerate() {
        let row = match pairing {
            Pairing::Halves => row,
            Pairing::Interleaved => interleaved(row, sizes.heads.dim),
        };
        for (index, float) in floats.iter().enumerate() {
            outward[index * outputs + row] = float * scale;
        }
    }
    Ok(Delta { inputs, outputs, inward, outward })
}

/// Where a row of a query or key matrix lies in a GGUF file whose heads are rotated in pairs of neighbours: the
/// trained matrix has the first halves of all pairs of a head in front of the second ones.
pub(super) fn interleaved(row: usize, dim: usize) -> usize {
    let (head, place) = (row / dim, row % dim);
    let (half, pair) = (place / (dim / 2), place % (dim / 2));
    head * dim + 2 * pair + half
}
