//! The splitting of SentencePiece: neighbours are joined as long as there is a token for both together, the token with the
//! highest score first (Kudo and Richardson, arXiv:1808.06226, its model of byte pairs).

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};

use aho_corasick::{AhoCorasick, MatchKind};

use super::Kind;

/// What stands for a space in the names of tokens.
pub(super) const SPACE: char = '\u{2581}';

/// A vocabulary of pieces with scores.
pub(super) struct SentencePiece {
    /// Of each token that text can become, by its name: its id and score.
    pieces: HashMap<String, (u32, f32)>,
    /// What each byte is written as where there is no piece.
    bytes: Vec<u32>,
    /// Text that is matched whole before anything else, and the tokens that it becomes.
    whole: AhoCorasick,
    whole_ids: Vec<u32>,
    /// A text begins as if there were a space in front of it.
    prefixes_space: bool,
}

impl SentencePiece {
    /// The vocabulary of tokens, each with what it is and its score.
    pub(super) fn new(
        tokens: &[&str],
        kinds: &[Kind],
        scores: &[f32],
        (unknown, prefixes_space): (Option<u32>, bool),
    ) -> Result<Self, String> {
        let mut pieces = HashMap::new();
        let (mut whole, mut whole_ids) = (Vec::new(), Vec::new());
        let mut bytes = [unknown; 256];
        for (((id, name), kind), score) in (0_u32..).zip(tokens).zip(kinds).zip(scores) {
            match kind {
                Kind::Control => {}
                Kind::Byte(byte) => bytes[usize::from(*byte)] = Some(id),
                Kind::UserDefined if !name.is_empty() => {
                    whole.push(*name);
                    whole_ids.push(id);
                }
                Kind::Text | Kind::UserDefined => {
                    // Of tokens with one name the first is taken.
                    pieces.entry((*name).to_owned()).or_insert((id, *score));
                }
            }
        }
        let bytes: Option<Vec<u32>> = bytes.into_iter().collect();
        let bytes = bytes.ok_or("it has neither a token for each byte nor one for what is unknown")?;
        let whole = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(whole)
            .map_err(|error| error.to_string())?;
        Ok(Self { pieces, bytes, whole, whole_ids, prefixes_space })
    }

    /// Whether a text begins as if there were a space in front of it.
    pub(super) fn prefixes_space(&self) -> bool {
        self.prefixes_space
    }

    /// Adds the tokens of a text that stands alone or between control tokens.
    pub(super) fn encode(&self, text: &str, ids: &mut Vec<u32>) {
        let mut end = 0;
        for found in self.whole.find_iter(text) {
            self.split(&text[end..found.start()], ids);
            ids.push(self.whole_ids[found.pattern().as_usize()]);
            end = found.end();
        }
        self.split(&text[end..], ids);
    }

    fn split(&self, text: &str, ids: &mut Vec<u32>) {
        if text.is_empty() {
            return;
        }
        let prefix = if self.prefixes_space { " " } else { "" };
        let text = format!("{prefix}{text}").replace(' ', SPACE.encode_utf8(&mut [0; 4]));
        let mut chain = Chain::of(&text);
        let mut joins = BinaryHeap::new();
        for right in 1..chain.links.len() {
            joins.extend(self.join(&chain, right - 1, right));
        }
        while let Some(join) = joins.pop() {
            if chain.take(&join) {
                let Link { before, after, .. } = chain.links[join.left];
                joins.extend(before.and_then(|before| self.join(&chain, before, join.left)));
                joins.extend(after.and_then(|after| self.join(&chain, join.left, after)));
            }
        }
        for piece in chain.pieces() {
            match self.pieces.get(piece) {
                Some((id, _)) => ids.push(*id),
                None => ids.extend(piece.bytes().map(|byte| self.bytes[usize::from(byte)])),
            }
        }
    }

    /// The join of two neighbours, if there is a token for both together.
    fn join(&self, chain: &Chain<'_>, left: usize, right: usize) -> Option<Join> {
        let (start, end) = (chain.links[left].start, chain.links[right].end);
        let (_, score) = self.pieces.get(&chain.text[start..end])?;
        Some(Join { score: *score, left, right, len: end - start })
    }
}

