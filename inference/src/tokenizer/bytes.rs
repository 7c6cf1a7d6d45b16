//! The printable alphabet in which byte-level BPE writes arbitrary bytes.

use super::Kind;

/// The bytes that a vocabulary entry stands for.
///
/// Byte-level vocabularies write each byte as one character: printable Latin-1 bytes as themselves, the other 68
/// as the characters from U+0100 on, in order. An entry with a character outside this alphabet stands for its own
/// UTF-8.
pub(super) fn token_bytes(token: &str, kind: Kind) -> Vec<u8> {
    match kind {
        Kind::Control | Kind::UserDefined => token.as_bytes().to_vec(),
        Kind::Text => token
            .chars()
            .map(byte_of)
            .collect::<Option<Vec<u8>>>()
            .unwrap_or_else(|| token.as_bytes().to_vec()),
    }
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
}
