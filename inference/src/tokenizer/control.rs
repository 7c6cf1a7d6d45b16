//! The names of control tokens: where they stand in a text, and what they are written with.

use std::collections::BTreeSet;

use aho_corasick::{AhoCorasick, MatchKind};

/// The names of the control tokens of a model.
pub(crate) struct ControlNames {
    matcher: AhoCorasick,
    ids: Vec<u32>,
    characters: BTreeSet<char>,
    marks: BTreeSet<char>,
}

/// A part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// The name of the control token with this id.
    Control(u32),
    /// What stands between such names, never empty.
    Text(&'a str),
}

impl ControlNames {
    /// The names and ids of all control tokens; an empty name is left out.
    pub(super) fn new<'a>(names: impl Iterator<Item = (&'a str, u32)>) -> Result<Self, String> {
        let (names, ids): (Vec<&str>, Vec<u32>) = names.filter(|(name, _)| !name.is_empty()).unzip();
        let matcher = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&names)
            .map_err(|error| error.to_string())?;
        let characters = names.iter().flat_map(|name| name.chars()).filter(|c| !c.is_whitespace()).collect();
        Ok(Self { matcher, ids, characters, marks: marks(&names) })
    }

    /// Cuts `text` at the names in it, the leftmost and of those the longest first.
    pub(super) fn pieces<'a>(&self, text: &'a str) -> Vec<Piece<'a>> {
        let mut pieces = Vec::new();
        let mut end = 0;
        for found in self.matcher.find_iter(text) {
            pieces.push(Piece::Text(&text[end..found.start()]));
            pieces.push(Piece::Control(self.ids[found.pattern().as_usize()]));
            end = found.end();
        }
        pieces.push(Piece::Text(&text[end..]));
        pieces.retain(|piece| *piece != Piece::Text(""));
        pieces
    }

    /// The characters of all names, white space apart.
    pub(crate) fn characters(&self) -> &BTreeSet<char> {
        &self.characters
    }

    /// Few characters, at least one of which is in each name.
    pub(crate) fn marks(&self) -> &BTreeSet<char> {
        &self.marks
    }
}

/// Takes the character that most names have until each name has one; of several the one that templates look for in
/// messages the least, which is why `<` comes late: many look for `</think>`.
fn marks(names: &[&str]) -> BTreeSet<char> {
    const RARELY_LOOKED_FOR: &str = "[<]>|";
    let mut left: Vec<BTreeSet<char>> = names.iter().map(|name| name.chars().collect()).collect();
    let mut marks = BTreeSet::new();
    loop {
        let candidates: BTreeSet<char> = left.iter().flatten().copied().collect();
        let rank =
            |c: &char| (left.iter().filter(|name| name.contains(c)).count(), RARELY_LOOKED_FOR.find(*c));
        let Some(mark) = candidates.iter().copied().max_by_key(rank) else { return marks };
        left.retain(|name| !name.contains(&mark));
        marks.insert(mark);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&'static str]) -> ControlNames {
        ControlNames::new(names.iter().copied().zip(7..)).unwrap()
    }

    #[test]
    fn a_text_is_cut_at_the_longest_name() {
        let names = names(&["<a>", "<a>b", ""]);
        assert_eq!(
            names.pieces("x<a>b<a>y"),
            [Piece::Text("x"), Piece::Control(8), Piece::Control(7), Piece::Text("y")]
        );
        assert!(names.pieces("").is_empty());
    }

    #[test]
    fn each_name_has_a_mark() {
        let table: [(&[&'static str], &str); 4] = [
            (&["<|im_start|>", "<|im_end|>", "<|x|>"], "|"),
            (&["<|im_end|>", "<repo_name>"], ">"),
            (&["<s>", "[INST]", "[/INST]"], ">]"),
            (&[], ""),
        ];
        for (given, marks) in table {
            assert_eq!(names(given).marks().iter().collect::<String>(), marks, "{given:?}");
        }
    }
}
