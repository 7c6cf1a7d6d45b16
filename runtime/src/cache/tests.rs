use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use futures::FutureExt as _;
use superstep_engine::{Direct, Outcome, Payload, ValueChange};

use super::*;
use crate::calls::tests::{perform_all, runner};
use crate::program::{Activation, Execution, Program};
use crate::programs::Programs;
use crate::programs::tests::given::{self, output};

/// A program that counts how often it runs, and does what it is told.
struct Counting {
    runs: Arc<AtomicU32>,
    result: Box<dyn Fn(u32) -> Outcome + Send + Sync>,
}

impl Program for Counting {
    fn start(&self, _activation: Activation) -> Execution {
        let run = self.runs.fetch_add(1, Ordering::SeqCst);
        let outcome = (self.result)(run);
        let working = async move {
            tokio::task::yield_now().await;
            outcome
        };
        Execution::Running(working.boxed())
    }
}

/// Programs with one that counts, registered as `count`.
struct Bench {
    programs: Programs,
    runs: Arc<AtomicU32>,
    /// The targets of the calls.
    called: Arc<Mutex<Vec<(String, u64)>>>,
}

fn done(value: Value) -> Outcome {
    Outcome::Done(ProgramResult::output(value.into()))
}

impl Bench {
    fn new(cache: ResultCache, result: impl Fn(u32) -> Outcome + Send + Sync + 'static) -> Self {
        let runs = Arc::new(AtomicU32::new(0));
        let mut programs = Programs::default().with_cache(cache);
        programs.register("count", Arc::new(Counting { runs: Arc::clone(&runs), result: Box::new(result) }));
        Self { programs, runs, called: Arc::default() }
    }

    fn activation(&self, vertex: &VertexSpec, payload: Value) -> Activation {
        let called = Arc::clone(&self.called);
        let (calls, _told) = runner(move |ordinal, request| {
            called.lock().unwrap().push((request.target.clone(), request.reserve.calls));
            perform_all(ordinal, request)
        });
        given::activation(vertex, &[payload], calls)
    }

    async fn run(&self, vertex: Value, payload: Value) -> Outcome {
        let vertex = given::vertex(vertex);
        let activation = self.activation(&vertex, payload);
        self.programs.for_vertex(&vertex).unwrap().start(activation).outcome().await
    }

    fn runs(&self) -> u32 {
        self.runs.swap(0, Ordering::SeqCst)
    }
}

fn counting(cache: Value) -> Value {
    json!({"name": "c", "custom": {"name": "count"}, "cache": cache})
}

#[tokio::test]
async fn an_equal_activation_takes_the_kept_result_and_records_it() {
    let bench = Bench::new(ResultCache::default(), |run| done(json!(run)));
    for (payload, expected) in [(json!("a"), 0), (json!("a"), 0), (json!("b"), 1), (json!("a"), 0)] {
        let found = bench.run(counting(json!({"ttl": "1h"})), payload).await;
        assert_eq!(output(found).unwrap(), json!(expected));
    }
    assert_eq!(bench.runs(), 2);
    assert_eq!(*bench.called.lock().unwrap(), [("cache".to_owned(), 0), ("cache".to_owned(), 0)]);
    let other = json!({"name": "c", "custom": {"name": "count", "parameters": 1}, "cache": {"ttl": "1h"}});
    bench.run(other, json!("a")).await;
    assert_eq!(bench.runs(), 1, "another program");
    bench.run(json!({"name": "c", "custom": {"name": "count"}}), json!("a")).await;
    assert_eq!(bench.runs(), 1, "no cache");
}

#[tokio::test]
async fn a_key_tells_what_is_equal() {
    let bench = Bench::new(ResultCache::default(), |run| done(json!(run)));
    let keyed = counting(json!({"ttl": "1h", "key": "message.n % 2"}));
    for (n, expected) in [(1, 0), (3, 0), (2, 1), (5, 0)] {
        assert_eq!(output(bench.run(keyed.clone(), json!({"n": n})).await).unwrap(), json!(expected));
    }
    let failure = output(bench.run(keyed, json!({})).await).unwrap_err();
    assert!(failure.message.contains('n'), "{failure}");
    assert_eq!(bench.runs(), 2, "without a key nothing runs");
}

