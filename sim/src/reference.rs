//! A model of the rules, sequential and slow, that predicts what a run comes to.
//!
//! It is written from the semantics and shares with the engine only the types of graphs, payloads and
//! notices, and with the simulated world the programs and the scripted answers to their calls. It
//! covers graphs under barrier All with pure answers: joins of every mode with their rounds, what they
//! do when they are incomplete and CancelRest, passive and kept messages, conditions and
//! transformations, direct messages, combiners, aggregators, values, forEach, sub-graphs, failures with
//! their retries, the limits of supersteps and activations, outputs, and the status of every message.
//! It does not cover mutations, routers that weigh costs, and the limits of fan-out and depth.

mod commit;
mod frame;
mod joins;
mod judge;
mod program;
mod rules;
mod start;

use std::collections::BTreeMap;

use serde_json::Value;
use superstep_engine::{ActivationId, FrameId, LimitKind, MessageStatus, Notice, Payload, RunStatus, Totals};
use superstep_graph::{GraphSpec, ValidatedGraph, VertexName};

use crate::model::ModelServer;
use crate::scenario::{ROOT, Scenario, behaviour_of};
use frame::{Frame, Message, Place, Standing, Trail};
use program::Ended;

/// What a run comes to, as the model says.
#[derive(Debug)]
pub(crate) struct Prediction {
    pub(crate) status: RunStatus,
    pub(crate) outputs: Value,
    pub(crate) notices: Vec<Notice>,
}

/// Whether the model has all that happens in the run of a scenario.
pub(crate) fn covers(scenario: &Scenario) -> bool {
    let root = &scenario.library[ROOT].limits;
    let plain = |graph: &GraphSpec| {
        let known = |vertex: &superstep_graph::VertexSpec| {
            vertex.router.is_none() && behaviour_of(vertex).mutations.is_empty()
        };
        graph.limits.fan_out >= 1_000 && graph.vertices.iter().all(known)
    };
    let opens = |vertex: &superstep_graph::VertexSpec| vertex.graph.is_some();
    let nested = scenario.library[ROOT].vertices.iter().any(opens);
    let roomy = !nested || (root.depth > 4 && root.activations >= 1_000);
    scenario.is_exact() && roomy && scenario.library.values().all(plain)
}

/// Predicts the run of a scenario that the model covers.
pub(crate) fn predict(scenario: &Scenario) -> Prediction {
    let mut run = Run::new(scenario);
    let status = run.run();
    let outputs = run.frames.get(&FrameId::ROOT).map_or(Value::Null, Frame::result);
    run.finish(&status);
    Prediction { status, outputs, notices: run.notices }
}

/// An activation that has started.
#[derive(Clone, Debug)]
struct Begun {
    id: ActivationId,
    trail: Trail,
    grouped: bool,
}

/// One that waits for the sub-graphs that it opened.
#[derive(Clone, Debug)]
struct Open {
    begun: Begun,
    ends: Vec<Option<Ended>>,
}

/// The run that the model is in.
struct Run<'a> {
    library: &'a BTreeMap<String, GraphSpec>,
    revision: superstep_graph::Revision,
    superstep: u64,
    frames: BTreeMap<FrameId, Frame<'a>>,
    next_frame: u32,
    /// Messages that were committed and are not delivered.
    sent: Vec<(FrameId, Message)>,
    open: BTreeMap<Place, Open>,
    /// Sub-graphs that are to be opened: by whom, for which element, with what input.
    wanted: Vec<(Place, usize, Payload)>,
    /// What completes in this superstep.
    done: BTreeMap<Place, (Begun, Ended)>,
    model: ModelServer,
    activations: u64,
    notices: Vec<Notice>,
}

