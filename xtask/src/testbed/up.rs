//! From nothing to a cluster on which a pod has run.

use super::address::{API, API_SERVICE, MACHINE, NODE};
use super::component::Component;
use super::keeper::Keeper;
use super::programs::{self, Programs};
use super::{SOURCES, cgroups, load, network, settings, state};
use crate::process::capture;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use clap::ValueEnum;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long each step may take on a machine that has other work.
const PATIENCE: Duration = Duration::from_secs(300);

/// Starts the cluster, unless it is up, and prints where its kubeconfig is.
pub(super) fn run(workspace: &Workspace) -> Result<()> {
    let programs = programs::build(workspace)?;
    if Keeper::find()?.is_none() || !state::finished().is_file() {
        state::clear()?;
        let start = Instant::now();
        bring_up(&workspace.root.join(SOURCES).join("config"), &programs).with_context(|| {
            let logs = state::logs();
            format!(
                "the testbed did not come up; its logs are in {}, until `down` removes them",
                logs.display()
            )
        })?;
        eprintln!("testbed: up in {:.1} s", start.elapsed().as_secs_f64());
    }
    println!("{}", state::kubeconfig()?.display());
    Ok(())
}

fn bring_up(config: &Path, programs: &Programs) -> Result<()> {
    let folder = state::folder();
    for made in [state::logs(), folder.join("pids")] {
        fs::create_dir_all(&made).with_context(|| format!("cannot make {}", made.display()))?;
    }
    copy(config, &folder.join("config"))?;
    settings::save(&folder.join(settings::FILE), Path::new("/proc/sys"))?;
    cgroups::create()?;
    let names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"];
    let addresses = ["127.0.0.1", NODE, MACHINE, API_SERVICE];
    capture(
        programs
            .command("testbed")
            .arg("identities")
            .arg(state::identities())
            .arg(API)
            .args(addresses)
            .args(names),
    )?;
    let keeper = Keeper::start(programs)?;
    network::create(&keeper)?;
    start(&keeper, programs)?;
    wait_for_pod(programs, &keeper)?;
    fs::copy(admin(), state::finished())?;
    Ok(())
}

/// Starts the servers: they wait for each other, but most say much in their logs until the API server is ready, and
/// the one that enforces policies of the network ends where there is no node.
fn start(keeper: &Keeper, programs: &Programs) -> Result<()> {
    use Component::{Containerd, Etcd, KubeApiserver, Policies};
    let start =
        |components: &[Component]| components.iter().try_for_each(|component| component.start(keeper));
    let (first, last) = ([Etcd, KubeApiserver, Containerd], [Policies]);
    start(&first)?;
    until("containerd answers", keeper.command("ctr").arg("version"))?;
    load(keeper, &programs.pause())?;
    let patiently = |what: &str, attempt: &mut Command| attempts(what, attempt, || revive(keeper));
    patiently("the API server is ready", kubectl(programs).args(["get", "--raw", "/readyz"]))?;
    let cluster = state::folder().join("config/cluster.yaml");
    patiently("the cluster takes objects", kubectl(programs).args(["apply", "--filename"]).arg(cluster))?;
    let all = Component::value_variants().iter().copied();
    let rest: Vec<_> =
        all.filter(|component| !first.contains(component) && !last.contains(component)).collect();
    start(&rest)?;
    patiently("the node is there", kubectl(programs).args(["get", "node", "testbed"]))?;
    start(&last)?;
    patiently(
        "policies are enforced",
        keeper.command("iptables").args(["--list-rules", "KUBE-ROUTER-FORWARD"]),
    )
}

/// Starts those again that have ended: each gives up when another one is too slow for it.
fn revive(keeper: &Keeper) -> Result<()> {
    Component::ended(keeper)?.into_iter().try_for_each(|component| {
        eprintln!("testbed: {component} has ended, and is started again");
        component.start(keeper)
    })
}

/// Waits until what tests need is there: a pod that runs, and an account for more.
fn wait_for_pod(programs: &Programs, keeper: &Keeper) -> Result<()> {
    let until = |what: &str, attempt: &mut Command| attempts(what, attempt, || revive(keeper));
    let kubectl = |arguments: &[&str]| {
        let mut command = kubectl(programs);
        command.args(arguments);
        command
    };
    let file = state::folder().join("config/first-pod.yaml");
    until("the cluster takes pods", kubectl(&["apply", "--filename"]).arg(file))?;
    let pod = ["--namespace=kube-system", "pod/first"];
    until("the first pod runs", kubectl(&["wait", "--for=condition=Ready", "--timeout=5s"]).args(pod))?;
    until("the first pod goes", kubectl(&["delete", "--now", "--ignore-not-found"]).args(pod))?;
    until("pods have an account", &mut kubectl(&["get", "serviceaccount", "default"]))
}

fn kubectl(programs: &Programs) -> Command {
    programs.kubectl(&admin())
}

fn admin() -> PathBuf {
    state::identities().join("admin.kubeconfig")
}

/// Runs it again until it works, or until time is up: then the last error is told.
pub(super) fn until(what: &str, attempt: &mut Command) -> Result<()> {
    attempts(what, attempt, || Ok(()))
}

/// The same, with something else done between two attempts.
fn attempts(what: &str, attempt: &mut Command, between: impl Fn() -> Result<()>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match capture(attempt) {
            Err(_) if Instant::now() < deadline => {
                sleep(Duration::from_millis(200));
                between()?;
            }
            ended => {
                return ended
                    .map(drop)
                    .with_context(|| format!("{what}: it did not in {} s", PATIENCE.as_secs()));
            }
        }
    }
}

/// Copies a folder of files and folders.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
