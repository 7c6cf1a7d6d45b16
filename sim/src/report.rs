//! What the simulator says of its runs.

use std::path::Path;

use superstep_sim::{Case, Counters, Planted, Seed, run_with, shrink};

/// Where runs that broke a rule are kept.
const REGRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/regressions");

/// Tells of a seed that broke a rule.
pub(crate) fn tell(seed: Seed, violation: &str) {
    say(&format!("seed {seed}: {violation}\n  superstep-sim --seed {seed} shows all that happens in it"));
}

/// Makes the run of a seed that broke a rule as small as it can, and keeps that; with the mistake that was
/// planted, if one was.
pub(crate) fn keep(seed: Seed, planted: Option<Planted>, violation: &str) {
    let (scenario, faults) = seed.unfold();
    let fails = |scenario: &_, faults: &_| run_with(scenario, faults, planted, false).violation.is_some();
    let (scenario, faults) = shrink(&scenario, &faults, 3_000, &fails);
    let first = violation.lines().next().unwrap_or_default();
    let finds = planted.map(|planted| planted.to_string());
    let name = finds.clone().unwrap_or_else(|| format!("seed_{seed}"));
    let case = Case { origin: format!("seed {seed}: {first}"), finds, excluded: None, scenario, faults };
    let path = Path::new(REGRESSIONS).join(format!("{name}.json"));
    match case.write(&path) {
        Ok(()) => say(&format!("  shrunk to {}", path.display())),
        Err(error) => say(&format!("  {} cannot be written: {error}", path.display())),
    }
}

/// Names and figures.
pub(crate) fn table(counters: &Counters) {
    for (name, count) in counters.rows() {
        say(&format!("{:>22} {count}", name.replace('_', " ")));
    }
}

/// What was looked at, and how often. A run in which a rule is broken is told on its own.
pub(crate) fn checks(it: &Counters) {
    let rows = [
        ("supersteps delivered before the commit of the one before", it.deliveries),
        ("calls that had ended made again", it.calls_ended),
        ("calls sent more than once for each crash", it.calls_sent),
        ("writes of a leader that was replaced taken", it.stale_writes_refused + it.writes_fenced),
        ("supersteps committed twice", it.supersteps),
        ("runs over their budget", it.budgets),
        ("messages without exactly one status", it.messages),
        ("runs without an end", it.replayed_runs),
        ("logs that come to something else when they are replayed", it.replayed_runs),
        ("programs that end otherwise when they are run again", it.programs_again),
        ("exact runs that differ from an undisturbed one", it.exact_runs),
        ("undisturbed runs that differ from what the rules say", it.predicted_runs),
        ("outcomes in a log that the model server did not give", it.calls_ended),
    ];
    for (what, looked_at) in rows.into_iter().filter(|(_, looked_at)| *looked_at > 0) {
        say(&format!("0 of {looked_at} {what}"));
    }
}

#[expect(clippy::print_stdout, reason = "a command speaks on its standard output")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
