//! The objects of a run as they lie in the store, read without the code of the store.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::checks::Checks;

/// Where an object has the number of its writer.
const WRITER: std::ops::Range<usize> = 12..28;

/// Who has written objects of the log of a run and of its journals: once another one has written there, whoever was
/// there before writes nothing more. Each leader of a term is a writer of its own, and so is who seals a journal.
pub(super) fn check(checks: &mut Checks, run: &Path) -> Result<()> {
    let mut folders = vec![run.join("log")];
    if run.join("calls").is_dir() {
        folders.extend(within(&run.join("calls"))?);
    }
    let (mut objects, mut stale) = (0, Vec::new());
    for folder in folders {
        let writers = writers(&folder)?;
        objects += writers.len();
        stale.extend(returns(&writers).map(|at| format!("object {at} in {}", folder.display())));
    }
    checks.look("writes taken from who had been replaced", objects, stale);
    Ok(())
}

fn within(folder: &Path) -> Result<Vec<PathBuf>> {
    let read =
        || std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>();
    let mut paths = read().with_context(|| format!("cannot list {}", folder.display()))?;
    paths.sort();
    Ok(paths)
}

fn writers(folder: &Path) -> Result<Vec<Vec<u8>>> {
    let mut writers = Vec::new();
    for path in within(folder)? {
        let named =
            path.file_name().is_some_and(|name| name.as_encoded_bytes().iter().all(u8::is_ascii_digit));
        if !named {
            // What a file system keeps of a write that was cut off is no object.
            continue;
        }
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let writer = bytes.get(WRITER).with_context(|| format!("{} is too short", path.display()))?;
        writers.push(writer.to_owned());
    }
    Ok(writers)
}

/// The places at which a writer comes back after another one.
fn returns(writers: &[Vec<u8>]) -> impl Iterator<Item = usize> {
    let is_back =
        |at: usize| at > 0 && writers[at] != writers[at - 1] && writers[..at].contains(&writers[at]);
    (0..writers.len()).filter(move |at| is_back(*at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_back_is_found() {
        let of = |text: &str| -> Vec<Vec<u8>> { text.bytes().map(|byte| vec![byte]).collect() };
        for (text, expected) in [("", vec![]), ("aabbc", vec![]), ("aabac", vec![3]), ("abab", vec![2, 3])] {
            assert_eq!(returns(&of(text)).collect::<Vec<_>>(), expected, "{text}");
        }
    }
}
