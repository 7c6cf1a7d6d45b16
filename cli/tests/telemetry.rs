//! Traces and log lines of a command, as collectors and programs get them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Formatter};
use std::fs;
use std::process::Command;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use rustix::process::Signal;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use superstep_engine::Record;
use tokio::runtime::Runtime;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::command::{Ended, Home, Running, calls, undisturbed, until};

/// A collector on this machine.
pub(crate) struct Collector {
    runtime: Runtime,
    server: MockServer,
}

impl Collector {
    pub(crate) fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let server = runtime.block_on(async {
            let server = MockServer::start().await;
            let traces = Mock::given(method("POST")).and(path("/v1/traces"));
            traces.respond_with(ResponseTemplate::new(200)).mount(&server).await;
            server
        });
        Self { runtime, server }
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        self.server.uri()
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        let requests = self.runtime.block_on(self.server.received_requests()).unwrap();
        let decoded =
            requests.iter().map(|request| ExportTraceServiceRequest::decode(&*request.body).unwrap());
        let resources = decoded.flat_map(|request| request.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }
}

fn end(mut command: Command) -> Ended {
    Running::start(&mut command).end()
}

/// Expects one trace with one root, whose every span is there once and has its parent.
fn whole(spans: &[Span]) {
    let ids: BTreeSet<&Vec<u8>> = spans.iter().map(|span| &span.span_id).collect();
    assert_eq!(ids.len(), spans.len(), "every span once");
    assert_eq!(spans.iter().map(|span| &span.trace_id).collect::<BTreeSet<_>>().len(), 1);
    let roots = spans.iter().filter(|span| span.parent_span_id.is_empty());
    assert_eq!(roots.map(|span| span.name.as_str()).collect::<Vec<_>>(), ["invoke_workflow calls"]);
    for span in spans.iter().filter(|span| !span.parent_span_id.is_empty()) {
        assert!(ids.contains(&span.parent_span_id), "the parent of {}", span.name);
    }
}

#[test]
fn a_run_sends_its_trace_where_an_argument_or_the_environment_says() {
    let collector = Collector::new();
    let quiet = Home::new().run(calls("calls")).with(0);
    let mut sent = Vec::new();
    for argument in [true, false] {
        let home = Home::new();
        let mut command = home.command(calls("calls"));
        if argument {
            command.args(["--otlp", &collector.server.uri()]);
        } else {
            command.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.server.uri());
        }
        let ended = end(command).with(0);
        assert_eq!((ended.json(), &ended.stderr), (quiet.json(), &quiet.stderr));
        sent.push(collector.spans().len());
    }
    assert!(sent[0] > 100 && sent[1] == 2 * sent[0], "{sent:?}");
    whole(&collector.spans()[..sent[0]]);
    let said = format!("{:?}", collector.spans());
    assert!(!said.contains("Think of") && !said.contains("the fourth"));

    let home = Home::new();
    let mut command = home.command(calls("calls"));
    command.args(["--trace-content", "--otlp", &collector.server.uri()]);
    end(command).with(0);
    let said = format!("{:?}", collector.spans());
    assert!(said.contains("Think of") && said.contains("the fourth"));
}

/// A run whose model takes `latency`, interrupted when it has committed something: the collector of its trace, its home, and
/// how it ended.
fn interrupted(latency: &str) -> (Collector, Home, Ended) {
    let (collector, home) = (Collector::new(), Home::new());
    let graph = fs::read_to_string("tests/graphs/calls.yaml").unwrap();
    let graph = home.file("calls.yaml", &graph.replace("latency: 6ms", &format!("latency: {latency}")));
    let mut arguments = calls("calls");
    arguments[2] = graph;
    let mut command = home.command(arguments);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.server.uri());
    let running = Running::start(&mut command);
    let committed =
        |records: &[Record]| records.iter().filter(|record| matches!(record, Record::Committed(_))).count();
    // The log has a commit before the process knows, which has told of the one before.
    until("three supersteps are committed", || committed(&home.records("calls")) >= 3);
    running.signal(Signal::INT);
    let ended = running.end();
    (collector, home, ended)
}

