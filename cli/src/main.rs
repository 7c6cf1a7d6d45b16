//! The `superstep` command: runs agent graphs on this machine, and checks and draws them.

mod answer;
mod args;
mod ask;
mod difference;
mod documents;
mod exit;
mod history;
mod input;
mod manifests;
mod models;
mod moment;
mod output;
mod progress;
mod reference;
mod render;
mod report;
mod run;
mod runs;
mod scripts;
mod tools;
mod validate;
mod view;
mod why;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::exit::Exit;

fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let done = match &cli.command {
        Command::Why(args) => why::why(args),
        Command::Diff(args) => difference::diff(args),
        Command::Validate(args) => validate::validate(args),
        Command::Render(args) => render::render(args),
        Command::Schema(args) => reference::schema(args),
        Command::Completions(args) => reference::completions(args),
        Command::Man(args) => reference::man(args),
        Command::Run(args) => run::run(args),
        Command::Resume(args) => run::resume(args),
        Command::Answer(args) => answer::answer(args),
        Command::Runs(args) => runs::runs(args),
        Command::Inspect(args) => history::inspect(args),
        Command::Models(args) => models::models(args),
    };
    done.unwrap_or_else(|error| error.report()).into()
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
