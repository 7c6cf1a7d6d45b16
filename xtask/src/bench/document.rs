//! Tables in a document, between marks that say which.

use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// Puts each table between its marks in the document at `path`; what it has no marks for is left out.
pub(super) fn fill(path: &Path, tables: &[(&str, String)]) -> Result<()> {
    let shown = || path.display().to_string();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", shown()))?;
    let filled = tables.iter().fold(text, |text, (name, table)| filled(text, name, table));
    fs::write(path, filled).with_context(|| format!("cannot write {}", shown()))
}

fn filled(text: String, name: &str, table: &str) -> String {
    let (begin, end) = (format!("<!-- table {name} -->\n"), format!("<!-- end {name} -->"));
    let place = text.find(&begin).map(|at| at + begin.len());
    let place = place.and_then(|from| text[from..].find(&end).map(|length| from..from + length));
    let Some(place) = place else { return text };
    format!("{}\n{}\n\n{}", &text[..place.start], table.trim_end(), &text[place.end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_takes_the_place_of_the_one_before() {
        let text =
            "a\n<!-- table t -->\n<!-- end t -->\nb\n<!-- table u -->\nold\n<!-- end u -->\n".to_owned();
        let once = filled(text, "t", "| 1 |\n");
        assert_eq!(
            once,
            "a\n<!-- table t -->\n\n| 1 |\n\n<!-- end t -->\nb\n<!-- table u -->\nold\n<!-- end u -->\n"
        );
        assert_eq!(filled(once.clone(), "t", "| 1 |\n"), once, "as often as one likes");
        assert_eq!(filled(once.clone(), "v", "| 1 |\n"), once);
        assert!(filled(once, "u", "| 2 |\n").contains("<!-- table u -->\n\n| 2 |\n\n<!-- end u -->"));
    }
}
