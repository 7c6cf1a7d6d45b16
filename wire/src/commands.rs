//! What a coordinator tells a partition.

use std::collections::BTreeMap;
use std::sync::Arc;

use superstep_engine::{
    ActivationKey, Closing, Command, Committed, FrameId, Opening, PartitionId, Payload, Place, Start,
};
use superstep_graph::{GraphSpec, SlotIx, ValidatedGraph, VertexIx, VertexName, WhenIncomplete};
use superstep_proto::v1;
use superstep_proto::v1::command::What;

use crate::names::{
    failure, failure_of, json, json_of, packed, payload, payload_of, question, question_of, status,
    status_of, unpacked,
};
use crate::{WireError, required};

/// What a partition is to do.
#[must_use]
pub fn command(command: &Command) -> v1::Command {
    let what = match command {
        Command::Deliver { superstep, expect, aggregates, costs, starts } => What::Deliver(v1::Deliver {
            superstep: *superstep,
            expect: *expect,
            starts: *starts,
            aggregates: aggregates
                .iter()
                .map(|(frame, values)| aggregates_of_frame(*frame, values))
                .collect(),
            costs: costs
                .iter()
                .map(|(frame, costs)| v1::FrameCosts { frame: frame.0, costs: packed(&**costs) })
                .collect(),
        }),
        Command::Answer(answers) => What::Answers(v1::Answers {
            answers: answers
                .iter()
                .map(|(id, answer)| v1::Answer {
                    question: Some(question(id)),
                    answer: Some(payload(answer)),
                })
                .collect(),
        }),
        Command::Start(start) => What::Start(started(start)),
        Command::Open(openings) => What::Open(v1::Open { openings: openings.iter().map(opening).collect() }),
        Command::Reserved { key, ticket, refused } => What::Reserved(v1::Reserved {
            key: Some(handle(*key)),
            ticket: *ticket,
            refused: refused.as_ref().map(failure),
        }),
        Command::Commit(committed) => What::Committed(v1::Committed {
            superstep: committed.superstep,
            completed: committed.completed.iter().map(|at| place(*at)).collect(),
            graphs: committed.graphs.iter().map(changed).collect(),
            closing: committed.closing,
        }),
        Command::End(end) => What::End(status(end)),
    };
    v1::Command { what: Some(what) }
}

/// What the partition `to` is to do.
///
/// # Errors
/// It means nothing.
pub fn command_of(command: v1::Command, to: PartitionId) -> Result<Command, WireError> {
    Ok(match required(command.what, "a command")? {
        What::Deliver(deliver) => {
            let aggregates =
                deliver.aggregates.into_iter().map(frame_aggregates).collect::<Result<_, _>>()?;
            let costs = deliver
                .costs
                .into_iter()
                .map(|of| Ok((FrameId(of.frame), Arc::new(unpacked(&of.costs, "costs")?))))
                .collect::<Result<_, _>>()?;
            let v1::Deliver { superstep, expect, starts, .. } = deliver;
            Command::Deliver { superstep, expect, aggregates, costs, starts }
        }
        What::Answers(answers) => {
            let answer = |answer: v1::Answer| Ok((question_of(answer.question)?, payload_of(answer.answer)?));
            Command::Answer(answers.answers.into_iter().map(answer).collect::<Result<_, _>>()?)
        }
        What::Start(start) => Command::Start(start_of(start)?),
        What::Open(open) => {
            Command::Open(open.openings.into_iter().map(opening_of).collect::<Result<_, _>>()?)
        }
        What::Reserved(reserved) => Command::Reserved {
            key: handle_of(reserved.key, to)?,
            ticket: reserved.ticket,
            refused: reserved.refused.map(failure_of).transpose()?,
        },
        What::Committed(committed) => Command::Commit(Committed {
            superstep: committed.superstep,
            completed: committed.completed.into_iter().map(place_at).collect(),
            graphs: committed.graphs.into_iter().map(changed_of).collect::<Result<_, _>>()?,
            closing: committed.closing,
        }),
        What::End(end) => Command::End(status_of(Some(end))?),
    })
}

pub(crate) fn place((frame, vertex): Place) -> v1::Place {
    v1::Place { frame: frame.0, vertex: vertex.0 }
}

pub(crate) fn place_at(place: v1::Place) -> Place {
    (FrameId(place.frame), VertexIx(place.vertex))
}

pub(crate) fn place_of(place: Option<v1::Place>) -> Result<Place, WireError> {
    required(place, "a place").map(place_at)
}

pub(crate) fn handle(key: ActivationKey) -> v1::Handle {
    v1::Handle { flight: key.flight, generation: key.generation, element: key.element, run: key.run }
}

pub(crate) fn handle_of(key: Option<v1::Handle>, partition: PartitionId) -> Result<ActivationKey, WireError> {
    let v1::Handle { flight, generation, element, run } = required(key, "a handle")?;
    Ok(ActivationKey { partition, flight, generation, element, run })
}

pub(crate) fn parent((at, element): (Place, u32)) -> v1::Parent {
    v1::Parent { place: Some(place(at)), element }
}

pub(crate) fn parent_of(parent: v1::Parent) -> Result<(Place, u32), WireError> {
    Ok((place_of(parent.place)?, parent.element))
}

fn aggregates_of_frame(frame: FrameId, values: &BTreeMap<VertexName, Payload>) -> v1::Aggregates {
    let values = values.iter().map(|(name, value)| (name.as_str().to_owned(), payload(value)));
    v1::Aggregates { frame: frame.0, values: values.collect() }
}

