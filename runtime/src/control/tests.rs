use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use serde_json::{Value, json};
use superstep_engine::{
    ActivationId, FrameId, Outcome, Patch, Payload, ProgramResult, QuestionId, Record, RunStatus,
};
use superstep_graph::{PriorityClass, validate};
use superstep_store::{RunName, Store};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

use super::*;
use crate::program::{Activation, Execution, Program};
use crate::{
    AnswerError, Models, NewRun, PatchError, Programs, Reach, Reached, Run, RunEnd, RunError, RunHandle,
    Setup, read_run,
};

/// A folder with a run in it.
struct Stage {
    home: TempDir,
    name: RunName,
}

impl Stage {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), name: "test".parse().unwrap() }
    }

    /// The store, as a process of its own would open it.
    fn store(&self) -> Store<Record> {
        Store::folder(self.home.path()).unwrap()
    }

    fn sockets(&self) -> SocketFolder {
        SocketFolder::at(self.home.path().join("sockets"))
    }

    fn reach(&self) -> Reach {
        Reach::new(&self.store(), &self.name, programs(), "another")
    }

    /// What the log holds; nothing if the run has just begun.
    fn records(&self) -> Vec<Record> {
        read_run(&self.store(), &self.name).map(|(_, records)| records).unwrap_or_default()
    }

    fn socket(&self) -> PathBuf {
        self.sockets().socket_of(&self.folder()).unwrap()
    }

    fn folder(&self) -> PathBuf {
        self.home.path().join("runs/test")
    }

    /// Begins a run that listens.
    fn begin(&self, spec: Value) -> (RunHandle, JoinHandle<Option<RunEnd>>) {
        let graph = validate(&serde_json::from_value(spec).unwrap()).unwrap();
        let new = NewRun::new(self.name.clone(), graph, json!({}));
        let store = self.store();
        drive(Run::create(setup(), &store, new).unwrap(), store, self.sockets())
    }

    fn resume(&self) -> (RunHandle, JoinHandle<Option<RunEnd>>) {
        let store = self.store();
        drive(Run::resume(setup(), &store, &self.name).unwrap(), store, self.sockets())
    }
}

fn drive(
    mut run: Run,
    store: Store<Record>,
    sockets: SocketFolder,
) -> (RunHandle, JoinHandle<Option<RunEnd>>) {
    run.listen(&store, &sockets).unwrap();
    (run.handle(), tokio::spawn(async move { run.drive().await.unwrap() }))
}

fn setup() -> Setup {
    Setup { leave_when_paused: false, ..Setup::new(programs()) }
}

fn programs() -> Programs {
    let mut programs = Programs::new(Models::default());
    programs.register("talker", Arc::new(Talker));
    programs
}

/// Writes 32 MB in pieces, never waiting for anybody.
struct Talker;

impl Program for Talker {
    fn start(&self, activation: Activation) -> Execution {
        let tell = activation.listener.on_text().unwrap();
        let talking = async move {
            for _ in 0..32 {
                (0..1_000).for_each(|_| tell(&"x".repeat(1_000)));
                tokio::task::yield_now().await;
            }
            Outcome::Done(ProgramResult::output(Payload::null()))
        };
        Execution::Running(talking.boxed())
    }
}

fn asking() -> Value {
    json!({
        "entry": ["ask"],
        "vertices": [{"name": "ask", "human": {"prompt": "Well?", "schema": {"type": "integer"}}}],
    })
}

fn question() -> QuestionId {
    let vertex = "ask".into();
    let activation =
        ActivationId { frame: FrameId::ROOT, vertex, incarnation: 0, superstep: 0, element: None };
    QuestionId { activation, number: 0 }
}

fn patch(name: &str, vertex: &str) -> Patch {
    let mutation = json!([{"addVertex": {"name": vertex, "function": {"cel": "1"}}}]);
    let mutations = serde_json::from_value(mutation).unwrap();
    Patch { class: PriorityClass::Person, requester: name.to_owned(), mutations }
}

