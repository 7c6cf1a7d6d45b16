//! The printable alphabet in which byte-level BPE writes arbitrary bytes.

use super::Kind;
use super::sentencepiece::SPACE;

/// How the names of tokens are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alphabet {
    /// Byte by byte, in printable characters.
    Bytes,
    /// As they are, but for spaces.
    Pieces,
}

/// The bytes that a vocabulary entry stands for.
///
/// Of pieces the mark of a space is one.
/// Byte-level vocabularies write each byte as one character: printable Latin-1 bytes as themselves, the other 68
/// as the characters from U+0100 on, in order. An entry with a character outside this alphabet stands for its own
/// UTF-8.
pub(super) fn token_bytes(token: &str, kind: Kind, alphabet: Alphabet) -> Vec<u8> {
    match (kind, alphabet) {
        (Kind::Control | Kind::UserDefined, _) => token.as_bytes().to_vec(),
        (Kind::Byte(byte), _) => vec![byte],
        (Kind::Text, Alphabet::Pieces) => token.replace(SPACE, " ").into_bytes(),
        (Kind::Text, Alphabet::Bytes) => token
            .chars()
            .map(byte_of)
            .collect::<Option<Vec<u8>>>()
            .unwrap_or_else(|| token.as_bytes().to_vec()),
    }
}

/// The byte that the name of a byte token tells, such as `<0x0A>`.
pub(super) fn named_byte(name: &str) -> Option<u8> {
    let digits = name.strip_prefix("<0x")?.strip_suffix('>')?;
    u8::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 2)
}

fn is_printable(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF)
}

fn byte_of(character: char) -> Option<u8> {
    let code = u32::from(character);
    if let Some(byte) = u8::try_from(code).ok().filter(|byte| is_printable(*byte)) {
        return Some(byte);
    }
    let index = usize::try_from(code.checked_sub(0x100)?).ok()?;
    (0..=u8::MAX).filter(|byte| !is_printable(*byte)).nth(index)
}

/// The character that stands for a byte.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn character_of(byte: u8) -> char {
    if is_printable(byte) {
        return char::from(byte);
    }
    let index = (0..byte).filter(|earlier| !is_printable(*earlier)).count();
    u32::try_from(index).ok().and_then(|index| char::from_u32(0x100 + index)).expect("the index is below 68")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_the_alphabet() {
        for byte in 0..=u8::MAX {
            assert_eq!(byte_of(character_of(byte)), Some(byte));
        }
        assert_eq!(character_of(b' '), 'Ġ');
        assert_eq!(character_of(b'\n'), 'Ċ');
        assert_eq!(byte_of('中'), None);
    }

    #[test]
    fn names_tell_bytes_and_spaces() {
        for (name, byte) in [("<0x0A>", Some(10)), ("<0xff>", Some(255)), ("<0x1>", None), ("<0x0A", None)] {
            assert_eq!(named_byte(name), byte, "{name}");
        }
        assert_eq!(token_bytes("▁the", Kind::Text, Alphabet::Pieces), b" the");
        assert_eq!(token_bytes("<0x0A>", Kind::Byte(10), Alphabet::Pieces), b"\n");
    }
}
