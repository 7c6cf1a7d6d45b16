//! Attention of a batch of rows over the cache, with grouped query heads.
//!
//! The softmax is taken tile by tile with a running maximum (Milakov and Gimelshein, arXiv:1805.02867; Dao et al.,
//! arXiv:2205.14135), so that the scratch space does not grow with the context.

use std::ops::Range;

use pulp::Arch;

use crate::kernel::{LANES, capped, exp};
use crate::kv::KvCache;
use crate::parallel::for_each;

/// Positions whose scores are held at once.
const TILE: usize = 128;
/// Queries that share one pass over a tile.
const TOGETHER: usize = 4;
/// Rows of one sequence that one piece of work covers.
const ROWS: usize = 8;

/// The sides of the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heads {
    pub(crate) query: usize,
    pub(crate) key_value: usize,
    pub(crate) dim: usize,
}

impl Heads {
    /// Query heads per key-value head.
    pub(crate) fn group(self) -> usize {
        self.query / self.key_value
    }
}

/// How the product of a query and a key becomes the weight of a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scoring {
    /// What products are multiplied by.
    pub(crate) scale: f32,
    /// Between which and its negative they are then held.
    pub(crate) cap: Option<f32>,
}

impl Scoring {
    /// That of heads of `dim` floats: divided by the root of it.
    pub(crate) fn of(dim: usize) -> Self {
        Self { scale: (dim as f32).sqrt().recip(), cap: None }
    }
}

/// Consecutive rows of one sequence: batch rows from `first`, positions from `position`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) slot: usize,
    pub(crate) first: usize,
    pub(crate) position: usize,
    pub(crate) len: usize,
}

/// What a row sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    /// The positions of its sequence up to its own.
    Past,
    /// Of these the last ones, as many as this.
    Window(usize),
    /// All positions of its run, which is a whole sequence.
    Whole,
}

/// One piece of work: a run and a key-value head.
struct Piece<'a> {
    run: Run,
    head: usize,
    sight: Sight,
    /// Positions of the whole sequence.
    whole: usize,
    /// `[row][query head of the group][dim]`.
    out: &'a mut [f32],
}

impl Piece<'_> {
    /// What the row at a position sees.
    fn visible(&self, position: usize) -> Range<usize> {
        match self.sight {
            Sight::Past => 0..position + 1,
            Sight::Window(len) => (position + 1).saturating_sub(len)..position + 1,
            Sight::Whole => 0..self.whole,
        }
    }
}

/// Attends for all rows of a layer.
///
/// `queries` has `stride` floats per row with the query heads in front. The result lies
/// `[key-value head][row][query head of the group][dim]`.
pub(crate) fn attend(
    cache: &KvCache,
    layer: usize,
    (heads, scoring): (Heads, Scoring),
    (runs, sight): (&[Run], Sight),
    (queries, stride): (&[f32], usize),
) -> Vec<f32> {
    let width = heads.group() * heads.dim;
    let rows: usize = runs.iter().map(|run| run.len).sum();
    let mut out = vec![0.0; heads.key_value * rows * width];
    let mut rest = out.as_mut_slice();
    let mut pieces = Vec::new();
    for head in 0..heads.key_value {
        for (whole, run) in runs.iter().flat_map(|run| blocks(*run).map(|block| (run.len, block))) {
            let (front, back) = rest.split_at_mut(run.len * width);
            pieces.push(Piece { run, head, sight, whole, out: front });
            rest = back;
        }
    }
    for_each(pieces, |piece| {
        let slot = piece.run.slot;
        let keys = cache.keys(slot, layer, piece.head);
        let values = cache.values(slot, layer, piece.head);
        let gathered = gather((heads, scoring), &piece, queries, stride);
        Arch::new().dispatch(
            #[inline(always)]
            || attend_piece((heads, scoring.cap), piece, &gathered, keys, values),
        );
    });
    out
}

fn blocks(run: Run) -> impl Iterator<Item = Run> {
    (0..run.len).step_by(ROWS).map(move |skip| Run {
        first: run.first + skip,
        position: run.position + skip,
        len: ROWS.min(run.len - skip),
        ..run
    })
}

