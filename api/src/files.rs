//! The texts that a user names.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::source::Source;

/// The path that stands for the standard input.
pub const STDIN: &str = "-";

/// The texts at `paths`, in this order: files, all YAML and JSON files below folders in the order of
/// their names (what is hidden is passed over), and for `-` what `stdin` gives. What cannot be read
/// is reported, and the rest is read all the same.
pub fn read_paths(paths: &[PathBuf], stdin: &mut dyn Read) -> (Vec<Arc<Source>>, Vec<Diagnostic>) {
    let mut sources = Vec::new();
    let mut diagnostics = Vec::new();
    for path in paths {
        if path.as_os_str() == STDIN {
            keep("<stdin>", true, io::read_to_string(&mut *stdin), &mut sources, &mut diagnostics);
        } else if path.is_dir() {
            let mut files = Vec::new();
            if let Err(error) = list(path, &mut files) {
                diagnostics.push(unreadable(&path.display().to_string(), &error));
            }
            if files.is_empty() {
                let message = format!("folder {} has no .yaml, .yml or .json file", path.display());
                diagnostics.push(Diagnostic::error_without_place(message));
            }
            for file in files {
                keep(
                    &file.display().to_string(),
                    false,
                    std::fs::read_to_string(&file),
                    &mut sources,
                    &mut diagnostics,
                );
            }
        } else {
            keep(
                &path.display().to_string(),
                true,
                std::fs::read_to_string(path),
                &mut sources,
                &mut diagnostics,
            );
        }
    }
    (sources, diagnostics)
}

fn keep(
    name: &str,
    named: bool,
    text: io::Result<String>,
    sources: &mut Vec<Arc<Source>>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    match text {
        Ok(text) => sources.push(Arc::new(Source { name: name.to_owned(), text, named })),
        Err(error) => diagnostics.push(unreadable(name, &error)),
    }
}

fn unreadable(name: &str, error: &io::Error) -> Diagnostic {
    let kind = error.kind();
    let reason = if kind == io::ErrorKind::NotFound {
        "it does not exist".to_owned()
    } else if kind == io::ErrorKind::InvalidData {
        "it is no UTF-8 text".to_owned()
    } else {
        error.to_string()
    };
    Diagnostic::error_without_place(format!("cannot read {name}: {reason}"))
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut entries = std::fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        // A link to a folder is not followed, for it may lead back to where it stands.
        if entry.file_type()?.is_dir() {
            list(&path, files)?;
        } else if path.extension().is_some_and(|end| end == "yaml" || end == "yml" || end == "json")
            && path.is_file()
        {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_read_in_the_order_of_names_and_what_is_missing_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("b.yaml", "b"),
            ("a.json", "a"),
            (".hidden.yaml", "no"),
            ("notes.txt", "no"),
            ("sub/c.yml", "c"),
        ] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        std::fs::create_dir(folder.path().join(".git")).unwrap();
        std::fs::write(folder.path().join(".git/x.yaml"), "no").unwrap();
        let paths = [folder.path().to_owned(), folder.path().join("none.yaml"), PathBuf::from("-")];
        let (sources, diagnostics) = read_paths(&paths, &mut "in".as_bytes());
        let texts: Vec<&str> = sources.iter().map(|source| source.text.as_str()).collect();
        assert_eq!(texts, ["a", "b", "c", "in"]);
        assert_eq!(diagnostics.len(), 1);
        assert!(diagnostics[0].message.contains("none.yaml: it does not exist"), "{}", diagnostics[0]);
    }
}
