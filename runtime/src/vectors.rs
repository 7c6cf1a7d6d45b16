//! Vectors of texts: how they are kept, shown and compared.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Number, Value};

/// Floats in base64, little-endian: the shortest form that keeps every bit in JSON.
pub(crate) fn packed(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|float| float.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

/// What was [`packed`]; none if `text` was not.
pub(crate) fn unpacked(text: &str) -> Option<Vec<f32>> {
    let bytes = STANDARD.decode(text).ok()?;
    let (floats, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| floats.iter().map(|float| f32::from_le_bytes(*float)).collect())
}

/// Scales a vector to the length 1. One of length 0 stays as it is.
pub(crate) fn normalize(vector: &mut [f32]) {
    let length = dot(vector, vector).sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|float| *float /= length);
    }
}

/// The product of two vectors of one length, added up in their order: of vectors of length 1 it is the cosine.
pub(crate) fn dot(one: &[f32], two: &[f32]) -> f32 {
    one.iter().zip(two).map(|(one, two)| one * two).sum()
}

/// A vector as a list of numbers, each with the fewest digits that give the same float when read again.
pub(crate) fn listed(vector: &[f32]) -> Value {
    let number = |float: &f32| {
        let shortest: f64 = float.to_string().parse().unwrap_or(f64::from(*float));
        Number::from_f64(shortest).map_or(Value::Null, Value::Number)
    };
    Value::Array(vector.iter().map(number).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_packed_keeps_every_bit() {
        let vector = [0.0, -0.0, 1.0 / 3.0, f32::MIN_POSITIVE, -1e-42, 3.4e38];
        let back = unpacked(&packed(&vector)).unwrap();
        let bits = |vector: &[f32]| vector.iter().map(|float| float.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&back), bits(&vector));
        assert_eq!(unpacked(""), Some(Vec::new()));
        for wrong in ["AAA=", "AAAAAAA=", "é", "AAAA A=="] {
            assert_eq!(unpacked(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn lists_have_few_digits_and_read_back_as_the_same_floats() {
        let vector = [0.1_f32, -0.033_333_335, 1.0, 1e-9];
        let list = listed(&vector);
        assert_eq!(list.to_string(), "[0.1,-0.033333335,1.0,1e-9]");
        let back: Vec<f32> = serde_json::from_value(list).unwrap();
        assert_eq!(back, vector);
        assert_eq!(listed(&[f32::NAN]), json!([null]));
    }

    #[test]
    fn lengths_become_one_where_there_is_a_direction() {
        let mut vector = [3.0, 4.0];
        normalize(&mut vector);
        assert_eq!(vector, [0.6, 0.8]);
        let mut nowhere = [0.0, 0.0];
        normalize(&mut nowhere);
        assert_eq!(nowhere, [0.0, 0.0]);
    }
}
