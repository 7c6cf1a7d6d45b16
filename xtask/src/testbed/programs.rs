//! Kubernetes' programs, built from pinned Go modules into the user's cache.

use super::SOURCES;
use crate::cache;
use crate::images;
use crate::machine;
use crate::process::run_aside;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// The version of Kubernetes that go.mod pins.
pub(crate) const KUBERNETES: &str = "1.34.4";

/// The version of Helm that go.mod pins.
pub(crate) const HELM: &str = "v3.17.4";

/// Its program.
const HELM_PROGRAM: &str = "helm.sh/helm/v3/cmd/helm";

/// Names by which the one program of `tests/e2e/testbed` is called.
const LINKS: [&str; 9] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
    "kubelet",
    "names",
    "policies",
];

/// What of the sources decides what is built.
const INPUTS: [&str; 10] = [
    "go.mod",
    "go.sum",
    "hold.go",
    "identities.go",
    "main.go",
    "names.go",
    "pause/Dockerfile",
    "pause/main.go",
    "policies.go",
    "tools.go",
];

/// The folder of the programs.
pub(super) struct Programs {
    pub(super) folder: PathBuf,
}

impl Programs {
    /// Those that were built.
    pub(super) fn find(workspace: &Workspace) -> Result<Self> {
        let folder = place(workspace)?;
        if !folder.is_dir() {
            bail!("the programs are not built; `cargo xtask testbed build` does so");
        }
        Ok(Self { folder })
    }

    pub(super) fn command(&self, name: &str) -> Command {
        Command::new(self.folder.join(name))
    }

    /// kubectl as an administrator of this cluster.
    pub(super) fn kubectl(&self, kubeconfig: &Path) -> Command {
        let mut command = self.command("kubectl");
        command.arg("--kubeconfig").arg(kubeconfig);
        command
    }

    /// The archive of the image that holds a pod's namespaces.
    pub(super) fn pause(&self) -> PathBuf {
        self.folder.join("pause.tar")
    }
}

/// Builds them, unless this version of them is in the cache, and installs what they need beside.
pub(super) fn build(workspace: &Workspace) -> Result<Programs> {
    machine::require_root()?;
    machine::install(&machine::CLUSTER)?;
    let folder = place(workspace)?;
    if folder.is_dir() {
        return Ok(Programs { folder });
    }
    machine::require_go()?;
    machine::install(&machine::IMAGES)?;
    let start = Instant::now();
    let sources = workspace.root.join(SOURCES);
    let partial = PathBuf::from(format!("{}.partial", folder.display()));
    fs::create_dir_all(&partial).with_context(|| format!("cannot make {}", partial.display()))?;
    compile(&sources, &partial)?;
    pause(&sources.join("pause"), &partial)?;
    // A folder of this name holds all of them, whatever befalls a build.
    fs::rename(&partial, &folder)?;
    eprintln!("testbed: built in {:.0} s", start.elapsed().as_secs_f64());
    Ok(Programs { folder })
}

fn compile(sources: &Path, folder: &Path) -> Result<()> {
    let go = |verb: &str| {
        let mut command = Command::new("nice");
        command.args(["-n", "10", "go", verb, "-trimpath", "-buildvcs=false"]);
        command.current_dir(sources).env("CGO_ENABLED", "0");
        command
    };
    run_aside(go("build").args([&flags(), "-o"]).arg(folder.join("testbed")).arg("."))?;
    for link in LINKS {
        let link = folder.join(link);
        if !link.is_symlink() {
            symlink("testbed", link)?;
        }
    }
    run_aside(go("build").args(["-ldflags=-s -w", "-o"]).arg(folder.join("pause")).arg("./pause"))?;
    let flags = format!("-ldflags=-s -w -X helm.sh/helm/v3/internal/version.version={HELM}");
    run_aside(go("build").args([&flags, "-o"]).arg(folder.join("helm")).arg(HELM_PROGRAM))
}

/// What the linker writes into the one program: the version that servers and clients say they are.
fn flags() -> String {
    let (line, _) = KUBERNETES.rsplit_once('.').unwrap_or((KUBERNETES, ""));
    let (major, minor) = line.split_once('.').unwrap_or((line, ""));
    let mut flags = "-ldflags=-s -w".to_owned();
    for package in ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"] {
        for (name, value) in [("Version", &*format!("v{KUBERNETES}")), ("Major", major), ("Minor", minor)] {
            flags.push_str(&format!(" -X {package}.git{name}={value}"));
        }
    }
    flags
}

/// Makes the archive of the image from the program.
fn pause(sources: &Path, folder: &Path) -> Result<()> {
    let context = folder.join("pause-context");
    fs::create_dir_all(&context)?;
    fs::rename(folder.join("pause"), context.join("pause"))?;
    let image = images::Built { name: "localhost/pause:1", archive: &folder.join("pause.tar") };
    images::archive(&sources.join("Dockerfile"), None, &context, &image)?;
    fs::remove_dir_all(context)?;
    Ok(())
}

/// Where this version of them belongs.
fn place(workspace: &Workspace) -> Result<PathBuf> {
    let mut hasher = Sha256::new();
    for input in INPUTS {
        let path = workspace.root.join(SOURCES).join(input);
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        hasher.update(bytes.len().to_le_bytes());
        hasher.update(bytes);
    }
    hasher.update(flags());
    let mut version = format!("{KUBERNETES}-");
    for byte in &hasher.finalize()[..6] {
        write!(version, "{byte:02x}")?;
    }
    Ok(cache::folder()?.join("testbed").join(version))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(SOURCES)
    }

    #[test]
    fn versions_are_those_of_the_modules() {
        let modules = fs::read_to_string(sources().join("go.mod")).unwrap();
        assert!(modules.contains(&format!("k8s.io/kubernetes v{KUBERNETES}\n")));
        assert!(modules.contains(&format!("helm.sh/helm/v3 {HELM}\n")));
    }

    #[test]
    fn the_version_is_told_in_parts() {
        let flags = flags();
        for part in ["version.gitVersion=v1.34.4 ", "version.gitMajor=1 ", "version.gitMinor=34"] {
            assert_eq!(flags.matches(part).count(), 2, "{flags}");
        }
    }

    #[test]
    fn every_source_decides_what_is_built() {
        for folder in [sources(), sources().join("pause")] {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(sources()).unwrap().to_str().unwrap();
                let counts = path.is_file() && !name.ends_with(".md");
                assert_eq!(counts, INPUTS.contains(&name), "{name}");
            }
        }
    }
}
