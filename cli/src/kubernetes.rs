//! `kubectl superstep`: runs of a cluster by the names of their objects.
//!
//! What concerns objects is done by `kubectl`, which knows the cluster and who asks; what concerns a run itself goes to
//! its workers, through `kubectl exec`. So RBAC decides what anybody may do.

mod args;
mod kubectl;
mod objects;
mod reach;

use std::ffi::OsStr;
use std::path::Path;

use clap::Parser as _;
use serde_json::{Value, json};

use crate::exit::{CommandError, Exit};
use crate::input::read;
use crate::log;

use args::{ForkArgs, Made, Plugin, PluginCommand, RunArgs};
use kubectl::Kubectl;
pub(crate) use kubectl::KubectlError;
use objects::{Located, Mode};
use reach::watched;

/// The name under which `kubectl` finds this command.
const NAME: &str = "kubectl-superstep";

/// Whether this process was called as the plugin.
pub(crate) fn is_plugin(called: Option<&OsStr>) -> bool {
    called.map(Path::new).and_then(Path::file_stem).is_some_and(|name| name == NAME)
}

/// Does what the plugin is asked for.
pub(crate) fn main() -> Result<Exit, CommandError> {
    let plugin = Plugin::parse();
    log::begin(plugin.log);
    let kubectl = Kubectl::new(&plugin.cluster)?;
    match &plugin.command {
        PluginCommand::Run(args) => run(&kubectl, args),
        PluginCommand::Fork(args) => fork(&kubectl, args),
        PluginCommand::Watch(args) => watched(&objects::begun(&kubectl, &args.run)?, args.output),
        PluginCommand::Answer(args) => reach::answered(&kubectl, args),
        PluginCommand::Approve(args) => reach::approved(&kubectl, args),
        PluginCommand::Patch(args) => reach::patched(&kubectl, args),
        PluginCommand::Cancel(args) => reach::cancelled(&kubectl, args),
        PluginCommand::Suspend(args) => mode(&kubectl, &args.run, Mode::Suspended),
        PluginCommand::Resume(args) => mode(&kubectl, &args.run, Mode::Running),
        PluginCommand::List => kubectl.show(&["get", "graphruns"]),
        PluginCommand::Inspect(args) => reach::inspected(&kubectl, args),
        PluginCommand::Why(args) => reach::explained(&kubectl, args),
        PluginCommand::Promote(args) => {
            objects::promote(&kubectl, &args.graph)?;
            Ok(Exit::Success)
        }
        PluginCommand::Logs(args) => {
            let selector = format!("superstep.dev/graph={}", args.graph);
            let mut asked =
                vec!["logs", "--selector", &selector, "--container", "worker", "--prefix", "--tail=-1"];
            if args.follow {
                asked.push("--follow");
            }
            kubectl.show(&asked)
        }
    }
}

/// Creates a run, and shows what happens in it.
fn run(kubectl: &Kubectl, args: &RunArgs) -> Result<Exit, CommandError> {
    let given = |argument: &Option<String>| {
        argument.as_deref().map(|argument| read(argument, &mut std::io::stdin())).transpose()
    };
    let input = given(&args.input)?.map(|given| json!({"inline": given.value}));
    let parameters = given(&args.parameters)?.map(|given| given.value);
    let mut spec = json!({"graphRef": {"name": args.graph}});
    let members = [
        ("input", input),
        ("parameters", parameters),
        ("continueFrom", args.continue_from.as_ref().map(|run| json!({"name": run}))),
    ];
    for (name, value) in members {
        if let Some(value) = value {
            spec[name] = value;
        }
    }
    make(kubectl, &args.graph, spec, &args.made)
}

/// Creates a run that has a part of another one, and shows what happens in it.
fn fork(kubectl: &Kubectl, args: &ForkArgs) -> Result<Exit, CommandError> {
    let graph = Located::find(kubectl, &args.run)?.graph;
    let from = json!({"name": args.run, "superstep": args.from});
    let spec = json!({"graphRef": {"name": graph}, "forkFrom": from});
    make(kubectl, &graph, spec, &args.made)
}

/// Creates a run of a graph, and shows what happens in it, unless nobody wants to see it.
fn make(kubectl: &Kubectl, graph: &str, mut spec: Value, made: &Made) -> Result<Exit, CommandError> {
    if let Some(ttl) = &made.ttl {
        spec["ttlAfterFinished"] = ttl.as_str().into();
    }
    let name = objects::create(kubectl, made.name.as_deref(), graph, &spec)?;
    if made.no_watch {
        log::say(&format!("the run is {name}; kubectl superstep watch {name} shows it"));
        return Ok(Exit::Success);
    }
    watched(&objects::begun(kubectl, &name)?, made.output)
}

fn mode(kubectl: &Kubectl, run: &str, mode: Mode) -> Result<Exit, CommandError> {
    objects::set_mode(kubectl, run, mode)?;
    Ok(Exit::Success)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubectl_finds_it_by_its_name() {
        for (called, is) in [
            ("/usr/local/bin/kubectl-superstep", true),
            ("kubectl-superstep", true),
            ("/usr/local/bin/superstep", false),
        ] {
            assert_eq!(is_plugin(Some(OsStr::new(called))), is, "{called}");
        }
        assert!(!is_plugin(None));
    }
}
