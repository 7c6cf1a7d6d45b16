//! Every rule of the protocol has a test, and the protocol names it.

use super::{Tree, Violation};
use std::collections::BTreeSet;
use std::path::Path;

const PROTOCOL: &str = "docs/protocol.md";
const RULES: usize = 34;

/// What the protocol says about one rule.
struct Section {
    number: usize,
    line: usize,
    /// Names in backticks on its lines that begin with `Tests:`, each with its line.
    tests: Vec<(usize, String)>,
}

/// Each of the rules has a heading `## N. …` with a line `Tests:` under it that names tests of this tree.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let path = Path::new(PROTOCOL);
    let violation = |line, what: String| Violation::new(path, line, "protocol", what);
    let Some(text) = tree.get(path) else {
        return vec![violation(1, "this document is missing".to_owned())];
    };
    let sections = sections(text);
    let known = known_tests(tree);
    let mut violations = Vec::new();
    for number in 1..=RULES {
        if !sections.iter().any(|section| section.number == number) {
            violations.push(violation(1, format!("rule {number} has no heading `## {number}. …`")));
        }
    }
    for section in &sections {
        if section.tests.is_empty() {
            let what = format!("rule {} has no line `Tests:` that names a test", section.number);
            violations.push(violation(section.line, what));
        }
        let absent = section.tests.iter().filter(|(_, name)| !exists(&known, name));
        violations.extend(absent.map(|(line, name)| violation(*line, format!("there is no test `{name}`"))));
    }
    violations
}

fn sections(text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.starts_with('#') {
            let title = line.trim_start_matches('#').trim();
            if let Some(number) = title.split_once(". ").and_then(|(number, _)| number.parse().ok()) {
                sections.push(Section { number, line: index + 1, tests: Vec::new() });
            }
        } else if let (Some(section), Some(names)) = (sections.last_mut(), line.trim().strip_prefix("Tests:"))
        {
            let names = names.split('`').skip(1).step_by(2);
            section.tests.extend(names.map(|name| (index + 1, name.to_owned())));
        }
    }
    sections
}

/// Names of the functions in test code, and of the files under `testdata`.
fn known_tests(tree: &Tree) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for file in &tree.rust {
        for line in file.lines.iter().filter(|line| line.test) {
            for rest in line.code.split("fn ").skip(1) {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                known.insert(rest[..end].to_owned());
            }
        }
    }
    let transcripts = tree.files.iter().filter(|(path, _)| path.iter().any(|part| part == "testdata"));
    known.extend(transcripts.map(|(path, _)| path.to_string_lossy().into_owned()));
    known
}

/// A test may be named with the path of its module, a transcript by its file or any end of its path.
fn exists(known: &BTreeSet<String>, name: &str) -> bool {
    let function = name.rsplit("::").next().unwrap_or(name);
    known.contains(function) || known.iter().any(|path| Path::new(path).ends_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(protocol: &str) -> Vec<String> {
        let files = [
            (PROTOCOL, protocol),
            ("engine/src/join.rs", "fn plain() {}\n#[cfg(test)]\nmod tests {\n    fn owes() {}\n}\n"),
            ("engine/testdata/join.txt", "x"),
        ];
        let tree = Tree::new(files.map(|(path, text)| (path.into(), text.to_owned())).to_vec());
        check(&tree).into_iter().map(|violation| format!("{}: {}", violation.line, violation.what)).collect()
    }

    fn whole(tests: &str) -> String {
        (1..=RULES).map(|number| format!("## {number}. Title\nText.\n{tests}\n")).collect()
    }

    #[test]
    fn a_whole_protocol() {
        for tests in ["Tests: `owes`", "Tests: `join::tests::owes`, `join.txt`", "Tests: `testdata/join.txt`"]
        {
            assert_eq!(violations(&whole(tests)), [""; 0], "{tests}");
        }
    }

    #[test]
    fn rules_without_tests_are_found() {
        assert_eq!(violations(&whole("")).len(), RULES);
        assert_eq!(violations(&whole("Tests: owes")).len(), RULES);
        assert_eq!(violations(&whole("Tests: `absent`")).len(), RULES);
        assert_eq!(violations(&whole("Tests: `plain`")).len(), RULES, "a function that is no test");
    }

    #[test]
    fn missing_rules_are_found() {
        let short = whole("Tests: `owes`").replace("## 34. Title", "Title");
        assert_eq!(violations(&short), ["1: rule 34 has no heading `## 34. …`"]);
        let tree = Tree::new(Vec::new());
        assert_eq!(check(&tree).len(), 1);
    }
}
