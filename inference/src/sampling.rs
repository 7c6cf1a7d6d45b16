//! The choice of the next token from its logits.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};

use crate::kernel::narrow;
use crate::request::Sampling;

/// What one output has seen and drawn so far.
pub(crate) struct Sampler {
    settings: Sampling,
    prompt: Vec<u32>,
    counts: BTreeMap<u32, u32>,
    drawn: u64,
}

/// A token with its logit or its probability. The greater is the likelier, of equals the one with the lower id.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Candidate {
    token: u32,
    weight: f32,
}

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.weight.total_cmp(&other.weight).then(other.token.cmp(&self.token))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Sampler {
    pub(crate) fn new(settings: Sampling, prompt: &[u32]) -> Self {
        let mut seen = Vec::new();
        if settings.repetition_penalty != 1.0 {
            seen = prompt.to_vec();
            seen.sort_unstable();
            seen.dedup();
        }
        Self { settings, prompt: seen, counts: BTreeMap::new(), drawn: 0 }
    }

    /// Chooses a token; logits of negative infinity are never chosen while there is another.
    pub(crate) fn choose(&mut self, logits: &mut [f32]) -> u32 {
        self.penalise(logits);
        let draw = self.settings.seed.wrapping_add(self.drawn.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        self.drawn += 1;
        if self.settings.temperature == 0.0 {
            return likeliest(logits);
        }
        let mut kept = self.shortlist(logits);
        let total: f32 = kept.iter().map(|candidate| candidate.weight).sum();
        let mut left = uniform(draw) * total;
        let last = kept.pop().map_or(0, |candidate| candidate.token);
        for candidate in &kept {
            left -= candidate.weight;
            if left < 0.0 {
                return candidate.token;
            }
        }
        last
    }

    /// Counts a token that became part of the output.
    pub(crate) fn record(&mut self, token: u32) {
        *self.counts.entry(token).or_default() += 1;
    }

    fn penalise(&self, logits: &mut [f32]) {
        let Sampling { presence_penalty, frequency_penalty, repetition_penalty, .. } = self.settings;
        for (token, count) in &self.counts {
            if let Some(logit) = logits.get_mut(*token as usize) {
                *logit -= presence_penalty + frequency_penalty * *count as f32;
            }
        }
        if repetition_penalty != 1.0 {
            let fresh = self.counts.keys().filter(|token| self.prompt.binary_search(token).is_err());
            for token in self.prompt.iter().chain(fresh) {
                if let Some(logit) = logits.get_mut(*token as usize) {
                    *logit =
                        if *logit > 0.0 { *logit / repetition_penalty } else { *logit * repetition_penalty };
                }
            }
        }
    }

    /// The tokens that top-k, top-p and min-p leave, with unnormalised probabilities, likeliest first where an
    /// order was needed.
    fn shortlist(&self, logits: &[f32]) -> Vec<Candidate> {
        let Sampling { temperature, top_k, top_p, min_p, .. } = self.settings;
        let max = logits.iter().copied().filter(|logit| !logit.is_nan()).fold(f32::NEG_INFINITY, f32::max);
        let mut candidates: Vec<_> = (0..)
            .zip(logits)
            .filter(|(_, logit)| !logit.is_nan() && **logit > f32::NEG_INFINITY)
            .map(|(token, logit)| Candidate { token, weight: ((logit - max) / temperature).exp() })
            .collect();
        if top_k > 0 && top_k < candidates.len() {
            candidates.select_nth_unstable_by(top_k - 1, |a, b| b.cmp(a));
            candidates.truncate(top_k);
            candidates.sort_unstable_by(|a, b| b.cmp(a));
        }
        if top_p < 1.0 {
            candidates = nucleus(candidates, top_p);
        }
        candidates.retain(|candidate| candidate.weight >= min_p);
        candidates
    }
}

/// The likeliest candidates whose weights reach the share `top_p` of all.
fn nucleus(candidates: Vec<Candidate>, top_p: f32) -> Vec<Candidate> {
    let total: f32 = candidates.iter().map(|candidate| candidate.weight).sum();
    let mut heap = BinaryHeap::from(candidates);
    let mut kept = Vec::new();
    let mut reached = 0.0;
    while reached < top_p * total {
        let Some(candidate) = heap.pop() else { break };
        reached += candidate.weight;
        kept.push(candidate);
    }
    kept
}

/// The token with the greatest logit, the first of equals.
fn likeliest(logits: &[f32]) -> u32 {
    let candidates = (0..).zip(logits).filter(|(_, logit)| !logit.is_nan());
    candidates.map(|(token, weight)| Candidate { token, weight: *weight }).max().map_or(0, |best| best.token)
}

/// A float in [0, 1) from the SplitMix64 output function (Steele, Lea and Flood, OOPSLA 2014).
fn uniform(state: u64) -> f32 {
    let mut z = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    (z >> 40) as f32 / (1_u64 << 24) as f32
}

/// The log-probabilities of a token and of the `count` likeliest ones.
pub(crate) fn log_probabilities(logits: &[f32], token: u32, count: usize) -> (f32, Vec<(u32, f32)>) {
    let max = logits.iter().copied().filter(|logit| !logit.is_nan()).fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 =
        logits.iter().filter(|logit| !logit.is_nan()).map(|logit| f64::from(logit - max).exp()).sum();
    let norm = max + narrow(sum.ln());
    let mut top: Vec<_> = (0..)
        .zip(logits)
        .filter(|(_, logit)| !logit.is_nan())
        .map(|(token, weight)| Candidate { token, weight: *weight })
        .collect();
    let count = count.min(top.len());
    if count > 0 && count < top.len() {
        top.select_nth_unstable_by(count - 1, |a, b| b.cmp(a));
    }
    top.truncate(count);
    top.sort_unstable_by(|a, b| b.cmp(a));
    let own = logits.get(token as usize).copied().unwrap_or(f32::NEG_INFINITY);
    (own - norm, top.into_iter().map(|candidate| (candidate.token, candidate.weight - norm)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(settings: &Sampling, logits: &[f32], count: usize) -> Vec<u32> {
        let mut sampler = Sampler::new(settings.clone(), &[]);
        (0..count).map(|_| sampler.choose(&mut logits.to_vec())).collect()
    }

    #[test]
    fn greedy_takes_the_first_of_the_likeliest() {
        assert_eq!(draws(&Sampling::default(), &[0.0, 2.0, f32::NAN, 2.0], 1), [1]);
        assert_eq!(draws(&Sampling::default(), &[f32::NEG_INFINITY, -9.0], 1), [1]);
    }

    #[test]
    fn draws_follow_the_probabilities_and_the_seed() {
        let settings = Sampling { temperature: 1.0, seed: 7, ..Sampling::default() };
        let logits = [0.5_f32.ln(), 0.3_f32.ln(), 0.2_f32.ln(), f32::NEG_INFINITY];
        let drawn = draws(&settings, &logits, 20_000);
        for (token, share) in [(0, 0.5), (1, 0.3), (2, 0.2), (3, 0.0)] {
            let found = drawn.iter().filter(|drawn| **drawn == token).count() as f64 / 20_000.0;
            assert!((found - share).abs() < 0.015, "token {token}: {found}");
        }
        assert_eq!(drawn, draws(&settings, &logits, 20_000));
        assert_ne!(drawn, draws(&Sampling { seed: 8, ..settings }, &logits, 20_000));
    }

    #[test]
    fn cuts_leave_the_likeliest() {
        let logits = [0.4_f32.ln(), 0.1_f32.ln(), 0.3_f32.ln(), 0.2_f32.ln()];
        let hot = Sampling { temperature: 1.0, ..Sampling::default() };
        let table = [
            (Sampling { top_k: 2, ..hot.clone() }, vec![0, 2]),
            (Sampling { top_p: 0.69, ..hot.clone() }, vec![0, 2]),
            (Sampling { top_p: 0.71, ..hot.clone() }, vec![0, 2, 3]),
            (Sampling { min_p: 0.6, ..hot.clone() }, vec![0, 2]),
            (Sampling { top_p: 1e-6, ..hot.clone() }, vec![0]),
            (Sampling { top_k: 3, top_p: 0.7, ..hot }, vec![0, 2]),
        ];
        for (settings, expected) in table {
            let mut seen = draws(&settings, &logits, 2000);
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen, expected, "{settings:?}");
        }
    }

    #[test]
    fn penalties_change_the_logits_of_seen_tokens() {
        let settings = Sampling {
            presence_penalty: 1.0,
            frequency_penalty: 0.5,
            repetition_penalty: 2.0,
            ..Sampling::default()
        };
        let mut sampler = Sampler::new(settings, &[0, 3, 3]);
        sampler.record(1);
        sampler.record(1);
        let mut logits = [4.0, 6.0, 1.0, -1.0];
        sampler.choose(&mut logits);
        assert_eq!(logits, [2.0, 2.0, 1.0, -2.0]);
    }

    #[test]
    fn log_probabilities_are_normalised() {
        let logits = [0.5_f32.ln() + 3.0, 0.25_f32.ln() + 3.0, 0.25_f32.ln() + 3.0];
        let (own, top) = log_probabilities(&logits, 1, 2);
        assert!((own - 0.25_f32.ln()).abs() < 1e-5);
        assert_eq!(top.iter().map(|(token, _)| *token).collect::<Vec<_>>(), [0, 1]);
        assert!((top[0].1 - 0.5_f32.ln()).abs() < 1e-5);
    }
}
