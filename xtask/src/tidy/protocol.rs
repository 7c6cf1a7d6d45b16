//! Every rule of the protocol has a test, and the protocol names it; tests that other documents name exist too.

use super::{Tree, Violation};
use std::collections::BTreeSet;
use std::path::Path;

const PROTOCOL: &str = "docs/protocol.md";
const RULES: usize = 35;
/// Documents that say by which tests something is held.
const DOCUMENTS: [&str; 4] = ["README.md", "docs/architecture.md", "docs/guarantees.md", "fuzz/README.md"];
/// How many words a name in them has at least that is that of a test: fields and functions have fewer.
const WORDS: usize = 4;

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
        violations.extend(absent.map(|(line, name)| violation(*line, absence(name))));
    }
    violations.extend(DOCUMENTS.iter().flat_map(|document| documented(tree, Path::new(document), &known)));
    violations
}

fn absence(name: &str) -> String {
    format!("there is no test `{name}`")
}

/// The tests that a document names and that are not there.
fn documented(tree: &Tree, path: &Path, known: &BTreeSet<String>) -> Vec<Violation> {
    let lines = tree.get(path).unwrap_or_default().lines().enumerate();
    let names = lines.flat_map(|(index, line)| {
        let names = line.split('`').skip(1).step_by(2);
        names.filter(|name| is_long(name) && !exists(known, name)).map(move |name| (index + 1, name))
    });
    names.map(|(line, name)| Violation::new(path, line, "protocol", absence(name))).collect()
}

/// Whether it is a name of as many words as tests have.
fn is_long(name: &str) -> bool {
    let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    is_name && name.split('_').count() >= WORDS
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
    fn tests_that_other_documents_name_are_looked_for() {
        let found = |line: &str| {
            let files = [
                (PROTOCOL, whole("Tests: `owes`")),
                ("docs/architecture.md", format!("# A\n{line}\n")),
                (
                    "engine/src/join.rs",
                    "#[cfg(test)]\nmod tests {\n    fn owes() {}\n    fn it_owes_no_more() {}\n}\n"
                        .to_owned(),
                ),
            ];
            let tree = Tree::new(files.map(|(path, text)| (path.into(), text)).to_vec());
            check(&tree).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        for right in ["`it_owes_no_more`, `owes`", "`judge_mutations`", "`it_owes_no_more", "it_is_no_test"] {
            assert_eq!(found(right), [""; 0], "{right}");
        }
        let wrong = found("| a | `it_owes_no_more`, `it_owes_much_more` |");
        assert_eq!(wrong, ["docs/architecture.md:2: protocol: there is no test `it_owes_much_more`"]);
    }

    #[test]
    fn missing_rules_are_found() {
        let short = whole("Tests: `owes`").replace("## 34. Title", "Title");
        assert_eq!(violations(&short), ["1: rule 34 has no heading `## 34. …`"]);
        let tree = Tree::new(Vec::new());
        assert_eq!(check(&tree).len(), 1);
    }
}
