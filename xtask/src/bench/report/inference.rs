//! The tables of local models.

use super::{plain_line, push};
use crate::bench::plan::inference::LLAMA_CPP;
use crate::bench::series::{Series, Unit};

const TOKEN_KEYS: [&str; 7] = [
    "pp_tokens_per_cpu_s",
    "tg_tokens_per_cpu_s",
    "batch8_tokens_per_cpu_s",
    "pp_tokens_per_s",
    "tg_tokens_per_s",
    "batch8_tokens_per_s",
    "rss_mb",
];
const LOAD_KEYS: [&str; 5] = ["load_s", "load_cpu_s", "first_s", "rss_mb", "over_weights"];
const FIRST_KEYS: [&str; 3] = ["p50_ms", "p99_ms", "requests_per_s"];
const TOGETHER_KEYS: [&str; 4] = ["tokens", "one_by_one_s", "graph_s", "share"];
const SENTENCE_KEYS: [&str; 5] = ["one_per_cpu_s", "batch_per_cpu_s", "one_per_s", "batch_per_s", "rss_mb"];

/// The figures of a unit of local models.
pub(super) fn keys(unit: Unit) -> &'static [&'static str] {
    match unit {
        Unit::Tokens => &TOKEN_KEYS,
        Unit::Load => &LOAD_KEYS,
        Unit::FirstText => &FIRST_KEYS,
        Unit::Together => &TOGETHER_KEYS,
        Unit::Sentences => &SENTENCE_KEYS,
        Unit::Superstep | Unit::Activation | Unit::Run | Unit::Message | Unit::Edge | Unit::Path => &[],
    }
}

/// Each with its name in documents, and only if it has a row.
pub(super) fn tables(series: &[Series]) -> Vec<(&'static str, String)> {
    let heads = [
        (
            "tokens",
            Unit::Tokens,
            "| one thread | | prompt of 512, tokens per CPU-second | one stream | batch of 8 | prompt of 512, tokens per second | one stream | batch of 8 | RSS MB |\n",
        ),
        (
            "loading",
            Unit::Load,
            "| one thread | | load s | load CPU s | to the first token s | peak RSS MB | over the weights |\n",
        ),
        ("first-text", Unit::FirstText, "| at a time | | p50 ms | p99 ms | requests per second |\n"),
        (
            "together",
            Unit::Together,
            "| | | tokens | one after another s | as a graph s | share of the time |\n",
        ),
        (
            "sentences",
            Unit::Sentences,
            "| one thread | | one by one, per CPU-second | batches of 8 | one by one, per second | batches of 8 | RSS MB |\n",
        ),
    ];
    let mut tables = Vec::new();
    for (name, unit, head) in heads {
        let rows: Vec<&Series> = series.iter().filter(|one| one.unit == unit).collect();
        if rows.is_empty() {
            continue;
        }
        let rule = format!("|---|---|{}\n", "---:|".repeat(keys(unit).len()));
        let lines = rows.iter().map(|one| plain_line(one, keys(unit))).chain(ratio(&rows, unit));
        tables.push((name, format!("{head}{rule}{}", lines.collect::<String>())));
    }
    tables
}

/// How many times the peer's figures ours are.
fn ratio(rows: &[&Series], unit: Unit) -> Option<String> {
    let ours = rows.iter().find(|one| one.peer == "superstep")?;
    let theirs = rows.iter().find(|one| one.peer != "superstep")?;
    let peer = if theirs.peer == LLAMA_CPP { "llama.cpp" } else { "ONNX Runtime" };
    let mut line = format!("| times {peer} | |");
    for key in keys(unit) {
        push(&mut line, ours.median(key).zip(theirs.median(key)).map(|(ours, theirs)| ours / theirs));
    }
    line.push('\n');
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn series(row: &'static str, peer: &'static str, unit: Unit, sample: Value) -> Series {
        Series { samples: vec![sample], ..Series::new(row, peer, unit, None, Vec::new()) }
    }

    #[test]
    fn a_peer_is_compared_figure_by_figure() {
        let ours = json!({"pp_tokens_per_cpu_s": 300.0, "tg_tokens_per_cpu_s": 55.0});
        let theirs = json!({"pp_tokens_per_cpu_s": 150.0, "tg_tokens_per_cpu_s": 50.0});
        let all = [
            series("tokens", "superstep", Unit::Tokens, ours),
            series("tokens", "llama-cpp", Unit::Tokens, theirs),
            series("8 clients", "superstep", Unit::FirstText, json!({"p50_ms": 120.4, "p99_ms": 300})),
        ];
        let tables = tables(&all);
        assert_eq!(tables.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["tokens", "first-text"]);
        let lines: Vec<&str> = tables[0].1.lines().collect();
        assert_eq!(lines[2], "| tokens | superstep | 300 | 55.0 | – | – | – | – | – |");
        assert_eq!(lines[4], "| times llama.cpp | | 2.00 | 1.10 | – | – | – | – | – |");
        let columns = |line: &str| line.matches('|').count();
        for (name, table) in &tables {
            let lines: Vec<&str> = table.lines().collect();
            assert!(lines.iter().all(|line| columns(line) == columns(lines[0])), "{name}: {table}");
        }
        assert_eq!(tables[1].1.lines().last(), Some("| 8 clients | superstep | 120 | 300 | – |"));
    }
}
