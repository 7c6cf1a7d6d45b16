//! `cargo xtask testbed`: a real Kubernetes of one node on this machine, for tests that need one.
//!
//! Its servers run in namespaces of their own (processes, mounts, network) that one process keeps, so that all of it
//! ends with that process and nothing else on the machine is touched.

mod address;
mod cgroups;
mod component;
mod gpus;
mod keeper;
mod network;
mod programs;
mod settings;
mod state;
mod status;
mod up;

use crate::workspace::Workspace;
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use component::Component;
use keeper::Keeper;
use programs::Programs;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

pub(crate) use programs::{HELM, KUBERNETES};

/// The folder of its sources and settings, relative to the root.
const SOURCES: &str = "tests/e2e/testbed";

/// Options of `cargo xtask testbed`.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build Kubernetes' programs, kubectl and helm into the cache, and install what else they need.
    Build,
    /// Start the cluster, wait until a pod has run on it, and print the path of its kubeconfig.
    Up,
    /// Stop the cluster and take away everything that it made, but for the cache.
    Down,
    /// Give the node images, in archives as `cargo xtask images` writes them.
    Load {
        #[arg(required = true, value_name = "IMAGE.tar")]
        archives: Vec<PathBuf>,
    },
    /// Let the node have this many nvidia.com/gpu, without a GPU.
    Gpus { count: u32 },
    /// End one server of the cluster with SIGKILL.
    Kill { component: Component },
    /// Start a server that was killed.
    Start { component: Component },
    /// Print the path of the cluster's kubeconfig.
    Kubeconfig,
    /// Print which servers run, and what the node says of itself.
    Status,
}

/// Does what one of the commands says.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    match &arguments.command {
        Command::Build => {
            let programs = programs::build(workspace)?;
            println!("{}", programs.folder.display());
            Ok(())
        }
        Command::Up => up::run(workspace),
        Command::Down => state::clear(),
        Command::Load { archives } => {
            let keeper = Keeper::running()?;
            archives.iter().try_for_each(|archive| load(&keeper, archive))
        }
        Command::Gpus { count } => gpus::set(&Programs::find(workspace)?, *count),
        Command::Kill { component } => component.kill(&Keeper::running()?),
        Command::Start { component } => component.start(&Keeper::running()?),
        Command::Kubeconfig => {
            println!("{}", state::kubeconfig()?.display());
            Ok(())
        }
        Command::Status => status::print(&Programs::find(workspace)?),
    }
}

/// One of the programs, if they are built.
pub(crate) fn program(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    Ok(Programs::find(workspace)?.folder.join(name))
}

/// Whether a cluster is up.
pub(crate) fn is_up() -> Result<bool> {
    Ok(Keeper::find()?.is_some() && state::finished().is_file())
}

/// Fails unless one can be started here.
pub(crate) fn possible(workspace: &Workspace) -> Result<()> {
    crate::machine::require_root()?;
    if Programs::find(workspace).is_err() {
        crate::machine::require_go()?;
    }
    Ok(())
}

/// Sees to it that one is up; the folder of its programs.
pub(crate) fn bring_up(workspace: &Workspace) -> Result<PathBuf> {
    up::run(workspace)?;
    Ok(Programs::find(workspace)?.folder)
}

/// Stops it, and takes away what it made.
pub(crate) fn take_down() -> Result<()> {
    state::clear()
}

/// The administrator's kubeconfig.
pub(crate) fn kubeconfig() -> Result<PathBuf> {
    state::kubeconfig()
}

/// Gives the node the images of an archive.
pub(crate) fn give(archive: &Path) -> Result<()> {
    load(&Keeper::running()?, archive)
}

/// What scenarios are told of it: the folder that this machine and pods share, here and there, the address of this
/// machine, and the audit log.
pub(crate) fn for_harness() -> Result<Vec<String>> {
    let volumes = state::folder().join("volumes");
    fs::create_dir_all(&volumes).with_context(|| format!("cannot make {}", volumes.display()))?;
    let audit = state::folder().join("audit.log");
    let words = [
        "--volumes".to_owned(),
        volumes.display().to_string(),
        "/run/testbed/volumes".to_owned(),
        "--machine".to_owned(),
        address::MACHINE.to_owned(),
        "--audit".to_owned(),
        audit.display().to_string(),
    ];
    Ok(words.into())
}

/// Puts the images of an archive where the kubelet looks for them.
fn load(keeper: &Keeper, archive: &Path) -> Result<()> {
    let file = File::open(archive).with_context(|| format!("cannot read {}", archive.display()))?;
    // The archive may lie where the namespaces show something else, hence the stream.
    let mut import = keeper.command("ctr");
    import.args(["--namespace", "k8s.io", "images", "import", "--all-platforms", "-"]).stdin(file);
    crate::process::run_aside(&mut import)
}
