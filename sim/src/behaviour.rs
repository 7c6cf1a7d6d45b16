//! What a simulated program does: a pure function of what it sees and of the answers it was given.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use superstep_engine::{
    ActivationId, CallOutcome, CallRequest, Direct, Emission, Failure, FailureClass, Job, Outcome, Payload,
    ProgramResult, Question, Resumption, Usage, ValueChange, View,
};
use superstep_graph::{Mutation, Port, VertexName, VertexSpec};

use crate::model::cost;

/// What a program does; handed to it as the parameters of its vertex.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Behaviour {
    /// How many calls it makes.
    pub calls: u32,
    /// Whether it makes them at once.
    pub together: bool,
    /// Whether calls ask the same, so that only their occurrence tells them apart.
    pub same: bool,
    /// How many items its payload has, if it is a list.
    pub list: Option<u32>,
    /// Ports of which it takes one; none: the default port.
    pub ports: Vec<String>,
    /// How many attempts fail in a way that may pass.
    pub transient: u32,
    /// In how many of a hundred cases it fails for good.
    pub permanent: u64,
    /// How often it asks the outside before it goes on.
    pub asks: u32,
    /// Whether the answer itself is its output.
    pub answer_is_output: bool,
    /// To whom it sends directly, before the superstep `until`.
    pub direct: Vec<VertexName>,
    /// The changes of the graph that it asks for, before the superstep `until`.
    pub mutations: Vec<Mutation>,
    /// The first superstep without direct messages and mutations.
    pub until: u64,
    /// What it contributes to.
    pub contributes: Vec<VertexName>,
    /// Whether its value counts its activations.
    pub counts: bool,
    /// Whether its value is a list of what it gave.
    pub remembers: bool,
    /// Whether it sends nothing.
    pub silent: bool,
}

/// All that a program sees, whoever lets it run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) activation: &'a ActivationId,
    pub(crate) vertex: &'a VertexSpec,
    pub(crate) view: &'a View,
    /// Attempts before this one.
    pub(crate) attempts: u32,
    pub(crate) resumption: Option<&'a Resumption>,
}

impl<'a> From<&'a Job> for Seen<'a> {
    fn from(job: &'a Job) -> Self {
        Self {
            activation: &job.activation,
            vertex: &job.vertex,
            view: &job.view,
            attempts: job.attempts,
            resumption: job.resumption.as_ref(),
        }
    }
}

/// How a program goes on.
#[derive(Debug)]
pub(crate) enum Step {
    /// It calls the outside, and waits for all answers.
    Call(Vec<CallRequest>),
    /// The attempt ends.
    End(Outcome),
}

/// How the program that sees `job` goes on once its calls so far have ended with `answers`.
pub(crate) fn step(job: Seen<'_>, answers: &[CallOutcome]) -> Step {
    if let Some(route) = &job.view.route {
        return Step::End(match &**route {
            Ok(route) => Outcome::Done(routed(job, &route.port)),
            Err(failure) => Outcome::Failed(failure.clone()),
        });
    }
    let behaviour = behaviour_of(job);
    let made = u32::try_from(answers.len()).unwrap_or(u32::MAX);
    if made < behaviour.calls {
        let last = if behaviour.together { behaviour.calls } else { made + 1 };
        return Step::Call((made..last).map(|number| request(job, &behaviour, number, answers)).collect());
    }
    Step::End(end(job, &behaviour, answers))
}

/// What a router sends that weighs costs.
fn routed(job: Seen<'_>, port: &Port) -> ProgramResult {
    let payload = Payload::from(json!(number(job, &[], "payload")));
    ProgramResult { emissions: vec![Emission { port: port.clone(), payload }], ..ProgramResult::default() }
}

fn behaviour_of(job: Seen<'_>) -> Behaviour {
    let custom = job.vertex.custom.as_ref().map(|custom| &custom.parameters);
    let parsed = custom.filter(|parameters| parameters.is_object()).map(Behaviour::deserialize);
    parsed.transpose().unwrap_or_default().unwrap_or_default()
}

