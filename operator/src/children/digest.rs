//! Digests, by which is told apart what is too large to be kept.

use std::fmt;

use serde_json::Value;

/// How many letters it has as a text.
const LETTERS: usize = 32;

/// The first 128 bits of the BLAKE3 hash of a value's JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest([u8; LETTERS / 2]);

impl Digest {
    /// The digest of a value.
    pub(super) fn of(value: &Value) -> Self {
        Self::of_text(&value.to_string())
    }

    /// The digest of what is JSON already.
    pub(super) fn of_text(json: &str) -> Self {
        let hash = blake3::hash(json.as_bytes());
        let (first, _) = hash.as_bytes().split_at(LETTERS / 2);
        Self(first.try_into().expect("a hash has as many bytes as that"))
    }

    /// The digest that a text says, as [`Display`](fmt::Display) writes it; none if it says none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_one =
            text.len() == LETTERS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let number = is_one.then(|| u128::from_str_radix(text, 16).ok()).flatten()?;
        Some(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_it_writes_it_reads_and_nothing_else() {
        for value in [json!(null), json!({"a": 1}), json!(["b"])] {
            let (digest, text) = (Digest::of(&value), Digest::of(&value).to_string());
            assert_eq!(text, blake3::hash(value.to_string().as_bytes()).to_hex()[..LETTERS]);
            assert_eq!(Digest::parse(&text), Some(digest));
            assert_eq!(Digest::parse(&text[1..]), None);
            assert_eq!(Digest::parse(&format!("+{}", &text[1..])), None);
            assert_ne!(Digest::parse(&text.to_uppercase()), Some(Digest::of(&json!("other"))));
        }
        assert_eq!(Digest::parse(&"A".repeat(LETTERS)), None);
        assert_eq!(Digest::parse(&"\u{e9}".repeat(LETTERS / 2)), None);
    }
}
