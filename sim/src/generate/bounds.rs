//! Limits and barriers.

use std::time::Duration;

use superstep_graph::{BarrierMode, BarrierSpec, DurationSpec, GraphSpec};

use super::Taste;
use crate::random::Random;

/// Draws the limits of a graph, most of which nothing reaches, and its barrier.
pub(super) fn of(random: &mut Random, taste: Taste, spec: &mut GraphSpec) {
    spec.limits.supersteps = random.between(8, 30);
    spec.limits.activations = if random.chance(10) { random.between(3, 30) } else { 2_000 };
    spec.limits.fan_out = if random.chance(5) { random.between(1, 4) } else { 10_000 };
    spec.limits.depth = if random.chance(5) { 1 } else { 16 };
    spec.limits.mutations = if random.chance(10) { 1 } else { 50 };
    if !taste.loose {
        return;
    }
    if random.chance(15) {
        spec.limits.calls = random.between(1, 12);
    }
    if random.chance(15) {
        spec.limits.tokens = Some(random.between(50, 500));
    }
    if random.chance(5) {
        spec.limits.duration = Some(DurationSpec::from(Duration::from_millis(random.between(10, 400))));
    }
    spec.barrier = match random.below(4) {
        0 => BarrierSpec { mode: BarrierMode::Any, count: None },
        1 => BarrierSpec {
            mode: BarrierMode::Quorum,
            count: Some(u32::try_from(random.between(1, 3)).unwrap_or(1)),
        },
        _ => BarrierSpec::default(),
    };
}

/// Gives some graphs a limit of what they may cost. It is drawn from the graph itself, so that other graphs of a seed,
/// and all else of this one, stay the same.
pub(super) fn cost(spec: &mut GraphSpec) {
    let random = &mut apart(spec, "cost");
    if random.chance(12) {
        spec.limits.cost = Some(random.between(2, 48) as f64 / 4.0);
    }
}

/// Gives some graphs few activations, drawn in the same way.
pub(super) fn activations(spec: &mut GraphSpec) {
    let random = &mut apart(spec, "activations");
    if random.chance(10) {
        spec.limits.activations = random.between(3, 30);
    }
}

/// Draws that the graph determines, other ones for each word.
fn apart(spec: &GraphSpec, word: &str) -> Random {
    let text = serde_json::to_string(spec).unwrap_or_default();
    let [a, b, c, d, e, f, g, h, ..] = *blake3::hash(format!("{word} {text}").as_bytes()).as_bytes();
    Random::new(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
}