/// The queries of a piece, scaled, in the order of its output.
fn gather(
    (heads, Scoring { scale, .. }): (Heads, Scoring),
    piece: &Piece<'_>,
    queries: &[f32],
    stride: usize,
) -> Vec<f32> {
    let width = heads.group() * heads.dim;
    let mut gathered = Vec::with_capacity(piece.out.len());
    for row in piece.run.first..piece.run.first + piece.run.len {
        let at = row * stride + piece.head * width;
        gathered.extend(queries[at..at + width].iter().map(|query| query * scale));
    }
    gathered
}

/// What the softmax of one query has seen so far.
#[derive(Clone, Copy)]
struct Running {
    max: f32,
    sum: f32,
}

#[inline(always)]
fn attend_piece(
    (heads, cap): (Heads, Option<f32>),
    piece: Piece<'_>,
    queries: &[f32],
    keys: &[f32],
    values: &[f32],
) {
    let count = piece.run.len * heads.group();
    let mut running = vec![Running { max: f32::NEG_INFINITY, sum: 0.0 }; count];
    let mut scores = vec![0.0; count * TILE];
    let first = piece.visible(piece.run.position).start;
    let end = piece.visible(piece.run.position + piece.run.len - 1).end;
    // Tiles begin at the same positions for every row, so that a row is summed alike in any batch.
    for start in (first / TILE * TILE..end).step_by(TILE) {
        let len = TILE.min(end - start);
        let blocks = len.div_ceil(LANES);
        let tile = &keys[start * heads.dim..(start + blocks * LANES) * heads.dim];
        in_groups(
            count,
            #[inline(always)]
            |first, together| {
                let queries = &queries[first * heads.dim..(first + together) * heads.dim];
                let scores = &mut scores[first * TILE..(first + together) * TILE];
                match together {
                    4 => score::<4>(heads.dim, queries, tile, scores),
                    3 => score::<3>(heads.dim, queries, tile, scores),
                    2 => score::<2>(heads.dim, queries, tile, scores),
                    _ => score::<1>(heads.dim, queries, tile, scores),
                }
            },
        );
        for (query, running) in running.iter_mut().enumerate() {
            let visible = piece.visible(piece.run.position + query / heads.group());
            let inside = |position: usize| position.saturating_sub(start).min(len);
            let visible = inside(visible.start)..inside(visible.end);
            let scores = &mut scores[query * TILE..query * TILE + len];
            if let Some(bound) = cap {
                scores[visible.clone()].iter_mut().for_each(|score| *score = capped(*score, bound));
            }
            let out = &mut piece.out[query * heads.dim..(query + 1) * heads.dim];
            soften(scores, visible, running, out);
        }
        let tile = &values[start * heads.dim..(start + len) * heads.dim];
        in_groups(
            count,
            #[inline(always)]
            |first, together| {
                let scores = &scores[first * TILE..(first + together) * TILE];
                let out = &mut piece.out[first * heads.dim..(first + together) * heads.dim];
                match together {
                    4 => mix::<4>(heads.dim, scores, tile, out),
                    3 => mix::<3>(heads.dim, scores, tile, out),
                    2 => mix::<2>(heads.dim, scores, tile, out),
                    _ => mix::<1>(heads.dim, scores, tile, out),
                }
            },
        );
    }
    for (out, running) in piece.out.chunks_exact_mut(heads.dim).zip(&running) {
        let scale = running.sum.recip();
        out.iter_mut().for_each(|value| *value *= scale);
    }
}

#[inline(always)]
fn in_groups(count: usize, mut each: impl FnMut(usize, usize)) {
    for first in (0..count).step_by(TOGETHER) {
        each(first, TOGETHER.min(count - first));
    }
}

/// Products of `N` queries with the keys of a tile.
#[inline(always)]
fn score<const N: usize>(dim: usize, queries: &[f32], keys: &[f32], scores: &mut [f32]) {
    let queries: [&[f32]; N] = std::array::from_fn(|n| &queries[n * dim..(n + 1) * dim]);
    for (block, keys) in keys.chunks_exact(LANES * dim).enumerate() {
        let mut sums = [[0.0_f32; LANES]; N];
        let (columns, _) = keys.as_chunks::<LANES>();
        for (index, column) in columns.iter().enumerate() {
            for (sums, query) in sums.iter_mut().zip(queries) {
                let query = query[index];
                for (sum, key) in sums.iter_mut().zip(column) {
                    *sum = query.mul_add(*key, *sum);
                }
            }
        }
        for (n, sums) in sums.iter().enumerate() {
            let at = n * TILE + block * LANES;
            scores[at..at + LANES].copy_from_slice(sums);
        }
    }
}

