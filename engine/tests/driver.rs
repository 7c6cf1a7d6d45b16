//! A driver that says in words what a run does.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::Value;
use superstep_engine::{
    Action, CallDecision, CallOutcome, CallRequest, Called, Carried, Costs, EdgeView, Emission, Event,
    Expressions, Failure, FailureClass, Fork, ForkError, Homes, Job, Measured, Notice, Outcome, Patch,
    Payload, ProgramResult, Question, QuestionId, Record, RunConfig, RunStarted, Solo, Timestamp, Usage,
    ValueChange,
};
use superstep_graph::{
    EdgeSpec, GraphSpec, Mutation, Port, PriorityClass, ProgramCheck, ValidatedGraph, VertexSpec,
};

/// Conditions for tests: `true`, `false`, `fail`, `< N`, `>= N`; the transformation `wrap`.
struct Words;

impl ProgramCheck for Words {
    fn check_vertex(&self, _: &VertexSpec) -> Result<(), String> {
        Ok(())
    }
    fn check_edge(&self, _: &EdgeSpec) -> Result<(), String> {
        Ok(())
    }
}

impl Expressions for Words {
    fn when(&self, expression: &str, EdgeView { message, .. }: EdgeView<'_>) -> Result<bool, Failure> {
        let number = message.value().as_i64().unwrap_or(0);
        match expression.split_once(' ') {
            Some(("<", limit)) => Ok(number < limit.parse().unwrap()),
            Some((">=", limit)) => Ok(number >= limit.parse().unwrap()),
            _ => match expression {
                "true" => Ok(true),
                "false" => Ok(false),
                other => Err(Failure::permanent(format!("{other} has no value"))),
            },
        }
    }

    fn transform(&self, _: &str, EdgeView { message, .. }: EdgeView<'_>) -> Result<Payload, Failure> {
        Ok(Payload::from(serde_json::json!({"wrapped": message.value()})))
    }
}

#[derive(Default)]
pub(crate) struct Driver {
    library: BTreeMap<String, GraphSpec>,
    partitions: u32,
    solo: Option<Solo>,
    now: u64,
    running: BTreeMap<String, Job>,
    calls: BTreeMap<String, (superstep_engine::ActivationKey, u32)>,
    questions: BTreeMap<String, QuestionId>,
    log: Vec<Record>,
    /// What the run takes over from the one before.
    carried: Option<Arc<Carried>>,
    tickets: u32,
    /// Whether messages that were simply delivered are left out.
    quiet: bool,
    hold: bool,
    held: Vec<superstep_engine::LogToken>,
    complaint: String,
    /// What earlier runs have measured.
    costs: Costs,
}