fn has(records: &[Record], wanted: impl Fn(&Record) -> bool) -> bool {
    records.iter().any(wanted)
}

async fn is_asked(stage: &Stage) {
    while !has(&stage.records(), |record| matches!(record, Record::Suspended { .. })) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_run_is_looked_at_patched_and_answered_from_outside() {
    let stage = Stage::new();
    let (_, driving) = stage.begin(asking());
    is_asked(&stage).await;
    let reach = stage.reach();
    while !reach.state().await.unwrap().unwrap().paused {}
    let state = reach.state().await.unwrap().unwrap();
    assert_eq!((state.epoch, state.questions.as_slice()), (1, &[question()][..]));

    assert_eq!(reach.patch(patch("p", "b")).await.unwrap(), Reached::Driver);
    assert!(has(
        &stage.records(),
        |record| matches!(record, Record::Patched(patch) if patch.requester == "p")
    ));
    reach.patch(patch("p", "b")).await.unwrap();
    let taken = reach.patch(patch("p", "c")).await.unwrap_err();
    assert!(matches!(taken, RunError::Patch { source: PatchError::NameTaken { .. }, .. }), "{taken}");

    let unfit = reach.answer(question(), json!("x").into()).await.unwrap_err();
    assert!(matches!(unfit, RunError::Answer { source: AnswerError::Unfit { .. }, .. }), "{unfit}");
    assert_eq!(reach.answer(question(), json!(5).into()).await.unwrap(), Reached::Driver);
    assert!(has(&stage.records(), |record| matches!(record, Record::Answered { .. })));

    let end = driving.await.unwrap().unwrap();
    assert_eq!((end.status, end.totals.mutations), (RunStatus::Succeeded, 1));
    let late = reach.answer(question(), json!(6).into()).await.unwrap_err();
    assert!(matches!(late, RunError::Over { status: RunStatus::Succeeded, .. }), "{late}");
    assert!(matches!(reach.patch(patch("q", "d")).await.unwrap_err(), RunError::Over { .. }));
    assert_eq!(reach.patch(patch("p", "b")).await.unwrap(), Reached::Driver, "it was done");
    assert_eq!(reach.cancel().await.unwrap(), RunStatus::Succeeded);
    assert_eq!(reach.state().await.unwrap(), None);
}

#[tokio::test]
async fn a_cancellation_is_acknowledged_when_the_end_is_durable() {
    let stage = Stage::new();
    let (_, driving) = stage.begin(asking());
    is_asked(&stage).await;
    assert_eq!(stage.reach().cancel().await.unwrap(), RunStatus::Cancelled);
    assert!(has(&stage.records(), |record| *record == Record::Ended(RunStatus::Cancelled)));
    assert_eq!(driving.await.unwrap().unwrap().status, RunStatus::Cancelled);
    assert_eq!(stage.reach().cancel().await.unwrap(), RunStatus::Cancelled);
    let (_, resumed) = stage.resume();
    assert_eq!(resumed.await.unwrap().unwrap().status, RunStatus::Cancelled);
}

#[tokio::test]
async fn what_nobody_drives_is_changed_in_its_log() {
    let stage = Stage::new();
    let (handle, driving) = stage.begin(asking());
    is_asked(&stage).await;
    handle.detach();
    assert_eq!(driving.await.unwrap(), None);
    let reach = stage.reach();
    assert_eq!(reach.patch(patch("p", "b")).await.unwrap(), Reached::Log);
    let taken = reach.patch(patch("p", "c")).await.unwrap_err();
    assert!(matches!(taken, RunError::Patch { source: PatchError::NameTaken { .. }, .. }), "{taken}");
    let (handle, driving) = stage.resume();
    while handle.state().await.unwrap().totals.mutations == 0 {}
    handle.detach();
    driving.await.unwrap();
    assert_eq!(reach.cancel().await.unwrap(), RunStatus::Cancelled);
    let (_, resumed) = stage.resume();
    let end = resumed.await.unwrap().unwrap();
    assert_eq!((end.status, end.outputs.value()), (RunStatus::Cancelled, &json!({"ask": null, "b": null})));
}

#[tokio::test]
async fn a_run_that_does_not_listen_is_not_taken_from_its_driver() {
    let stage = Stage::new();
    let (handle, driving) = stage.begin(asking());
    is_asked(&stage).await;
    handle.detach();
    driving.await.unwrap();
    let held = stage.store().open(&stage.name, "one who is deaf").unwrap();
    let error = stage.reach().cancel().await.unwrap_err();
    assert!(matches!(&error, RunError::Unreachable { holder, .. } if holder.contains("deaf")), "{error}");
    drop(held);
    stage.reach().cancel().await.unwrap();
}

#[tokio::test]
async fn the_socket_is_closed_to_others_and_goes_with_the_driver() {
    let stage = Stage::new();
    let (handle, driving) = stage.begin(asking());
    is_asked(&stage).await;
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let socket = stage.socket();
    assert_eq!((mode(&socket), mode(socket.parent().unwrap())), (0o600, 0o700));
    let note: Value = serde_json::from_slice(&fs::read(stage.folder().join("control")).unwrap()).unwrap();
    assert_eq!(note, json!({"version": 1, "socket": socket, "process": std::process::id()}));
    handle.detach();
    driving.await.unwrap();
    assert!(!socket.exists() && !stage.folder().join("control").exists());
}

#[tokio::test]
async fn what_a_killed_process_left_is_recognised_and_replaced() {
    let stage = Stage::new();
    let (handle, driving) = stage.begin(asking());
    is_asked(&stage).await;
    let note = fs::read(stage.folder().join("control")).unwrap();
    handle.detach();
    driving.await.unwrap();
    // A process that is killed takes neither away.
    drop(UnixListener::bind(stage.socket()).unwrap());
    fs::write(stage.folder().join("control"), &note).unwrap();
    assert!(stage.socket().exists());
    assert_eq!(stage.reach().state().await.unwrap(), None);
    assert_eq!(stage.reach().patch(patch("p", "b")).await.unwrap(), Reached::Log);
    let (_, driving) = stage.resume();
    assert_eq!(stage.reach().patch(patch("q", "c")).await.unwrap(), Reached::Driver);
    stage.reach().cancel().await.unwrap();
    driving.await.unwrap();
}

#[tokio::test]
async fn a_driver_that_goes_away_without_a_reply_is_asked_about_in_the_log() {
    let stage = Stage::new();
    let (handle, driving) = stage.begin(asking());
    is_asked(&stage).await;
    let note = fs::read(stage.folder().join("control")).unwrap();
    handle.detach();
    driving.await.unwrap();
    // It takes the answer, records it, and is gone before it can say so.
    let listener = UnixListener::bind(stage.socket()).unwrap();
    fs::write(stage.folder().join("control"), &note).unwrap();
    let reach = stage.reach();
    let answering = reach.answer(question(), json!(5).into());
    let dying = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 1_024]).await.unwrap() > 0);
        drop(listener);
        let (store, programs) = (stage.store(), Arc::new(programs()));
        let answer = (question(), json!(5).into());
        crate::answer_left(&store, &stage.name, &programs, "dying", answer).await.unwrap();
    };
    assert_eq!(tokio::join!(answering, dying).0.unwrap(), Reached::Driver);
    assert_eq!(stage.records().iter().filter(|record| matches!(record, Record::Answered { .. })).count(), 1);
}