impl<'a> Run<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        let root = &scenario.library[ROOT];
        let input = Payload::from(Value::from("input"));
        Self {
            library: &scenario.library,
            revision: ValidatedGraph::after_mutation(root.clone()).revision(),
            superstep: 0,
            frames: BTreeMap::from([(FrameId::ROOT, Frame::open(root, input, 0))]),
            next_frame: 1,
            sent: Vec::new(),
            open: BTreeMap::new(),
            wanted: Vec::new(),
            done: BTreeMap::new(),
            model: ModelServer::new(false),
            activations: 0,
            notices: Vec::new(),
        }
    }

    /// Rule 8: supersteps until nothing is left to do.
    fn run(&mut self) -> RunStatus {
        let root = self.frames[&FrameId::ROOT].rules.0;
        if root.entry.len() as u64 > root.limits.activations {
            return RunStatus::LimitReached(LimitKind::Activations);
        }
        for name in &root.entry {
            self.activate(&(FrameId::ROOT, name.clone()), false);
        }
        loop {
            if let Some(status) = self.commit() {
                return status;
            }
            self.superstep += 1;
            self.deliver();
            let plan = self.judge();
            if let Some(status) = self.verdict(&plan) {
                return status;
            }
            self.start(plan);
        }
    }

    /// Puts what was committed into inboxes (rules 4 and 13).
    fn deliver(&mut self) {
        let mut sent = std::mem::take(&mut self.sent);
        sent.sort_by(|a, b| (a.0, a.1.id()).cmp(&(b.0, b.1.id())));
        for (id, message) in sent {
            let Some(frame) = self.frames.get_mut(&id) else { continue };
            if frame.rules.vertex(&message.to).is_none() {
                self.settle(id, &message, MessageStatus::DeadLettered, None);
            } else if frame.is_passive(&message) {
                frame.state(&message.to).keep(message.clone());
                self.settle(id, &message, MessageStatus::Delivered, None);
            } else if frame.is_late(&message) {
                self.settle(id, &message, MessageStatus::Late, None);
            } else {
                frame.state(&message.to).inbox.push(message);
            }
        }
    }

    /// Gives a message its status (rule 6).
    fn settle(&mut self, frame: FrameId, message: &Message, status: MessageStatus, taken: Option<u64>) {
        self.notices.push(Notice::Settled {
            frame,
            from: message.from.clone(),
            port: message.port.clone(),
            to: message.to.clone(),
            sent: message.sent,
            taken,
            status,
        });
    }

    /// Drops a frame and what is in it; what waits in half-filled joins has the status `waiting`.
    fn drop_frame(&mut self, id: FrameId, waiting: MessageStatus) {
        let Some(frame) = self.frames.remove(&id) else { return };
        let names: Vec<VertexName> = frame.states.keys().cloned().collect();
        for name in names {
            let half = frame.standing(&name) == Standing::HalfFilled;
            for message in &frame.states[&name].inbox {
                let status = if half { waiting } else { MessageStatus::Cancelled };
                self.settle(id, message, status, None);
            }
        }
        let inside: Vec<Place> = self.open.keys().filter(|place| place.0 == id).cloned().collect();
        for place in inside {
            self.cancel(&place);
        }
    }

    /// Cancels an activation whose sub-graphs are open, and them with it.
    fn cancel(&mut self, place: &Place) {
        let Some(open) = self.open.remove(place) else { return };
        self.notices.push(Notice::Cancelled { activation: open.begun.id });
        let opened =
            self.frames.iter().filter(|(_, frame)| frame.parent.as_ref().is_some_and(|(by, _)| by == place));
        let opened: Vec<FrameId> = opened.map(|(id, _)| *id).collect();
        for id in opened {
            self.drop_frame(id, MessageStatus::Cancelled);
        }
    }

    /// Gives everything that is left its status.
    fn finish(&mut self, status: &RunStatus) {
        let waiting = match status {
            RunStatus::Succeeded | RunStatus::LimitReached(_) => MessageStatus::Buffered,
            RunStatus::Failed { .. } | RunStatus::Cancelled => MessageStatus::Cancelled,
        };
        for (id, message) in std::mem::take(&mut self.sent) {
            self.settle(id, &message, MessageStatus::Cancelled, None);
        }
        let frames: Vec<FrameId> = self.frames.keys().rev().copied().collect();
        for id in frames {
            self.drop_frame(id, waiting);
        }
        let totals =
            Totals { supersteps: self.superstep, activations: self.activations, ..Totals::default() };
        self.notices.push(Notice::Ended { status: status.clone(), totals });
    }
}