impl Driver {
    pub(crate) fn command(&mut self, directive: &str, words: &[String], input: &str) -> String {
        let word = |index: usize| words.get(index).cloned().unwrap_or_default();
        let rest = || Payload::from(parse(input));
        match directive {
            "graph" => {
                let name = if words.is_empty() { "main".to_owned() } else { word(0) };
                self.library.insert(name, serde_saphyr::from_str(input).unwrap());
                return self.warnings();
            }
            "begin" => self.begin(
                &words
                    .iter()
                    .filter_map(|word| word.strip_prefix("partitions:")?.parse().ok())
                    .next()
                    .unwrap_or(1),
            ),
            "quiet" => {
                self.quiet = true;
                return "ok\n".to_owned();
            }
            "hold" => {
                self.hold = true;
                return "ok\n".to_owned();
            }
            "release" => self.release(),
            "done" => self.done(words, input),
            "fail" => self.finish(&word(0), Outcome::Failed(failure(&word(1)))),
            "ask" => {
                let state = words.get(1).map(|state| Payload::from(Value::from(state.as_str())));
                self.finish(&word(0), Outcome::Suspended(Question { ask: rest(), state }));
            }
            "answer" => {
                let question = self.questions.remove(&word(0)).unwrap();
                self.event(Event::Answer(question, rest()));
            }
            "call" => self.call(&word(0), &word(1), word(2).parse().unwrap_or(0)),
            "called" => self.called(&word(0), rest(), word(1).parse().unwrap_or(0)),
            "call-failed" => {
                let (key, ticket) = self.calls.remove(&word(0)).unwrap();
                let outcome = CallOutcome { answer: Err(failure(&word(1))), usage: Usage::default() };
                self.event(Event::CallEnded { key, ticket, outcome });
            }
            "patch" => self.patch(word(0), input),
            "cancel" => self.event(Event::Cancel),
            "suspend" => self.event(Event::Suspend(true)),
            "go-on" => self.event(Event::Suspend(false)),
            "sleep" => {
                self.now += word(0).parse::<u64>().unwrap() * 1_000;
                let now = Timestamp(self.now);
                self.solo.as_mut().unwrap().handle_timeout(now);
            }
            "costs" => return format!("{}\n", known(self.solo.as_ref().unwrap().coordinator().costs())),
            "next-run" => self.next_run(),
            "crash" => self.crash(),
            "fork" => {
                if let Err(error) = self.fork(&word(1), word(0).parse().unwrap(), input) {
                    return format!("{error}\n");
                }
            }
            "continue" => {
                self.carried = Some(Arc::new(self.solo.as_ref().unwrap().carried()));
                self.log.clear();
                self.begin(&1);
            }
            "log" => return self.print_log(),
            "outputs" => return format!("{}\n", self.solo.as_ref().unwrap().coordinator().outputs().value()),
            other => return format!("unknown command {other}\n"),
        }
        self.drain()
    }

    /// Lets the writes become durable that were held back.
    fn release(&mut self) {
        self.hold = false;
        for token in std::mem::take(&mut self.held) {
            self.event(Event::Durable(token));
        }
    }

    fn patch(&mut self, requester: String, mutations: &str) {
        let mutations: Vec<Mutation> = serde_saphyr::from_str(mutations).unwrap();
        self.event(Event::Patch(Patch { class: PriorityClass::Person, requester, mutations }));
    }

    /// Goes on with a fork of the run, which takes the place of the run.
    fn fork(&mut self, run: &str, superstep: u64, mutations: &str) -> Result<(), ForkError> {
        let mutations = if mutations.trim().is_empty() { "[]" } else { mutations };
        let mutations = serde_saphyr::from_str(mutations).unwrap();
        let fork = Fork { run: run.to_owned(), superstep, mutations, started_at: 0 };
        let words: Arc<dyn Expressions + Send + Sync> = Arc::new(Words);
        self.log = fork.records(self.config(), &words, &self.log)?;
        self.crash();
        Ok(())
    }

    fn warnings(&self) -> String {
        let mut text = String::new();
        for spec in self.library.values() {
            match superstep_graph::validate(spec) {
                Ok(graph) => {
                    graph.warnings().iter().for_each(|problem| writeln!(text, "warning: {problem}").unwrap())
                }
                Err(problems) => problems.0.iter().for_each(|problem| writeln!(text, "{problem}").unwrap()),
            }
        }
        if text.is_empty() { "ok\n".to_owned() } else { text }
    }

    fn config(&self) -> RunConfig {
        let started = match self.log.first() {
            Some(Record::RunStarted(started)) => RunStarted::clone(started),
            Some(_) | None => RunStarted {
                run: "test".into(),
                root: "main".into(),
                graphs: self
                    .library
                    .iter()
                    .map(|(name, spec)| (name.clone(), Arc::new(spec.clone())))
                    .collect(),
                input: Payload::from(Value::from("input")),
                attachment: Payload::null(),
                started_at: 0,
            },
        };
        let library: BTreeMap<String, ValidatedGraph> = started
            .graphs
            .iter()
            .map(|(name, spec)| (name.clone(), ValidatedGraph::after_mutation(GraphSpec::clone(spec))))
            .collect();
        RunConfig {
            started: Arc::new(started),
            library,
            carried: self.carried.clone(),
            homes: Arc::new(Homes::numbered(self.partitions)),
            costs: self.costs.clone(),
            remains: None,
        }
    }

