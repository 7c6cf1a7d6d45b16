use futures::TryStreamExt as _;
use serde_json::{Value, json};
use superstep_engine::{FrameId, RunStatus};
use superstep_graph::validate;
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::*;
use crate::{Json, Models, NewRun, Run, RunHandle, Setup, SocketFolder};

mod cursors;

#[derive(serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
struct Count {
    n: u32,
}

/// Counts to 6, and waits at 3 until it is let through.
fn programs(gate: &Arc<Semaphore>) -> Programs {
    let mut programs = Programs::new(Models::default());
    let gate = Arc::clone(gate);
    let count = move |count: Count| {
        let gate = Arc::clone(&gate);
        async move {
            tokio::time::sleep(Duration::from_millis(2)).await;
            if count.n == 3 {
                drop(gate.acquire().await.expect("nobody closes it"));
            }
            Json(Count { n: count.n + 1 })
        }
    };
    programs.register_closure("count", count).unwrap();
    programs
}

fn open() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(1))
}

fn spec() -> Value {
    json!({
        "entry": ["count"],
        "vertices": [{"name": "count", "custom": {"name": "count"}}, {"name": "done", "function": {"cel": "message.n"}}],
        "edges": [
            {"from": "count", "to": "count", "when": "message.n < 6"},
            {"from": "count", "to": "done", "when": "message.n >= 6"},
        ],
    })
}

struct Stage {
    home: TempDir,
    name: RunName,
}

impl Stage {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), name: "test".parse().unwrap() }
    }

    fn store(&self) -> Store<Record> {
        Store::folder(self.home.path()).unwrap()
    }

    fn create(&self, gate: &Arc<Semaphore>) -> Run {
        let graph = validate(&serde_json::from_value(spec()).unwrap()).unwrap();
        let new = NewRun::new(self.name.clone(), graph, json!({"n": 0}));
        Run::create(Setup::new(programs(gate)), &self.store(), new).unwrap()
    }

    fn watch(&self, from: WatchFrom) -> Watch {
        Watch::new(&self.store(), &self.name, programs(&open()), from).unwrap()
    }

    fn drive(&self, mut run: Run, listen: bool) -> (RunHandle, JoinHandle<Option<RunEnd>>) {
        let store = self.store();
        if listen {
            run.listen(&store, &SocketFolder::at(self.home.path().join("sockets"))).unwrap();
        }
        (run.handle(), tokio::spawn(async move { run.drive().await.unwrap() }))
    }
}

async fn all(watch: &mut Watch) -> Vec<Happened> {
    let mut told = Vec::new();
    while let Some(seen) = watch.next().await.unwrap() {
        if let Seen::Happened(happened) = seen {
            told.push(happened);
        }
    }
    told
}

#[tokio::test]
async fn a_watch_from_any_offset_tells_what_is_behind_it_and_ends_with_the_run() {
    let stage = Stage::new();
    stage.drive(stage.create(&open()), false).1.await.unwrap().unwrap();
    let mut watch = stage.watch(WatchFrom::Offset(0));
    let everything = all(&mut watch).await;
    assert_eq!(watch.end().unwrap().status, RunStatus::Succeeded);
    assert_eq!(watch.end().unwrap().outputs.value(), &json!({"done": 6}));
    let offsets: Vec<u64> = everything.iter().map(|happened| happened.offset).collect();
    assert_eq!(offsets, (1..=everything.len() as u64).collect::<Vec<_>>());
    assert!(everything.iter().any(|happened| matches!(happened.what, Happening::Taken { epoch: 1, .. })));
    let streamed: Vec<Seen> = stage.watch(WatchFrom::Offset(0)).into_stream().try_collect().await.unwrap();
    assert_eq!(streamed, everything.iter().cloned().map(Seen::Happened).collect::<Vec<_>>());
    for offset in [0, 1, 7, everything.len() - 1, everything.len(), everything.len() + 9] {
        let told = all(&mut stage.watch(WatchFrom::Offset(offset as u64))).await;
        assert_eq!(told, everything.get(offset..).unwrap_or_default(), "{offset}");
    }
    let told = all(&mut stage.watch(WatchFrom::Superstep(4))).await;
    let first = everything.iter().position(|happened| happened.superstep == 4).unwrap();
    assert_eq!(told, everything[first..]);
}

