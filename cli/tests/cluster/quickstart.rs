//! The quickstart on workers, and of this machine.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::trace::v1::Span;

use super::*;
use crate::serve::{quickstart, sort_calls};
use crate::telemetry::Collector;

/// What the spans of this name say is how workers share a superstep, which a run of one process has none of.
const SHARE: &str = "superstep worker";
/// What of a span does not depend on the moment.
const TOLD: [&str; 4] =
    ["superstep.activation", "superstep.number", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"];

/// The traces among these spans, each as its spans with those above them; ids have the second in them in which a run began.
fn trees(spans: &[Span]) -> Vec<Vec<String>> {
    let mut traces: BTreeMap<&[u8], Vec<&Span>> = BTreeMap::new();
    for span in spans.iter().filter(|span| span.name != SHARE) {
        traces.entry(&span.trace_id).or_default().push(span);
    }
    let mut trees: Vec<Vec<String>> = traces.values().map(|spans| tree(spans)).collect();
    trees.sort();
    trees
}

fn tree(spans: &[&Span]) -> Vec<String> {
    let by_id: BTreeMap<&[u8], &Span> = spans.iter().map(|span| (span.span_id.as_slice(), *span)).collect();
    assert_eq!(by_id.len(), spans.len(), "every span once");
    let line = |span: &&Span| {
        let (mut path, mut above) = (span.name.clone(), *span);
        while !above.parent_span_id.is_empty() {
            above = by_id[above.parent_span_id.as_slice()];
            path = format!("{} / {path}", above.name);
        }
        let mut told: Vec<String> = span
            .attributes
            .iter()
            .filter(|attribute| TOLD.contains(&attribute.key.as_str()))
            .map(|attribute| format!("{} {:?}", attribute.key, attribute.value))
            .collect();
        told.sort();
        format!("{path}: {told:?}, {} links", span.links.len())
    };
    let mut lines: Vec<String> = spans.iter().map(line).collect();
    lines.sort();
    lines
}

fn inspected_in_order(ended: Ended) -> Value {
    let mut told = inspected(ended);
    sort_calls(&mut told);
    told
}

#[test]
fn the_quickstart_on_three_workers_is_that_of_this_machine_with_the_same_trace() {
    let (here, there) = (Collector::new(), Collector::new());
    let cluster = Cluster::with(3, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &there.url())]);
    let (model, graph) = quickstart(&cluster.home);
    let file = cluster.home.file("quickstart.yaml", &format!("{model}\n---\n{graph}"));
    let weights = cluster.home.path().join("tiny.gguf");
    let ran = |run: &str, text: &str, otherwise: &[&str], variables: &[(&str, &str)]| {
        let input = json!({"text": text}).to_string();
        let mut command = cluster.home.command(["run", "-f", &file, "--input", &input, "--run-id", run]);
        command.args(["--progress", "never"]).args(otherwise).envs(variables.iter().copied());
        command.env("SUPERSTEP_MODEL", &weights).env("SUPERSTEP_MODEL_SHA256", "");
        Running::start(&mut command).end().with(0).json()
    };
    // Of a customer who is about to leave the graph makes another one of itself.
    let texts = ["The app crashes when I save.", "I want to cancel, for your invoices are wrong!"];
    for (run, text) in ["stays", "leaves"].into_iter().zip(texts) {
        let local = ran(run, text, &[], &[("OTEL_EXPORTER_OTLP_ENDPOINT", &here.url())]);
        assert_eq!(ran(run, text, &["--connect", &cluster.url(0)], &[]), local);
        let line = format!("inspect {run} --output json");
        let local = inspected_in_order(cluster.home.line(&line));
        assert!(local["summary"]["calls"].as_u64().unwrap() >= 5, "{local}");
        assert_eq!(inspected_in_order(cluster.line(&line)), local);
    }
    // Workers that leave send what they have of traces.
    cluster.up.signal(Signal::TERM);
    until("the workers have left", || processes_below(cluster.up.id()).is_empty());
    let expected = trees(&here.spans());
    assert_eq!(expected.len(), texts.len());
    assert!(expected.iter().all(|tree| tree.len() > 10), "{expected:#?}");
    assert_eq!(trees(&there.spans()), expected);
}
