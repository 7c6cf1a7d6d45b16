//! The `superstep` command: runs agent graphs on this machine, and checks and draws them.

mod args;
mod exit;
#[cfg_attr(not(test), expect(dead_code, reason = "for the commands that run a graph"))]
mod input;
mod manifests;
#[cfg_attr(not(test), expect(dead_code, reason = "for the commands that run a graph"))]
mod output;
mod render;
mod report;
mod validate;
#[cfg_attr(not(test), expect(dead_code, reason = "for the commands that run a graph"))]
mod view;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::exit::Exit;

fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    let done = match &cli.command {
        Command::Validate(args) => validate::validate(args),
        Command::Render(args) => render::render(args),
    };
    done.unwrap_or_else(|error| error.report()).into()
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
