//! Damage to a file: bytes that differ, and an end that is missing or too long.

/// `whole`, damaged as `data` says: its first two bytes tell how much of the end is missing, then come edits of four
/// bytes each, a place of three and a value that is put there; what is left over, and does not make an edit, is appended.
pub(crate) fn damaged(whole: &[u8], data: &[u8]) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    let Some((cut, edits)) = data.split_first_chunk::<2>() else { return bytes };
    let missing = usize::from(u16::from_le_bytes(*cut));
    bytes.truncate(bytes.len().saturating_sub(missing));
    let (edits, rest) = edits.as_chunks::<4>();
    for [low, middle, high, value] in edits {
        let place = usize::try_from(u32::from_le_bytes([*low, *middle, *high, 0])).unwrap_or_default();
        if !bytes.is_empty() {
            let place = place % bytes.len();
            bytes[place] = *value;
        }
    }
    bytes.extend_from_slice(rest);
    bytes
}
