//! The services of `proto/`: what was said once is understood for ever.
//!
//! The baseline is what the `.proto` files said when `cargo xtask generate` last wrote it, without their comments. A
//! change that it does not understand is refused here, and by `generate` unless it is told that the protocol breaks.

mod breaks;
mod enumeration;
mod field;
mod lint;
mod message;
mod reserved;
mod schema;
mod service;
#[cfg(test)]
mod tiny;

use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use breaks::Break;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A `FileDescriptorSet` of our own files, sorted by name, without source info.
pub(crate) const BASELINE: &str = "proto/superstep.v1.binpb";

/// Where imports are looked up, relative to the root.
const FOLDER: &str = "proto";

/// How the `.proto` files stand to the baseline.
#[derive(Debug, PartialEq)]
enum Standing {
    Fresh,
    /// They say more, and nothing otherwise.
    Old,
    Broken(Vec<Break>),
    /// There is no baseline.
    Missing,
}

/// Checks the `.proto` files themselves, and compares them with the baseline.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let compiled = compile(&workspace.root, &sources(workspace)?)?;
    let violations = lint::check(&compiled, Path::new(FOLDER));
    violations.iter().for_each(|violation| println!("{violation}"));
    let lint =
        (!violations.is_empty()).then(|| format!("{} violations of the rules of style", violations.len()));
    let standing = standing(&workspace.root, &without_source(&compiled))?;
    let problems: Vec<String> = lint.into_iter().chain(standing.problem()).collect();
    if !problems.is_empty() {
        bail!("{}", problems.join("; "));
    }
    println!("protocol: {} files say what {BASELINE} says", compiled.file.len());
    Ok(())
}

/// Whether the baseline says exactly what the `.proto` files say.
pub(crate) fn is_fresh(workspace: &Workspace) -> Result<bool> {
    let compiled = compile(&workspace.root, &sources(workspace)?)?;
    Ok(standing(&workspace.root, &without_source(&compiled))? == Standing::Fresh)
}

/// Writes the baseline if it is old; one that breaks with the old one, or the first one, only if `breaking`.
pub(crate) fn renew(workspace: &Workspace, breaking: bool) -> Result<()> {
    let compiled = without_source(&compile(&workspace.root, &sources(workspace)?)?);
    let standing = standing(&workspace.root, &compiled)?;
    let allowed = match &standing {
        Standing::Fresh => return Ok(()),
        Standing::Old => true,
        Standing::Broken(_) | Standing::Missing => breaking,
    };
    if let Some(problem) = standing.problem().filter(|_| !allowed) {
        bail!(problem);
    }
    let path = workspace.root.join(BASELINE);
    fs::write(&path, compiled.encode_to_vec()).with_context(|| format!("cannot write {BASELINE}"))?;
    println!("wrote {BASELINE}");
    Ok(())
}

impl Standing {
    /// What is wrong, each break on a line, and what to do.
    fn problem(&self) -> Option<String> {
        const ANYWAY: &str = "`cargo xtask generate --break-protocol`";
        match self {
            Self::Fresh => None,
            Self::Old => Some(format!("{BASELINE} is old; `cargo xtask generate` writes it again")),
            Self::Missing => Some(format!("there is no {BASELINE} to compare with; {ANYWAY} writes one")),
            Self::Broken(breaks) => {
                let lines: String = breaks.iter().map(|found| format!("\n  {found}")).collect();
                Some(format!(
                    "not understood by those who speak {BASELINE}; if nobody does, {ANYWAY}:{lines}"
                ))
            }
        }
    }
}

fn standing(root: &Path, compiled: &FileDescriptorSet) -> Result<Standing> {
    let path = root.join(BASELINE);
    if !path.try_exists().with_context(|| format!("cannot look for {BASELINE}"))? {
        return Ok(Standing::Missing);
    }
    let bytes = fs::read(path).with_context(|| format!("cannot read {BASELINE}"))?;
    let baseline = FileDescriptorSet::decode(bytes.as_slice())
        .with_context(|| format!("{BASELINE} is no descriptor set"))?;
    let breaks = breaks::between(&baseline, compiled);
    Ok(match (breaks.is_empty(), baseline == *compiled) {
        (false, _) => Standing::Broken(breaks),
        (true, true) => Standing::Fresh,
        (true, false) => Standing::Old,
    })
}