    fn begin(&mut self, partitions: &u32) {
        self.partitions = *partitions;
        let mut solo = Solo::new(self.config(), Arc::new(Words));
        solo.begin("test", Timestamp(self.now));
        self.solo = Some(solo);
    }

    /// Everything but the log is lost, and the run is resumed from it.
    fn crash(&mut self) {
        self.running.clear();
        self.calls.clear();
        self.held.clear();
        let bytes = postcard::to_stdvec(&self.log).unwrap();
        let records: Vec<Record> = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(records, self.log, "a record changes when it is stored");
        let mut solo = Solo::new(self.config(), Arc::new(Words));
        solo.resume(&records, "again", Timestamp(self.now)).unwrap();
        self.solo = Some(solo);
    }

    /// Begins another run of the same graphs, with what this one has measured.
    fn next_run(&mut self) {
        let costs = self.solo.as_ref().unwrap().coordinator().costs();
        let mut forgiven = Costs::default();
        costs.iter().for_each(|(graph, costs)| forgiven.insert(graph, (**costs).clone().forgiven()));
        *self = Self {
            library: std::mem::take(&mut self.library),
            partitions: self.partitions,
            costs: forgiven,
            ..Self::default()
        };
        let partitions = self.partitions;
        self.begin(&partitions);
    }

    fn event(&mut self, event: Event) {
        self.solo.as_mut().unwrap().handle(event, Timestamp(self.now));
    }

    fn finish(&mut self, name: &str, outcome: Outcome) {
        match self.running.remove(name) {
            Some(job) => self.event(Event::Finished { key: job.key, outcome }),
            None => self.complaint = format!("{name} does not run; these do: {:?}\n", self.running.keys()),
        }
    }

    /// `done NAME [value:JSON] [append:JSON] [port:P] [to:VERTEX] [contribute:NAME]`, the payload below.
    fn done(&mut self, words: &[String], input: &str) {
        let mut result = ProgramResult::default();
        let payload = Payload::from(parse(input));
        let mut plain = true;
        let names: Vec<&String> = words.iter().filter(|word| !word.contains(':')).collect();
        for (kind, text) in words.iter().filter_map(|word| word.split_once(':')) {
            match kind {
                "value" => result.value = ValueChange::Set(Payload::from(parse(text))),
                "append" => result.value = ValueChange::Append(Payload::from(parse(text))),
                "port" => {
                    plain = false;
                    result.emissions.push(Emission { port: Port::from(text), payload: payload.clone() });
                }
                "to" => {
                    plain = false;
                    result
                        .direct
                        .push(superstep_engine::Direct { to: text.into(), payload: payload.clone() });
                }
                "contribute" => result.contributions.push((text.into(), payload.clone())),
                "mutate" => {
                    plain = false;
                    result.mutations = serde_saphyr::from_str(input).unwrap();
                }
                "gives" => {
                    plain = false;
                    let payload = Payload::from(parse(text));
                    result.emissions.push(Emission { port: Port::default(), payload });
                }
                "silent" => plain = false,
                other => panic!("unknown option {other}"),
            }
        }
        if plain {
            result.emissions.push(Emission { port: Port::default(), payload });
        }
        for name in names {
            self.finish(name, Outcome::Done(result.clone()));
        }
    }