#[tokio::test]
async fn only_what_the_program_reads_tells_results_apart() {
    let script = json!({"otherwise": "x"});
    let programs = given::scripted(script);
    let vertex = json!({"name": "p", "prompt": {"model": "small", "template": "{{ message.a }}"}, "cache": {"ttl": "1h"}});
    let vertex = given::vertex(vertex);
    let mut asked = Vec::new();
    for payload in [json!({"a": 1, "b": 1}), json!({"a": 1, "b": 2}), json!({"a": 2, "b": 2})] {
        let called = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&called);
        let (calls, _told) = runner(move |ordinal, request| {
            seen.lock().unwrap().push(request.target.clone());
            perform_all(ordinal, request)
        });
        let mut activation = given::activation(&vertex, &[payload], calls);
        Arc::get_mut(&mut activation.view.scene).unwrap().superstep = asked.len() as u64;
        programs.for_vertex(&vertex).unwrap().start(activation).outcome().await;
        asked.extend(called.lock().unwrap().drain(..));
    }
    assert_eq!(asked, ["model small", "cache", "model small"]);
}

#[tokio::test]
async fn what_a_name_stands_for_tells_results_apart() {
    let results = Results::memory();
    let vertex = json!({"name": "p", "prompt": {"model": "small", "template": "x"}, "cache": {"ttl": "1h"}});
    let mut asked = Vec::new();
    for meaning in [json!(1), json!(2), json!(1)] {
        let meanings = BTreeMap::from([("model small".to_owned(), meaning)]);
        let programs = given::scripted(json!({"otherwise": "x"}));
        let programs = programs.with_cache(ResultCache::new(results.clone(), meanings));
        let bench = Bench { programs, runs: Arc::default(), called: Arc::default() };
        bench.run(vertex.clone(), json!(1)).await;
        asked.extend(bench.called.lock().unwrap().drain(..).map(|(target, _)| target));
    }
    assert_eq!(asked, ["model small", "model small", "cache"]);
}

#[tokio::test]
async fn effects_are_made_anew_of_a_kept_result() {
    let bench = Bench::new(ResultCache::default(), |_| done(json!(1)));
    let mut vertex = counting(json!({"ttl": "1h", "key": "'same'"}));
    vertex["effects"] = json!({"value": "message"});
    for payload in [json!("a"), json!("b")] {
        let Outcome::Done(result) = bench.run(vertex.clone(), payload.clone()).await else {
            panic!("it is done")
        };
        assert_eq!(result.value, ValueChange::Set(payload.into()));
    }
    assert_eq!(bench.runs(), 1);
}

#[tokio::test]
async fn failures_and_what_has_receivers_of_its_own_are_not_kept() {
    let fails = Bench::new(ResultCache::default(), |_| Outcome::Failed(Failure::permanent("no")));
    let sends = Bench::new(ResultCache::default(), |_| {
        let direct = vec![Direct { to: "b".into(), payload: Payload::null() }];
        Outcome::Done(ProgramResult { direct, ..ProgramResult::output(Payload::null()) })
    });
    for bench in [fails, sends] {
        for _ in 0..2 {
            bench.run(counting(json!({"ttl": "1h"})), json!(1)).await;
        }
        assert_eq!(bench.runs(), 2);
    }
}