/// The `.proto` files, relative to the root, sorted.
fn sources(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let mut files = workspace.files()?;
    files.retain(|path| path.starts_with(FOLDER) && path.extension().is_some_and(|found| found == "proto"));
    Ok(files)
}

/// Compiles files of ours; what others wrote, and ours import, is not in the result.
fn compile(root: &Path, files: &[PathBuf]) -> Result<FileDescriptorSet> {
    let mut compiler = protox::Compiler::new([root.join(FOLDER)])?;
    compiler.include_source_info(true);
    for file in files {
        // Only the long form of this error says the line.
        let opened = compiler.open_file(root.join(file)).map(|_| ());
        opened.map_err(|error| anyhow::anyhow!("{} does not compile: {error:?}", file.display()))?;
    }
    let mut set = compiler.file_descriptor_set();
    set.file.sort_by(|a, b| a.name().cmp(b.name()));
    Ok(set)
}

fn without_source(set: &FileDescriptorSet) -> FileDescriptorSet {
    let mut set = set.clone();
    set.file.iter_mut().for_each(|file| file.source_code_info = None);
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "proto/superstep/v1/a.proto";

    /// A workspace that has this one file.
    fn workspace(folder: &Path, text: &str) -> Workspace {
        let path = folder.join(FILE);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, tiny::file(text)).unwrap();
        Workspace { root: folder.to_owned(), target: folder.join("target"), packages: Vec::new() }
    }

    fn failure(result: Result<()>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn the_committed_baseline_says_what_the_files_say() {
        let workspace = Workspace::load().unwrap();
        let compiled = compile(&workspace.root, &sources(&workspace).unwrap()).unwrap();
        assert_eq!(standing(&workspace.root, &without_source(&compiled)).unwrap(), Standing::Fresh);
        assert_eq!(lint::check(&compiled, Path::new(FOLDER)), []);
        let written = fs::read(workspace.root.join(BASELINE)).unwrap();
        assert_eq!(written, without_source(&compiled).encode_to_vec());
    }

    #[test]
    fn a_baseline_follows_what_is_added_and_nothing_that_breaks() {
        let folder = tempfile::tempdir().unwrap();
        let first = workspace(folder.path(), "// A.\nmessage A {\n  // B.\n  string b = 1;\n}\n");
        assert!(failure(check(&first)).contains("there is no"));
        assert!(failure(renew(&first, false)).contains("--break-protocol"));
        renew(&first, true).unwrap();
        check(&first).unwrap();
        assert!(is_fresh(&first).unwrap());

        let more = "// A.\nmessage A {\n  // B.\n  string b = 1;\n  // C.\n  string c = 2;\n}\n";
        let grown = workspace(folder.path(), more);
        assert!(failure(check(&grown)).contains("is old"));
        assert!(!is_fresh(&grown).unwrap());
        renew(&grown, false).unwrap();
        check(&grown).unwrap();

        let broken = workspace(folder.path(), "// A.\nmessage A {\n  // B.\n  string b = 1;\n}\n");
        let before = fs::read(folder.path().join(BASELINE)).unwrap();
        for error in [failure(check(&broken)), failure(renew(&broken, false))] {
            assert!(error.contains("field superstep.v1.A.c = 2: was removed"), "{error}");
        }
        assert_eq!(fs::read(folder.path().join(BASELINE)).unwrap(), before);
        renew(&broken, true).unwrap();
        check(&broken).unwrap();
    }

    #[test]
    fn comments_do_not_change_the_baseline() {
        let folder = tempfile::tempdir().unwrap();
        renew(&workspace(folder.path(), "// A.\nmessage A {}\n"), true).unwrap();
        let other = workspace(folder.path(), "\n// Another\n// comment.\nmessage A {}\n");
        assert!(is_fresh(&other).unwrap());
    }

    #[test]
    fn what_does_not_compile_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let wrong = workspace(folder.path(), "message A { Absent a = 1; }\n");
        let error = failure(check(&wrong));
        assert!(error.contains("superstep/v1/a.proto:4:"), "{error}");
    }
}
