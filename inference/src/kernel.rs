//! Arithmetic on slices of `f32`, compiled for the vector unit that the machine has.
//!
//! Every function treats each row alone and in a fixed order, so that a row has the same result in any batch.

use pulp::Arch;

/// Floats that are handled side by side; the lengths of heads and of key blocks are multiples of it.
pub(crate) const LANES: usize = 16;

/// The nearest `f32`.
#[expect(clippy::cast_possible_truncation, reason = "rounding is what is asked for")]
pub(crate) fn narrow(value: f64) -> f32 {
    value as f32
}

/// Writes `x / rms(x) * weight` into the front of `out` and zeros behind it.
pub(crate) fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let mut sums = [0.0_f32; LANES];
            let (chunks, rest) = x.as_chunks::<LANES>();
            for chunk in chunks {
                for (sum, value) in sums.iter_mut().zip(chunk) {
                    *sum = value.mul_add(*value, *sum);
                }
            }
            let total: f32 = sums.iter().sum::<f32>() + rest.iter().map(|value| value * value).sum::<f32>();
            let scale = (total / x.len() as f32 + epsilon).sqrt().recip();
            let (front, back) = out.split_at_mut(x.len());
            for ((out, value), weight) in front.iter_mut().zip(x).zip(weight) {
                *out = value * scale * weight;
            }
            back.fill(0.0);
        },
    );
}

/// Replaces each head of a row by [`rms_norm`] of it; a head has as many floats as `weight`.
pub(crate) fn norm_heads(row: &mut [f32], weight: &[f32], epsilon: f32) {
    let mut before = vec![0.0; weight.len()];
    for head in row.chunks_exact_mut(weight.len()) {
        before.copy_from_slice(head);
        rms_norm(&before, weight, epsilon, head);
    }
}

/// Shifts and scales `x` to mean 0 and variance 1, then by `weight` and `bias`.
pub(crate) fn layer_norm(x: &mut [f32], weight: &[f32], bias: &[f32], epsilon: f32) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let count = x.len() as f32;
            let mean = sum(x, |value| value) / count;
            let variance = sum(x, |value| (value - mean) * (value - mean)) / count;
            let scale = (variance + epsilon).sqrt().recip();
            for ((value, weight), bias) in x.iter_mut().zip(weight).zip(bias) {
                *value = (*value - mean) * scale * weight + bias;
            }
        },
    );
}

#[inline(always)]
fn sum(x: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0.0_f32; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += of(*value);
        }
    }
    sums.iter().sum::<f32>() + rest.iter().map(|value| of(*value)).sum::<f32>()
}

/// Turns each value into `x * Φ(x)`, with the normal distribution itself and not its approximation by a tangent.
///
/// The error function is the rational one of Abramowitz and Stegun, 7.1.26, off by at most 1.5e-7.
pub(crate) fn gelu(x: &mut [f32]) {
    const TERMS: [f32; 5] = [1.061_405_4, -1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6];
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for value in x {
                let z = *value * std::f32::consts::FRAC_1_SQRT_2;
                let t = (0.327_591_1_f32.mul_add(z.abs(), 1.0)).recip();
                let series = TERMS.iter().fold(0.0_f32, |sum, term| sum.mul_add(t, *term)) * t;
                let erf = (1.0 - series * exp(-z * z)).copysign(z);
                *value *= 0.5 * (1.0 + erf);
            }
        },
    );
}

/// Adds `y` to `x`.
pub(crate) fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}

/// The sum of the products of two rows of one length.
pub(crate) fn dot(x: &[f32], y: &[f32]) -> f32 {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let mut sums = [0.0_f32; LANES];
            let ((xs, x), (ys, y)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
            for (x, y) in xs.iter().zip(ys) {
                for ((sum, x), y) in sums.iter_mut().zip(x).zip(y) {
                    *sum = x.mul_add(*y, *sum);
                }
            }
            sums.iter().sum::<f32>() + x.iter().zip(y).map(|(x, y)| x * y).sum::<f32>()
        },
    )
}

/// Adds `scale * y` to `x`.
pub(crate) fn add_scaled(x: &mut [f32], y: &[f32], scale: f32) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for (x, y) in x.iter_mut().zip(y) {
                *x = y.mul_add(scale, *x);
            }
        },
    );
}

/// Writes `silu(gate) * up` into the front of `out` and zeros behind it.
pub(crate) fn swiglu(gate: &[f32], up: &[f32], out: &mut [f32]) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let (front, back) = out.split_at_mut(gate.len());
            for ((out, gate), up) in front.iter_mut().zip(gate).zip(up) {
                *out = gate / (1.0 + exp(-gate)) * up;
            }
            back.fill(0.0);
        },
    );
}

/// Writes `gelu(gate) * up` into the front of `out` and zeros behind it, with the hyperbolic tangent of Hendrycks and
/// Gimpel, arXiv:1606.08415, in place of the normal distribution.
pub(crate) fn geglu(gate: &[f32], up: &[f32], out: &mut [f32]) {
    // The root of 2 / π.
    const ROOT: f32 = 0.797_884_6;
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let (front, back) = out.split_at_mut(gate.len());
            for ((out, gate), up) in front.iter_mut().zip(gate).zip(up) {
                let z = ROOT * gate * (0.044_715 * gate).mul_add(*gate, 1.0);
                // (1 + tanh z) / 2 is the logistic function of 2 z.
                *out = gate / (1.0 + exp(-2.0 * z)) * up;
            }
            back.fill(0.0);
        },
    );
}