#[tokio::test]
async fn what_is_too_old_or_damaged_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let results = Results::folder(folder.path());
    let bench = Bench::new(ResultCache::new(results.clone(), BTreeMap::new()), |run| done(json!(run)));
    let vertex = counting(json!({"ttl": "1h", "key": "'k'"}));
    let key = {
        let vertex = given::vertex(vertex.clone());
        let keying = bench_cache(&results).keying(&vertex).unwrap().unwrap();
        keying.key(&bench.activation(&vertex, json!(1)).view).unwrap()
    };
    let result = serde_json::to_vec(&ProgramResult::output(json!("old").into())).unwrap();
    let kept = |kept_at: u64, bytes: &[u8]| KeptResult { kept_at, until: u64::MAX, bytes: bytes.to_vec() };
    for (kept, is_taken) in [
        (kept(now() - 10, &result), true),
        (kept(now() - 3_601, &result), false),
        (kept(now() + 1_000, &result), false),
        (kept(now(), b"{}?"), false),
    ] {
        results.keep(key, kept.clone()).unwrap();
        let found = output(bench.run(vertex.clone(), json!(1)).await).unwrap();
        assert_eq!(found == json!("old"), is_taken, "{kept:?}");
        assert_eq!(bench.runs(), u32::from(!is_taken));
    }
    let file = walk(folder.path()).remove(0);
    std::fs::write(&file, "torn").unwrap();
    bench.run(vertex.clone(), json!(1)).await;
    assert_eq!(bench.runs(), 1);
    bench.run(vertex, json!(1)).await;
    assert_eq!(bench.runs(), 0, "the damaged result was replaced");
}

fn bench_cache(results: &Results) -> ResultCache {
    ResultCache::new(results.clone(), BTreeMap::new())
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn of_equal_activations_at_the_same_time_one_works() {
    let bench = Bench::new(ResultCache::default(), |run| done(json!(run)));
    let vertex = counting(json!({"ttl": "1h"}));
    let all = futures::future::join_all((0..20).map(|_| bench.run(vertex.clone(), json!(1)))).await;
    assert!(all.into_iter().all(|outcome| output(outcome).unwrap() == json!(0)));
    assert_eq!(bench.runs(), 1);
}

#[tokio::test]
async fn who_waits_works_for_itself_when_the_first_fails_or_is_dropped() {
    let bench = Bench::new(ResultCache::default(), |run| match run {
        0 => Outcome::Failed(Failure::transient("busy")),
        run => done(json!(run)),
    });
    let vertex = counting(json!({"ttl": "1h"}));
    let all = futures::future::join_all((0..3).map(|_| bench.run(vertex.clone(), json!(1)))).await;
    assert_eq!(all.iter().filter(|outcome| matches!(outcome, Outcome::Failed(_))).count(), 1);
    let bench = Bench::new(ResultCache::default(), |run| done(json!(run)));
    let mut first = Box::pin(bench.run(vertex.clone(), json!(2)));
    while bench.runs.load(Ordering::SeqCst) == 0 {
        assert!(futures::poll!(&mut first).is_pending());
        tokio::task::yield_now().await;
    }
    drop(first);
    assert_eq!(output(bench.run(vertex, json!(2)).await).unwrap(), json!(1));
}

#[test]
fn a_path_that_leads_nowhere_is_the_last_that_there_is() {
    let reads = |template: &str| {
        let prompt = json!({"model": "m", "template": template});
        Reads::of(&given::vertex(json!({"name": "p", "prompt": prompt}))).unwrap()
    };
    let (calls, _events) = tokio::sync::mpsc::unbounded_channel();
    let calls = crate::calls::Calls::new(crate::calls::Caller(0), calls);
    let vertex = given::vertex(json!({"name": "p", "function": {"cel": "1"}}));
    let view = given::activation(&vertex, &[json!({"a": {"b": 1}, "c": 2})], calls).view;
    for (template, expected) in [
        ("{{ message.a.b }}", json!([[["message", "a", "b"], 1]])),
        ("{{ message.a.x }}", json!([[["message", "a", "x"], {"b": 1}]])),
        ("{{ from.a.c }}{{ from.z }}", json!([[["from", "a", "c"], [2]], [["from", "z"], null]])),
        ("{{ input.text }}", json!([[["input", "text"], "It crashes."]])),
        (
            "{% for m in messages %}{{ m.payload.c }}{% endfor %}",
            json!([[["messages"], [{"from": "a", "port": "out", "payload": {"a": {"b": 1}, "c": 2}}]]]),
        ),
        ("x", json!([])),
    ] {
        assert_eq!(reads(template).seen(&view), expected, "{template}");
    }
    let all = Reads::of(&given::vertex(json!({"name": "c", "custom": {"name": "x"}}))).unwrap();
    assert_eq!(all, Reads::Everything);
}