    fn call(&mut self, name: &str, digest: &str, tokens: u64) {
        self.tickets += 1;
        let mut bytes = [0; 16];
        bytes[..digest.len()].copy_from_slice(digest.as_bytes());
        let reserve = Usage { calls: 1, prompt_tokens: tokens, ..Usage::default() };
        let Some(job) = self.running.get(name) else {
            self.complaint = format!("{name} does not run; these do: {:?}\n", self.running.keys());
            return;
        };
        let key = job.key;
        let repeatable = job.vertex.prompt.is_some();
        let request = CallRequest { target: format!("model {digest}"), digest: bytes, repeatable, reserve };
        self.calls.insert(format!("{name}:{digest}"), (key, self.tickets));
        self.event(Event::CallAsked { key, ticket: self.tickets, request });
    }

    fn called(&mut self, call: &str, answer: Payload, tokens: u64) {
        let (key, ticket) = *self.calls.get(call).unwrap();
        let usage =
            Usage { calls: 1, prompt_tokens: tokens, cost: tokens as f64 / 1_000.0, ..Usage::default() };
        self.event(Event::CallEnded { key, ticket, outcome: CallOutcome { answer: Ok(answer), usage } });
    }

    fn drain(&mut self) -> String {
        let mut text = std::mem::take(&mut self.complaint);
        while let Some(action) = self.solo.as_mut().unwrap().poll_action() {
            match action {
                Action::Append(token, records) => {
                    self.log.extend(records);
                    if self.hold {
                        self.held.push(token);
                    } else {
                        self.event(Event::Durable(token));
                    }
                }
                Action::Run(job) => {
                    writeln!(text, "run {}{}", job.activation, seen(&job)).unwrap();
                    self.running.insert(job.activation.to_string(), job);
                }
                Action::Abort(key) => {
                    self.running.retain(|_, job| job.key != key);
                }
                Action::Decide { key, ticket, decision } => {
                    let name = self
                        .calls
                        .iter()
                        .find(|(_, call)| **call == (key, ticket))
                        .map(|(name, _)| name.clone());
                    let decision = match decision {
                        CallDecision::Reuse(outcome) => format!("reuse {}", answer(&outcome)),
                        CallDecision::Perform { idempotency_key, .. } => {
                            format!("perform with key {}…", &idempotency_key[..4])
                        }
                        CallDecision::Refused(failure) => format!("refused: {failure}"),
                        CallDecision::Recorded => "recorded".to_owned(),
                    };
                    writeln!(text, "call {}: {decision}", name.unwrap_or_default()).unwrap();
                }
                Action::Notify(notice) => self.notice(&notice, &mut text),
                Action::Ended(_) => {}
            }
        }
        if text.is_empty() { "nothing\n".to_owned() } else { text }
    }

