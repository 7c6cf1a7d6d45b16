//! The form of every kind of record: what was written once is read for ever.
//!
//! `records-1.txt` has a line for each sample: its name, and its bytes as logs of record format 1 hold them. `REWRITE=1` adds
//! lines for samples that have none and changes none that is there: where one does not hold any more, logs that people have
//! cannot be read, and what is to be changed is the record, or its format together with code that reads both.
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by stopping")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use superstep_engine::{
    ActivationId, CallKey, CallOutcome, CallRequest, Called, Carried, Commit, Completion, Direct, Emission,
    End, Epoch, Failure, FailureClass, FrameId, LimitKind, Measured, MessageStatus, Notice, Opener, Patch,
    Payload, Placed, ProgramResult, Question, QuestionId, Record, Remains, RunStarted, RunStatus, Spent,
    Totals, Usage, ValueChange,
};
use superstep_graph::{MutationKind, PriorityClass, Refusal, Revision, Verdict, WhenIncomplete};

/// How many kinds of records there are.
const KINDS: usize = 18;

/// A kind as a number. Who adds one adds a sample of it, and a number at the end.
fn kind(record: &Record) -> usize {
    match record {
        Record::RunStarted(_) => 0,
        Record::EpochTaken { .. } => 1,
        Record::CallIntent { .. } => 2,
        Record::CallEnded { .. } => 3,
        Record::AttemptFailed { .. } => 4,
        Record::Suspended { .. } => 5,
        Record::Answered { .. } => 6,
        Record::Patched(_) => 7,
        Record::Committed(_) => 8,
        Record::Ended(_) => 9,
        Record::Known(_) => 10,
        Record::Measured(_) => 11,
        Record::Forked { .. } => 12,
        Record::Continued(_) => 13,
        Record::Placed(_) => 14,
        Record::Compacted(_) => 15,
        Record::Told(_) => 16,
        Record::RunSuspended(_) => 17,
    }
}

/// What a document says.
fn of<T: DeserializeOwned>(document: Value) -> T {
    serde_json::from_value(document).unwrap()
}

fn payload() -> Payload {
    Payload::from(json!({"numbers": [1, -2.5, null, true], "text": "ünïcode"}))
}

fn activation() -> ActivationId {
    ActivationId {
        frame: FrameId(3),
        vertex: "plan".into(),
        incarnation: 1,
        superstep: 300,
        element: Some(7),
    }
}

fn plain() -> ActivationId {
    ActivationId { frame: FrameId::ROOT, vertex: "plan".into(), incarnation: 0, superstep: 2, element: None }
}

fn call() -> CallKey {
    CallKey { activation: activation(), digest: [0xab; 16], occurrence: 2, attempt: 1 }
}

fn usage() -> Usage {
    Usage { calls: 1, prompt_tokens: 1_000, completion_tokens: 20, cost: 0.125 }
}

fn totals() -> Totals {
    Totals { supersteps: 4, activations: 9, mutations: 2, usage: usage(), elapsed: 1_234_567 }
}

fn outcome(answer: Result<Payload, Failure>) -> CallOutcome {
    CallOutcome { answer, usage: usage() }
}

fn failure() -> Failure {
    Failure::permanent("the model is on fire")
}

fn question() -> Question {
    Question { ask: payload(), state: Some(payload()) }
}

fn revision() -> Revision {
    of(json!(vec![9_u8; 16]))
}

fn carried() -> Carried {
    let values = BTreeMap::from([("plan".into(), payload())]);
    let aggregates = BTreeMap::from([("votes".into(), Payload::from(json!(3)))]);
    Carried { run: "former".to_owned(), values, aggregates }
}

