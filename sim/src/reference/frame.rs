//! An open graph in the model: inboxes, joins, what is kept, what came out.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use superstep_engine::{Failure, FrameId, Payload};
use superstep_graph::{AggregatorFold, Delivery, GraphSpec, JoinMode, Port, Select, VertexName};

use super::rules::Rules;

/// A vertex of an open graph.
pub(super) type Place = (FrameId, VertexName);

/// The latest firing of each quorum join that a message descends from.
pub(super) type Trail = BTreeMap<VertexName, u64>;

/// A message. Fields are in the order in which messages are (rule 5).
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) from: VertexName,
    /// The superstep in which the sender started.
    pub(super) sent: u64,
    pub(super) direct: bool,
    pub(super) port: Port,
    pub(super) to: VertexName,
    pub(super) ordinal: usize,
    pub(super) payload: Payload,
    pub(super) trail: Trail,
}

impl Message {
    pub(super) fn id(&self) -> (&VertexName, u64, bool, &Port, &VertexName, usize) {
        (&self.from, self.sent, self.direct, &self.port, &self.to, self.ordinal)
    }
}

/// What is known of one vertex between its activations.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) value: Payload,
    pub(super) inbox: Vec<Message>,
    /// The last message of each edge that keeps one.
    pub(super) kept: Vec<Message>,
    /// How many messages of rounds that are over each slot owes.
    pub(super) owes: BTreeMap<VertexName, u64>,
    pub(super) firing: u64,
}

impl State {
    fn new(value: &Value) -> Self {
        Self {
            value: Payload::from(value.clone()),
            inbox: Vec::new(),
            kept: Vec::new(),
            owes: BTreeMap::new(),
            firing: 0,
        }
    }
}

impl State {
    /// Keeps the last message of an edge (rule 4).
    pub(super) fn keep(&mut self, message: Message) {
        self.kept.retain(|kept| kept.from != message.from || kept.port != message.port);
        self.kept.push(message);
    }
}

/// What the inbox of a vertex leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Idle,
    Fires,
    Poked,
    HalfFilled,
}

/// An open graph.
#[derive(Clone, Debug)]
pub(super) struct Frame<'a> {
    pub(super) rules: Rules<'a>,
    /// Who opened it, and for which of its elements.
    pub(super) parent: Option<(Place, usize)>,
    pub(super) opened: u64,
    pub(super) input: Payload,
    pub(super) states: BTreeMap<VertexName, State>,
    pub(super) aggregates: BTreeMap<VertexName, Payload>,
    pub(super) failed: Option<Failure>,
    outputs: BTreeMap<VertexName, Vec<Value>>,
}

impl<'a> Frame<'a> {
    pub(super) fn open(spec: &'a GraphSpec, input: Payload, opened: u64) -> Self {
        let states = spec.vertices.iter().map(|vertex| (vertex.name.clone(), State::new(&vertex.value)));
        Self {
            rules: Rules(spec),
            parent: None,
            opened,
            input,
            states: states.collect(),
            aggregates: BTreeMap::new(),
            failed: None,
            outputs: BTreeMap::new(),
        }
    }

    pub(super) fn state(&mut self, name: &VertexName) -> &mut State {
        self.states.entry(name.clone()).or_insert_with(|| State::new(&Value::Null))
    }

    /// Whether a message counts for the join of its receiver.
    pub(super) fn is_counted(&self, message: &Message) -> bool {
        !message.direct && self.rules.counts(&message.from, &message.to)
    }

    pub(super) fn is_passive(&self, message: &Message) -> bool {
        let edge = self.rules.edge(&message.from, &message.port, &message.to);
        !message.direct && edge.is_some_and(|edge| edge.delivery == Delivery::Passive)
    }

    /// Whether a message belongs to a round that is over (rule 13); settles what its slot owes.
    pub(super) fn is_late(&mut self, message: &Message) -> bool {
        if !self.is_counted(message) || !self.rules.is_quorum(&message.to) {
            return false;
        }
        let state = self.state(&message.to);
        let descends = message.trail.get(&message.to) == Some(&state.firing);
        let owes = state.owes.entry(message.from.clone()).or_default();
        if *owes == 0 {
            return false;
        }
        *owes = if descends { 0 } else { *owes - 1 };
        !descends
    }

    /// The slots of a join in which nothing is.
    pub(super) fn missing(&self, name: &VertexName) -> BTreeSet<VertexName> {
        let inbox = self.states.get(name).map(|state| state.inbox.as_slice()).unwrap_or_default();
        let filled: BTreeSet<&VertexName> =
            inbox.iter().filter(|message| self.is_counted(message)).map(|message| &message.from).collect();
        self.rules.slots(name).into_iter().filter(|slot| !filled.contains(slot)).collect()
    }

