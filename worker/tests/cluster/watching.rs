//! Watches of runs: broken and taken up again, at any worker, and with the texts of models.

use std::sync::Mutex;

use superstep_proto::v1::event::What;
use tonic::Code;

use super::*;

/// A durable event, apart from its place among the others.
fn line(event: &v1::Event) -> String {
    format!("{} {:?}", event.superstep, event.what)
}

/// The next durable event of a run behind a cursor, as the worker at `address` tells it; none at the end.
async fn next(address: &str, run: &str, cursor: &[u8]) -> Result<Option<v1::Event>, tonic::Status> {
    let request = v1::WatchRequest {
        run: run.to_owned(),
        cursor: cursor.to_vec().into(),
        ..v1::WatchRequest::default()
    };
    runs_at(address).watch(request).await?.into_inner().message().await
}

/// Begins to watch at a worker that is there.
async fn watched(address: &str, request: v1::WatchRequest) -> tonic::Streaming<v1::Event> {
    let watching = patiently(async || runs_at(address).watch(request.clone()).await);
    watching.await.unwrap().into_inner()
}

/// All that a worker tells of a run from the beginning on.
async fn unbroken(address: &str, run: &str) -> Vec<v1::Event> {
    let request = v1::WatchRequest { run: run.to_owned(), ..v1::WatchRequest::default() };
    let mut events = watched(address, request).await;
    let mut told = Vec::new();
    while let Some(event) = events.message().await.unwrap() {
        told.push(event);
    }
    told
}

/// What one sees who leaves after each event and comes back to another worker.
fn broken(addresses: &[String], run: &str) -> Vec<v1::Event> {
    let (mut told, mut cursor) = (Vec::<v1::Event>::new(), Vec::new());
    let mut since = Instant::now();
    for round in 0.. {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        match runtime.block_on(next(&addresses[round % addresses.len()], run, &cursor)) {
            Ok(Some(event)) => {
                cursor = event.cursor.to_vec();
                assert!(!cursor.is_empty());
                told.push(event);
                since = Instant::now();
            }
            Ok(None) if told.iter().any(|event| matches!(event.what, Some(What::Ended(_)))) => return told,
            // The one that was asked is killed.
            Ok(None) if since.elapsed() < PATIENCE => {}
            Err(status) if since.elapsed() < PATIENCE && status.code() != Code::InvalidArgument => {
                std::thread::sleep(Duration::from_millis(10));
            }
            other => panic!("nothing is told any more: {other:?}"),
        }
    }
    unreachable!()
}

fn sorted(told: &[v1::Event]) -> Vec<String> {
    let mut lines: Vec<String> = told.iter().map(line).collect();
    lines.sort();
    lines
}

#[test]
fn a_watch_that_breaks_at_every_event_sees_each_once_also_when_the_leader_changes() {
    let mut group = Group::new(&["a", "b", "c"]);
    group.complete(3);
    let ledger = group.folder.path().join("ledger");
    group.submit("working", &held(&ledger, 10_000), &Value::Null);
    let leader = group.leader();
    let addresses: Vec<String> = group.workers.iter().map(|worker| worker.address.clone()).collect();
    let other = group.workers.iter().find(|worker| worker.name != leader).unwrap().address.clone();
    let (live, pieces) = std::thread::scope(|scope| {
        let live = scope.spawn(|| {
            let runtime = Runtime::new().unwrap();
            runtime.block_on(unbroken(&other, "working"))
        });
        let pieces = scope.spawn(|| broken(&addresses, "working"));
        until("all have begun", || counts(&ledger).len() == 24);
        group.kill(&leader);
        until("another one leads", || group.leader() != leader);
        let_go(&ledger);
        assert_eq!(group.end("working").0, RunStatus::Succeeded);
        (live.join().unwrap(), pieces.join().unwrap())
    });
    let late = group.client.block_on(unbroken(&other, "working"));
    assert_eq!(late.iter().filter(|event| matches!(event.what, Some(What::Taken(_)))).count(), 2);
    assert_eq!(sorted(&live), sorted(&late));
    assert_eq!(sorted(&pieces), sorted(&late));
    // Of a run that has ended everybody is told the same in the same order, however often he leaves.
    let lines = |told: &[v1::Event]| told.iter().map(line).collect::<Vec<_>>();
    let left: Vec<String> = group.workers.iter().map(|worker| worker.address.clone()).collect();
    assert_eq!(lines(&broken(&left, "working")), lines(&late));
    // And whoever saw a part while it went on sees the rest.
    for (at, event) in live.iter().enumerate() {
        let request = v1::WatchRequest {
            run: "working".to_owned(),
            cursor: event.cursor.clone(),
            ..v1::WatchRequest::default()
        };
        let mut rest = group.client.block_on(async {
            let mut events = watched(&other, request).await;
            let mut told = Vec::new();
            while let Some(event) = events.message().await.unwrap() {
                told.push(event);
            }
            told
        });
        assert_eq!(rest.first().map_or(event.offset, |next| next.offset - 1), event.offset);
        rest.extend(live[..=at].iter().cloned());
        assert_eq!(sorted(&rest), sorted(&late), "{at}");
    }
}

