//! The files that every image has beside its binary.

use crate::machine;
use anyhow::{Context, Result, bail};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The user that the Dockerfile names, so that programs which ask find a name and a home.
const USERS: &str = "root:x:0:0:root:/:/sbin/nologin\nsuperstep:x:65532:65532:superstep:/tmp:/sbin/nologin\n";
const GROUPS: &str = "root:x:0:\nsuperstep:x:65532:\n";

/// Writes them below `root` in this folder.
pub(super) fn prepare(folder: &Path) -> Result<()> {
    let root = folder.join("root");
    let write = |file: &str, text: &str| {
        let path = root.join(file);
        let parent = path.parent().unwrap_or(&root);
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    write("etc/passwd", USERS)?;
    write("etc/group", GROUPS)?;
    write("etc/nsswitch.conf", "hosts: files dns\n")?;
    write("etc/ssl/certs/ca-certificates.crt", &authorities(Path::new(machine::CERTIFICATES))?)?;
    let temporary = root.join("tmp");
    fs::create_dir_all(&temporary)?;
    fs::set_permissions(&temporary, Permissions::from_mode(0o1777))?;
    Ok(())
}

/// The certificates of the package, in the order of their names; those that this machine trusts beside stay here.
fn authorities(folder: &Path) -> Result<String> {
    let shown = || format!("cannot read {}", folder.display());
    let entries = fs::read_dir(folder).with_context(shown)?.collect::<std::io::Result<Vec<_>>>()?;
    let mut paths: Vec<_> = entries.iter().map(fs::DirEntry::path).collect();
    paths.sort();
    let mut bundle = String::new();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "crt")) {
        bundle.push_str(&fs::read_to_string(path).with_context(shown)?);
    }
    if bundle.is_empty() {
        bail!("{} holds no certificate", folder.display());
    }
    Ok(bundle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_stand_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("b.crt", "B\n"), ("a.crt", "A\n"), ("c.txt", "C\n")] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        assert_eq!(authorities(folder.path()).unwrap(), "A\nB\n");
        let empty = tempfile::tempdir().unwrap();
        assert!(authorities(empty.path()).is_err());
    }
}