    pub(super) fn owing(&self, name: &VertexName) -> BTreeSet<VertexName> {
        let owes = self.states.get(name).into_iter().flat_map(|state| &state.owes);
        owes.filter(|(_, count)| **count > 0).map(|(slot, _)| slot.clone()).collect()
    }

    pub(super) fn standing(&self, name: &VertexName) -> Standing {
        let inbox = self.states.get(name).map(|state| state.inbox.as_slice()).unwrap_or_default();
        if inbox.is_empty() {
            return Standing::Idle;
        }
        let any = self.rules.vertex(name).is_some_and(|vertex| vertex.join.mode == JoinMode::Any);
        let counted = inbox.iter().any(|message| self.is_counted(message));
        let filled = self.rules.slots(name).len() - self.missing(name).len();
        let satisfied = if any { counted } else { filled >= self.rules.need(name) };
        if satisfied {
            Standing::Fires
        } else if inbox.iter().any(|message| !self.is_counted(message)) {
            Standing::Poked
        } else {
            Standing::HalfFilled
        }
    }

    /// Takes what an activation drains, in order of ids, and the number of the firing if it is one of
    /// a quorum (rules 12 and 13).
    pub(super) fn drain(&mut self, name: &VertexName, fires: bool) -> (Vec<Message>, Option<u64>) {
        let missing = self.missing(name);
        let inbox = std::mem::take(&mut self.state(name).inbox);
        let (mut drained, left): (Vec<Message>, Vec<Message>) =
            inbox.into_iter().partition(|message| fires || !self.is_counted(message));
        let quorum = self.rules.is_quorum(name);
        let state = self.state(name);
        state.inbox = left;
        drained.sort_by(|a, b| a.id().cmp(&b.id()));
        if !fires || !quorum {
            return (drained, None);
        }
        for slot in missing {
            *state.owes.entry(slot).or_default() += 1;
        }
        state.firing += 1;
        (drained, Some(state.firing))
    }

    /// Keeps the output of a committed activation (rule 22).
    pub(super) fn collect(&mut self, name: &VertexName, output: &Payload) {
        if self.rules.is_output(name) {
            self.outputs.entry(name.clone()).or_default().push(output.value().clone());
        }
    }

    /// An object keyed by output vertex (rule 22).
    pub(super) fn result(&self) -> Value {
        let mut result = Map::new();
        for name in self.rules.names().into_iter().filter(|name| self.rules.is_output(name)) {
            let all = self.outputs.get(&name).cloned().unwrap_or_default();
            let declared = self.rules.0.outputs.iter().find(|output| output.vertex == name);
            let chosen = match declared.map_or(Select::Last, |output| output.select) {
                Select::All => Value::Array(all),
                Select::First => all.first().cloned().unwrap_or(Value::Null),
                Select::Last => all.last().cloned().unwrap_or(Value::Null),
            };
            result.insert(name.to_string(), chosen);
        }
        Value::Object(result)
    }

    /// Folds the contributions of one commit (rule 21). Contributions are whole numbers here.
    pub(super) fn aggregate(&mut self, contributions: &[(VertexName, Payload)]) {
        let mut next = BTreeMap::new();
        for declared in &self.rules.0.aggregators {
            let held = self.aggregates.get(&declared.name).filter(|_| declared.persistent);
            let held = held.map(|held| held.value().clone());
            let own = contributions.iter().filter(|(name, _)| *name == declared.name);
            let own: Vec<&Value> = own.map(|(_, payload)| payload.value()).collect();
            let numbers = || own.iter().filter_map(|value| value.as_i64());
            let before = held.as_ref().and_then(Value::as_i64);
            let folded = match declared.fold {
                _ if own.is_empty() => held,
                AggregatorFold::Sum => Some(json!(before.unwrap_or(0) + numbers().sum::<i64>())),
                AggregatorFold::Min => numbers().chain(before).min().map(|least| json!(least)),
                AggregatorFold::Max => numbers().chain(before).max().map(|most| json!(most)),
                AggregatorFold::Count => {
                    Some(json!(before.unwrap_or(0) + i64::try_from(own.len()).unwrap_or(0)))
                }
                AggregatorFold::Last => own.last().map(|last| (*last).clone()),
                AggregatorFold::Append => {
                    let items = held.as_ref().and_then(Value::as_array).into_iter().flatten();
                    Some(Value::Array(items.chain(own.iter().copied()).cloned().collect()))
                }
            };
            if let Some(folded) = folded {
                next.insert(declared.name.clone(), Payload::from(folded));
            }
        }
        self.aggregates = next;
    }
}
