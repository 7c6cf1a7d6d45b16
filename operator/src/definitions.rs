//! The CustomResourceDefinitions as files.

use anyhow::Result;
use serde_json::{Number, Value};
use superstep_api::crds;

/// All of them, each a YAML document.
pub(crate) fn yaml() -> Result<String> {
    let mut text = String::new();
    for crd in crds() {
        let mut value = serde_json::to_value(&crd)?;
        whole_numbers(&mut value);
        text.push_str("---\n");
        // A description that is folded would be indented once more for each of its lines.
        let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
        text.push_str(&serde_saphyr::to_string_with_options(&value, options)?);
    }
    Ok(text)
}

/// Bounds of schemas are floating-point numbers to the client library; who reads a file expects `1`, not `1.0`.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let whole = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0);
            // Above this not every whole number has a floating-point number of its own.
            if let Some(whole) = whole.filter(|whole| whole.abs() <= 9_007_199_254_740_992.0) {
                *number = format!("{whole:.0}").parse::<Number>().expect("it is written as a whole number");
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(members) => members.values_mut().for_each(whole_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Beside the object, etcd keeps the last manifest that a client has applied, in an annotation of the object.
    #[test]
    fn each_file_is_small() {
        for document in yaml().unwrap().split("---\n") {
            assert!(document.len() <= 100 * 1024, "{} bytes: {}", document.len(), &document[..200]);
        }
    }

    #[test]
    fn bounds_are_written_as_whole_numbers() {
        let mut value = serde_json::json!({"minimum": 0.0, "maximum": [0.5, -1.0, 4_294_967_295.0_f64, 3]});
        whole_numbers(&mut value);
        assert_eq!(value.to_string(), r#"{"minimum":0,"maximum":[0.5,-1,4294967295,3]}"#);
    }
}
