//! A run is one tree of spans, which adds up to the run's own account.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use superstep_engine::{CallKey, Notice, Record};
use superstep_runtime::{CallSubject, NewRun, Observer, Run, RunHandle, Setup, read_run};
use superstep_store::Store;
use superstep_telemetry::{TraceOptions, Traces};

use crate::collector::{Collector, Trace, number, text, texts};
use crate::runs::{SAID, account, new_run, programs};

const BOUND: Duration = Duration::from_secs(60);

fn traces(collector: &Collector, content: bool) -> Traces {
    Traces::start(&TraceOptions { endpoint: Some(collector.address.clone()), content }).unwrap()
}

async fn finish(traces: Traces) {
    tokio::task::spawn_blocking(move || traces.finish(BOUND)).await.unwrap();
}

/// Drives a run to its end, and gives its trace.
async fn traced(store: &Store<Record>, new: NewRun, content: bool) -> Trace {
    let collector = Collector::start().await;
    let traces = traces(&collector, content);
    let setup = Setup::new(programs()).observed_by(traces.of_new(&new));
    let end = Run::create(setup, store, new).unwrap().drive().await.unwrap();
    assert!(end.is_some());
    finish(traces).await;
    assert_eq!(collector.services(), BTreeSet::from(["superstep".to_owned()]));
    collector.trace()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_one_tree_that_adds_up_to_its_account() {
    let store = Store::memory();
    let trace = traced(&store, new_run("whole"), false).await;
    let account = account(&store, "whole");
    let root = trace.root();
    assert_eq!(root.name, "invoke_workflow main");
    assert_eq!(text(&root.attributes, "superstep.run.status").unwrap(), "succeeded");

    let usage = account.totals.usage;
    assert!(usage.prompt_tokens > 0 && usage.completion_tokens > 0);
    assert_eq!(trace.sum("gen_ai.usage.input_tokens"), i64::try_from(usage.prompt_tokens).unwrap());
    assert_eq!(trace.sum("gen_ai.usage.output_tokens"), i64::try_from(usage.completion_tokens).unwrap());
    let calls = trace.spans().filter(|span| {
        text(&span.attributes, "gen_ai.operation.name")
            .is_some_and(|operation| ["chat", "embeddings", "execute_tool"].contains(&operation.as_str()))
    });
    assert_eq!(calls.count() as u64, usage.calls);

    assert_eq!(trace.named("superstep").len(), account.supersteps);
    let with_activation = trace.spans().filter(|span| text(&span.attributes, "superstep.program").is_some());
    assert_eq!(with_activation.count(), account.activations);
    assert!(account.statuses.len() >= 2, "{:?}", account.statuses);
    for (status, attribute, count) in statuses(&account.statuses) {
        let counted = trace.spans().filter(|span| span.name == "superstep" || span.name == root.name);
        let events: usize = counted
            .flat_map(|span| &span.events)
            .filter(|event| event.name == "superstep.message")
            .filter(|event| text(&event.attributes, "superstep.message.status").unwrap() == status)
            .count();
        assert_eq!(events as i64, count, "{status}");
        assert_eq!(number(&root.attributes, attribute).unwrap_or_default(), count, "{status}");
    }
}

/// Each status in the words of spans, with its attribute and its number in the account.
fn statuses(account: &std::collections::BTreeMap<String, i64>) -> [(&'static str, &'static str, i64); 8] {
    let count = |status: &str| account.get(status).copied().unwrap_or_default();
    [
        ("delivered", "superstep.messages.delivered", count("Delivered")),
        ("combined", "superstep.messages.combined", count("Combined")),
        ("filtered", "superstep.messages.filtered", count("Filtered")),
        ("late", "superstep.messages.late", count("Late")),
        ("buffered", "superstep.messages.buffered", count("Buffered")),
        ("cancelled", "superstep.messages.cancelled", count("Cancelled")),
        ("dead_lettered", "superstep.messages.dead_lettered", count("DeadLettered")),
        ("refused", "superstep.messages.refused", count("Refused")),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_stand_where_they_belong_and_link_to_what_woke_them() {
    let trace = traced(&Store::memory(), new_run("whole"), false).await;
    let parent = |name: &str| trace.parent(trace.one(name)).name.as_str();
    assert_eq!(parent("invoke_agent helper"), "superstep");
    assert_eq!(parent("function second"), "invoke_workflow inner");
    assert_eq!(trace.parent(trace.parent(trace.one("invoke_workflow inner"))).name, "invoke_workflow main");
    let chats = trace.named("chat scripted");
    let of_helper = chats.iter().filter(|chat| trace.parent(chat).name == "invoke_agent helper");
    assert_eq!(of_helper.count(), 2);
    assert_eq!(trace.linked(trace.one("router pick")), BTreeSet::from(["prompt each"]));
    assert_eq!(trace.linked(trace.one("prompt each")), BTreeSet::from(["function split"]));
    assert_eq!(trace.linked(trace.one("function second")), BTreeSet::from(["function first"]));
    assert_eq!(parent("embeddings scripted"), "embed vectors");
    assert_eq!(number(&trace.one("embeddings scripted").attributes, "superstep.embeddings.texts"), Some(2));
    let elements: BTreeSet<i64> = chats
        .iter()
        .filter(|chat| trace.parent(chat).name == "prompt each")
        .filter_map(|chat| number(&chat.attributes, "superstep.element"))
        .collect();
    assert_eq!(elements, BTreeSet::from([0, 1, 2]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_told_by_its_class() {
    let trace = traced(&Store::memory(), new_run("whole"), false).await;
    let error = |span: &opentelemetry_proto::tonic::trace::v1::Span| text(&span.attributes, "error.type");
    let flaky = trace.one("prompt flaky");
    assert_eq!(
        (error(flaky), flaky.events.iter().filter(|event| event.name == "superstep.retry").count()),
        (None, 2)
    );
    let failed: Vec<_> = trace.named("chat scripted").into_iter().filter_map(error).collect();
    assert_eq!(failed, ["transient", "transient"]);
    let broken = trace.one("tool broken");
    assert_eq!(error(broken).unwrap(), "permanent");
    let status = broken.status.clone().unwrap();
    assert_eq!((status.code, status.message.as_str()), (2, ""));
    let tools = trace.named("execute_tool weather");
    assert_eq!(tools.len(), 2);
    assert_eq!(tools.iter().filter_map(|tool| error(tool)).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn prompts_and_answers_are_there_only_when_they_are_asked_for() {
    let silent = traced(&Store::memory(), new_run("whole"), false).await.said();
    for said in SAID {
        assert!(!silent.contains(said), "{said}");
    }
    let trace = traced(&Store::memory(), new_run("whole"), true).await;
    for said in SAID {
        assert!(trace.said().contains(said), "{said}");
    }
    let helper = trace.named("chat scripted").into_iter();
    let mut helper: Vec<_> = helper.filter(|chat| trace.parent(chat).name == "invoke_agent helper").collect();
    helper.sort_by_key(|chat| chat.start_time_unix_nano);
    let reasons: Vec<String> =
        helper.iter().flat_map(|chat| texts(&chat.attributes, "gen_ai.response.finish_reasons")).collect();
    assert_eq!(reasons, ["tool_call", "stop"]);
    let of = |index: usize, key: &str| -> serde_json::Value {
        serde_json::from_str(&text(&helper[index].attributes, key).unwrap()).unwrap()
    };
    assert_eq!(of(0, "gen_ai.system_instructions")[0]["content"], "You help.");
    assert_eq!(of(0, "gen_ai.output.messages")[0]["parts"][0]["name"], "weather");
    let told = of(1, "gen_ai.input.messages");
    let roles: Vec<&str> =
        told.as_array().unwrap().iter().map(|said| said["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "tool"]);
    assert_eq!(told[2]["parts"][0]["response"], "7 degrees");
}

/// Leaves a run when so many of its calls have begun, and while the last is made.
struct Leaving {
    handle: OnceLock<RunHandle>,
    calls: AtomicU32,
}

impl Observer for Leaving {
    fn notice(&self, _: &Notice) {}

    fn calling(&self, _: &CallKey, _: Option<&CallSubject>) {
        if self.calls.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.handle.get().unwrap().detach();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_resumed_goes_on_in_its_trace_and_sends_nothing_twice() {
    for calls in [1, 5, 8] {
        let store = Store::memory();
        let collector = Collector::start().await;
        let new = new_run("left");
        let first = traces(&collector, false);
        let leaving = Arc::new(Leaving { handle: OnceLock::new(), calls: AtomicU32::new(calls) });
        let setup =
            Setup::new(programs()).observed_by(first.of_new(&new)).observed_by(Arc::clone(&leaving) as _);
        let run = Run::create(setup, &store, new).unwrap();
        assert!(leaving.handle.set(run.handle()).is_ok());
        assert_eq!(run.drive().await.unwrap(), None);
        finish(first).await;
        let before = collector.spans();
        assert!(before.iter().all(|span| !span.parent_span_id.is_empty()), "the run is not over");

        let name = "left".parse().unwrap();
        let (started, _) = read_run(&store, &name).unwrap();
        let second = traces(&collector, false);
        let setup = Setup::new(programs()).observed_by(second.of_resumed(&started));
        assert!(Run::resume(setup, &store, &name).unwrap().drive().await.unwrap().is_some());
        finish(second).await;
        let trace = collector.trace();
        trace.root();
        assert!(before.iter().all(|span| span.trace_id == trace.id()));
        assert!(calls == 1 || !before.is_empty(), "the process that left has sent its part");
        let account = account(&store, "left");
        let usage = account.totals.usage;
        assert_eq!(trace.sum("gen_ai.usage.input_tokens"), i64::try_from(usage.prompt_tokens).unwrap());
        assert_eq!(trace.named("superstep").len(), account.supersteps);

        // Looked at once more, the run is over and has nothing new.
        let third = traces(&collector, false);
        let setup = Setup::new(programs()).observed_by(third.of_resumed(&started));
        assert!(Run::resume(setup, &store, &name).unwrap().drive().await.unwrap().is_some());
        finish(third).await;
        collector.trace();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_refuses_or_is_not_there_does_not_disturb_the_run() {
    let refusing = Collector::refusing().await;
    for address in [refusing.address.clone(), "http://127.0.0.1:9".to_owned()] {
        let options = TraceOptions { endpoint: Some(address), content: false };
        let traces = Traces::start(&options).unwrap();
        let new = new_run("alone");
        let setup = Setup::new(programs()).observed_by(traces.of_new(&new));
        let end = Run::create(setup, &Store::memory(), new).unwrap().drive().await.unwrap().unwrap();
        assert_eq!(end.status, superstep_engine::RunStatus::Succeeded);
        tokio::task::spawn_blocking(move || traces.finish(Duration::from_millis(1))).await.unwrap();
    }
}
