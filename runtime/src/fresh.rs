//! Names that are made up for runs.

use std::hash::{BuildHasher as _, RandomState};

use superstep_store::{RunName, StoreError};

/// What an ending is made of: nothing that is taken for another letter.
const LETTERS: [u8; 32] = *b"abcdefghjkmnpqrstuvwxyz023456789";

/// A name for a new run of a graph that no run is likely to have: the graph's and six letters.
///
/// # Errors
/// The name of the graph cannot begin one of a run.
pub fn fresh_name(graph: &str) -> Result<RunName, StoreError> {
    let mut number = RandomState::new().hash_one(std::process::id());
    let mut name = format!("{graph}-");
    for _ in 0..6 {
        let [low, ..] = number.to_le_bytes();
        name.push(char::from(LETTERS[usize::from(low) % LETTERS.len()]));
        number >>= 5;
    }
    name.parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_up_name_is_hardly_made_up_twice() {
        let names: std::collections::BTreeSet<RunName> =
            (0..100).map(|_| fresh_name("triage").unwrap()).collect();
        assert_eq!(names.len(), 100);
        assert!(names.iter().all(|name| name.as_str().starts_with("triage-") && name.as_str().len() == 13));
        assert!(fresh_name("no name").is_err());
    }
}
