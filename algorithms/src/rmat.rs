//! Generated graphs with the skew of real ones.

/// The edges of an R-MAT graph (Chakrabarti et al., 2004) with the probabilities of Graph500 (0.57, 0.19, 0.19,
/// 0.05): `2^scale` vertices, `edge_factor · 2^scale` edges drawn, of which self-loops and repeated ones are left
/// out. Sorted, without parallel edges, and the same for the same seed on every machine.
///
/// # Panics
///
/// If `scale` is above 31.
pub fn rmat(scale: u32, edge_factor: u32, seed: u64) -> Vec<(u32, u32)> {
    assert!(scale <= 31, "a scale of {scale} has more vertices than ids");
    let drawn = u64::from(edge_factor) << scale;
    let mut state = mix(seed);
    let mut edges: Vec<(u32, u32)> = (0..drawn)
        .filter_map(|_| {
            let (from, to) = draw(scale, &mut state);
            let (from, to) = (scrambled(from, scale, seed), scrambled(to, scale, seed));
            (from != to).then_some((from, to))
        })
        .collect();
    edges.sort_unstable();
    edges.dedup();
    edges.shrink_to_fit();
    edges
}

/// A cell of the adjacency matrix, by one quadrant after another.
fn draw(scale: u32, state: &mut u64) -> (u32, u32) {
    let (mut from, mut to) = (0, 0);
    for _ in 0..scale {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        // In thousandths of thousandths, so that no rounding of a machine can matter.
        let (right, down) = match mix(*state) % 1_000_000 {
            0..570_000 => (0, 0),
            570_000..760_000 => (1, 0),
            760_000..950_000 => (0, 1),
            _ => (1, 1),
        };
        from = from << 1 | down;
        to = to << 1 | right;
    }
    (from, to)
}

/// A permutation of the vertices, so that ids say nothing about degrees.
fn scrambled(vertex: u32, scale: u32, seed: u64) -> u32 {
    if scale == 0 {
        return vertex;
    }
    let mask = (1_u64 << scale) - 1;
    let half = scale.div_ceil(2);
    let mut vertex = u64::from(vertex);
    for round in 0..3 {
        let key = mix(seed ^ round);
        vertex = vertex.wrapping_mul(key | 1) & mask;
        vertex ^= vertex >> half;
        vertex = vertex.wrapping_add(key >> 32) & mask;
    }
    u32::try_from(vertex).expect("it is masked to the scale")
}

/// The mixing function of SplitMix64 (Steele et al., 2014).
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_seed_is_a_graph() {
        let edges = rmat(10, 8, 1);
        assert_eq!(edges, rmat(10, 8, 1));
        assert_ne!(edges, rmat(10, 8, 2));
        assert!(edges.is_sorted() && edges.iter().all(|(from, to)| from != to && from.max(to) < &1024));
        // Skewed: the busiest hundredth of the vertices has far more than a hundredth of the edges.
        let mut degrees = vec![0; 1024];
        edges.iter().for_each(|(from, _)| degrees[*from as usize] += 1);
        degrees.sort_unstable();
        assert!(degrees[1014..].iter().sum::<usize>() > edges.len() / 10);
    }

    #[test]
    fn scrambling_is_a_permutation() {
        for scale in [1, 2, 5, 10] {
            let seen: BTreeSet<u32> = (0..1 << scale).map(|v| scrambled(v, scale, 7)).collect();
            assert_eq!(seen.len(), 1 << scale);
        }
    }
}