/// Every kind of change, as JSON holds it.
fn mutations() -> Value {
    json!([
        {"removeEdge": {"from": "a", "to": "b"}},
        {"removeVertex": {"name": "a"}},
        {"addVertex": {"name": "c", "function": {"cel": "1"}}},
        {"addEdge": {"from": "a", "port": "left", "to": "c"}},
        {"set": {"vertex": "c", "field": "function.cel", "value": "2"}},
        {"adopt": {"entry": ["a"], "vertices": [{"name": "a", "function": {"cel": "1"}}]}},
        {"denied": {"mutation": {"removeVertex": {"name": "b"}}, "why": "too dear"}},
    ])
}

fn result(value: ValueChange) -> Arc<ProgramResult> {
    Arc::new(ProgramResult {
        emissions: vec![Emission { port: "left".into(), payload: payload() }],
        direct: vec![Direct { to: "c".into(), payload: payload() }],
        value,
        mutations: of(mutations()),
        contributions: vec![("votes".into(), payload())],
    })
}

fn commit(ends: Vec<End>, closing: Option<RunStatus>) -> Record {
    let completed = ends.into_iter().map(|end| Completion { frame: FrameId(1), vertex: "plan".into(), end });
    Record::Committed(Arc::new(Commit {
        superstep: 7,
        elapsed: 1_000_000,
        completed: completed.collect(),
        patches: vec!["ann".to_owned()],
        revisions: vec![(FrameId::ROOT, revision())],
        closing,
    }))
}

/// A sample of every record, and of every form of what it holds, by name.
fn samples() -> Vec<(String, Record)> {
    let mut all = Vec::new();
    let mut add = |name: &str, record: Record| all.push((name.to_owned(), record));
    let graph = json!({"g": {"entry": ["a"], "vertices": [{"name": "a", "function": {"cel": "1"}}]}});
    add(
        "RunStarted",
        Record::RunStarted(Arc::new(RunStarted {
            run: "r".to_owned(),
            root: "g".to_owned(),
            graphs: of(graph),
            input: payload(),
            attachment: Payload::null(),
            started_at: 1_760_000_000,
        })),
    );
    add("EpochTaken", Record::EpochTaken { epoch: Epoch(300), owner: "worker-1".to_owned() });
    let request = CallRequest { target: "m".to_owned(), digest: [1; 16], repeatable: true, reserve: usage() };
    add("CallIntent", Record::CallIntent { call: call(), request });
    add("CallEnded", Record::CallEnded { call: call(), outcome: outcome(Ok(payload())) });
    add("CallEnded-failed", Record::CallEnded { call: call(), outcome: outcome(Err(failure())) });
    for class in [
        FailureClass::Transient,
        FailureClass::Timeout,
        FailureClass::Permanent,
        FailureClass::Incomplete,
        FailureClass::Frame,
        FailureClass::Limit,
    ] {
        let failure = Failure::new(class, "busy");
        let failed = Record::AttemptFailed { activation: activation(), attempts: 2, failure };
        add(&format!("AttemptFailed-{}", class.name()), failed);
    }
    let id = || QuestionId { activation: activation(), number: 1 };
    add("Suspended", Record::Suspended { id: id(), question: question(), doubt: None });
    add("Suspended-doubt", Record::Suspended { id: id(), question: question(), doubt: Some(call()) });
    add("Answered", Record::Answered { question: id(), answer: payload() });
    for class in [PriorityClass::Person, PriorityClass::Optimiser, PriorityClass::Vertex] {
        let patch = Patch { class, requester: "ann".to_owned(), mutations: of(mutations()) };
        add(&format!("Patched-{class:?}"), Record::Patched(patch));
    }
    let single = |value| End::Single(Ok(result(value)));
    add("Committed", commit(vec![End::Derived, single(ValueChange::Keep)], None));
    add("Committed-set", commit(vec![single(ValueChange::Set(payload()))], Some(RunStatus::Succeeded)));
    add("Committed-append", commit(vec![single(ValueChange::Append(payload()))], Some(RunStatus::Cancelled)));
    let each = vec![Ok(result(ValueChange::Keep)), Err(failure())];
    add("Committed-each", commit(vec![End::Each(each), End::Single(Err(failure()))], None));
    add("Ended-succeeded", Record::Ended(RunStatus::Succeeded));
    add("Ended-failed", Record::Ended(RunStatus::Failed { activation: plain(), failure: failure() }));
    add("Ended-cancelled", Record::Ended(RunStatus::Cancelled));
    for limit in LimitKind::ALL {
        add(&format!("Ended-{limit:?}"), Record::Ended(RunStatus::LimitReached(limit)));
    }
    all.extend(of_costs_and_origins());
    all.extend(told());
    all
}

