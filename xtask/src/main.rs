//! The project's own commands: `cargo xtask test`, `quickstart`, `bench`, `sim`, `faults`, `e2e`, `fuzz`,
//! `generate`, `images`, `testbed` and `tidy`.
#![expect(clippy::print_stdout, reason = "these commands report to the person who typed them")]

mod bench;
mod binary;
mod cache;
mod chart;
mod deny;
mod e2e;
mod faults;
mod fuzz;
mod gateway;
mod generate;
mod go_tool;
mod images;
mod linking;
mod llama;
mod machine;
mod model;
mod process;
mod protocol;
mod quickstart;
mod sim;
mod stages;
mod testbed;
mod tidy;
mod workspace;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;
use workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own commands.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run every test and check that there is, and print the time of each stage.
    Test(stages::Arguments),
    /// Fetch a small model, run the graph in manifests/quickstart on it, and print the result.
    Quickstart(quickstart::Arguments),
    /// Measure this project and its peers side by side.
    Bench(bench::Arguments),
    /// Give what reads inputs many that nobody wrote, and see that it neither crashes nor hangs.
    Fuzz(fuzz::Arguments),
    /// Run the engine in a simulated world: seeds, shapes, crashes, planted mistakes.
    Sim(sim::Arguments),
    /// Kill, stop, cut off and starve real worker processes, and judge their runs.
    Faults(faults::Arguments),
    /// Install Superstep on a real Kubernetes, and do with it what users and accidents do.
    E2e(e2e::Arguments),
    /// Write the generated parts of the documents again, and the baseline of the services.
    Generate(generate::Arguments),
    /// Build the images of the cluster's parts, each an archive of its own.
    Images(images::Arguments),
    /// Keep a Kubernetes of one node on this machine for the tests that need a real one.
    Testbed(testbed::Arguments),
    /// Check the house rules that a program can check.
    Tidy,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let workspace = Workspace::load()?;
    match &arguments.command {
        Command::Test(arguments) => stages::run(&workspace, arguments),
        Command::Quickstart(arguments) => quickstart::run(&workspace, arguments),
        Command::Bench(arguments) => bench::run(&workspace, arguments),
        Command::Fuzz(arguments) => fuzz::run(&workspace, arguments),
        Command::Sim(arguments) => sim::run(&workspace, arguments),
        Command::Faults(arguments) => faults::run(&workspace, arguments),
        Command::E2e(arguments) => e2e::run(&workspace, arguments),
        Command::Generate(arguments) => generate::run(&workspace, arguments),
        Command::Images(arguments) => images::run(&workspace, arguments),
        Command::Testbed(arguments) => testbed::run(&workspace, arguments),
        Command::Tidy => tidy::run(&workspace),
    }
}
