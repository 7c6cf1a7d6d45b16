//! The figures as Markdown and as JSON.

mod inference;

use super::series::{Series, Unit};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::thread;

const AGENT_KEYS: [&str; 4] = ["cpu_us", "wall_us", "stored_bytes", "rss_mb"];
const PATH_KEYS: [&str; 3] = ["wall_s", "over_path", "cpu_us"];
const MESSAGE_KEYS: [&str; 4] = ["cpu_us", "wall_us", "grown_bytes", "rss_mb"];
const EDGE_KEYS: [&str; 4] = ["million_edges_per_cpu_s", "million_edges_per_s", "grown_bytes", "rss_mb"];

/// The tables of supersteps, of branches, of messages and of edges, each only if it has a row.
pub(super) fn tables(series: &[Series]) -> String {
    let all: Vec<&Series> = series.iter().collect();
    let of = |units: &[Unit]| -> Vec<&Series> {
        all.iter().copied().filter(|one| units.contains(&one.unit)).collect()
    };
    let mut tables = Vec::new();
    let supersteps = of(&[Unit::Superstep, Unit::Activation, Unit::Run]);
    if !supersteps.is_empty() {
        let head = "| | | per | CPU µs | wall µs | bytes stored | RSS MB | CPU, superstep = 1 |\n\
                    |---|---|---|---:|---:|---:|---:|---:|\n";
        tables.push(table(head, supersteps, |one| superstep_line(one, ours(&all, one.row))));
    }
    let head = "| | | wall s | over the critical path, % | CPU µs |\n|---|---|---:|---:|---:|\n";
    tables.push(table(head, of(&[Unit::Path]), |one| plain_line(one, &PATH_KEYS)));
    let head = "| | | CPU µs per message | wall µs per message | bytes of memory per message | RSS MB |\n\
                |---|---|---:|---:|---:|---:|\n";
    tables.push(table(head, of(&[Unit::Message]), |one| plain_line(one, &MESSAGE_KEYS)));
    let head = "| on one thread | | million edges per CPU-second | million edges per second | bytes of memory per edge | RSS MB |\n\
                |---|---|---:|---:|---:|---:|\n";
    tables.push(table(head, of(&[Unit::Edge]), |one| plain_line(one, &EDGE_KEYS)));
    tables.retain(|table| !table.is_empty());
    tables.join("\n")
}

/// The tables of local models, each with its name in documents, and only if it has a row.
pub(super) fn of_models(series: &[Series]) -> Vec<(&'static str, String)> {
    inference::tables(series)
}

fn table(head: &str, rows: Vec<&Series>, line: impl Fn(&Series) -> String) -> String {
    if rows.is_empty() {
        return String::new();
    }
    std::iter::once(head.to_owned()).chain(rows.into_iter().map(line)).collect()
}

/// Every series with its medians, samples and errors, and the machine that they were taken on.
pub(super) fn json(series: &[Series], rounds: u32) -> Value {
    let series: Vec<Value> = series
        .iter()
        .map(|one| {
            let medians = keys(one.unit).iter().map(|key| ((*key).to_owned(), json!(one.median(key))));
            json!({
                "row": one.row,
                "peer": one.peer,
                "per": per(one.unit),
                "arguments": one.arguments,
                "median": medians.collect::<serde_json::Map<_, _>>(),
                "samples": one.samples,
                "errors": one.errors,
            })
        })
        .collect();
    let cores = thread::available_parallelism().map_or(0, usize::from);
    json!({ "cores": cores, "rounds": rounds, "series": series })
}

/// One line for each series without a sample, with the last reason. A peer that is too slow is a result.
pub(super) fn failures(series: &[Series]) -> Vec<String> {
    let excused = |one: &Series| one.too_slow && one.peer != "superstep";
    let failed = series.iter().filter(|one| one.samples.is_empty() && !excused(one));
    failed
        .map(|one| {
            let reason =
                one.errors.last().map_or("could not be built or installed, see above", String::as_str);
            format!("not measured: {}, {}: {reason}", one.row, one.peer)
        })
        .collect()
}

fn superstep_line(one: &Series, ours: Option<f64>) -> String {
    let mut line = format!("| {} | {} | {} |", one.row, one.peer, per(one.unit));
    if one.samples.is_empty() && one.too_slow {
        line.push_str(" did not end | in time | – | – | – |\n");
        return line;
    }
    for key in AGENT_KEYS {
        push(&mut line, one.median(key));
    }
    push(&mut line, one.median("cpu_us").zip(ours).map(|(figure, ours)| figure / ours));
    line.push('\n');
    line
}

fn plain_line(one: &Series, keys: &[&str]) -> String {
    let mut line = format!("| {} | {} |", one.row, one.peer);
    for key in keys {
        push(&mut line, one.median(key));
    }
    line.push('\n');
    line
}

