//! The kernel's settings that a kubelet changes for the whole machine, and that are given back.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// The file in the state folder that holds them as they were.
pub(super) const FILE: &str = "settings.json";

const CHANGED: [&str; 6] = [
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
];

/// Writes down what they are, those that this kernel has.
pub(super) fn save(file: &Path, root: &Path) -> Result<()> {
    let mut found = BTreeMap::new();
    for name in CHANGED {
        match fs::read_to_string(root.join(name)) {
            Ok(value) => drop(found.insert(name, value)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read the setting {name}")),
        }
    }
    fs::write(file, serde_json::to_string(&found)?)
        .with_context(|| format!("cannot write {}", file.display()))
}

/// Gives back what was written down, if anything was.
pub(super) fn restore(file: &Path, root: &Path) -> Result<()> {
    if !file.exists() {
        return Ok(());
    }
    let saved: BTreeMap<String, String> = serde_json::from_str(&fs::read_to_string(file)?)?;
    for (name, value) in saved {
        let path = root.join(&name);
        if fs::read_to_string(&path)? != value {
            fs::write(&path, value).with_context(|| format!("cannot give back the setting {name}"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let (root, file) = (folder.path(), folder.path().join(FILE));
        fs::create_dir_all(root.join("kernel")).unwrap();
        fs::create_dir_all(root.join("vm")).unwrap();
        fs::write(root.join("kernel/panic"), "0\n").unwrap();
        fs::write(root.join("vm/overcommit_memory"), "0\n").unwrap();
        save(&file, root).unwrap();
        fs::write(root.join("vm/overcommit_memory"), "1\n").unwrap();
        restore(&file, root).unwrap();
        assert_eq!(fs::read_to_string(root.join("vm/overcommit_memory")).unwrap(), "0\n");
        assert!(!root.join("kernel/panic_on_oops").exists());
    }

    #[test]
    fn nothing_saved_is_nothing_given_back() {
        restore(Path::new("/no/such/file"), Path::new("/no/such/folder")).unwrap();
    }
}
