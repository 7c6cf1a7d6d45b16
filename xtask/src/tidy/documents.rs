//! Rules of documents: links that lead somewhere, and an architecture that one can read in a sitting.

use super::{Tree, Violation, has_extension};
use std::path::{Component, Path, PathBuf};

const ARCHITECTURE: &str = "docs/architecture.md";
const ARCHITECTURE_LINES: usize = 250;

/// Checks one file of the tree.
pub(super) fn check(tree: &Tree, path: &Path, text: &str) -> Vec<Violation> {
    if !has_extension(path, "md") {
        return Vec::new();
    }
    let mut violations: Vec<Violation> = length(path, text).into_iter().collect();
    for (line, target) in links(text) {
        if leads_nowhere(tree, path, &target) {
            violations.push(Violation::new(path, line, "link", format!("`{target}` leads nowhere")));
        }
    }
    violations
}

fn length(path: &Path, text: &str) -> Option<Violation> {
    let lines = text.lines().count();
    (path == Path::new(ARCHITECTURE) && lines > ARCHITECTURE_LINES).then(|| {
        let what = format!("{lines} lines; it may have {ARCHITECTURE_LINES}");
        Violation::new(path, ARCHITECTURE_LINES + 1, "length", what)
    })
}

/// Targets of inline links with their lines, code left out.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    let mut fenced = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        for rest in prose.split("](").skip(1) {
            let target = rest.split([')', ' ']).next().unwrap_or_default();
            links.push((index + 1, target.to_owned()));
        }
    }
    links
}

fn leads_nowhere(tree: &Tree, from: &Path, target: &str) -> bool {
    let remote = target.contains("://") || target.starts_with("mailto:");
    let file = target.split('#').next().unwrap_or_default();
    if remote || file.is_empty() {
        return false;
    }
    let folder = from.parent().unwrap_or(Path::new(""));
    !resolved(&folder.join(file)).is_some_and(|path| tree.contains(&path))
}

/// The path without `.` and `..`, or nothing when it leaves the tree.
fn resolved(path: &Path) -> Option<PathBuf> {
    let mut result = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => result.push(part),
            Component::CurDir => {}
            Component::ParentDir => {
                if !result.pop() {
                    return None;
                }
            }
            Component::Prefix(_) | Component::RootDir => return None,
        }
    }
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<&'static str> {
        let files = [("docs/a.md", ""), ("graph/src/lib.rs", "")];
        let tree = Tree::new(files.map(|(path, text)| (path.into(), text.to_owned())).to_vec());
        check(&tree, Path::new(path), text).into_iter().map(|violation| violation.rule).collect()
    }

    #[test]
    fn links_resolve() {
        for wrong in ["[a](b.md)", "text [a](../docs/b.md) text", "[a](../../out.md)", "[a](/docs/a.md)"] {
            assert_eq!(rules("docs/x.md", wrong), ["link"], "{wrong}");
        }
        for right in [
            "[a](a.md)",
            "[a](a.md#part)",
            "[a](#part)",
            "[a](../graph/)",
            "[a](../graph/src/lib.rs)",
            "[a](https://example.com/b.md)",
            "`[a](b.md)`",
            "```\n[a](b.md)\n```",
        ] {
            assert_eq!(rules("docs/x.md", right), [""; 0], "{right}");
        }
    }

    #[test]
    fn the_architecture_stays_short() {
        let lines = |count| "line\n".repeat(count);
        assert_eq!(rules(ARCHITECTURE, &lines(ARCHITECTURE_LINES + 1)), ["length"]);
        assert_eq!(rules(ARCHITECTURE, &lines(ARCHITECTURE_LINES)), [""; 0]);
        assert_eq!(rules("docs/other.md", &lines(ARCHITECTURE_LINES + 1)), [""; 0]);
    }
}