fn ours(series: &[&Series], row: &str) -> Option<f64> {
    series.iter().find(|one| one.row == row && one.peer == "superstep")?.median("cpu_us")
}

fn push(line: &mut String, figure: Option<f64>) {
    let written = match figure {
        None => write!(line, " – |"),
        Some(0.0) => write!(line, " 0 |"),
        Some(figure) if figure >= 100.0 => write!(line, " {figure:.0} |"),
        Some(figure) if figure >= 10.0 => write!(line, " {figure:.1} |"),
        Some(figure) => write!(line, " {figure:.2} |"),
    };
    written.expect("a string takes every write");
}

fn keys(unit: Unit) -> &'static [&'static str] {
    match unit {
        Unit::Superstep | Unit::Activation | Unit::Run => &AGENT_KEYS,
        Unit::Path => &PATH_KEYS,
        Unit::Message => &MESSAGE_KEYS,
        Unit::Edge => &EDGE_KEYS,
        Unit::Tokens | Unit::Load | Unit::FirstText | Unit::Together | Unit::Sentences => {
            inference::keys(unit)
        }
    }
}

fn per(unit: Unit) -> &'static str {
    match unit {
        Unit::Superstep => "superstep",
        Unit::Activation => "activation",
        Unit::Run | Unit::Path => "run",
        Unit::Message => "message",
        Unit::Edge => "edge",
        Unit::Tokens | Unit::Sentences => "second",
        Unit::Load => "load",
        Unit::FirstText | Unit::Together => "request",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(peer: &'static str, unit: Unit, sample: Option<Value>) -> Series {
        Series { samples: sample.into_iter().collect(), ..Series::new("chain", peer, unit, None, Vec::new()) }
    }

    #[test]
    fn a_peer_is_compared_with_us() {
        let cpu = |figure: f64| Some(json!({"cpu_s": figure / 1e6, "supersteps": 1, "rss_mb": 10}));
        let slow = Series { too_slow: true, ..series("maf", Unit::Superstep, None) };
        let table = tables(&[
            series("superstep", Unit::Superstep, cpu(2.0)),
            series("neograph", Unit::Superstep, cpu(500.0)),
            series("langgraph", Unit::Superstep, None),
            slow,
        ]);
        let lines: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(lines[0], "| chain | superstep | superstep | 2.00 | – | – | 10.0 | 1.00 |");
        assert_eq!(lines[1], "| chain | neograph | superstep | 500 | – | – | 10.0 | 250 |");
        assert_eq!(lines[2], "| chain | langgraph | superstep | – | – | – | – | – |");
        assert_eq!(lines[3], "| chain | maf | superstep | did not end | in time | – | – | – |");
    }

    #[test]
    fn what_could_not_be_measured_is_named() {
        let mut crashed = series("neograph", Unit::Superstep, None);
        crashed.errors = vec!["failed (signal 11)".to_owned()];
        let slow = Series { too_slow: true, ..series("maf", Unit::Superstep, None) };
        let lines = failures(&[series("superstep", Unit::Superstep, Some(json!({}))), crashed, slow]);
        assert_eq!(lines, ["not measured: chain, neograph: failed (signal 11)"]);
    }

    #[test]
    fn branches_messages_and_edges_have_tables_of_their_own() {
        let branches = series("langgraph", Unit::Path, Some(json!({"wall_s": 1.41, "cpu_s": 0.006})));
        let sample =
            json!({"cpu_s": 2.0, "wall_s": 2.5, "messages": 1_000_000, "grown_bytes": 3e8, "rss_mb": 900});
        let walk = json!({"cpu_s": 0.5, "wall_s": 0.8, "walked_edges": 8e7, "edges": 4e6, "grown_bytes": 6e7, "rss_mb": 58});
        let messages = series("superstep", Unit::Message, Some(sample));
        let tables = tables(&[branches, messages, series("networkit", Unit::Edge, Some(walk))]);
        assert!(tables.contains("| chain | networkit | 160 | 100 | 15.0 | 58.0 |"), "{tables}");
        assert!(tables.contains("| chain | langgraph | 1.41 | 41.0 | 6000 |"), "{tables}");
        assert!(tables.contains("| chain | superstep | 2.00 | 2.50 | 300 | 900 |"), "{tables}");
    }

    #[test]
    fn json_has_medians_and_samples() {
        let json = json(&[series("superstep", Unit::Superstep, Some(json!({"rss_mb": 3.0})))], 5);
        assert_eq!(json["series"][0]["median"]["rss_mb"], 3.0);
        assert_eq!(json["series"][0]["samples"].as_array().unwrap().len(), 1);
        assert_eq!(json["rounds"], 5);
    }
}
