//! The sizes and constants of a network, read from the metadata and checked against each other.

mod metadata;

use self::metadata::Metadata;
use crate::architecture::{Architecture, Routing, SUPPORTED, Windows};
use crate::attention::{Heads, Scoring};
use crate::error::LoadError;
use crate::gguf::Gguf;
use crate::kernel::{LANES, narrow};
use crate::rope::Turns;

/// Experts that a layer may have; what chooses among them is allocated before their weights are seen.
const MOST_EXPERTS: usize = 1 << 12;
/// The window of Gemma 2, whose first files do not say it.
const GEMMA2_WINDOW: usize = 4096;

/// The feed-forward layers of which each row is given a few.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Experts {
    pub(crate) count: usize,
    /// Those that a row is given.
    pub(crate) used: usize,
    /// Floats in the middle of each.
    pub(crate) feed_forward: usize,
    /// Floats in the middle of the one that every row is given.
    pub(crate) shared: Option<usize>,
    /// The weights of those that a row is given add up to 1.
    pub(crate) normalised: bool,
    /// What their weights are multiplied by.
    pub(crate) scale: f32,
}

/// How far back the layers look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    /// Positions, that of the row included.
    pub(crate) len: usize,
    /// Whether each layer has it.
    layers: Vec<bool>,
}

/// The sizes and constants of a network.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hyperparameters {
    pub(crate) architecture: Architecture,
    pub(crate) layers: usize,
    pub(crate) hidden: usize,
    /// Floats in the middle of a feed-forward layer without experts.
    pub(crate) feed_forward: usize,
    pub(crate) experts: Option<Experts>,
    pub(crate) heads: Heads,
    pub(crate) scoring: Scoring,
    pub(crate) window: Option<Window>,
    /// Floats of a head that are rotated.
    pub(crate) rotated: usize,
    pub(crate) turns: Turns,
    /// How pairs turn in layers with a window.
    pub(crate) window_turns: Turns,
    pub(crate) epsilon: f32,
    /// Logits are held between this and its negative.
    pub(crate) logit_cap: Option<f32>,
    /// Positions that the model was made for.
    pub(crate) context: usize,
    pub(crate) vocabulary: usize,
}

impl Hyperparameters {
    pub(crate) fn from_gguf(gguf: &Gguf) -> Result<Self, LoadError> {
        let name = gguf.string("general.architecture")?;
        let architecture = Architecture::named(name).ok_or_else(|| LoadError::Architecture {
            path: gguf.path().to_owned(),
            found: name.to_owned(),
            supported: &SUPPORTED,
        })?;
        let metadata = Metadata::of(gguf, name);
        let hidden = metadata.count("embedding_length")?;
        let layers = metadata.count("block_count")?;
        let query = metadata.count("attention.head_count")?;
        let key_value = metadata.count_or("attention.head_count_kv", query)?;
        let dim = metadata.count_or("attention.key_length", hidden.checked_div(query).unwrap_or(0))?;
        let value_dim = metadata.count_or("attention.value_length", dim)?;
        let vocabulary = match gguf.entry("token_embd.weight") {
            Some(entry) => entry.shape.first().copied().unwrap_or(0),
            None => metadata.count_or("vocab_size", 0)?,
        };
        let context = metadata.count("context_length")?;
        let feed_forward = metadata.count("feed_forward_length")?;
        let turns = turns(&metadata, context)?;
        let scaled_by = if architecture.wide_scale_at == Some(layers) {
            hidden.checked_div(query).unwrap_or(0)
        } else {
            dim
        };
        let cap = metadata.positive("attn_logit_softcapping")?;
        let mut window_turns = turns;
        if architecture.windows_turn_apart {
            window_turns = Turns { base: 10_000.0, factor: 1.0, yarn: None, ..turns };
        }
        window_turns.base = metadata.float_or("rope.freq_base_swa", window_turns.base)?;
        let read = Self {
            architecture,
            layers,
            hidden,
            feed_forward,
            experts: experts(&metadata, architecture.routing, feed_forward)?,
            heads: Heads { query, key_value, dim },
            scoring: Scoring { cap, ..Scoring::of(scaled_by) },
            window: window(&metadata, architecture, layers)?,
            rotated: metadata.count_or("rope.dimension_count", dim)?,
            turns,
            window_turns,
            epsilon: narrow(gguf.float(&metadata.key("attention.layer_norm_rms_epsilon"))?),
            logit_cap: metadata.positive("final_logit_softcapping")?,
            context,
            vocabulary,
        };
        read.check(&metadata, value_dim)?;
        Ok(read)
    }

    /// The window of a layer, if it has one.
    pub(crate) fn window_of(&self, layer: usize) -> Option<usize> {
        let window = self.window.as_ref()?;
        window.layers.get(layer).is_some_and(|has| *has).then_some(window.len)
    }

