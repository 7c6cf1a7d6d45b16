//! Regular expressions of schemas, as far as a text can be written under them.

use regex_syntax::hir::{Hir, HirKind};
use serde_json::{Map, Value};

use crate::error::GenerateError;

/// Refuses the patterns of a schema that ask for a character that has no way to be written: of control characters a
/// text holds those alone that have a letter of their own behind a backslash.
pub(super) fn writable(keywords: &Map<String, Value>) -> Result<(), GenerateError> {
    let own = keywords.get("pattern").and_then(Value::as_str);
    let names = keywords.get("patternProperties").and_then(Value::as_object);
    let all = own.into_iter().chain(names.into_iter().flatten().map(|(pattern, _)| pattern.as_str()));
    for pattern in all {
        // What is no regular expression is refused where the schema is compiled.
        let Ok(parsed) = regex_syntax::parse(pattern) else { continue };
        if let Some(byte) = unwritable(&parsed) {
            let reason = format!("{pattern:?} asks for U+{byte:04X}, which is never written");
            return Err(GenerateError::Schema { reason });
        }
    }
    Ok(())
}

/// A byte that stands in a pattern for itself and is never written. Classes only lose it.
fn unwritable(pattern: &Hir) -> Option<u8> {
    match pattern.kind() {
        HirKind::Literal(literal) => literal.0.iter().copied().find(|byte| !is_written(*byte)),
        HirKind::Repetition(repeated) => unwritable(&repeated.sub),
        HirKind::Capture(group) => unwritable(&group.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().find_map(unwritable),
        HirKind::Empty | HirKind::Class(_) | HirKind::Look(_) => None,
    }
}

fn is_written(byte: u8) -> bool {
    matches!(byte, 0x08 | 0x0C | b'\n' | b'\r' | b'\t') || !byte.is_ascii_control()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(schema: &Value) -> Option<String> {
        writable(schema.as_object().unwrap()).err().map(|error| error.to_string())
    }

    #[test]
    fn a_character_that_is_never_written_is_not_asked_for() {
        for pattern in ["^[a-c]\u{7f}1,4}(x|y)?$", "a\\x7fb", "(ab|c\\x01d)*", "\\x00", "a\\vb"] {
            let said = refused(&json!({"pattern": pattern})).unwrap();
            assert!(said.contains("U+00"), "{pattern}: {said}");
            assert!(refused(&json!({"patternProperties": {"x": {}, pattern: {}}})).is_some(), "{pattern}");
        }
    }

    #[test]
    fn what_can_be_written_and_what_only_may_be_is_asked_for() {
        for pattern in ["^\\w+$", "[\\x00-\\x1f]?", "[^\\x00-\\x7f]", "a\n\t\\r\\f", "é\"\\\\", "("] {
            assert_eq!(refused(&json!({"pattern": pattern})), None, "{pattern}");
        }
    }
}
