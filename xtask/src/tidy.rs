//! `cargo xtask tidy`: the house rules that a program can check, each violation as `file:line: rule: what`.

mod addresses;
mod arrows;
mod code;
mod documents;
mod names;
mod protocol;
mod scan;
mod words;

use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use scan::RustFile;
use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// A place where a house rule does not hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    file: PathBuf,
    /// Counted from 1; 1 also stands for the file as a whole.
    line: usize,
    rule: &'static str,
    what: String,
}

/// The text files of the tree, by paths relative to its root.
struct Tree {
    files: Vec<(PathBuf, String)>,
    rust: Vec<RustFile>,
}

/// Checks every rule and prints what does not hold.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let tree = Tree::read(workspace)?;
    let mut violations = check(&tree);
    violations.extend(arrows::check(&workspace.packages));
    violations.sort();
    for violation in &violations {
        println!("{violation}");
    }
    if !violations.is_empty() {
        bail!("{} violations of the house rules", violations.len());
    }
    println!("tidy: {} files keep the house rules", tree.files.len());
    Ok(())
}

fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in &tree.files {
        violations.extend(names::check(path));
        violations.extend(addresses::check(path, text));
        violations.extend(documents::check(tree, path, text));
        violations.extend(words::check_plain(path, text));
    }
    for file in &tree.rust {
        violations.extend(code::check(file));
        violations.extend(words::check_rust(file));
    }
    violations.extend(protocol::check(tree));
    violations
}

impl Tree {
    fn read(workspace: &Workspace) -> Result<Self> {
        let mut files = Vec::new();
        for path in workspace.files()? {
            let shown = workspace.root.join(&path);
            let bytes = fs::read(&shown).with_context(|| format!("cannot read {}", shown.display()))?;
            // What is not UTF-8 is a binary fixture, which no rule speaks of; its name still counts as present.
            files.push((path, String::from_utf8(bytes).unwrap_or_default()));
        }
        Ok(Self::new(files))
    }

    fn new(files: Vec<(PathBuf, String)>) -> Self {
        let sources = files.iter().filter(|(path, _)| has_extension(path, "rs"));
        let mut rust: Vec<RustFile> = sources.map(|(path, text)| RustFile::scan(path, text)).collect();
        let modules: BTreeSet<PathBuf> = rust.iter().flat_map(RustFile::test_modules).collect();
        for file in &mut rust {
            if file.path.ancestors().any(|path| modules.contains(&path.with_extension(""))) {
                file.mark_as_test();
            }
        }
        Self { files, rust }
    }

    fn get(&self, path: &Path) -> Option<&str> {
        self.files.iter().find(|(file, _)| file == path).map(|(_, text)| text.as_str())
    }

    /// Whether a file or a folder of this path exists.
    fn contains(&self, path: &Path) -> bool {
        self.files.iter().any(|(file, _)| file.starts_with(path))
    }
}

impl Violation {
    pub(crate) fn new(file: &Path, line: usize, rule: &'static str, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, rule, what: what.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.file.display(), self.line, self.rule, self.what)
    }
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_prints_as_editors_read_it() {
        let violation = Violation::new(Path::new("a/b.rs"), 7, "size", "too long");
        assert_eq!(violation.to_string(), "a/b.rs:7: size: too long");
    }

    #[test]
    fn a_module_declared_for_tests_is_test_code() {
        let files = [
            ("a/src/lib.rs", "//! A.\n#[cfg(test)]\nmod harness;\nmod plain;\n"),
            ("a/src/harness.rs", "fn f() { g().unwrap() }\n"),
            ("a/src/harness/deep.rs", "fn f() { g().unwrap() }\n"),
            ("a/src/plain.rs", "fn f() { g().unwrap() }\n"),
        ];
        let tree = Tree::new(files.map(|(path, text)| (path.into(), text.to_owned())).to_vec());
        let found: Vec<_> = check(&tree).into_iter().filter(|v| v.rule == "unwrap").collect();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].file, Path::new("a/src/plain.rs"));
    }
}