fn request(job: Seen<'_>, behaviour: &Behaviour, number: u32, answers: &[CallOutcome]) -> CallRequest {
    let salt = if behaviour.same { 0 } else { number };
    // What is asked at once cannot depend on the answers of the others.
    let known = if behaviour.together || behaviour.same { &[] } else { answers };
    let seen = digest(job, known, &format!("call {salt}"));
    let mut short = [0; 16];
    short.copy_from_slice(&seen.as_bytes()[..16]);
    let (prompt_tokens, completion_tokens) = (10 + u64::from(short[0] % 20), 20);
    let cost = cost(short, prompt_tokens, completion_tokens);
    let reserve = Usage { calls: 1, prompt_tokens, completion_tokens, cost };
    CallRequest { target: format!("model for {}", job.activation), digest: short, repeatable: false, reserve }
}

fn end(job: Seen<'_>, behaviour: &Behaviour, answers: &[CallOutcome]) -> Outcome {
    if let Some(failure) = answers.iter().find_map(|outcome| outcome.answer.as_ref().err()) {
        return Outcome::Failed(failure.clone());
    }
    if job.attempts < behaviour.transient {
        return Outcome::Failed(Failure::transient(format!("attempt {} was not the last", job.attempts)));
    }
    let asked = job.resumption.map_or(0, |resumption| resumption.state.value().as_u64().unwrap_or(0));
    if asked < u64::from(behaviour.asks) {
        let state = (!behaviour.answer_is_output).then(|| Payload::from(json!(asked + 1)));
        return Outcome::Suspended(Question { ask: Payload::from(json!({"question": asked})), state });
    }
    let number = number(job, answers, "payload");
    if number % 100 < behaviour.permanent {
        return Outcome::Failed(Failure::new(
            FailureClass::Permanent,
            format!("{number} is an unlucky number"),
        ));
    }
    Outcome::Done(result(job, behaviour, number))
}

fn result(job: Seen<'_>, behaviour: &Behaviour, number: u64) -> ProgramResult {
    let payload = Payload::from(match behaviour.list {
        Some(items) => Value::from((0..u64::from(items)).map(|item| number + item).collect::<Vec<_>>()),
        None => json!(number),
    });
    let mut result = ProgramResult::default();
    if !behaviour.silent {
        let choice = usize::try_from(number).unwrap_or(0) % behaviour.ports.len().max(1);
        let port = behaviour.ports.get(choice).map_or_else(Port::default, |port| Port::from(port.as_str()));
        result.emissions.push(Emission { port, payload });
    }
    if job.view.superstep < behaviour.until {
        let direct = |to: &VertexName| Direct { to: to.clone(), payload: Payload::from(json!(number)) };
        result.direct = behaviour.direct.iter().map(direct).collect();
        result.mutations.clone_from(&behaviour.mutations);
    }
    let contribution = |name: &VertexName| (name.clone(), Payload::from(json!(number % 7)));
    result.contributions = behaviour.contributes.iter().map(contribution).collect();
    if behaviour.counts {
        let before = job.view.value.value().as_u64().unwrap_or(0);
        result.value = ValueChange::Set(Payload::from(json!(before + 1)));
    } else if behaviour.remembers {
        result.value = ValueChange::Append(Payload::from(json!(number)));
    }
    result
}

fn number(job: Seen<'_>, answers: &[CallOutcome], salt: &str) -> u64 {
    let hash = digest(job, answers, salt);
    let [a, b, c, d, ..] = *hash.as_bytes();
    u64::from(u32::from_le_bytes([a, b, c, d])) % 1_000
}

/// The hash of all that the program sees, and of the answers to its calls.
fn digest(job: Seen<'_>, answers: &[CallOutcome], salt: &str) -> blake3::Hash {
    let view = &job.view;
    let received = |list: &[superstep_engine::Received]| -> Vec<Value> {
        let one = |message: &superstep_engine::Received| {
            json!([message.from.as_str(), message.port.as_str(), message.payload.value()])
        };
        list.iter().map(one).collect()
    };
    let aggregates: Vec<Value> =
        view.aggregates.iter().map(|(name, value)| json!([name.as_str(), value.value()])).collect();
    let answered: Vec<&Value> =
        answers.iter().filter_map(|outcome| outcome.answer.as_ref().ok()).map(Payload::value).collect();
    let seen = json!([
        salt,
        job.activation.to_string(),
        view.input.value(),
        received(&view.messages),
        received(&view.kept),
        view.value.value(),
        view.element.as_ref().map(Payload::value),
        aggregates,
        job.resumption.map(|resumption| resumption.answer.value()),
        answered,
    ]);
    blake3::hash(seen.to_string().as_bytes())
}
