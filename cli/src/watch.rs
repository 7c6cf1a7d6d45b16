//! `superstep watch`.

mod event;

use superstep_provision::not_loaded;
use superstep_runtime::{
    CursorText, Happening, Observer as _, RunEnd, RunError, Seen, Watch, WatchFrom, read_run,
};
use superstep_store::RunName;

use crate::args::reach::{WatchArgs, WatchFormat};
use crate::exit::{CommandError, Exit};
use crate::output::{self, OutputFormat};
use crate::progress::Shown;
use crate::remote::{Showing, show};
use crate::run::{exit_of, open_store};
use crate::signals::Signals;
use crate::{log, shell};

/// Shows what happens in a run until it ends, and ends as it did.
///
/// # Errors
/// There is no such run, its log is corrupt, or stdout cannot be written to.
pub(crate) fn watch(args: &WatchArgs) -> Result<Exit, CommandError> {
    if let Some(url) = &args.connect.connect {
        return watch_at(args, url);
    }
    let name: RunName = args.run.parse().map_err(RunError::Store)?;
    let store = open_store(&args.store)?;
    let (started, _) = read_run(&store, &name)?;
    let programs = not_loaded(&name, &started)?;
    let from = match (args.from, args.offset) {
        (Some(superstep), _) => WatchFrom::Superstep(superstep),
        (None, offset) => WatchFrom::Offset(offset.unwrap_or(0)),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = Signals::watch(&runtime)?;
    let mut watch = Watch::new(&store, &name, programs, from)?;
    let advice = format!("superstep resume {name}{}", shell::store(args.store.folder.as_deref()));
    let lines = args.output == WatchFormat::Jsonl;
    let viewer = Viewer { shown: Shown::new(args.progress, None), lines, advice };
    let ended = runtime.block_on(async {
        loop {
            tokio::select! {
                seen = watch.next() => match seen? {
                    Some(seen) => viewer.see(&seen, None)?,
                    None => return Ok::<_, CommandError>(true),
                },
                () = signals.come() => return Ok(false),
            }
        }
    });
    // A read of the log that is still under way must not hold the command up.
    runtime.shutdown_background();
    let Some(end) = watch.end().filter(|_| matches!(ended, Ok(true))) else {
        return ended.map(|_| Exit::Interrupted);
    };
    write_end(&end, format_of(args.output))?;
    Ok(exit_of(&name, &end.status))
}

/// As [`watch`], of a run on a cluster.
fn watch_at(args: &WatchArgs, url: &str) -> Result<Exit, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let signals = Signals::watch(&runtime)?;
    let lines = args.output == WatchFormat::Jsonl;
    let viewer = Viewer { lines, ..Viewer::of(Shown::new(args.progress, None)) };
    let cursor = args.after.clone().map(|after| after.0).unwrap_or_default();
    let trust = &args.connect.trust;
    let showing = Showing { url, trust, run: &args.run, cursor, format: format_of(args.output) };
    show(&showing, &viewer, (runtime, signals))
}

/// How the result is written; none for events as lines.
fn format_of(format: WatchFormat) -> Option<OutputFormat> {
    match format {
        WatchFormat::Json => Some(OutputFormat::Json),
        WatchFormat::Yaml => Some(OutputFormat::Yaml),
        WatchFormat::Table => Some(OutputFormat::Table),
        WatchFormat::Jsonl => None,
    }
}

/// Writes what a run has come to.
///
/// # Errors
/// Stdout cannot be written to.
pub(crate) fn write_end(end: &RunEnd, format: Option<OutputFormat>) -> Result<(), CommandError> {
    match format {
        Some(format) => output::result(end.outputs.value(), format)?,
        None => event::write(&event::outputs(end))?,
    }
    Ok(())
}

/// One who looks on.
pub(crate) struct Viewer {
    shown: Option<Shown>,
    /// Whether each event is written as a line.
    lines: bool,
    /// How to go on with a run that nobody drives.
    advice: String,
}

impl Viewer {
    /// One who looks on and is shown what happens, if anything is shown.
    pub(crate) fn of(shown: Option<Shown>) -> Self {
        Self { shown, lines: false, advice: String::new() }
    }

    /// Whether what models write is shown.
    pub(crate) fn wants_texts(&self) -> bool {
        self.lines || self.shown.as_ref().is_some_and(Shown::is_live)
    }

    /// Shows what was seen, and the place behind it on a cluster.
    ///
    /// # Errors
    /// Stdout cannot be written to.
    pub(crate) fn see(&self, seen: &Seen, cursor: Option<&CursorText>) -> Result<(), CommandError> {
        if self.lines {
            event::write(&event::of(seen, cursor))?;
        }
        match (seen, &self.shown) {
            (Seen::Happened(happened), Some(shown)) => {
                if let Happening::Notice(notice) = &happened.what {
                    shown.notice(notice);
                }
            }
            (Seen::Text { activation, text }, Some(shown)) => shown.text(activation, text),
            (Seen::Driven(false), _) => {
                log::say(&format!("nobody drives the run: it goes on with: {}", self.advice));
            }
            (Seen::Happened(_) | Seen::Text { .. }, None) | (Seen::Driven(true) | Seen::Missed { .. }, _) => {
            }
        }
        Ok(())
    }
}
