//! Supersteps that start when they are delivered, on several partitions.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod nothing;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use superstep_engine::{
    Command, Coordinator, CoordinatorAction, CoordinatorEvent, Costs, Effect, Expressions, Homes, LimitKind,
    Notice, Outcome, Partition, PartitionEvent, PartitionId, Payload, ProgramResult, Question, QuestionId,
    Record, Routed, RunConfig, RunStarted, RunStatus, Timestamp,
};
use superstep_graph::{GraphSpec, ValidatedGraph};

use nothing::Nothing;

const NOW: Timestamp = Timestamp(0);
const PARTITIONS: u32 = 3;

/// A run whose programs end at once, and what was seen of it.
struct Run {
    coordinator: Coordinator,
    partitions: Vec<Partition>,
    /// Messages between partitions, which come when nothing else happens.
    on_their_way: Vec<(PartitionId, u64, Vec<Routed>)>,
    /// How many partitions were told to start, and how many to start by themselves.
    told: usize,
    at_once: usize,
    /// Activations that began while messages of their superstep were on their way.
    early: usize,
    activations: usize,
    /// A vertex that asks the outside, what it has asked, and how often the run waited for that.
    asks: Option<&'static str>,
    asked: Vec<QuestionId>,
    paused: usize,
    /// How many partitions were told to deliver while the run rested.
    rested: usize,
    status: Option<RunStatus>,
}

impl Run {
    fn new(spec: &Value) -> Self {
        let spec: GraphSpec = serde_json::from_value(spec.clone()).unwrap();
        let homes = Arc::new(Homes::numbered(PARTITIONS));
        let words: Arc<dyn Expressions + Send + Sync> = Arc::new(Nothing);
        let graphs = BTreeMap::from([("main".to_owned(), Arc::new(spec.clone()))]);
        let started = RunStarted {
            run: "r".to_owned(),
            root: "main".to_owned(),
            graphs,
            input: Payload::null(),
            attachment: Payload::null(),
            started_at: 0,
        };
        let config = RunConfig {
            started: Arc::new(started),
            library: BTreeMap::from([("main".to_owned(), ValidatedGraph::after_mutation(spec))]),
            carried: None,
            homes: Arc::clone(&homes),
            costs: Costs::default(),
            remains: None,
        };
        let partition = |me| Partition::new("r", PartitionId(me), Arc::clone(&homes), Arc::clone(&words));
        Self {
            partitions: (0..PARTITIONS).map(partition).collect(),
            coordinator: Coordinator::new(config, Arc::clone(&words)),
            on_their_way: Vec::new(),
            told: 0,
            at_once: 0,
            early: 0,
            activations: 0,
            asks: None,
            asked: Vec::new(),
            paused: 0,
            rested: 0,
            status: None,
        }
    }

    fn until_its_end(mut self) -> Self {
        self.coordinator.begin("me", NOW);
        while self.status.is_none() {
            if let Some(action) = self.coordinator.poll_action() {
                self.act(action);
                continue;
            }
            let parts = (0u32..).zip(&mut self.partitions);
            let mut effects =
                parts.filter_map(|(at, part)| part.poll_effect().map(|effect| (PartitionId(at), effect)));
            if let Some((from, effect)) = effects.next() {
                self.effect(from, effect);
                continue;
            }
            if self.coordinator.is_paused() {
                self.paused += 1;
                for question in std::mem::take(&mut self.asked) {
                    let answer = CoordinatorEvent::Answer(question, Payload::from(json!("yes")));
                    self.coordinator.handle(answer, NOW);
                }
                continue;
            }
            let (to, superstep, messages) = self.on_their_way.pop().expect("the run goes on");
            self.tell(to, PartitionEvent::Messages { superstep, messages });
        }
        self
    }

    fn tell(&mut self, to: PartitionId, event: PartitionEvent) {
        self.partitions[to.0 as usize].handle(event, NOW);
    }

    fn act(&mut self, action: CoordinatorAction) {
        match action {
            CoordinatorAction::Command(to, command) => {
                let rests = matches!(command, Command::Deliver { .. }) && self.coordinator.rests();
                self.rested += usize::from(rests);
                for at in (0..PARTITIONS).map(PartitionId).filter(|at| to.is_none_or(|to| to == *at)) {
                    self.told += usize::from(matches!(command, Command::Start(_)));
                    self.at_once += usize::from(matches!(command, Command::Deliver { starts: true, .. }));
                    self.tell(at, PartitionEvent::Command(command.clone()));
                }
            }
            CoordinatorAction::Append(token, records) => {
                for record in records {
                    let Record::Committed(commit) = record else { continue };
                    let open =
                        self.on_their_way.iter().any(|(_, superstep, _)| *superstep <= commit.superstep);
                    assert!(
                        !open,
                        "superstep {} is committed and not delivered everywhere",
                        commit.superstep
                    );
                }
                self.coordinator.handle(CoordinatorEvent::Durable(token), NOW);
            }
            CoordinatorAction::Notify(Notice::Asked { id, .. }) => self.asked.push(id),
            CoordinatorAction::Notify(_) => {}
            CoordinatorAction::Ended(status) => self.status = Some(status),
        }
    }