/// Turns the visible scores of one query into weights, the others into zero, and scales what was mixed before.
#[inline(always)]
fn soften(scores: &mut [f32], visible: Range<usize>, running: &mut Running, out: &mut [f32]) {
    let (front, hidden) = scores.split_at_mut(visible.end);
    hidden.fill(0.0);
    let (hidden, seen) = front.split_at_mut(visible.start);
    hidden.fill(0.0);
    if seen.is_empty() {
        return;
    }
    let max = seen.iter().fold(running.max, |max, score| max.max(*score));
    if max > running.max && running.sum > 0.0 {
        let scale = exp(running.max - max);
        running.sum *= scale;
        out.iter_mut().for_each(|value| *value *= scale);
    }
    running.max = max;
    seen.iter_mut().for_each(|score| *score = exp(*score - max));
    let mut sums = [0.0_f32; LANES];
    let (chunks, rest) = seen.as_chunks::<LANES>();
    for chunk in chunks {
        for (sum, weight) in sums.iter_mut().zip(chunk) {
            *sum += weight;
        }
    }
    running.sum += sums.iter().sum::<f32>() + rest.iter().sum::<f32>();
}

/// Adds the values of a tile to `N` outputs by their weights.
#[inline(always)]
fn mix<const N: usize>(dim: usize, weights: &[f32], values: &[f32], out: &mut [f32]) {
    let weights: [&[f32]; N] = std::array::from_fn(|n| &weights[n * TILE..(n + 1) * TILE]);
    for column in (0..dim).step_by(LANES) {
        let mut sums = [[0.0_f32; LANES]; N];
        for (index, value) in values.chunks_exact(dim).enumerate() {
            let value = &value[column..column + LANES];
            for (sums, weights) in sums.iter_mut().zip(weights) {
                let weight = weights[index];
                for (sum, value) in sums.iter_mut().zip(value) {
                    *sum = weight.mul_add(*value, *sum);
                }
            }
        }
        for (n, sums) in sums.iter().enumerate() {
            let out = &mut out[n * dim + column..n * dim + column + LANES];
            out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::KvShape;

    fn number(seed: usize) -> f32 {
        let mixed = (seed as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        ((mixed ^ (mixed >> 29)) % 2001) as f32 / 500.0 - 2.0
    }

    /// Softmax over all visible positions in double precision.
    fn expected(
        heads: Heads,
        query: &[f32],
        keys: &[Vec<f32>],
        values: &[Vec<f32>],
        head: usize,
    ) -> Vec<f64> {
        let own = head * heads.dim..(head + 1) * heads.dim;
        let dot = |key: &Vec<f32>| -> f64 {
            query.iter().zip(&key[own.clone()]).map(|(q, k)| f64::from(*q) * f64::from(*k)).sum()
        };
        let weights: Vec<f64> = keys.iter().map(|key| (dot(key) / (heads.dim as f64).sqrt()).exp()).collect();
        let total: f64 = weights.iter().sum();
        (own.clone())
            .map(|i| weights.iter().zip(values).map(|(w, v)| w * f64::from(v[i])).sum::<f64>() / total)
            .collect()
    }

    #[test]
    fn agrees_with_the_definition_at_any_length_and_in_any_batch() {
        let heads = Heads { query: 6, key_value: 2, dim: 16 };
        let len = 300;
        let shape = KvShape { slots: 2, layers: 1, heads: 2, head_dim: 16, positions: 304 };
        let mut cache = KvCache::new(shape);
        let row = |seed: usize, width: usize| (0..width).map(|i| number(seed * 1009 + i)).collect::<Vec<_>>();
        let keys: Vec<_> = (0..len).map(|position| row(position, 32)).collect();
        let values: Vec<_> = (0..len).map(|position| row(position + 7000, 32)).collect();
        for position in 0..len {
            cache.write((1, 0), position, &keys[position], &values[position]);
        }
        let queries: Vec<f32> = (0..len).flat_map(|position| row(position + 90_000, 96)).collect();
        let whole = [Run { slot: 1, first: 0, position: 0, len }];
        let together = attend(&cache, 0, (heads, Scoring::of(16)), (&whole, Sight::Past), (&queries, 96));
        for position in [0, 1, 15, 16, 127, 128, 200, 299] {
            let run = [Run { slot: 1, first: 0, position, len: 1 }];
            let query = &queries[position * 96..(position + 1) * 96];
            let alone = attend(&cache, 0, (heads, Scoring::of(16)), (&run, Sight::Past), (query, 96));
            for head in 0..heads.query {
                let (kv, inside) = (head / 3, head % 3);
                let at = kv * 48 + inside * 16;
                let alone = &alone[at..at + 16];
                assert_eq!(alone, &together[(kv * len + position) * 48 + inside * 16..][..16]);
                let query = &query[head * 16..(head + 1) * 16];
                let exact = expected(heads, query, &keys[..=position], &values[..=position], kv);
                for (found, exact) in alone.iter().zip(exact) {
                    assert!((f64::from(*found) - exact).abs() < 1e-4, "position {position}, head {head}");
                }
            }
        }
    }

    #[test]
    fn with_the_whole_in_sight_each_row_sees_what_the_last_one_sees() {
        let heads = Heads { query: 2, key_value: 2, dim: 16 };
        let len = 140;
        let mut cache = KvCache::new(KvShape { slots: 1, layers: 1, heads: 2, head_dim: 16, positions: 144 });
        let row = |seed: usize| (0..32).map(|i| number(seed * 1009 + i)).collect::<Vec<_>>();
        for position in 0..len {
            cache.write((0, 0), position, &row(position), &row(position + 7000));
        }
        let queries = row(5).repeat(len);
        let run = [Run { slot: 0, first: 0, position: 0, len }];
        let past = attend(&cache, 0, (heads, Scoring::of(16)), (&run, Sight::Past), (&queries, 32));
        let whole = attend(&cache, 0, (heads, Scoring::of(16)), (&run, Sight::Whole), (&queries, 32));
        for (past, whole) in past.chunks_exact(len * 16).zip(whole.chunks_exact(len * 16)) {
            assert_ne!(past[..16], whole[..16]);
            for row in whole.chunks_exact(16) {
                assert_eq!(row, &past[(len - 1) * 16..]);
            }
        }
    }

    #[test]
    fn in_a_window_the_softmax_is_over_the_last_positions_and_scores_are_capped() {
        let heads = Heads { query: 2, key_value: 1, dim: 16 };
        let (len, window) = (400, 150);
        let mut cache = KvCache::new(KvShape { slots: 1, layers: 1, heads: 1, head_dim: 16, positions: 400 });
        let row = |seed: usize, width: usize| (0..width).map(|i| number(seed * 1009 + i)).collect::<Vec<_>>();
        let keys: Vec<_> = (0..len).map(|position| row(position, 16)).collect();
        let values: Vec<_> = (0..len).map(|position| row(position + 7000, 16)).collect();
        for position in 0..len {
            cache.write((0, 0), position, &keys[position], &values[position]);
        }
        let queries: Vec<f32> = (0..len).flat_map(|position| row(position + 90_000, 32)).collect();
        let scoring = Scoring { scale: 0.5, cap: Some(3.0) };
        let sight = Sight::Window(window);
        let run = [Run { slot: 0, first: 0, position: 0, len }];
        let together = attend(&cache, 0, (heads, scoring), (&run, sight), (&queries, 32));
        for position in [0, 149, 150, 151, 255, 256, 300, 399] {
            let query = &queries[position * 32..(position + 1) * 32];
            let run = [Run { slot: 0, first: 0, position, len: 1 }];
            let alone = attend(&cache, 0, (heads, scoring), (&run, sight), (query, 32));
            assert_eq!(alone, together[position * 32..(position + 1) * 32]);
            for (query, found) in query.chunks_exact(16).zip(alone.chunks_exact(16)) {
                let seen = (position + 1_usize).saturating_sub(window)..=position;
                let weight = |key: &Vec<f32>| {
                    let product: f64 =
                        query.iter().zip(key).map(|(q, k)| f64::from(*q) * f64::from(*k)).sum();
                    (3.0 * (product * 0.5 / 3.0).tanh()).exp()
                };
                let weights: Vec<f64> = keys[seen.clone()].iter().map(weight).collect();
                let total: f64 = weights.iter().sum();
                for (i, found) in found.iter().enumerate() {
                    let values = values[seen.clone()].iter().zip(&weights);
                    let exact = values.map(|(value, w)| w * f64::from(value[i])).sum::<f64>() / total;
                    assert!((f64::from(*found) - exact).abs() < 1e-4, "position {position}");
                }
            }
        }
    }
}
