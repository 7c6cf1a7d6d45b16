//! What `cargo xtask testbed status` prints.

use super::component::Component;
use super::keeper::Keeper;
use super::programs::Programs;
use super::state;
use crate::process::capture;
use anyhow::Result;
use clap::ValueEnum;

/// Prints which servers run, where things are, and the node.
pub(super) fn print(programs: &Programs) -> Result<()> {
    let keeper = Keeper::running()?;
    let running = Component::running(&keeper)?;
    for component in Component::value_variants() {
        let word = if running.contains(component) { "runs" } else { "does not run" };
        println!("{component:24} {word}");
    }
    println!("{:24} {}", "programs", programs.folder.display());
    println!("{:24} {}", "logs", state::logs().display());
    println!("{:24} {}", "audit log", state::folder().join("audit.log").display());
    let kubeconfig = state::kubeconfig()?;
    println!("{:24} {}", "kubeconfig", kubeconfig.display());
    match capture(programs.kubectl(&kubeconfig).args(["get", "node", "testbed", "--output=wide"])) {
        Ok(node) => print!("\n{node}"),
        Err(error) => println!("\nthe node cannot be asked for: {error}"),
    }
    Ok(())
}
