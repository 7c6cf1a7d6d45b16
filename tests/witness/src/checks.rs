//! What was looked at in a run, and how much of it was wrong.

use serde_json::{Value, json};

/// Counts of what must not be, each with how many were looked at.
#[derive(Clone, Debug, Default)]
pub struct Checks {
    rows: Vec<Row>,
}

#[derive(Clone, Debug)]
struct Row {
    what: &'static str,
    broken: u64,
    of: u64,
    examples: Vec<String>,
}

/// So many examples of each are kept.
const EXAMPLES: usize = 3;
/// So much of an example is shown.
const SHOWN: usize = 1_000;

impl Checks {
    /// Adds to what was looked at; `broken` tells of what is wrong.
    pub fn look(&mut self, what: &'static str, of: usize, broken: Vec<String>) {
        let row = Row { what, broken: broken.len() as u64, of: of as u64, examples: broken };
        self.add_row(row);
    }

    /// Adds what somebody else looked at.
    pub fn add(&mut self, other: Self) {
        other.rows.into_iter().for_each(|row| self.add_row(row));
    }

    fn add_row(&mut self, mut row: Row) {
        row.examples.truncate(EXAMPLES);
        match self.rows.iter_mut().find(|known| known.what == row.what) {
            Some(known) => {
                known.broken += row.broken;
                known.of += row.of;
                known.examples.append(&mut row.examples);
                known.examples.truncate(EXAMPLES);
            }
            None => self.rows.push(row),
        }
    }

    /// Whether all is as it should be.
    pub fn hold(&self) -> bool {
        self.rows.iter().all(|row| row.broken == 0)
    }

    /// A line for each kind of what must not be, and examples of it.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for row in &self.rows {
            let mark = if row.broken == 0 { "" } else { "  <== WRONG" };
            lines.push(format!("{} of {} {}{mark}", row.broken, row.of, row.what));
            let shown = |example: &String| example.chars().take(SHOWN).collect::<String>();
            lines.extend(row.examples.iter().map(|example| format!("    {}", shown(example))));
        }
        lines
    }

    /// The same, for a program.
    pub fn json(&self) -> Value {
        let row = |row: &Row| json!({"what": row.what, "broken": row.broken, "of": row.of, "examples": row.examples});
        self.rows.iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_name_are_added() {
        let mut checks = Checks::default();
        checks.look("calls made again", 3, Vec::new());
        assert!(checks.hold());
        let mut other = Checks::default();
        other.look("calls made again", 4, vec!["one".to_owned()]);
        checks.add(other);
        assert!(!checks.hold());
        assert_eq!(checks.lines()[0], "1 of 7 calls made again  <== WRONG");
    }
}
