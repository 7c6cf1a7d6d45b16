//! Child processes: shown before they start, and an error that names them when they fail.

use anyhow::{Context, Result, bail};
use std::env;
use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Stdio};

/// How many of the last lines of a failed child's stderr an error repeats.
const SHOWN_LINES: usize = 15;

/// The cargo that started this command.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Prints the command line, runs it with this process's streams, and fails when it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = shown(command);
    println!("$ {line}");
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// Runs a command without a word and returns its stdout; an error repeats the end of its stderr.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let line = shown(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("`{line}` failed ({})\n{}", output.status, last_lines(&errors));
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{line}` printed what is not UTF-8"))
}

/// Runs a command that reads this text, without a word.
pub(crate) fn feed(command: &mut Command, text: &str) -> Result<()> {
    let line = shown(command);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{line}`"))?;
    // Dropped here, so that the child sees the end.
    let written = child.stdin.take().map_or(Ok(()), |mut input| input.write_all(text.as_bytes()));
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!(
            "`{line}` failed ({})\n{}",
            output.status,
            last_lines(&String::from_utf8_lossy(&output.stderr))
        );
    }
    written.with_context(|| format!("`{line}` did not read its input"))
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(quoted).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    if word.contains('\n') {
        return "'…'".to_owned();
    }
    if word.contains(' ') { format!("'{word}'") } else { word.into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_child_is_named_with_the_end_of_its_stderr() {
        let error = capture(Command::new("sh").args(["-c", "echo lost >&2; exit 3"])).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("sh -c") && error.contains("lost"), "{error}");
    }

    #[test]
    fn a_child_that_does_not_exist_is_named() {
        let error = run(&mut Command::new("no-such-program")).unwrap_err().to_string();
        assert!(error.contains("no-such-program"), "{error}");
    }

    #[test]
    fn a_child_reads_what_it_is_fed() {
        feed(Command::new("grep").args(["-q", "bread"]), "bread\n").unwrap();
        let error =
            feed(Command::new("sh").args(["-c", "cat >&2; exit 3"]), "stale\n").unwrap_err().to_string();
        assert!(error.contains("sh -c") && error.contains("stale"), "{error}");
    }

    #[test]
    fn only_the_last_lines_are_repeated() {
        let long: Vec<String> = (0..40).map(|number| number.to_string()).collect();
        assert!(last_lines(&long.join("\n")).starts_with("25\n"));
    }
}
