//! Characters that stand in for others while a chat template handles a text.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// The private use planes of Unicode, in which no script and no template writes.
const STAND_INS: [std::ops::RangeInclusive<char>; 2] =
    ['\u{F0000}'..='\u{FFFFD}', '\u{100000}'..='\u{10FFFD}'];

/// A stand-in for each of some characters, one character for one character. The default has none.
#[derive(Debug, Default)]
pub(crate) struct Shadow {
    stand_ins: BTreeMap<char, char>,
    originals: BTreeMap<char, char>,
}

impl Shadow {
    /// Stand-ins for `characters` that are not in any of `texts`; nothing if there are not enough of them.
    pub(crate) fn of(characters: &BTreeSet<char>, texts: &[&str]) -> Option<Self> {
        let private = |c: &char| STAND_INS.iter().any(|range| range.contains(c));
        let taken: BTreeSet<char> = texts.iter().flat_map(|text| text.chars()).filter(private).collect();
        let free = STAND_INS.into_iter().flatten().filter(|c| !taken.contains(c));
        let stand_ins: BTreeMap<char, char> = characters.iter().copied().zip(free).collect();
        let originals = stand_ins.iter().map(|(original, stand_in)| (*stand_in, *original)).collect();
        (stand_ins.len() == characters.len()).then_some(Self { stand_ins, originals })
    }

    /// `text` with the stand-ins put in.
    pub(crate) fn cast(&self, text: &str) -> String {
        text.chars().map(|c| self.stand_ins.get(&c).copied().unwrap_or(c)).collect()
    }

    /// `text` with the originals back in place.
    pub(crate) fn lifted<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.originals.is_empty() || text.is_ascii() {
            return Cow::Borrowed(text);
        }
        text.chars().map(|c| self.originals.get(&c).copied().unwrap_or(c)).collect::<String>().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cast_is_lifted_again() {
        let characters: BTreeSet<char> = "<|>".chars().collect();
        let texts = ["a <|b|> \u{F0000}ü"];
        let shadow = Shadow::of(&characters, &texts).unwrap();
        let cast = shadow.cast(texts[0]);
        assert!(!cast.contains(['<', '|', '>']), "{cast}");
        assert_eq!(cast.chars().count(), texts[0].chars().count());
        assert_eq!(shadow.lifted(&cast), texts[0]);
    }

    #[test]
    fn a_text_that_takes_all_stand_ins_leaves_none() {
        let all: String = STAND_INS.into_iter().flatten().skip(1).collect();
        assert!(Shadow::of(&BTreeSet::from(['a']), &[&all]).is_some());
        assert!(Shadow::of(&BTreeSet::from(['a', 'b']), &[&all]).is_none());
    }
}