fn of_costs_and_origins() -> Vec<(String, Record)> {
    let edge = json!({"from": "a", "port": "out", "to": "b", "tokens": 1.5, "money": 0.25, "latency_seconds": 2.0,
        "measured": 3, "last": 4, "failed": true});
    let measured = Measured {
        frame: FrameId(2),
        vertex: "b".into(),
        woken_by: vec![("a".into(), "out".into())],
        spent: Spent { micros: 1_500, tokens: 12, money: 0.5 },
        failed: false,
    };
    let placed = Placed {
        worker: "worker-0".to_owned(),
        labels: BTreeSet::from(["gpu".to_owned()]),
        journal: "1-worker-0".to_owned(),
    };
    let remains = Remains { from: 15, outputs: payload(), totals: totals(), carried: carried() };
    let all = [
        ("Known", Record::Known(of(json!({"g": {"clock": 4, "edges": [edge]}})))),
        ("Measured", Record::Measured(vec![measured])),
        ("Forked", Record::Forked { run: "former".to_owned(), superstep: 5 }),
        ("Continued", Record::Continued(Arc::new(carried()))),
        ("Placed", Record::Placed(vec![placed])),
        ("Compacted", Record::Compacted(Arc::new(remains))),
        ("RunSuspended-on", Record::RunSuspended(true)),
        ("RunSuspended-off", Record::RunSuspended(false)),
    ];
    all.map(|(name, record)| (name.to_owned(), record)).into()
}

/// Everything that can be told of a run whose records are gone.
fn told() -> Vec<(String, Record)> {
    let id = QuestionId { activation: plain(), number: 0 };
    let mut all = vec![
        ("started", Notice::SuperstepStarted { superstep: 1, started: 2, carried: 3 }),
        ("activation", Notice::Started { activation: activation(), elements: Some(4) }),
        (
            "opened",
            Notice::Opened {
                frame: FrameId(1),
                graph: "g".to_owned(),
                by: Opener { frame: FrameId::ROOT, vertex: "open".into(), superstep: 2, element: 1 },
            },
        ),
        (
            "called",
            Notice::Called(Box::new(Called {
                call: call(),
                target: "m".to_owned(),
                outcome: outcome(Ok(payload())),
            })),
        ),
        ("retrying", Notice::Retrying { activation: plain(), attempts: 1, failure: failure() }),
        ("asked", Notice::Asked { id, question: Question { ask: payload(), state: None } }),
        (
            "completed",
            Notice::Completed {
                activation: plain(),
                output: Some(payload()),
                failure: Some(failure()),
                usage: usage(),
            },
        ),
        ("cancelled", Notice::Cancelled { activation: plain() }),
        ("committed", Notice::Committed { superstep: 3, completed: 2, revision: revision() }),
        ("paused", Notice::Paused),
        ("resumed", Notice::Resumed { epoch: Epoch(2) }),
        ("ended", Notice::Ended { status: RunStatus::Succeeded, totals: totals() }),
        ("suspended", Notice::Suspended),
    ];
    for (name, action) in
        [("fires", WhenIncomplete::Fire), ("skips", WhenIncomplete::Skip), ("fails", WhenIncomplete::Fail)]
    {
        let missing = vec!["a".into()];
        all.push((name, Notice::JoinIncomplete { frame: FrameId(1), vertex: "b".into(), action, missing }));
    }
    let settled = statuses().into_iter().map(|status| {
        let (from, port, to) = ("a".into(), "out".into(), "b".into());
        let notice = Notice::Settled { frame: FrameId(1), from, port, to, sent: 1, taken: Some(2), status };
        (format!("settled-{status:?}"), notice)
    });
    let judged = verdicts().into_iter().enumerate().map(|(number, verdict)| {
        let mutation = of(json!({"removeVertex": {"name": "a"}}));
        let notice = Notice::Mutated { frame: FrameId(1), requester: "ann".to_owned(), mutation, verdict };
        (format!("mutated-{number:02}"), notice)
    });
    let all = all.into_iter().map(|(name, notice)| (name.to_owned(), notice)).chain(settled).chain(judged);
    all.map(|(name, notice)| (format!("Told-{name}"), Record::Told(Box::new(notice)))).collect()
}

