//! Words that a comment does not need: what is unfinished belongs in an issue, and history in a commit.

use super::scan::RustFile;
use super::{Violation, has_extension};
use std::path::Path;

const WORDS: [&str; 4] = ["TODO", "FIXME", "XXX", "HACK"];
const PHRASES: [&str; 2] = ["for now", "no longer"];
/// What comes before the two words when they are a plain passive: "it is used to order messages".
const PASSIVE: [&str; 9] = ["is", "are", "be", "was", "were", "been", "being", "and", "or"];
const EXTENSIONS: [&str; 5] = ["py", "toml", "yaml", "yml", "sh"];

/// Comments of a Rust file.
pub(super) fn check_rust(file: &RustFile) -> Vec<Violation> {
    let comments = file.lines.iter().map(|line| line.comment.as_str());
    check_comments(&file.path, comments)
}

/// Comments of a file whose comments begin with `#`, on lines of their own.
pub(super) fn check_plain(path: &Path, text: &str) -> Vec<Violation> {
    if !EXTENSIONS.iter().any(|extension| has_extension(path, extension)) {
        return Vec::new();
    }
    let comments = text.lines().map(|line| if line.trim_start().starts_with('#') { line } else { "" });
    check_comments(path, comments)
}

fn check_comments<'a>(path: &Path, comments: impl Iterator<Item = &'a str>) -> Vec<Violation> {
    let found = comments.enumerate().filter_map(|(index, comment)| {
        let word = forbidden(comment)?;
        let what = format!("`{word}` tells a story; say what is true, and why");
        Some(Violation::new(path, index + 1, "words", what))
    });
    found.collect()
}

fn forbidden(comment: &str) -> Option<&'static str> {
    let words: Vec<&str> =
        comment.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    if let Some(word) = WORDS.iter().find(|word| words.contains(word)) {
        return Some(word);
    }
    let lower: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    let pairs = lower.windows(2).enumerate();
    for (at, pair) in pairs {
        let phrase = pair.join(" ");
        if let Some(found) = PHRASES.iter().find(|forbidden| **forbidden == phrase) {
            return Some(found);
        }
        let passive = at > 0 && PASSIVE.contains(&lower[at - 1].as_str());
        if phrase == "used to" && at > 0 && !passive {
            return Some("used to");
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments() {
        for (comment, word) in [
            ("// TODO: x", "TODO"),
            ("/// FIXME", "FIXME"),
            ("// XXX", "XXX"),
            ("// Enough for now.", "for now"),
            ("// It No longer waits.", "no longer"),
            ("// This used to be a list.", "used to"),
        ] {
            assert_eq!(forbidden(comment), Some(word), "{comment}");
        }
        for comment in ["// The key is used to order messages.", "// It waits for nowhere.", "// Todos"] {
            assert_eq!(forbidden(comment), None, "{comment}");
        }
    }

    #[test]
    fn only_comments_count() {
        let rust = RustFile::scan(Path::new("a/src/b.rs"), "f(\"TODO\"); let for_now = 1; // why\n// TODO");
        let lines: Vec<usize> = check_rust(&rust).iter().map(|violation| violation.line).collect();
        assert_eq!(lines, [2]);
        let python = "a = 'TODO'\n# TODO\n";
        assert_eq!(check_plain(Path::new("a.py"), python).len(), 1);
        assert!(check_plain(Path::new("a.txt"), python).is_empty());
    }
}
