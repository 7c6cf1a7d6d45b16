//! Cutting a document into passages.

use superstep_graph::Chunking;

/// A part of a text, without the space around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Passage {
    /// The characters of the text before it.
    pub(super) start: usize,
    /// The characters of the text up to its end.
    pub(super) end: usize,
    pub(super) text: String,
}

/// The passages of `text`, in their order. Each has at most `characters`, ends before a space where its second
/// half has one, and begins with words of the one before that have at most `overlap` characters.
pub(super) fn passages(text: &str, Chunking { characters, overlap }: Chunking) -> Vec<Passage> {
    let letters: Vec<char> = text.chars().collect();
    let (most, overlap) = (characters.max(1) as usize, overlap as usize);
    let mut passages = Vec::new();
    let mut start = 0;
    while let Some(space) = letters[start..].iter().position(|letter| !letter.is_whitespace()) {
        start += space;
        let end = end_of(&letters, start, most);
        passages.extend(trimmed(&letters, start, end));
        if end == letters.len() {
            break;
        }
        start = next_start(&letters, start, end, overlap);
    }
    passages
}

/// Where a passage that begins at `start` ends.
fn end_of(letters: &[char], start: usize, most: usize) -> usize {
    let furthest = start + most;
    if furthest >= letters.len() {
        return letters.len();
    }
    let space = (start + most / 2 + 1..=furthest).rev().find(|at| letters[*at].is_whitespace());
    space.unwrap_or(furthest)
}

/// Where the passage after the one from `start` to `end` begins: at a word, if there is one.
fn next_start(letters: &[char], start: usize, end: usize, overlap: usize) -> usize {
    let earliest = end.saturating_sub(overlap).max(start + 1);
    let word = (earliest..end).find(|at| letters[*at - 1].is_whitespace() && !letters[*at].is_whitespace());
    match word {
        Some(word) => word,
        // One long word has no better place; else words are not cut.
        None if letters[earliest..end].iter().all(|letter| !letter.is_whitespace())
            && is_inside(letters, end) =>
        {
            earliest
        }
        None => end,
    }
}

/// Whether `at` is inside of a word.
fn is_inside(letters: &[char], at: usize) -> bool {
    !letters[at].is_whitespace()
}

fn trimmed(letters: &[char], start: usize, end: usize) -> Option<Passage> {
    let inside = &letters[start..end];
    let first = inside.iter().position(|letter| !letter.is_whitespace())?;
    let last = inside.iter().rposition(|letter| !letter.is_whitespace())?;
    let text = inside[first..=last].iter().collect();
    Some(Passage { start: start + first, end: start + last + 1, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str, characters: u32, overlap: u32) -> Vec<String> {
        passages(text, Chunking { characters, overlap }).into_iter().map(|passage| passage.text).collect()
    }

    #[test]
    fn passages_end_between_words_and_overlap_by_words() {
        let text = "one two three four five six seven";
        assert_eq!(cut(text, 16, 0), ["one two three", "four five six", "seven"]);
        assert_eq!(cut(text, 16, 6), ["one two three", "three four five", "five six seven"]);
        assert_eq!(cut(text, 100, 6), [text]);
        assert_eq!(cut("  spaced \n ", 100, 0), ["spaced"]);
        assert_eq!(cut(" \n ", 16, 4), Vec::<String>::new());
        assert_eq!(cut("", 16, 4), Vec::<String>::new());
        // The space before a word is no part of the passage that the next one overlaps.
        assert_eq!(cut(&format!("{}ab c de fghij", " ".repeat(12)), 16, 3), ["ab c de fghij"]);
    }

    #[test]
    fn a_word_that_is_too_long_is_cut() {
        assert_eq!(cut(&"x".repeat(40), 16, 4), ["x".repeat(16), "x".repeat(16), "x".repeat(16)]);
        assert_eq!(cut(&"ä".repeat(20), 16, 0), ["ä".repeat(16), "ä".repeat(4)]);
    }

    proptest::proptest! {
        #[test]
        fn all_words_are_in_and_places_are_those_of_the_text(
            text in "[ab é\n]{0,200}", characters in 16_u32..60, share in 0_u32..=100
        ) {
            let overlap = characters / 2 * share / 100;
            let letters: Vec<char> = text.chars().collect();
            let mut covered = vec![false; letters.len()];
            let mut before = 0;
            for (index, Passage { start, end, text }) in
                passages(&text, Chunking { characters, overlap }).into_iter().enumerate()
            {
                proptest::prop_assert!(end - start <= characters as usize && start < end);
                proptest::prop_assert!(index == 0 || start > before, "it goes on");
                proptest::prop_assert_eq!(&letters[start..end].iter().collect::<String>(), &text);
                before = start;
                covered[start..end].fill(true);
            }
            let left = letters.iter().zip(&covered).filter(|(letter, covered)| !**covered && !letter.is_whitespace());
            proptest::prop_assert_eq!(left.count(), 0);
        }
    }
}