#[test]
fn an_interrupted_run_goes_on_in_its_trace() {
    // On a busy machine a quick run may have ended before it is interrupted.
    let (collector, home, ended) = ["150ms", "1s", "5s"]
        .into_iter()
        .map(interrupted)
        .find(|(.., ended)| ended.code != Some(0))
        .expect("a slow run is interrupted");
    ended.with(4);
    let before = collector.spans();
    assert!(before.iter().filter(|span| span.name == "superstep").count() >= 2);
    let mut command = home.command(["resume", "calls"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.server.uri());
    assert_eq!(end(command).with(0).json(), undisturbed());
    let spans = collector.spans();
    assert!(spans.len() > before.len());
    whole(&spans);
}

#[test]
fn a_collector_that_is_not_there_is_told_of_once_and_nothing_else() {
    let expected = undisturbed();
    let home = Home::new();
    let mut command = home.command(calls("calls"));
    command.env("RUST_LOG", "warn").args(["--otlp", "http://127.0.0.1:9"]);
    let ended = end(command).with(0);
    assert_eq!(ended.json(), expected);
    assert_eq!(ended.stderr.matches("cannot be sent").count(), 1, "{ended:?}");
    assert_eq!(ended.stderr.matches("were not delivered").count(), 1, "{ended:?}");
    // Stderr is no terminal here, and no value of the program is shown as it is written in Rust.
    assert!(!ended.stderr.contains('\x1b') && !ended.stderr.contains("Ok("), "{ended:?}");
    let mut arguments = calls("other");
    arguments.extend(["--otlp".to_owned(), "not an address".to_owned()]);
    home.run(arguments).with(2).saying("traces cannot be sent");
}

/// The members of an object as they are written, one that is there twice too.
#[derive(Debug)]
struct Members(Vec<String>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut names = Vec::new();
        while let Some((name, _)) = map.next_entry::<String, Value>()? {
            names.push(name);
        }
        Ok(Members(names))
    }
}

/// The lines of stderr, each an object that has each of its members once.
fn lines(ended: &Ended) -> Vec<Value> {
    let object = |line: &str| {
        let Members(names) = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{line}");
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line.is_object() && line["level"].is_string(), "{line}");
        line
    };
    ended.stderr.lines().map(object).collect()
}

fn counts(lines: &[Value]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for line in lines {
        *counts.entry(line["message"].as_str().unwrap()).or_default() += 1;
    }
    counts
}

#[test]
fn log_lines_are_json_with_the_progress_among_them() {
    let home = Home::new();
    let mut arguments = calls("calls");
    arguments.truncate(arguments.len() - 2);
    arguments.extend(["--log".to_owned(), "json".to_owned()]);
    let ended = home.run(arguments.clone()).with(0);
    assert_eq!(ended.json(), undisturbed());
    let lines = lines(&ended);
    let counts = counts(&lines);
    assert_eq!((counts["superstep committed"], counts["run ended"]), (21, 1));
    assert_eq!(counts["activation completed"], 49);
    let called = lines.iter().find(|line| line["message"] == "call ended").unwrap();
    assert_eq!(
        (&called["called"], &called["target"]),
        (&Value::from("model m"), &Value::from("superstep::run"))
    );
    let retried = lines.iter().find(|line| line["message"] == "attempt failed, another follows").unwrap();
    assert_eq!((&retried["run"], &retried["activation"]), (&Value::from("calls"), &Value::from("ear@0")));
    let ended_line = lines.last().unwrap();
    assert_eq!(
        (&ended_line["status"], &ended_line["superstep"]),
        (&Value::from("succeeded"), &Value::from(20))
    );

    // Asked for by the environment, and with no progress.
    let mut command = home.command(calls("quiet"));
    command.env("SUPERSTEP_LOG", "json");
    assert_eq!(end(command).with(0).stderr, "");
    // What goes wrong is a line, too.
    let failed = home.line("inspect nobody --log json").with(2);
    let told = self::lines(&failed);
    assert_eq!((&told[0]["level"], &told[0]["exit"]), (&Value::from("ERROR"), &Value::from(2)));
    assert!(told[0]["message"].as_str().unwrap().contains("run \"nobody\" is not in the store"));
}

#[test]
fn a_run_on_a_cluster_has_its_trace_from_the_workers() {
    let home = Home::new();
    for asked in ["--otlp http://127.0.0.1:4318", "--trace-content"] {
        home.line(&format!("run -f tests/graphs/changes.yaml --connect http://127.0.0.1:7101 {asked}"))
            .with(2)
            .saying("give --otlp and --trace-content to superstep-worker")
            .saying("OTEL_EXPORTER_OTLP_ENDPOINT to superstep cluster up");
    }
}