    fn effect(&mut self, from: PartitionId, effect: Effect) {
        match effect {
            Effect::Report(report) => self.coordinator.handle(CoordinatorEvent::Report(from, report), NOW),
            Effect::Run(job) => {
                let superstep = job.activation.superstep;
                self.early += usize::from(self.on_their_way.iter().any(|(_, of, _)| *of == superstep));
                self.activations += 1;
                let outcome = if self.asks.is_some_and(|asks| job.activation.vertex.as_str() == asks) {
                    Outcome::Suspended(Question { ask: Payload::null(), state: None })
                } else {
                    Outcome::Done(ProgramResult::output(Payload::from(json!([1, 2]))))
                };
                self.tell(from, PartitionEvent::Finished { key: job.key, outcome });
            }
            Effect::Send { to, superstep, messages } => self.on_their_way.push((to, superstep, messages)),
            Effect::Append(token, _) => self.tell(from, PartitionEvent::Durable(token)),
            Effect::Abort(_) | Effect::Decide { .. } | Effect::Notify(_) => {}
        }
    }
}

/// Vertices in a ring, all of which send to the next one; `further` is added to the first.
fn ring(limits: &Value, further: &Value) -> Value {
    let name = |at: usize| format!("v{}", at % 6);
    let mut vertices: Vec<Value> =
        (0..6).map(|at| json!({"name": name(at), "custom": {"name": "p"}})).collect();
    vertices[0].as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
    json!({
        "entry": (0..6).map(name).collect::<Vec<_>>(),
        "vertices": vertices,
        "edges": (0..6).map(|at| json!({"from": name(at), "to": name(at + 1)})).collect::<Vec<_>>(),
        "limits": limits,
    })
}

/// Three vertices behind one another.
fn chain() -> Value {
    json!({
        "entry": ["a"],
        "vertices": (["a", "b", "c"].map(|name| json!({"name": name, "custom": {"name": "p"}}))),
        "edges": [{"from": "a", "to": "b"}, {"from": "b", "to": "c"}],
    })
}

#[test]
fn what_needs_no_judgement_starts_when_it_is_delivered() {
    let run = Run::new(&ring(&json!({"supersteps": 5}), &json!({}))).until_its_end();
    assert_eq!(run.status, Some(RunStatus::LimitReached(LimitKind::Supersteps)));
    // The last delivery is judged, for the run ends behind it.
    assert_eq!((run.told, run.at_once, run.activations), (0, 4 * PARTITIONS as usize, 30));
    assert!(run.early > 0, "somebody waited for the others");
    let run = Run::new(&chain()).until_its_end();
    assert_eq!(run.status, Some(RunStatus::Succeeded));
    assert_eq!((run.told, run.at_once, run.activations), (0, 3 * PARTITIONS as usize, 3));
    assert_eq!(run.coordinator.totals().supersteps, 3);
}

#[test]
fn a_run_rests_before_what_may_not_start_at_once() {
    let rests = |may| {
        let mut run = Run::new(&ring(&json!({"supersteps": 5}), &json!({})));
        run.coordinator.let_start_at_once(may);
        let run = run.until_its_end();
        assert_eq!(run.status, Some(RunStatus::LimitReached(LimitKind::Supersteps)));
        assert_eq!(run.activations, 30);
        (run.at_once, run.told, run.rested)
    };
    // The last delivery is judged either way.
    let each = PARTITIONS as usize;
    assert_eq!(rests(true), (4 * each, 0, each));
    assert_eq!(rests(false), (0, 4 * each, 5 * each));
}

#[test]
fn a_run_pauses_behind_the_start_of_what_nobody_judged() {
    let mut run = Run::new(&chain());
    run.asks = Some("b");
    let run = run.until_its_end();
    assert_eq!(run.status, Some(RunStatus::Succeeded));
    assert_eq!((run.paused, run.activations), (1, 3));
    assert!(run.at_once > 0 && run.told > 0, "an answer is handed on with a start that was judged");
}

#[test]
fn what_may_have_to_be_judged_waits() {
    let few = json!({"supersteps": 3});
    for further in [
        json!({"join": {"mode": "All"}}),
        json!({"join": {"mode": "Quorum", "count": 1}}),
        json!({"forEach": {}, "onFailure": "Ignore"}),
    ] {
        let run = Run::new(&ring(&few, &further)).until_its_end();
        assert_eq!(run.status, Some(RunStatus::LimitReached(LimitKind::Supersteps)), "{further}");
        assert_eq!((run.told, run.at_once), (2 * PARTITIONS as usize, 0), "{further}");
    }
    // Three supersteps of six fit; whether a fourth does is judged.
    let run = Run::new(&ring(&json!({"activations": 20}), &json!({}))).until_its_end();
    assert_eq!(run.status, Some(RunStatus::LimitReached(LimitKind::Activations)));
    assert_eq!((run.told, run.at_once, run.activations), (0, 2 * PARTITIONS as usize, 18));
    assert_eq!(run.coordinator.totals().activations, 18);
}
