//! The names of runs of a cluster among those of their workers.

/// The longest part that an object's name gives: with the rest it is a name that stores take.
const LONGEST: usize = 110;

/// The name by which workers know the run of a `GraphRun`, of its name and the first digits of its uid: another object of
/// the same name is another run.
pub fn run_name(name: &str, uid: &str) -> String {
    let short = name[..name.len().min(LONGEST)].trim_end_matches(['-', '.']);
    let uid: String = uid.chars().filter(char::is_ascii_hexdigit).take(8).collect();
    format!("{short}.{uid}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_objects_and_differ_when_these_do() {
        assert_eq!(run_name("triage-x7k2p", "0a1b2c3d-4e5f-6789"), "triage-x7k2p.0a1b2c3d");
        let long = run_name(&"a".repeat(253), "0a1b2c3d-4e5f");
        assert!(long.len() <= 128 && long.ends_with("a.0a1b2c3d"));
    }
}
