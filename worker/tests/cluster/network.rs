//! Workers whose network loses, holds and cuts what goes over it, as a seed decides: everything but time, the network
//! and who leads is what a worker has.
//!
//! The seed decides how long each message takes, which are lost, and what is wrong when and between whom. Which of several
//! things that are ready a worker takes up first is not the seed's: a run comes to the same whatever that is.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;

use futures::future::{BoxFuture, FutureExt as _, ready};
use futures::stream::{StreamExt as _, try_unfold};
use superstep_leases::{Lease, LeaseError, Leases};
use superstep_transport::{Arrivals, Link, Network};
use superstep_worker::{Discovery, DiscoveryError, Member};
use tokio::time::{sleep, timeout};
use turmoil::Sim;
use turmoil::net::{TcpListener, TcpStream};

use super::*;

const WORKERS: [&str; 3] = ["a", "b", "c"];
const PORT: u16 = 7101;
/// How long there are troubles, on the clock of the simulation.
const TROUBLES: Duration = Duration::from_secs(150);
/// How long a run may take on that clock. It goes on while threads of the real machine read logs, and a busy one lets them
/// wait.
const MOST: Duration = Duration::from_secs(6_000);

/// The network of the simulation.
struct Simulated;

impl Network for Simulated {
    fn connect(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<Box<dyn Link>>> {
        async move { Ok(Box::new(TcpStream::connect((host.as_str(), port)).await?) as Box<dyn Link>) }.boxed()
    }

    fn listen(&self, at: SocketAddr) -> BoxFuture<'static, io::Result<(SocketAddr, Arrivals)>> {
        let arrivals = |listener: TcpListener| async move {
            let (stream, from) = listener.accept().await?;
            Ok(Some(((Box::new(stream) as Box<dyn Link>, from), listener)))
        };
        async move { Ok((at, try_unfold(TcpListener::bind(at).await?, arrivals).boxed())) }.boxed()
    }
}

/// A lease in memory, which every worker reaches.
#[derive(Default)]
struct InMemory(Mutex<Option<Lease>>);

impl Leases for InMemory {
    fn read(&self) -> BoxFuture<'_, Result<Option<Lease>, LeaseError>> {
        ready(Ok(self.0.lock().unwrap().clone())).boxed()
    }

    fn replace(&self, seen: Option<Lease>, next: Lease) -> BoxFuture<'_, Result<bool, LeaseError>> {
        let mut lease = self.0.lock().unwrap();
        let is_so = *lease == seen;
        if is_so {
            *lease = Some(next);
        }
        ready(Ok(is_so)).boxed()
    }
}

/// Who is there, which every worker knows.
#[derive(Default)]
struct Known(Mutex<BTreeMap<String, Member>>);

impl Discovery for Known {
    fn announce<'a>(&'a self, me: &'a Member) -> BoxFuture<'a, Result<(), DiscoveryError>> {
        self.0.lock().unwrap().insert(me.name.clone(), me.clone());
        ready(Ok(())).boxed()
    }

    fn withdraw<'a>(&'a self, me: &'a Member) -> BoxFuture<'a, Result<(), DiscoveryError>> {
        self.0.lock().unwrap().remove(&me.name);
        ready(Ok(())).boxed()
    }

    fn find<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<String>, DiscoveryError>> {
        let found = self.0.lock().unwrap().get(name).map(|member| member.address.clone());
        ready(Ok(found)).boxed()
    }

    fn has_others<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<bool, DiscoveryError>> {
        ready(Ok(self.0.lock().unwrap().keys().any(|other| other != name))).boxed()
    }
}

/// Draws, each time the same from one seed.
struct Draws(u64);

impl Draws {
    /// One of so many places.
    fn place(&mut self, places: u64) -> usize {
        usize::try_from(self.below(places)).unwrap()
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

/// What is wrong between two workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    /// What goes over the network is held back, and comes later.
    Holds,
    /// Nothing comes from the first to the second.
    OneWay,
    /// Nothing comes either way.
    Cut,
    /// Some of what is sent is lost.
    Loses,
}

impl Trouble {
    const ALL: [Self; 4] = [Self::Holds, Self::OneWay, Self::Cut, Self::Loses];

    fn begin(self, sim: &mut Sim<'_>, (from, to): (&str, &str)) {
        match self {
            Self::Holds => sim.hold(from, to),
            Self::OneWay => sim.partition_oneway(from, to),
            Self::Cut => sim.partition(from, to),
            Self::Loses => sim.set_link_fail_rate(from, to, 0.05),
        }
    }