/// A part of a text between its neighbours.
#[derive(Debug, Clone, Copy)]
struct Link {
    start: usize,
    /// As the start, once it is joined to what stands in front of it.
    end: usize,
    before: Option<usize>,
    after: Option<usize>,
}

/// A text in parts, at first its characters.
struct Chain<'a> {
    text: &'a str,
    links: Vec<Link>,
}

impl<'a> Chain<'a> {
    fn of(text: &'a str) -> Self {
        let count = text.chars().count();
        let link = |(index, (start, c)): (usize, (usize, char))| Link {
            start,
            end: start + c.len_utf8(),
            before: index.checked_sub(1),
            after: Some(index + 1).filter(|next| *next < count),
        };
        Self { text, links: text.char_indices().enumerate().map(link).collect() }
    }

    /// Joins two parts, unless one of them has been joined to another since this was found.
    fn take(&mut self, join: &Join) -> bool {
        let (left, right) = (self.links[join.left], self.links[join.right]);
        let lens = [left.end - left.start, right.end - right.start];
        if lens.contains(&0) || lens[0] + lens[1] != join.len {
            return false;
        }
        self.links[join.left] = Link { end: right.end, after: right.after, ..left };
        self.links[join.right].end = right.start;
        if let Some(after) = right.after {
            self.links[after].before = Some(join.left);
        }
        true
    }

    fn pieces(&self) -> impl Iterator<Item = &'a str> {
        let text = self.text;
        let whole = self.links.iter().filter(|link| link.start < link.end);
        whole.map(|link| &text[link.start..link.end]).collect::<Vec<_>>().into_iter()
    }
}

/// Two neighbours for which there is a token, the one to be joined first being the greatest.
#[derive(Debug, PartialEq)]
struct Join {
    score: f32,
    left: usize,
    right: usize,
    /// Bytes of both together.
    len: usize,
}

impl Eq for Join {}

impl Ord for Join {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then_with(|| other.left.cmp(&self.left))
    }
}

impl PartialOrd for Join {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary(prefixes_space: bool) -> SentencePiece {
        let words = ["▁", "a", "b", "c", "ab", "bc", "▁ab", "▁a", "xyz"];
        let scores = [-9.0, -8.0, -8.0, -8.0, -2.0, -1.0, -3.0, -4.0, 0.0];
        let mut tokens: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let mut kinds = vec![Kind::Text; tokens.len()];
        tokens.extend(["<x>".to_owned(), "\n\n".to_owned()]);
        kinds.extend([Kind::Control, Kind::UserDefined]);
        for byte in 0..=u8::MAX {
            tokens.push(format!("<0x{byte:02X}>"));
            kinds.push(Kind::Byte(byte));
        }
        let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
        let scores: Vec<f32> = scores.into_iter().chain([0.0; 258]).collect();
        SentencePiece::new(&tokens, &kinds, &scores, (None, prefixes_space)).unwrap()
    }

    fn encode(text: &str, prefixes_space: bool) -> Vec<u32> {
        let mut ids = Vec::new();
        vocabulary(prefixes_space).encode(text, &mut ids);
        ids
    }

    #[test]
    fn neighbours_are_joined_by_score_and_what_has_no_piece_is_bytes() {
        // Bytes begin with token 11.
        let table: [(&str, bool, &[u32]); 8] = [
            ("abc", false, &[1, 5]),
            ("ab", false, &[4]),
            (" ab", false, &[6]),
            ("ab", true, &[6]),
            ("abab", false, &[4, 4]),
            ("aü", false, &[1, 11 + 0xC3, 11 + 0xBC]),
            ("xyz", false, &[11 + 0x78, 11 + 0x79, 11 + 0x7A]),
            ("a\n\nb", true, &[7, 10, 0, 2]),
        ];
        for (text, prefixes_space, expected) in table {
            assert_eq!(encode(text, prefixes_space), expected, "{text:?}");
        }
        assert!(encode("", true).is_empty());
    }

    #[test]
    fn without_bytes_there_is_a_token_for_what_is_unknown() {
        let build = |unknown| SentencePiece::new(&["a", "?"], &[Kind::Text; 2], &[0.0; 2], (unknown, false));
        assert!(build(None).is_err());
        let mut ids = Vec::new();
        build(Some(1)).unwrap().encode("ab", &mut ids);
        assert_eq!(ids, [0, 1]);
    }
}