/// The last line of what is sent to one who sent `bytes`.
async fn sent_for(socket: &std::path::Path, bytes: &[u8]) -> Value {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    // It may be given up before all is sent.
    drop(stream.write_all(bytes).await);
    let mut text = Vec::new();
    drop(stream.read_to_end(&mut text).await);
    serde_json::from_slice(&text).unwrap_or_default()
}

#[tokio::test]
async fn nobody_who_sends_nonsense_or_nothing_does_harm() {
    let stage = Stage::new();
    let (_, driving) = stage.begin(asking());
    is_asked(&stage).await;
    let socket = stage.socket();
    let refused = |sent: Value, why: &str| {
        let refusal = &sent["reply"]["refused"];
        assert!(refusal == why || refusal.get(why).is_some(), "{why} in {sent}");
    };
    refused(sent_for(&socket, b"hello\n").await, "malformed");
    refused(sent_for(&socket, b"{\"version\":9}\n").await, "version");
    refused(sent_for(&socket, &protocol::request_line("other", &Request::Cancel)).await, "otherRun");
    refused(sent_for(&socket, &vec![b'x'; 2 * line::LONGEST]).await, "malformed");
    // Half a line asks for nothing.
    let mut half = UnixStream::connect(&socket).await.unwrap();
    let whole = protocol::request_line("test", &Request::Cancel);
    half.write_all(&whole[..whole.len() - 1]).await.unwrap();
    half.shutdown().await.unwrap();
    assert_eq!(half.read(&mut [0; 8]).await.unwrap(), 0);
    // Those who sit there in silence are too many at some time, and no more.
    let mut silent = Vec::new();
    for _ in 0..80 {
        silent.push(UnixStream::connect(&socket).await.unwrap());
    }
    refused(sent_for(&socket, &protocol::request_line("test", &Request::Get)).await, "busy");
    drop(silent);
    while stage.reach().state().await.is_err() {}
    stage.reach().answer(question(), json!(5).into()).await.unwrap();
    assert_eq!(driving.await.unwrap().unwrap().status, RunStatus::Succeeded);
}