fn statuses() -> [MessageStatus; 8] {
    [
        MessageStatus::Delivered,
        MessageStatus::Combined,
        MessageStatus::Filtered,
        MessageStatus::Late,
        MessageStatus::Buffered,
        MessageStatus::Cancelled,
        MessageStatus::DeadLettered,
        MessageStatus::Refused,
    ]
}

fn verdicts() -> Vec<Verdict> {
    let text = || "vertex \"a\"".to_owned();
    let refusals = [
        Refusal::NotAllowed(MutationKind::Set),
        Refusal::Forbidden,
        Refusal::Denied(Some(text())),
        Refusal::Absent(text()),
        Refusal::Exists(text()),
        Refusal::Claimed(text()),
        Refusal::Invalid { object: text(), why: "no".to_owned() },
        Refusal::Widens { vertex: "a".into(), capability: "model m".to_owned() },
        Refusal::Limit,
        Refusal::Ended,
        Refusal::Pinned,
    ];
    let kinds = [
        MutationKind::RemoveEdge,
        MutationKind::RemoveVertex,
        MutationKind::AddVertex,
        MutationKind::AddEdge,
        MutationKind::Adopt,
    ];
    let kinds = kinds.into_iter().map(Refusal::NotAllowed);
    let refused = refusals.into_iter().chain(kinds).map(Verdict::Refused);
    [Verdict::Applied, Verdict::Collapsed].into_iter().chain(refused).collect()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let pairs = (0..hexadecimal.len()).step_by(2);
    pairs.map(|at| u8::from_str_radix(&hexadecimal[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn every_kind_of_record_is_read_and_written_as_ever() {
    let samples = samples();
    let kinds: BTreeSet<usize> = samples.iter().map(|(_, record)| kind(record)).collect();
    assert_eq!(kinds, (0..KINDS).collect(), "a kind has no sample");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records-1.txt");
    let mut text = std::fs::read_to_string(&path).unwrap_or_default();
    let has = |text: &str, name: &str| text.lines().any(|line| line.split(' ').next() == Some(name));
    if std::env::var_os("REWRITE").is_some() {
        for (name, record) in &samples {
            if !has(&text, name) {
                let written = hexadecimal(&postcard::to_stdvec(record).unwrap());
                writeln!(text, "{name} {written}").unwrap();
            }
        }
        std::fs::write(&path, &text).unwrap();
    }
    let lines: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once(' ')).collect();
    for (name, record) in &samples {
        let line = lines.get(name.as_str()).expect("REWRITE=1 adds a line for a new sample");
        assert_eq!(
            postcard::from_bytes::<Record>(&bytes(line)).as_ref(),
            Ok(record),
            "{name} is read otherwise"
        );
        assert_eq!(hexadecimal(&postcard::to_stdvec(record).unwrap()), *line, "{name} is written otherwise");
    }
    let names: BTreeSet<&str> = samples.iter().map(|(name, _)| name.as_str()).collect();
    let gone: Vec<&&str> = lines.keys().filter(|name| !names.contains(*name)).collect();
    assert!(gone.is_empty() && text.lines().count() == lines.len(), "lines without a sample: {gone:?}");
}
