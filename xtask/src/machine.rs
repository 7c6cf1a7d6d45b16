//! What the machine must have: root, Debian's packages, Go.

use crate::process::{capture, run_aside};
use anyhow::{Context, Result, bail};
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A package, and the program or file that shows it is there.
type Package = (&'static str, &'static str);

/// What the cluster needs beside what is built.
pub(crate) const CLUSTER: [Package; 6] = [
    ("containerd", "containerd"),
    ("runc", "runc"),
    ("containernetworking-plugins", "/usr/lib/cni/ptp"),
    ("iptables", "iptables"),
    ("ipset", "ipset"),
    ("iproute2", "ip"),
];

/// What puts images together.
pub(crate) const IMAGES: [Package; 2] = [("buildah", "buildah"), ("ca-certificates", CERTIFICATES)];

/// What compiles C and C++.
pub(crate) const COMPILER: [Package; 3] = [("cmake", "cmake"), ("g++", "g++"), ("make", "make")];

/// The folder of the certificates that Debian trusts.
pub(crate) const CERTIFICATES: &str = "/usr/share/ca-certificates/mozilla";

/// The first Go that the pinned modules build with.
const GO: (u32, u32) = (1, 24);

/// Where programs for administrators are, which not every PATH has.
const SYSTEM_FOLDERS: [&str; 2] = ["/usr/sbin", "/sbin"];

/// Fails unless this process may make namespaces and mounts.
pub(crate) fn require_root() -> Result<()> {
    if fs::metadata("/proc/self")?.uid() != 0 {
        bail!("this needs root: a cluster makes namespaces, mounts and control groups");
    }
    Ok(())
}

/// Installs those packages that are not there.
pub(crate) fn install(packages: &[Package]) -> Result<()> {
    let path = env::var_os("PATH").unwrap_or_default();
    let absent = absent(packages, &path);
    if absent.is_empty() {
        return Ok(());
    }
    let names = absent.join(" ");
    if find("apt-get", &path).is_none() {
        bail!("install what Debian calls {names}; there is no apt-get here to do so");
    }
    require_root().with_context(|| format!("cannot install {names}"))?;
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(["-qq", "--yes"]).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        run_aside(&mut command)
    };
    apt(&["update"])?;
    apt(&[&["install", "--no-install-recommends"], &absent[..]].concat())
        .with_context(|| format!("cannot install {names}"))
}

/// Fails, and says what to do, unless there is a Go that can build the programs.
pub(crate) fn require_go() -> Result<()> {
    let told = capture(Command::new("go").args(["env", "GOVERSION"]));
    let told = told.context(
        "there is no Go to build Kubernetes with; install Go 1.26, or set KUBECONFIG to use a cluster",
    )?;
    match version(&told) {
        Some(found) if found >= GO => Ok(()),
        Some(_) | None => {
            bail!("Kubernetes builds with Go {}.{} or later, not with {}", GO.0, GO.1, told.trim())
        }
    }
}

/// Reads `go1.26.8`.
fn version(told: &str) -> Option<(u32, u32)> {
    let mut numbers = told.trim().strip_prefix("go")?.split(['.', 'r', 'b', '-', ' ']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn absent(packages: &[Package], path: &OsStr) -> Vec<&'static str> {
    let absent = packages.iter().filter(|(_, shown)| find(shown, path).is_none());
    absent.map(|(name, _)| *name).collect()
}

/// A program in these folders or in those for administrators; a name with a slash is the file itself.
fn find(name: &str, path: &OsStr) -> Option<PathBuf> {
    let folders = env::split_paths(path).chain(SYSTEM_FOLDERS.map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|file| Path::new(file).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_go() {
        for (told, expected) in [
            ("go1.26.8\n", Some((1, 26))),
            ("go1.27rc1", Some((1, 27))),
            ("go1.21", Some((1, 21))),
            ("devel", None),
        ] {
            assert_eq!(version(told), expected, "{told}");
        }
    }

    #[test]
    fn only_what_is_absent_is_installed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("present"), "").unwrap();
        let packages = [("a", "present"), ("b", "no-such-program"), ("c", "/no/such/file")];
        assert_eq!(absent(&packages, folder.path().as_os_str()), ["b", "c"]);
    }
}