    fn notice(&mut self, notice: &Notice, text: &mut String) {
        match notice {
            Notice::Settled { from, to, status, port, .. } => {
                if !(self.quiet && *status == superstep_engine::MessageStatus::Delivered) {
                    let port = if port.is_default() { String::new() } else { format!(" on {port}") };
                    writeln!(text, "message {from} -> {to}{port}: {status:?}").unwrap();
                }
            }
            Notice::SuperstepStarted { superstep, started, carried } => {
                writeln!(text, "superstep {superstep}: {started} started, {carried} carried over").unwrap();
            }
            Notice::Started { elements: Some(elements), activation } => {
                writeln!(text, "group {activation} of {elements}").unwrap();
            }
            Notice::Started { .. } => {}
            Notice::Completed { activation, output, failure, .. } => {
                let output = output.as_ref().map_or("nothing".to_owned(), shown);
                let end =
                    failure.as_ref().map_or(format!("gave {output}"), |failure| format!("failed: {failure}"));
                writeln!(text, "  {activation} {end}").unwrap();
            }
            Notice::Committed { superstep, completed, .. } => {
                writeln!(text, "superstep {superstep} is committed with {completed}").unwrap();
            }
            Notice::JoinIncomplete { vertex, action, missing, .. } => {
                writeln!(text, "join of {vertex} is incomplete without {missing:?}: {action:?}").unwrap();
            }
            Notice::Mutated { requester, mutation, verdict, .. } => {
                writeln!(text, "{requester} asked for {:?}: {verdict:?}", mutation.kind()).unwrap();
            }
            Notice::Asked { id, question } => {
                self.questions.insert(id.activation.to_string(), id.clone());
                writeln!(text, "{id} asks {}", shown(&question.ask)).unwrap();
            }
            Notice::Retrying { activation, attempts, failure } => {
                writeln!(text, "{activation} is tried again after {attempts}: {failure}").unwrap();
            }
            Notice::Cancelled { activation } => writeln!(text, "{activation} is cancelled").unwrap(),
            Notice::Opened { frame, graph, by } => {
                let (vertex, superstep) = (&by.vertex, by.superstep);
                writeln!(text, "frame {} of {graph} is opened by {vertex}@{superstep}", frame.0).unwrap();
            }
            Notice::Called(called) => {
                let Called { call, target, outcome } = &**called;
                let tokens = outcome.usage.tokens();
                writeln!(
                    text,
                    "{target} called by {} gave {}, {tokens} tokens",
                    call.activation,
                    answer(outcome)
                )
                .unwrap();
            }
            Notice::Resumed { epoch } => writeln!(text, "resumed in epoch {}", epoch.0).unwrap(),
            Notice::Paused => writeln!(text, "paused").unwrap(),
            Notice::Suspended => writeln!(text, "stands still").unwrap(),
            Notice::Ended { status, totals } => {
                let supersteps = totals.supersteps;
                writeln!(
                    text,
                    "ended: {status:?} after {supersteps} supersteps, {} activations",
                    totals.activations
                )
                .unwrap();
            }
        }
    }

    fn print_log(&self) -> String {
        let mut text = String::new();
        for record in &self.log {
            match record {
                Record::RunStarted(started) => writeln!(text, "run {} started", started.run),
                Record::EpochTaken { epoch, owner } => writeln!(text, "epoch {} taken by {owner}", epoch.0),
                Record::CallIntent { call, request } => {
                    writeln!(text, "intent of {} by {}", request.target, call.activation)
                }
                Record::CallEnded { call, outcome } => {
                    writeln!(text, "outcome for {}: {}", call.activation, answer(outcome))
                }
                Record::AttemptFailed { activation, attempts, .. } => {
                    writeln!(text, "{activation} failed {attempts} times")
                }
                Record::Suspended { id, .. } => writeln!(text, "{id} suspended"),
                Record::Answered { question, answer } => {
                    writeln!(text, "{question} answered {}", shown(answer))
                }
                Record::Patched(patch) => writeln!(text, "patch {}", patch.requester),
                Record::Committed(commit) => {
                    let names: Vec<String> =
                        commit.completed.iter().map(|entry| entry.vertex.to_string()).collect();
                    writeln!(text, "commit {} of {}", commit.superstep, names.join(", "))
                }
                Record::Ended(status) => writeln!(text, "ended {status:?}"),
                Record::Known(costs) => writeln!(text, "known: {}", known(costs)),
                Record::Measured(measured) => {
                    let all: Vec<String> = measured.iter().map(spent).collect();
                    writeln!(text, "measured {}", all.join("; "))
                }
                Record::Forked { run, superstep } => writeln!(text, "fork of {run} at {superstep}"),
                Record::Continued(carried) => writeln!(text, "continues {}", carried.run),
                Record::Placed(placed) => writeln!(text, "placed on {} workers", placed.len()),
                Record::Compacted(remains) => writeln!(text, "compacted to superstep {}", remains.from),
                Record::Told(notice) => writeln!(text, "told {notice:?}"),
                Record::RunSuspended(true) => writeln!(text, "suspended"),
                Record::RunSuspended(false) => writeln!(text, "goes on"),
            }
            .unwrap();
        }
        text
    }
}

