//! Files of several YAML documents.

use anyhow::{Context, Result};
use serde_json::Value;

/// The texts between lines of three dashes that are not empty.
pub(super) fn texts(text: &str) -> impl Iterator<Item = &str> {
    let documents = text.strip_prefix("---\n").unwrap_or(text).split("\n---\n");
    documents.filter(|document| !document.trim().is_empty())
}

/// The documents as values.
pub(super) fn values(text: &str) -> Result<Vec<Value>> {
    texts(text).map(value).collect()
}

/// One document as a value, its booleans written as `true` and `false` alone.
pub(super) fn value(text: &str) -> Result<Value> {
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options)
        .with_context(|| format!("this is no YAML:\n{}", text.lines().take(8).collect::<Vec<_>>().join("\n")))
}

/// A text in a value, or an empty one.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The items of a list in a value, or none.
pub(super) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The texts of a list in a value.
pub(super) fn words<'a>(value: &'a Value, pointer: &str) -> Vec<&'a str> {
    list(value, pointer).iter().filter_map(Value::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_between_lines_of_dashes() {
        let found: Vec<&str> = texts("---\na: 1\n---\n\n---\nb: '---'\n").collect();
        assert_eq!(found, ["a: 1", "b: '---'\n"]);
        let values = values("a: [x, y]\n---\nb: {c: d}\n").unwrap();
        assert_eq!(words(&values[0], "/a"), ["x", "y"]);
        assert_eq!(text(&values[1], "/b/c"), "d");
        assert_eq!(text(&values[1], "/e"), "");
    }
}
