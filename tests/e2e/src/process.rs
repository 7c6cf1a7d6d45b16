//! Child processes, whose errors are told.

use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// What it prints on stdout; an error has what it printed on stderr.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    feed(command, "")
}

/// How a command has ended, and what it has printed.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// What becomes of a command, whether or not it succeeds.
pub(crate) fn end(command: &mut Command) -> Result<Ended> {
    let line = shown(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{line}`"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Ended { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) })
}

/// The same of one that reads this text.
pub(crate) fn feed(command: &mut Command, text: &str) -> Result<String> {
    let line = shown(command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start `{line}`"))?;
    let input = child.stdin.take();
    let fed = text.to_owned();
    // Who writes much before it has read all would wait for this process, and this process for it.
    let writer =
        std::thread::spawn(move || input.map_or(Ok(()), |mut input| input.write_all(fed.as_bytes())));
    let output = child.wait_with_output().with_context(|| format!("cannot wait for `{line}`"))?;
    if !output.status.success() {
        bail!("`{line}` failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    match writer.join() {
        Ok(written) => written.with_context(|| format!("`{line}` did not read its input"))?,
        Err(_) => bail!("nobody could write to `{line}`"),
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{line}` printed what is not UTF-8"))
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_what_was_printed() {
        let error = capture(Command::new("sh").args(["-c", "echo lost >&2; exit 3"])).unwrap_err();
        assert!(error.to_string().contains("lost"), "{error}");
    }

    #[test]
    fn one_that_fails_is_told_of() {
        let ended = end(Command::new("sh").args(["-c", "echo found; echo lost >&2; exit 3"])).unwrap();
        assert_eq!((ended.code, ended.stdout.trim(), ended.stderr.trim()), (Some(3), "found", "lost"));
    }

    #[test]
    fn much_can_be_fed_to_one_who_prints_much() {
        let text = "line\n".repeat(100_000);
        assert_eq!(feed(&mut Command::new("cat"), &text).unwrap(), text);
    }
}