#[tokio::test]
async fn one_who_does_not_read_holds_nobody_up_and_hears_what_he_missed() {
    let stage = Stage::new();
    let (_, driving) = stage.begin(json!({
        "entry": ["ask"],
        "vertices": [{"name": "ask", "human": {"prompt": "Well?"}}, {"name": "talk", "custom": {"name": "talker"}}],
        "edges": [{"from": "ask", "to": "talk"}],
    }));
    is_asked(&stage).await;
    while !stage.reach().state().await.unwrap().unwrap().paused {}
    let store = stage.store();
    let mut watching =
        Connection::open(&store, &stage.name, &Request::Watch { from: 0 }).await.expect("it listens");
    // Its place among those who watch is taken.
    let known = watching.next().await.unwrap();
    assert!(matches!(known, Some(Reply::Durable { records: 2.. })), "{known:?}");
    stage.reach().answer(question(), json!("go").into()).await.unwrap();
    assert_eq!(driving.await.unwrap().unwrap().status, RunStatus::Succeeded);
    let (mut told, mut missed, mut durable) = (0, 0, 0);
    while let Some(reply) = watching.next().await.unwrap() {
        match reply {
            Reply::Text { text, .. } => told += text.len() as u64,
            Reply::Missed { bytes } => missed += bytes,
            Reply::Durable { records } => durable = records,
            other @ (Reply::State(_) | Reply::Recorded | Reply::Ended { .. } | Reply::Refused(_)) => {
                panic!("{other:?}")
            }
        }
    }
    assert_eq!(told + missed, 32_000_000, "what is not told is told to be missing");
    assert!(missed > 16_000_000, "{missed} bytes were dropped");
    assert_eq!(durable, stage.records().len() as u64, "what is durable is told in any case");
}

#[tokio::test]
async fn a_run_in_memory_cannot_listen() {
    let stage = Stage::new();
    let graph = validate(&serde_json::from_value(asking()).unwrap()).unwrap();
    let store = Store::memory();
    let new = NewRun::new(stage.name.clone(), graph, json!({}));
    let mut run = Run::create(setup(), &store, new).unwrap();
    assert!(matches!(run.listen(&store, &stage.sockets()), Err(ControlError::InMemory)));
}