fn frame_aggregates(of: v1::Aggregates) -> Result<(FrameId, Arc<BTreeMap<VertexName, Payload>>), WireError> {
    let values: BTreeMap<String, v1::Payload> = of.values.into_iter().collect();
    let value = |(name, value): (String, v1::Payload)| Ok((name.as_str().into(), payload_of(Some(value))?));
    let values = values.into_iter().map(value).collect::<Result<_, _>>()?;
    Ok((FrameId(of.frame), Arc::new(values)))
}

fn started(start: &Start) -> v1::Start {
    v1::Start {
        superstep: start.superstep,
        cancel: start.cancel.iter().map(|at| place(*at)).collect(),
        pardons: start
            .pardons
            .iter()
            .map(|(at, slot)| v1::SlotOf { place: Some(place(*at)), slot: slot.0 })
            .collect(),
        verdicts: start
            .verdicts
            .iter()
            .map(|(at, action)| v1::JoinVerdict {
                place: Some(place(*at)),
                action: incomplete(*action).into(),
            })
            .collect(),
        closed: start.closed.iter().map(closing).collect(),
    }
}

fn start_of(start: v1::Start) -> Result<Start, WireError> {
    let pardon = |of: v1::SlotOf| Ok((place_of(of.place)?, SlotIx(of.slot)));
    let verdict = |of: v1::JoinVerdict| Ok((place_of(of.place)?, incomplete_of(of.action())?));
    Ok(Start {
        superstep: start.superstep,
        cancel: start.cancel.into_iter().map(place_at).collect(),
        pardons: start.pardons.into_iter().map(pardon).collect::<Result<_, _>>()?,
        verdicts: start.verdicts.into_iter().map(verdict).collect::<Result<_, _>>()?,
        closed: start.closed.into_iter().map(closing_of).collect::<Result<_, _>>()?,
    })
}

fn incomplete(action: WhenIncomplete) -> v1::WhenIncomplete {
    match action {
        WhenIncomplete::Fire => v1::WhenIncomplete::Fire,
        WhenIncomplete::Skip => v1::WhenIncomplete::Skip,
        WhenIncomplete::Fail => v1::WhenIncomplete::Fail,
    }
}

fn incomplete_of(action: v1::WhenIncomplete) -> Result<WhenIncomplete, WireError> {
    match action {
        v1::WhenIncomplete::Fire => Ok(WhenIncomplete::Fire),
        v1::WhenIncomplete::Skip => Ok(WhenIncomplete::Skip),
        v1::WhenIncomplete::Fail => Ok(WhenIncomplete::Fail),
        v1::WhenIncomplete::Unspecified => Err(WireError::Missing { what: "what a join does" }),
    }
}

fn closing(closing: &Closing) -> v1::Closing {
    let end = match &closing.end {
        Ok(result) => v1::closing::End::Result(payload(result)),
        Err(why) => v1::closing::End::Failure(failure(why)),
    };
    v1::Closing {
        frame: closing.frame.0,
        parent: closing.parent.map(parent),
        limited: closing.limited,
        spent: packed(&closing.spent),
        end: Some(end),
    }
}

fn closing_of(closing: v1::Closing) -> Result<Closing, WireError> {
    let end = match required(closing.end, "the end of a frame")? {
        v1::closing::End::Result(result) => Ok(payload_of(Some(result))?),
        v1::closing::End::Failure(why) => Err(failure_of(why)?),
    };
    Ok(Closing {
        frame: FrameId(closing.frame),
        parent: closing.parent.map(parent_of).transpose()?,
        end,
        limited: closing.limited,
        spent: unpacked(&closing.spent, "what a frame has cost")?,
    })
}

fn opening(opening: &Opening) -> v1::Opening {
    v1::Opening {
        frame: opening.frame.0,
        graph: json(opening.graph.spec()),
        input: Some(payload(&opening.input)),
        parent: opening.parent.map(parent),
        costs: opening.costs.as_ref().map(|costs| packed(&**costs)).unwrap_or_default(),
        carried: opening.carried.as_ref().map(|carried| packed(&**carried)).unwrap_or_default(),
    }
}

fn opening_of(opening: v1::Opening) -> Result<Opening, WireError> {
    let some = |bytes: &bytes::Bytes| !bytes.is_empty();
    let costs = Some(&opening.costs).filter(|bytes| some(bytes));
    let carried = Some(&opening.carried).filter(|bytes| some(bytes));
    Ok(Opening {
        frame: FrameId(opening.frame),
        graph: graph_of(&opening.graph)?,
        input: payload_of(opening.input)?,
        parent: opening.parent.map(parent_of).transpose()?,
        costs: costs.map(|bytes| unpacked(bytes, "costs").map(Arc::new)).transpose()?,
        carried: carried.map(|bytes| unpacked(bytes, "what is carried over").map(Arc::new)).transpose()?,
    })
}

/// A graph that was valid where it comes from: mutations may have left relations that do not hold.
fn graph_of(document: &[u8]) -> Result<ValidatedGraph, WireError> {
    json_of::<GraphSpec>(document, "a graph").map(ValidatedGraph::after_mutation)
}

fn changed((frame, graph, removed): &(FrameId, ValidatedGraph, Vec<VertexName>)) -> v1::ChangedGraph {
    v1::ChangedGraph {
        frame: frame.0,
        graph: json(graph.spec()),
        removed: removed.iter().map(|name| name.as_str().to_owned()).collect(),
    }
}

fn changed_of(of: v1::ChangedGraph) -> Result<(FrameId, ValidatedGraph, Vec<VertexName>), WireError> {
    let removed = of.removed.iter().map(|name| name.as_str().into()).collect();
    Ok((FrameId(of.frame), graph_of(&of.graph)?, removed))
}
