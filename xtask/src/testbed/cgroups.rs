//! The control groups of pods: all below one of our own, in each hierarchy.

use anyhow::{Context, Result};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The group that the kubelet works below.
pub(super) const NAME: &str = "superstep-testbed";
/// The controllers that a kubelet needs, where one hierarchy has them all.
const CONTROLLERS: [&str; 4] = ["cpu", "cpuset", "memory", "pids"];
/// How long processes that were killed may stay in their groups.
const PATIENCE: Duration = Duration::from_secs(120);

/// A mounted hierarchy. Containers are put into all of them, also into those that control nothing.
#[derive(Debug, PartialEq, Eq)]
struct Hierarchy {
    place: PathBuf,
    /// The only one, of the second version, with all controllers.
    unified: bool,
}

/// Makes our group in each hierarchy.
pub(super) fn create() -> Result<()> {
    for hierarchy in hierarchies()? {
        if hierarchy.unified {
            let enabled = CONTROLLERS.map(|name| format!("+{name}")).join(" ");
            let file = hierarchy.place.join("cgroup.subtree_control");
            fs::write(&file, enabled).with_context(|| format!("cannot write {}", file.display()))?;
        }
        let group = hierarchy.place.join(NAME);
        fs::create_dir_all(&group).with_context(|| format!("cannot make {}", group.display()))?;
    }
    Ok(())
}

/// Takes our group away, with those below it.
pub(super) fn remove() -> Result<()> {
    for hierarchy in hierarchies()? {
        remove_tree(&hierarchy.place.join(NAME), Instant::now() + PATIENCE)?;
    }
    Ok(())
}

/// The files in a group are the kernel's: only folders are removed, the innermost first.
fn remove_tree(group: &Path, deadline: Instant) -> Result<()> {
    let entries = match fs::read_dir(group) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot list {}", group.display())),
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path(), deadline)?;
        }
    }
    loop {
        match fs::remove_dir(group) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy && Instant::now() < deadline => {
                sleep(Duration::from_millis(20));
            }
            ended => return ended.with_context(|| format!("cannot remove {}", group.display())),
        }
    }
}

fn hierarchies() -> Result<Vec<Hierarchy>> {
    Ok(mounted(&fs::read_to_string("/proc/self/mounts")?))
}

/// The hierarchies in a table of mounts. Beside those of the first version, one of the second has no controller.
fn mounted(table: &str) -> Vec<Hierarchy> {
    let lines = table.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let mounts: Vec<_> =
        lines.filter(|words| words.len() > 2 && matches!(words[2], "cgroup" | "cgroup2")).collect();
    let unified = mounts.iter().all(|words| words[2] == "cgroup2");
    mounts.iter().map(|words| Hierarchy { place: words[1].into(), unified }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hierarchy(place: &str, unified: bool) -> Hierarchy {
        Hierarchy { place: place.into(), unified }
    }

    #[test]
    fn both_versions() {
        let first = "tmpfs /sys/fs/cgroup tmpfs rw,mode=755 0 0\n\
            cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
            cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n\
            cgroup /sys/fs/cgroup/systemd cgroup rw,name=systemd 0 0\n\
            cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let expected = ["cpu", "memory", "systemd", "unified"];
        let expected = expected.map(|name| hierarchy(&format!("/sys/fs/cgroup/{name}"), false));
        assert_eq!(mounted(first), expected);
        let second = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n";
        assert_eq!(mounted(second), [hierarchy("/sys/fs/cgroup", true)]);
    }

    #[test]
    fn groups_go_from_the_innermost_on() {
        let folder = tempfile::tempdir().unwrap();
        let group = folder.path().join(NAME);
        fs::create_dir_all(group.join("pods/one")).unwrap();
        fs::create_dir_all(group.join("pods/two")).unwrap();
        remove_tree(&group, Instant::now()).unwrap();
        assert!(!group.exists());
        remove_tree(&group, Instant::now()).unwrap();
    }
}