    fn check(&self, metadata: &Metadata<'_>, value_dim: usize) -> Result<(), LoadError> {
        let malformed = |reason: String| Err(metadata.malformed(reason));
        let Heads { query, key_value, dim } = self.heads;
        let (hidden, wide) = (self.hidden, self.feed_forward);
        let sizes = [self.layers, hidden, wide, query, key_value, dim, self.context, self.vocabulary];
        if sizes.iter().any(|size| *size == 0 || *size > 1 << 24) {
            return malformed(format!("its sizes are {sizes:?}"));
        }
        if !query.is_multiple_of(key_value) {
            return malformed(format!("{query} query heads cannot share {key_value} key-value heads"));
        }
        if self.rotated == 0 || self.rotated > dim || !self.rotated.is_multiple_of(2) {
            return malformed(format!("{} of the {dim} floats of a head are rotated", self.rotated));
        }
        for base in [self.turns.base, self.window_turns.base] {
            if !(base.is_finite() && base > 0.0) {
                return malformed(format!("the rope base is {base}"));
            }
        }
        if let Some(experts) = &self.experts {
            let sizes = [experts.count, experts.used, experts.feed_forward, experts.shared.unwrap_or(1)];
            let is_odd = sizes.iter().any(|size| *size == 0 || *size > 1 << 24);
            if is_odd || experts.count > MOST_EXPERTS || experts.used > experts.count {
                return malformed(format!("the sizes of its experts are {sizes:?}"));
            }
        }
        let experts = self.experts.iter().flat_map(|experts| [Some(experts.feed_forward), experts.shared]);
        if let Some(width) = [hidden, wide].into_iter().chain(experts.flatten()).find(|width| *width < LANES)
        {
            // With what fills them up to whole blocks, a small file would take many times its size in memory.
            return Err(metadata.unsupported(format!("a layer of {width} floats ({LANES} and more are)")));
        }
        if !dim.is_multiple_of(LANES) {
            return Err(metadata.unsupported(format!("heads of {dim} floats (multiples of {LANES} are)")));
        }
        if value_dim != dim {
            return Err(metadata.unsupported(format!("values of {value_dim} floats beside keys of {dim}")));
        }
        Ok(())
    }
}

fn experts(
    metadata: &Metadata<'_>,
    routing: Routing,
    feed_forward: usize,
) -> Result<Option<Experts>, LoadError> {
    let count = metadata.count_or("expert_count", 0)?;
    let is_shared = match (routing, count) {
        (Routing::None | Routing::Optional, 0) => return Ok(None),
        (Routing::None, _) => return Err(metadata.unsupported(format!("a mixture of {count} experts"))),
        (Routing::Optional | Routing::Normalised, _) => false,
        (Routing::Shared, _) => true,
    };
    let shared = metadata.count_or("expert_shared_feed_forward_length", 0)?;
    if shared > 0 && !is_shared {
        return Err(metadata.unsupported("an expert that every token is given".to_owned()));
    }
    let used = metadata.count("expert_used_count")?;
    // Where the file does not say, the chosen ones together are as wide as a layer without experts.
    let split = match routing {
        Routing::None | Routing::Optional => feed_forward,
        Routing::Normalised | Routing::Shared => feed_forward.checked_div(used).unwrap_or(0),
    };
    let scale = metadata.positive("expert_weights_scale")?;
    Ok(Some(Experts {
        count,
        used,
        feed_forward: metadata.count_or("expert_feed_forward_length", split)?,
        shared: is_shared.then_some(if shared == 0 { feed_forward } else { shared }),
        normalised: !is_shared,
        scale: scale.unwrap_or(1.0),
    }))
}

fn window(
    metadata: &Metadata<'_>,
    architecture: Architecture,
    layers: usize,
) -> Result<Option<Window>, LoadError> {
    const PATTERN: &str = "attention.sliding_window_pattern";
    let default = if architecture.name == "gemma2" { GEMMA2_WINDOW } else { 0 };
    let len = metadata.count_or("attention.sliding_window", default)?;
    // More layers than that are refused with all other sizes.
    let layers = layers.min(1 << 16);
    let layers = match (architecture.windows, metadata.flags(PATTERN, layers)?) {
        (Windows::Never, _) => return Ok(None),
        (Windows::Always, _) => vec![true; layers],
        (Windows::AllButOneOf(_), Some(flags)) => flags,
        (Windows::AllButOneOf(period), None) => {
            let period = metadata.count_or(PATTERN, period)?;
            (0..layers).map(|layer| period == 0 || layer % period != period - 1).collect()
        }
    };
    Ok((len > 0).then_some(Window { len, layers }))
}

fn turns(metadata: &Metadata<'_>, context: usize) -> Result<Turns, LoadError> {
    let base = metadata.float_or("rope.freq_base", 10_000.0)?;
    let kind = metadata.text("rope.scaling.type")?;
    let magnitude = metadata.float_or("rope.scaling.attn_factor", 1.0)?;
    let original = metadata.count_or("rope.scaling.original_context_length", context)?;
    let older = metadata.float_or("rope.scale_linear", 1.0)?;
    let factor = metadata.float_or("rope.scaling.factor", older)?;
    let plain = Turns { base, factor: 1.0, magnitude, original, yarn: None };
    let turns = match kind {
        Some("none" | "longrope") => plain,
        None | Some("linear") => Turns { factor, ..plain },
        Some("yarn") => {
            let grown = |by: f64| if factor > 1.0 { 0.1 * by * factor.ln() + 1.0 } else { 1.0 };
            let magnitude = match metadata.float_or("rope.scaling.yarn_log_multiplier", 0.0)? {
                0.0 => magnitude * grown(1.0),
                by => magnitude * grown(1.0) / grown(by),
            };
            let fast = metadata.float_or("rope.scaling.yarn_beta_fast", 32.0)?;
            let slow = metadata.float_or("rope.scaling.yarn_beta_slow", 1.0)?;
            Turns { factor, magnitude, yarn: Some([fast, slow]), ..plain }
        }
        Some(other) => {
            let known = "none, linear, yarn and longrope are";
            return Err(metadata.unsupported(format!("rope scaling {other:?} ({known})")));
        }
    };
    let is_number = |value: f64| value.is_finite() && value > 0.0;
    if !is_number(turns.factor) || !is_number(turns.magnitude) {
        return Err(metadata.malformed(format!(
            "rope angles are divided by {}, and rotated vectors multiplied by {}",
            turns.factor, turns.magnitude
        )));
    }
    Ok(turns)
}