#[test]
fn a_cursor_of_another_run_is_refused() {
    let group = Group::new(&["a"]);
    group.complete(1);
    let graph = json!({
        "apiVersion": "superstep.dev/v1alpha1",
        "kind": "AgentGraph",
        "metadata": {"name": "small"},
        "spec": {"entry": ["one"], "vertices": [{"name": "one", "function": {"cel": "1"}}]},
    });
    for run in ["first", "second"] {
        group.submit(run, &[graph.to_string()], &Value::Null);
        group.end(run);
    }
    let address = &group.workers[0].address;
    let next = |run: &str, cursor: &[u8]| {
        group.client.block_on(patiently(async || next(address, run, cursor).await))
    };
    let event = next("first", &[]).unwrap().unwrap();
    for (run, cursor) in
        [("second", event.cursor.as_ref()), ("first", &[0, 0, 0, 0, 0, 0, 0, 3]), ("first", b"x")]
    {
        let refused = next(run, cursor).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
    // A run begins anew under its name, in another second.
    group.store.remove(&"first".parse().unwrap()).unwrap();
    std::thread::sleep(Duration::from_millis(1_100));
    group.submit("first", &[graph.to_string()], &Value::Null);
    group.end("first");
    let refused = next("first", &event.cursor).unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    assert!(refused.message().contains("was removed, and another run of that name was begun"), "{refused}");
}

/// A person lets models write, which takes a while, and says whether that is enough.
fn writing(answer: &str) -> Vec<String> {
    let model = json!({
        "apiVersion": "superstep.dev/v1alpha1",
        "kind": "ModelServer",
        "metadata": {"name": "scripted"},
        "spec": {"engine": {"scripted": {"tokenLatency": "10ms", "otherwise": answer}}},
    });
    let prompt = |name: &str| json!({"name": name, "prompt": {"model": "m", "template": name}});
    let mut vertices: Vec<Value> = WRITERS.iter().map(|name| prompt(name)).collect();
    vertices.push(json!({"name": "ask", "human": {"prompt": "Go on?"}}));
    vertices.push(json!({"name": "end", "join": {"mode": "All"}, "human": {"prompt": "Enough?"}}));
    let to = WRITERS.iter().map(|name| json!({"from": "ask", "to": name}));
    let from = WRITERS.iter().map(|name| json!({"from": name, "to": "end"}));
    let again = WRITERS.iter().map(|name| json!({"from": "end", "to": name, "when": "message == false"}));
    let graph = json!({
        "apiVersion": "superstep.dev/v1alpha1",
        "kind": "AgentGraph",
        "metadata": {"name": "writing"},
        "spec": {
            "models": [{"name": "m", "modelServerRef": {"name": "scripted"}}],
            "entry": ["ask"],
            "vertices": vertices,
            "edges": to.chain(from).chain(again).collect::<Vec<Value>>(),
            "outputs": [{"vertex": "end"}],
        },
    });
    vec![model.to_string(), graph.to_string()]
}

/// So many that each of three workers has some.
const WRITERS: [&str; 6] = ["one", "two", "three", "four", "five", "six"];

/// What one who watches hears of each vertex, as it comes.
type Written = Mutex<std::collections::BTreeMap<String, String>>;

async fn listen(address: &str, texts: bool, written: &Written) {
    let request = v1::WatchRequest { run: "writing".to_owned(), texts, ..v1::WatchRequest::default() };
    let mut events = watched(address, request).await;
    while let Some(event) = events.message().await.unwrap() {
        if let Some(What::Text(text)) = event.what {
            assert!(event.cursor.is_empty() && event.offset == 0);
            let vertex = text.activation.unwrap().vertex;
            written.lock().unwrap().entry(vertex).or_default().push_str(&text.text);
        }
    }
}

#[test]
fn what_models_write_is_heard_at_every_worker_by_those_who_want_to() {
    let group = Group::new(&["a", "b", "c"]);
    group.complete(3);
    let answer: Vec<String> = (0..120).map(|number| format!("word{number}")).collect();
    let answer = answer.join(" ");
    group.submit("writing", &writing(&answer), &Value::Null);
    // The question behind one that is answered.
    let asks = |before: &Option<v1::QuestionId>| loop {
        let open = group.get("writing").questions.into_iter().map(|question| question.id);
        if let Some(question) = open.into_iter().find(|id| id != before) {
            return question;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let say = |question: &Option<v1::QuestionId>, answer: bool| {
        let (run, answer) = ("writing".to_owned(), answer.to_string().into_bytes().into());
        let answer = v1::AnswerRequest { run, question: question.clone(), answer };
        group.ask(async |mut client| Ok(client.answer(answer.clone()).await?.into_inner()));
    };
    let heard: Vec<Written> = (0..3).map(|_| Written::default()).collect();
    let silent = Written::default();
    std::thread::scope(|scope| {
        for (worker, written) in group.workers.iter().zip(&heard) {
            for (texts, written) in [(true, written), (false, &silent)] {
                scope.spawn(move || {
                    let runtime = Runtime::new().unwrap();
                    runtime.block_on(listen(&worker.address, texts, written));
                });
            }
        }
        // Those who watch at other workers are known to the leader by then, on a machine that is not busy.
        std::thread::sleep(Duration::from_millis(1_500));
        let mut question = asks(&None);
        say(&question, true);
        let since = Instant::now();
        for round in 1.. {
            question = asks(&question);
            // Each hears every text to its end, from where he came on; or, of those that are written again for one who
            // came too late, a whole one.
            let all = answer.repeat(round);
            let is_heard =
                |text: &String| all.ends_with(text.as_str()) || (round > 1 && text.ends_with(&answer));
            let has_heard = |written: &Written| {
                let written = written.lock().unwrap();
                written.len() == WRITERS.len() && written.values().all(is_heard)
            };
            for _ in 0..100 {
                if heard.iter().all(has_heard) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            if heard.iter().all(has_heard) {
                break;
            }
            // A scope waits for its threads, and they for the end of the run.
            if since.elapsed() > PATIENCE {
                eprintln!("{heard:?}");
                std::process::abort();
            }
            say(&question, false);
        }
        say(&question, true);
    });
    assert!(silent.into_inner().unwrap().is_empty(), "who does not want to hear texts does not");
    assert_eq!(group.end("writing").0, RunStatus::Succeeded);
}