    fn end(self, sim: &mut Sim<'_>, (from, to): (&str, &str)) {
        match self {
            Self::Holds => sim.release(from, to),
            Self::OneWay => sim.repair_oneway(from, to),
            Self::Cut => sim.repair(from, to),
            Self::Loses => sim.set_link_fail_rate(from, to, 0.0),
        }
    }
}

/// How a run ended, and what it told.
type Ended = (RunStatus, Value, Vec<Seen>);

/// What came of a run, once it has ended.
type Came = Arc<Mutex<Option<Ended>>>;

/// Asks one worker after the other until one answers.
async fn asked<A>(ask: impl AsyncFn(RunsClient<Channel>) -> Result<A, tonic::Status>) -> A {
    let channels = Channels::new(Security::Within(Arc::new(Simulated)));
    // What an answer is read from may take long by this clock.
    let mut within = Duration::from_secs(3);
    for (number, name) in WORKERS.iter().cycle().enumerate() {
        if number > 0 && number % WORKERS.len() == 0 {
            within = (within * 2).min(MOST / 20);
        }
        let client = channels.runs(&format!("http://{name}:{PORT}")).unwrap();
        match timeout(within, ask(client)).await {
            Ok(Ok(answer)) => return answer,
            Ok(Err(_)) | Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
    unreachable!("there are workers")
}

/// Submits a run, waits for its end, and hears what happened in it.
async fn client(documents: Vec<String>, input: Value, came: Came) -> turmoil::Result {
    let request = v1::SubmitRequest {
        run: "simulated".to_owned(),
        documents,
        input: serde_json::to_vec(&input)?.into(),
        ..v1::SubmitRequest::default()
    };
    asked(async |mut client| client.submit(request.clone()).await).await;
    let run = || "simulated".to_owned();
    let ended = loop {
        let request = v1::GetRequest { run: run() };
        let got = asked(async |mut client| client.get(request.clone()).await).await;
        let found = got.into_inner().run.unwrap();
        if found.phase() == v1::RunPhase::Ended {
            break found;
        }
        sleep(Duration::from_millis(200)).await;
    };
    let seen = asked(async |mut client| {
        let request = v1::WatchRequest { run: run(), ..v1::WatchRequest::default() };
        let mut events = client.watch(request).await?.into_inner();
        let mut seen = Vec::new();
        while let Some(event) = events.message().await? {
            seen.push(superstep_wire::seen_of(event).unwrap());
        }
        Ok(seen)
    });
    let status = superstep_wire::status_of(ended.status)?;
    let outputs = superstep_wire::payload_of(ended.outputs)?.value().clone();
    let seen = seen.await;
    *came.lock().unwrap() = Some((status, outputs, seen));
    Ok(())
}

/// The run on three workers, in a network of a seed to which `disturb` does what it likes at each step.
fn simulate(
    seed: u64,
    (documents, input): (&[String], &Value),
    mut disturb: impl FnMut(&mut Sim<'_>, &InMemory),
) -> Ended {
    let mut sim = turmoil::Builder::new()
        .rng_seed(seed)
        .simulation_duration(MOST)
        .min_message_latency(Duration::from_micros(100))
        .max_message_latency(Duration::from_millis(5))
        .tcp_capacity(1 << 14)
        .enable_random_order()
        .build();
    let (store, leases) = (Store::memory(), Arc::new(InMemory::default()));
    let around = Surroundings {
        store: store.clone(),
        leases: leases.clone(),
        discovery: Arc::new(Known::default()),
        provisions: Arc::new(Loader::new(store)),
        traces: None,
    };
    for name in WORKERS {
        let around = around.clone();
        sim.host(name, move || {
            let around = around.clone();
            async move {
                let config = NodeConfig {
                    name: name.to_owned(),
                    listen: SocketAddr::from(([0, 0, 0, 0], PORT)),
                    address: Some(format!("http://{name}:{PORT}")),
                    labels: BTreeSet::new(),
                    pace: quick(),
                    security: Security::Within(Arc::new(Simulated)),
                };
                let _node = Node::start(config, around).await?;
                std::future::pending().await
            }
        });
    }
    let came = Came::default();
    sim.client("client", client(documents.to_vec(), input.clone(), Arc::clone(&came)));
    while !sim.step().unwrap() {
        disturb(&mut sim, &leases);
    }
    let ended = came.lock().unwrap().take();
    ended.unwrap()
}

/// As [`simulate`], with the troubles that the seed draws; and which those were.
fn troubled(seed: u64, run: (&[String], &Value)) -> (Ended, Vec<Trouble>) {
    let mut draws = Draws(seed);
    let (mut next, mut open, mut had) = (draws.millis(300, 1_500), Vec::new(), Vec::new());
    let ended = simulate(seed, run, |sim, _| {
        let now = sim.elapsed();
        let is_over = |(until, ..): &mut (Duration, Trouble, _)| *until <= now;
        for (_, trouble, between) in open.extract_if(.., is_over) {
            trouble.end(sim, between);
        }
        // Whatever the seed, there is an end of troubles, and each pair has at most one.
        if now < next || now > TROUBLES {
            return;
        }
        next = now + draws.millis(500, 4_000);
        let from = draws.place(3);
        let to = (from + 1 + draws.place(2)) % 3;
        let between = (WORKERS[from], WORKERS[to]);
        let same = |(_, _, (one, other)): &(_, _, (&str, &str))| {
            [*one, *other] == [between.0, between.1] || [*other, *one] == [between.0, between.1]
        };
        if !open.iter().any(same) {
            let trouble = Trouble::ALL[draws.place(4)];
            trouble.begin(sim, between);
            open.push((now + draws.millis(100, 12_000), trouble, between));
            had.push(trouble);
        }
    });
    (ended, had)
}

/// On which way something is wrong.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// From the leader to a worker.
    FromLeader,
    /// From a worker to the leader.
    ToLeader,
    /// From a worker to another one, neither of which leads.
    Beside,
}

impl Way {
    const ALL: [Self; 3] = [Self::FromLeader, Self::ToLeader, Self::Beside];

    /// From whom to whom, while this one leads.
    fn between(self, leader: &str) -> (&'static str, &'static str) {
        let at = WORKERS.iter().position(|name| *name == leader).unwrap();
        let (leader, one, other) = (WORKERS[at], WORKERS[(at + 1) % 3], WORKERS[(at + 2) % 3]);
        match self {
            Self::FromLeader => (leader, one),
            Self::ToLeader => (one, leader),
            Self::Beside => (one, other),
        }
    }
}

/// As [`simulate`], with one trouble on one way, which begins while the run goes on and lasts longer than whoever is
/// silent is waited for.
fn disturbed(trouble: Trouble, way: Way, run: (&[String], &Value)) -> Ended {
    const BEGINS: Duration = Duration::from_millis(800);
    const LASTS: Duration = Duration::from_secs(8);
    let mut between = None;
    let mut is_over = false;
    let ended = simulate(7, run, |sim, leases| match between {
        None if sim.elapsed() >= BEGINS => {
            let leader = leases.0.lock().unwrap().clone().and_then(|lease| lease.holder);
            between = leader.map(|leader| way.between(&leader));
            between.into_iter().for_each(|between| trouble.begin(sim, between));
        }
        Some(between) if !is_over && sim.elapsed() >= BEGINS + LASTS => {
            trouble.end(sim, between);
            is_over = true;
        }
        None | Some(_) => {}
    });
    assert!(between.is_some(), "the run was not over before");
    ended
}

/// A graph in which, round after round, one vertex sends to six, and these to one that waits for all of them.
fn rounds(supersteps: u64) -> String {
    let parts: Vec<String> = (0..6).map(|number| format!("part{number}")).collect();
    let mut vertices = vec![
        json!({"name": "split", "function": {"cel": "superstep"}}),
        json!({"name": "all", "join": {"mode": "All"}, "function": {"cel": "messages.map(one, one.payload)"}}),
        json!({"name": "end", "function": {"cel": "message"}}),
    ];
    let mut edges = vec![
        json!({"from": "all", "to": "split", "when": format!("superstep < {supersteps}")}),
        json!({"from": "all", "to": "end", "when": format!("superstep >= {supersteps}")}),
    ];
    for (number, part) in parts.iter().enumerate() {
        vertices.push(json!({"name": part, "function": {"cel": format!("message * 10 + {number}")}}));
        edges.push(json!({"from": "split", "to": part}));
        edges.push(json!({"from": part, "to": "all"}));
    }
    let graph = json!({
        "apiVersion": "superstep.dev/v1alpha1",
        "kind": "AgentGraph",
        "metadata": {"name": "rounds"},
        "spec": {
            "entry": ["split"],
            "vertices": vertices,
            "edges": edges,
            "outputs": [{"vertex": "end"}],
            "limits": {"supersteps": supersteps + 10},
        },
    });
    graph.to_string()
}

#[test]
fn whatever_the_network_loses_holds_or_cuts_a_run_comes_to_what_it_comes_to_alone() {
    let documents = [rounds(300)];
    let (status, outputs, told) = alone(&documents, &Value::Null);
    assert_eq!(status, RunStatus::Succeeded);
    let mut had = Vec::new();
    for seed in 0..6 {
        let ((ended, came, seen), troubles) = troubled(seed, (&documents, &Value::Null));
        assert_eq!((ended, &came), (status.clone(), &outputs), "seed {seed}: {troubles:?}");
        assert_eq!(course(notices(&seen)), course(told.iter()), "seed {seed}: {troubles:?}");
        had.extend(troubles);
    }
    had.sort();
    had.dedup();
    assert_eq!(had, Trouble::ALL, "every trouble was there");
}

#[test]
fn each_trouble_on_each_way_leaves_a_run_what_it_is_alone() {
    let documents = [rounds(300)];
    let (status, outputs, told) = alone(&documents, &Value::Null);
    for trouble in Trouble::ALL {
        for way in Way::ALL {
            let (ended, came, seen) = disturbed(trouble, way, (&documents, &Value::Null));
            assert_eq!((ended, &came), (status.clone(), &outputs), "{trouble:?} {way:?}");
            assert_eq!(course(notices(&seen)), course(told.iter()), "{trouble:?} {way:?}");
        }
    }
}
