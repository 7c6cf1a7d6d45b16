//! Addresses that hold on one machine only.

use super::Violation;
use std::path::Path;

/// Parts of addresses of package registries and mirrors, and folders of a particular machine.
///
/// Each is written in two halves, so that this file does not hold what it looks for.
const FORBIDDEN: [&str; 12] = [
    concat!("artif", "actory"),
    concat!("index.crates", ".io"),
    concat!("static.crates", ".io"),
    concat!("pypi.org", "/simple"),
    concat!("files.python", "hosted.org"),
    concat!("registry.npm", "js.org"),
    concat!("--index", "-url"),
    concat!("--extra-index", "-url"),
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/Use", "rs/"),
];

/// A tracked file names no registry and no folder of one machine.
pub(super) fn check(path: &Path, text: &str) -> Vec<Violation> {
    if path == Path::new("Cargo.lock") {
        return Vec::new();
    }
    let mut violations = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let found = FORBIDDEN.iter().filter(|address| holds(line, address));
        violations.extend(found.map(|address| {
            let what = format!("`{address}` holds on one machine only");
            Violation::new(path, index + 1, "address", what)
        }));
    }
    violations
}

/// A folder counts where a path begins, not in the middle of a longer one.
fn holds(line: &str, address: &str) -> bool {
    line.match_indices(address).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let inside = before.is_some_and(|c| c.is_alphanumeric() || "_-.}~".contains(c));
        !address.starts_with('/') || !inside
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let count = |text: &str| check(Path::new("a.toml"), text).len();
        assert_eq!(count(&format!("url = \"https://{}\"", FORBIDDEN[1])), 1);
        assert_eq!(count(&format!("path = \"{}main\"", FORBIDDEN[8])), 1);
        assert_eq!(count(&format!("path = \"${{X}}{}main\"", FORBIDDEN[8])), 0);
        assert_eq!(count("path = \"graph\"\nrepository = \"https://example.com/x\""), 0);
        assert_eq!(check(Path::new("Cargo.lock"), FORBIDDEN[1]).len(), 0);
    }
}