fn seen(job: &Job) -> String {
    let view = &job.view;
    let mut text = String::new();
    let list = |messages: &[superstep_engine::Received]| {
        let all: Vec<String> = messages
            .iter()
            .map(|message| {
                let port =
                    if message.port.is_default() { String::new() } else { format!(":{}", message.port) };
                format!("{}{port}={}", message.from, shown(&message.payload))
            })
            .collect();
        all.join(" ")
    };
    if !view.messages.is_empty() {
        write!(text, " [{}]", list(&view.messages)).unwrap();
    }
    if !view.kept.is_empty() {
        write!(text, " kept [{}]", list(&view.kept)).unwrap();
    }
    let mut senders: Vec<_> = view.messages.iter().chain(&view.kept).map(|message| &message.from).collect();
    senders.sort();
    for several in senders.chunk_by(|a, b| a == b).filter(|several| several.len() > 1) {
        let last = view.from(several[0]).map(shown).unwrap_or_default();
        write!(text, " last of {} {last}", several[0]).unwrap();
    }
    if !view.value.value().is_null() {
        write!(text, " value {}", shown(&view.value)).unwrap();
    }
    if let Some(element) = &view.element {
        write!(text, " element {}", shown(element)).unwrap();
    }
    if !view.aggregates.is_empty() {
        let all: Vec<String> =
            view.aggregates.iter().map(|(name, value)| format!("{name}={}", shown(value))).collect();
        write!(text, " aggregates [{}]", all.join(" ")).unwrap();
    }
    if view.input.value() != &Value::from("input") {
        write!(text, " input {}", shown(&view.input)).unwrap();
    }
    match view.route.as_deref() {
        Some(Ok(route)) => write!(text, " route to {} on {}", route.to, route.port).unwrap(),
        Some(Err(failure)) => write!(text, " no route: {failure}").unwrap(),
        None => {}
    }
    if let Some(resumption) = &job.resumption {
        write!(text, " resumed from {} with {}", shown(&resumption.state), shown(&resumption.answer))
            .unwrap();
    }
    text
}

/// What is known of edges, one after the other.
fn known(costs: &Costs) -> String {
    let mut all = Vec::new();
    for (graph, costs) in costs.iter() {
        for edge in costs.edges() {
            let failed = if edge.failed { ", failed" } else { "" };
            all.push(format!(
                "{graph}: {}.{}>{} {} s, {} tokens, {} money, {} times{failed}",
                edge.from, edge.port, edge.to, edge.latency_seconds, edge.tokens, edge.money, edge.measured
            ));
        }
    }
    if all.is_empty() { "nothing".to_owned() } else { all.join("; ") }
}

fn spent(measured: &Measured) -> String {
    let woken: Vec<String> = measured.woken_by.iter().map(|(from, port)| format!("{from}.{port}")).collect();
    let failed = if measured.failed { ", failed" } else { "" };
    format!(
        "{} by {}: {} ms, {} tokens{failed}",
        measured.vertex,
        woken.join(" "),
        measured.spent.micros / 1_000,
        measured.spent.tokens
    )
}

/// The order of members must not depend on how serde_json was built.
fn shown(payload: &Payload) -> String {
    superstep_graph::canonical_json(payload.value())
}

fn answer(outcome: &CallOutcome) -> String {
    match &outcome.answer {
        Ok(payload) => payload.value().to_string(),
        Err(failure) => format!("failure {failure}"),
    }
}

fn failure(kind: &str) -> Failure {
    let class = match kind {
        "transient" | "busy" => FailureClass::Transient,
        "timeout" => FailureClass::Timeout,
        _ => FailureClass::Permanent,
    };
    let pause = (kind == "busy").then_some(std::time::Duration::from_secs(3));
    Failure::new(class, format!("{kind} trouble")).retry_after(pause)
}

fn parse(input: &str) -> Value {
    let text = input.trim();
    if text.is_empty() {
        Value::from(1)
    } else {
        serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
    }
}
