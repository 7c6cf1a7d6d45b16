//! Progress goes to stderr, is lively only on a terminal, and can be had without colours.

use std::io::Read;
use std::process::{Command, Stdio};

use crate::command::{Home, Running, terminal};

const ARGUMENTS: [&str; 6] = ["run", "-f", "tests/graphs/changes.yaml", "--ephemeral", "--output", "table"];

/// What a command writes to a terminal that is its stderr, until it ends well.
pub(crate) fn on_terminal(mut command: Command) -> String {
    let (mut reader, terminal) = terminal();
    command.stderr(Stdio::from(terminal));
    let running = Running::start(&mut command);
    // The command holds an end of the terminal, too, and reading must see the last one closed.
    drop(command);
    let mut shown = Vec::new();
    let mut buffer = [0; 4_096];
    // A terminal whose other end is closed gives an error, where a pipe would give nothing.
    while let Ok(count @ 1..) = reader.read(&mut buffer) {
        shown.extend_from_slice(&buffer[..count]);
    }
    running.end().with(0);
    String::from_utf8(shown).unwrap()
}

/// The lines of a run, with variables and further arguments.
fn shown(variables: &[(&str, &str)], more: &[&str]) -> String {
    let home = Home::new();
    let mut command = home.command([&ARGUMENTS, more].concat());
    command.envs(variables.iter().copied());
    on_terminal(command)
}

#[test]
fn a_pipe_gets_no_progress_unless_it_is_asked_for() {
    let home = Home::new();
    let quiet = home.run(ARGUMENTS).with(0);
    assert!(quiet.stderr.starts_with("  ! warning") && !quiet.stderr.contains("superstep 0"), "{quiet:?}");
    let shown = home.run([&ARGUMENTS[..], &["--progress", "always"]].concat()).with(0);
    assert_eq!(shown.stdout, quiet.stdout);
    assert!(!shown.stderr.contains(['\x1b', '\r']), "{shown:?}");
    for line in ["superstep 0  grow, left, right\n", "adds vertex reviewer\n", "superstep 2  reviewer\n"] {
        assert!(shown.stderr.contains(line), "{line:?} in {shown:?}");
    }
    assert!(shown.stderr.lines().last().unwrap().starts_with("succeeded  3 supersteps, "), "{shown:?}");
}

#[test]
fn a_terminal_gets_progress_in_colors_unless_they_are_not_wanted() {
    let colorful = shown(&[], &[]);
    assert!(colorful.contains("\x1b[1msuperstep 0\x1b[0m") && colorful.contains("\x1b[32m"), "{colorful:?}");
    let plain = shown(&[("NO_COLOR", "1")], &[]);
    assert!(plain.contains("superstep 0  grow, left, right"), "{plain:?}");
    let letters = |text: &str| text.replace("\x1b[2K", "");
    assert!(!letters(&plain).contains('\x1b'), "{plain:?}");
    let silent = shown(&[("NO_COLOR", "1")], &["--progress", "never"]);
    assert!(!silent.contains("superstep 0"), "{silent:?}");
}