#[tokio::test]
async fn one_who_watches_from_the_beginning_sees_what_one_sees_who_comes_late() {
    for listen in [true, false] {
        let stage = Stage::new();
        let run = stage.create(&Arc::new(Semaphore::new(0)));
        let mut watch = stage.watch(WatchFrom::Offset(0));
        let (handle, first) = stage.drive(run, listen);
        let mut told = Vec::new();
        let mut changes = Vec::new();
        let mut driving = Some(first);
        let mut is_left = false;
        while let Some(seen) = watch.next().await.unwrap() {
            match seen {
                Seen::Happened(happened) => {
                    told.push(happened);
                }
                Seen::Driven(driven) => {
                    changes.push(driven);
                    if !driven && changes.contains(&true) {
                        driving.take().unwrap().await.unwrap();
                        let run =
                            Run::resume(Setup::new(programs(&open())), &stage.store(), &stage.name).unwrap();
                        driving = Some(stage.drive(run, listen).1);
                    }
                }
                Seen::Text { .. } | Seen::Missed { .. } => panic!("nobody writes"),
            }
            // In the middle, where it waits, the run is left, and goes on in another process. One who reads the log
            // slowly sees that it is driven only when he has come to its end.
            let is_there = told.iter().any(|happened| happened.superstep == 3) && changes.contains(&true);
            if is_there && !is_left {
                handle.detach();
                is_left = true;
            }
        }
        assert_eq!(driving.unwrap().await.unwrap().unwrap().status, RunStatus::Succeeded);
        assert!(changes.contains(&false), "the watcher was told that nobody drives the run: {changes:?}");
        let late = all(&mut stage.watch(WatchFrom::Offset(0))).await;
        assert_eq!(told, late);
        let epochs = late.iter().filter(|happened| matches!(happened.what, Happening::Taken { .. }));
        assert_eq!(epochs.count(), 2);
    }
}

#[tokio::test]
async fn waiting_can_be_given_up_at_any_time() {
    let stage = Stage::new();
    let run = stage.create(&open());
    let mut watch = stage.watch(WatchFrom::Offset(0));
    let (_, driving) = stage.drive(run, true);
    let mut told = Vec::new();
    let mut patience = Duration::from_micros(50);
    loop {
        match tokio::time::timeout(patience, watch.next()).await {
            // Whoever has less patience than what he waits for takes has to have more.
            Err(_) => patience = (patience * 2).min(Duration::from_millis(50)),
            Ok(seen) => {
                patience = Duration::from_micros(50);
                match seen.unwrap() {
                    None => break,
                    Some(Seen::Happened(happened)) => told.push(happened),
                    Some(Seen::Driven(_) | Seen::Text { .. } | Seen::Missed { .. }) => {}
                }
            }
        }
    }
    driving.await.unwrap();
    assert_eq!(told, all(&mut stage.watch(WatchFrom::Offset(0))).await);
}

#[tokio::test]
async fn texts_come_while_models_write_them_and_stand_in_no_log() {
    let stage = Stage::new();
    let gate = Arc::new(Semaphore::new(0));
    let run = stage.create(&gate);
    let mut watch = stage.watch(WatchFrom::Offset(0));
    let (handle, driving) = stage.drive(run, true);
    let vertex = "count".into();
    let activation =
        ActivationId { frame: FrameId::ROOT, vertex, incarnation: 0, superstep: 0, element: None };
    let mut texts = String::new();
    while let Some(seen) = watch.next().await.unwrap() {
        match seen {
            // Only one who is connected hears what is written now.
            Seen::Driven(true) => {
                while !handle.hub().has_listeners() {
                    tokio::task::yield_now().await;
                }
                handle.hub().text(&activation, "word ");
            }
            Seen::Text { activation: of, text } => {
                assert_eq!(of, activation);
                texts.push_str(&text);
                gate.add_permits(1);
            }
            Seen::Driven(false) | Seen::Happened(_) | Seen::Missed { .. } => {}
        }
    }
    driving.await.unwrap();
    assert_eq!(texts, "word ");
    let mut late = stage.watch(WatchFrom::Offset(0));
    while let Some(seen) = late.next().await.unwrap() {
        assert!(matches!(seen, Seen::Happened(_)), "{seen:?}");
    }
}
