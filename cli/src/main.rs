//! The `superstep` command: runs agent graphs on this machine, and checks and draws them.

mod answer;
mod approve;
mod args;
mod ask;
mod cancel;
mod cluster;
mod conformance;
mod continued;
mod costs;
mod difference;
mod exit;
mod fork;
mod given;
mod history;
mod input;
mod kept;
mod kubernetes;
mod log;
mod manifests;
mod models;
mod moment;
mod output;
mod patch;
mod progress;
mod recorded;
mod reference;
mod remote;
mod render;
mod replay;
mod report;
mod retention;
mod run;
mod runs;
mod serve;
mod shell;
mod signals;
mod suspend;
#[cfg(feature = "otlp")]
mod trace;
#[cfg(not(feature = "otlp"))]
mod untraced;
mod validate;
mod view;
mod watch;
mod why;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::exit::Exit;

fn main() -> std::process::ExitCode {
    if kubernetes::is_plugin(std::env::args_os().next().as_deref()) {
        return kubernetes::main().unwrap_or_else(|error| error.report()).into();
    }
    let cli = Cli::parse();
    log::begin(cli.log);
    let done = match &cli.command {
        Command::Why(args) => why::why(args),
        Command::Diff(args) => difference::diff(args),
        Command::Validate(args) => validate::validate(args),
        Command::Render(args) => render::render(args),
        Command::Schema(args) => reference::schema(args),
        Command::Completions(args) => reference::completions(args),
        Command::Man(args) => reference::man(args),
        Command::Run(args) => match &args.connect.connect {
            Some(url) => remote::run(args, url),
            None => run::run(args),
        },
        Command::Resume(args) => run::resume(args),
        Command::Watch(args) => watch::watch(args),
        Command::Answer(args) => answer::answer(args),
        Command::Approve(args) => approve::approve(args),
        Command::Patch(args) => patch::patch(args),
        Command::Suspend(args) => suspend::suspend(args),
        Command::Cancel(args) => cancel::cancel(args),
        Command::Replay(args) => replay::replay(args),
        Command::Fork(args) => fork::fork(args),
        Command::Runs(args) => runs::runs(args),
        Command::Inspect(args) => history::inspect(args),
        Command::Models(args) => models::models(args),
        Command::Serve(args) => serve::serve(args),
        Command::Cluster(args) => cluster::cluster(args),
        Command::Conformance(args) => conformance::conformance(args),
    };
    done.unwrap_or_else(|error| error.report()).into()
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
