//! `superstep schema`, `superstep completions` and `superstep man`: what the command tells of itself and of
//! its files.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory;
use clap_mangen::Man;

use crate::args::Cli;
use crate::args::reference::{CompletionsArgs, ManArgs, SchemaArgs};
use crate::exit::{CommandError, Exit};
use crate::output;

/// Prints a JSON schema.
///
/// # Errors
/// Stdout cannot be written to.
pub(crate) fn schema(args: &SchemaArgs) -> Result<Exit, CommandError> {
    let schema = superstep_api::schema(args.kind.map(Into::into));
    output::write(&schema, args.output, &mut io::stdout().lock())?;
    Ok(Exit::Success)
}

/// Prints the completions of a shell.
///
/// # Errors
/// Stdout cannot be written to.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<Exit, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "superstep", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(Exit::Success)
}

/// Prints one manual page, or writes all.
///
/// # Errors
/// There is no such command, or a page cannot be written.
pub(crate) fn man(args: &ManArgs) -> Result<Exit, CommandError> {
    let pages = pages(&{
        let mut command = Cli::command();
        command.build();
        command
    });
    if let Some(folder) = &args.dir {
        fs::create_dir_all(folder).map_err(|source| unwritten(folder, source))?;
        for (name, page) in &pages {
            let path = folder.join(format!("{name}.1"));
            fs::write(&path, page).map_err(|source| unwritten(&path, source))?;
        }
        return Ok(Exit::Success);
    }
    let name = [&["superstep".to_owned()], args.command.as_slice()].concat().join("-");
    let page = pages.iter().find(|(known, _)| *known == name);
    let (_, page) = page.ok_or_else(|| CommandError::NoCommand { name: args.command.join(" ") })?;
    io::stdout().lock().write_all(page)?;
    Ok(Exit::Success)
}

fn unwritten(path: &Path, source: io::Error) -> CommandError {
    CommandError::Page { path: path.to_owned(), source }
}

/// The name and the page of a command, and of each command below it.
fn pages(command: &clap::Command) -> Vec<(String, Vec<u8>)> {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let mut page = Vec::new();
    let man = Man::new(command.clone())
        .manual("Superstep")
        .source(concat!("superstep ", env!("CARGO_PKG_VERSION")));
    man.render(&mut page).expect("a Vec takes every page");
    let mut all = vec![(name, page)];
    all.extend(command.get_subcommands().flat_map(pages));
    all
}
