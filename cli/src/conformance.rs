//! `superstep conformance`: cases that others met, run here.

mod case;
mod judgement;
mod play;
mod stage;
mod story;
mod witness;

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::args::conformance::{ConformanceArgs, ConformanceFormat};
use crate::exit::{CommandError, Exit};
use crate::output::{self, OutputFormat};
use case::Found;
use play::Played;

/// Plays the cases of a folder, and shows which hold.
///
/// # Errors
/// A file is wrong, or stdout cannot be written to.
pub(crate) fn conformance(args: &ConformanceArgs) -> Result<Exit, CommandError> {
    let cases = case::find(&args.folder, args.case.as_deref())?;
    let mut outcomes = Vec::new();
    for found in cases {
        let played = play::play(&found)?;
        if args.output == ConformanceFormat::Table {
            lines(&found, &played, &mut io::stdout().lock())?;
        }
        outcomes.push((found, played));
    }
    match args.output {
        ConformanceFormat::Table => writeln!(io::stdout().lock(), "{}", summary(&outcomes))?,
        ConformanceFormat::Json => {
            output::write(&document(&outcomes), OutputFormat::Json, &mut io::stdout().lock())?;
        }
    }
    let held = outcomes.iter().all(|(_, played)| played.difference.is_none());
    Ok(if held { Exit::Success } else { Exit::RunFailed })
}

/// Whether a case holds, and if not, what differs first.
fn lines(found: &Found, played: &Played, out: &mut dyn Write) -> io::Result<()> {
    let Some(difference) = &played.difference else {
        let (crashes, forks) =
            (many(played.crashes, "crash", "crashes"), many(played.forks, "fork", "forks"));
        return writeln!(out, "pass  {:<36} {crashes}, {forks}", found.name);
    };
    writeln!(out, "FAIL  {}: {}", found.name, found.case.shows)?;
    writeln!(out, "      {}: {}", difference.run, difference.what)?;
    writeln!(out, "      expected {}", difference.expected)?;
    writeln!(out, "      found    {}", difference.found)
}

/// How many hold, and what the crashes showed.
fn summary(outcomes: &[(Found, Played)]) -> String {
    let held = outcomes.iter().filter(|(_, played)| played.difference.is_none()).count();
    let sum = |part: fn(&Played) -> u64| outcomes.iter().map(|(_, played)| part(played)).sum::<u64>();
    let (crashes, forks) = (sum(|played| played.crashes), sum(|played| played.forks));
    let (repeated, completed) = (sum(|played| played.repeated), sum(|played| played.completed));
    let (crashes, forks) = (many(crashes, "crash", "crashes"), many(forks, "fork", "forks"));
    let of = outcomes.len();
    format!("{held} of {of} hold; {crashes}, {forks}; completed calls repeated: {repeated} of {completed}")
}

fn many(number: u64, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

fn document(outcomes: &[(Found, Played)]) -> Value {
    let case = |(found, played): &(Found, Played)| {
        json!({
            "name": found.name,
            "case": found.case,
            "holds": played.difference.is_none(),
            "difference": played.difference,
            "crashes": played.crashes,
            "forks": played.forks,
            "completedCalls": played.completed,
            "repeatedCalls": played.repeated,
        })
    };
    let held = outcomes.iter().filter(|(_, played)| played.difference.is_none()).count();
    json!({
        "held": held,
        "of": outcomes.len(),
        "cases": outcomes.iter().map(case).collect::<Vec<_>>(),
    })
}