/// `bound * tanh(x / bound)`: nearly `x` where that is small, and never beyond the bound.
#[inline(always)]
pub(crate) fn capped(x: f32, bound: f32) -> f32 {
    bound - 2.0 * bound / (exp(2.0 * x / bound) + 1.0)
}

/// The exponential to about one unit in the last place between -87 and 88, clamped beyond.
///
/// Splits off the nearest power of two and takes a polynomial for the rest, all without branches.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let power = shifted - ROUND;
    let rest = power.mul_add(-LN2_LOW, power.mul_add(-LN2_HIGH, x));
    let coefficients = [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
    let mut value = 1.0 / 5040.0;
    for coefficient in coefficients {
        value = rest.mul_add(value, coefficient);
    }
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits());
    value * f32::from_bits(exponent.wrapping_add(127) << 23)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_close_to_the_exact_one() {
        for i in -8600..8700_i16 {
            let x = f32::from(i) / 100.0;
            let exact = f64::from(x).exp();
            assert!(((f64::from(exp(x)) - exact) / exact).abs() < 3e-7, "exp({x})");
        }
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NEG_INFINITY) < 1e-37);
    }

    #[test]
    fn gelu_is_close_to_the_exact_one() {
        // Of x times the normal distribution, from tables.
        for (x, exact) in
            [(0.0, 0.0), (1.0, 0.841_344_8), (-1.0, -0.158_655_25), (3.0, 2.995_950_3), (-9.0, 0.0)]
        {
            let mut value = [x];
            gelu(&mut value);
            assert!((value[0] - exact).abs() < 1e-6, "gelu({x}) = {}", value[0]);
        }
    }

    #[test]
    fn a_row_gets_mean_and_variance() {
        let mut row: Vec<f32> = (0..20_u8).map(f32::from).collect();
        layer_norm(&mut row, &[2.0; 20], &[1.0; 20], 0.0);
        let mean = row.iter().sum::<f32>() / 20.0;
        let variance = row.iter().map(|value| (value - mean) * (value - mean)).sum::<f32>() / 20.0;
        assert!((mean - 1.0).abs() < 1e-5 && (variance - 4.0).abs() < 1e-4, "{mean} {variance}");
    }

    #[test]
    fn rows_are_normalised_and_padded() {
        let mut out = [9.0; 5];
        rms_norm(&[3.0, 4.0, 0.0], &[1.0, 2.0, 1.0], 0.0, &mut out);
        let rms = (25.0_f32 / 3.0).sqrt();
        for (out, expected) in out.iter().zip([3.0 / rms, 8.0 / rms, 0.0, 0.0, 0.0]) {
            assert!((out - expected).abs() < 1e-6);
        }
        let mut out = [9.0; 3];
        swiglu(&[0.0, 2.0], &[5.0, 3.0], &mut out);
        assert!((out[1] - 6.0 / (1.0 + (-2.0_f32).exp())).abs() < 1e-5);
        assert_eq!((out[0], out[2]), (0.0, 0.0));
    }

    #[test]
    fn the_gate_of_gelu_and_the_cap_are_close_to_the_exact_ones() {
        for gate in [-20.0_f32, -3.0, -0.5, 0.0, 0.01, 1.0, 4.0, 20.0] {
            let mut out = [9.0; 2];
            geglu(&[gate], &[2.0], &mut out);
            let x = f64::from(gate);
            let z = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
            assert!((f64::from(out[0]) - x * (1.0 + z.tanh())).abs() < 1e-5, "{gate}: {}", out[0]);
            assert_eq!(out[1], 0.0);
            let exact = 30.0 * (x / 30.0).tanh();
            assert!((f64::from(capped(gate, 30.0)) - exact).abs() < 1e-5, "{gate}");
        }
        assert_eq!(capped(1e9, 30.0), 30.0);
    }

    #[test]
    fn each_head_is_normalised_alone() {
        let mut row = [3.0, 4.0, 30.0, 40.0];
        norm_heads(&mut row, &[1.0, 2.0], 0.0);
        let rms = (25.0_f32 / 2.0).sqrt();
        for (found, expected) in row.iter().zip([3.0 / rms, 8.0 / rms, 3.0 / rms, 8.0 / rms]) {
            assert!((found - expected).abs() < 1e-6, "{row:?}");
        }
    }

    #[test]
    fn products_are_summed_and_scaled_rows_added() {
        let x: Vec<f32> = (0..37_u8).map(f32::from).collect();
        let y: Vec<f32> = x.iter().map(|value| 2.0 - value).collect();
        let exact: f32 = x.iter().zip(&y).map(|(x, y)| x * y).sum();
        assert_eq!(dot(&x, &y), exact);
        assert_eq!(dot(&[], &[]), 0.0);
        let mut sum = x.clone();
        add_scaled(&mut sum, &y, 0.5);
        assert!(sum.iter().zip(&x).all(|(sum, x)| *sum == x + 0.5 * (2.0 - x)));
    }
}
