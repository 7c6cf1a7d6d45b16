//! What a partition tells its coordinator.

use superstep_engine::{Completed, FrameId, FrameWanted, JoinReport, PartitionId, Planned, Question, Report};
use superstep_graph::SlotIx;
use superstep_proto::v1;
use superstep_proto::v1::report::What;

use crate::commands::{handle, handle_of, parent, parent_of, place, place_of};
use crate::names::{
    activation, activation_of, failure, failure_of, json, json_of, limit_of, optional, packed, payload,
    payload_of, question, question_of, unpacked, usage, usage_of,
};
use crate::{WireError, required};

/// What a partition has to say.
#[must_use]
pub fn report(report: &Report) -> v1::Report {
    let what = match report {
        Report::Delivered { superstep, planned: starts, joins } => What::Delivered(v1::Delivered {
            superstep: *superstep,
            planned: starts.iter().map(planned).collect(),
            joins: joins.iter().map(join).collect(),
        }),
        Report::Started { wanted, started } => What::Started(v1::Started {
            wanted: wanted.iter().map(frame_wanted).collect(),
            started: started.iter().map(planned).collect(),
        }),
        Report::Completed(of) => What::Completed(completed(of)),
        Report::Suspension { activation: id, suspended } => {
            What::Suspension(v1::Suspension { activation: Some(activation(id)), suspended: *suspended })
        }
        Report::Asked { id, question: asked } => What::Asked(v1::Asked {
            id: Some(question(id)),
            ask: Some(payload(&asked.ask)),
            state: asked.state.as_ref().map(payload),
        }),
        Report::Reserve { frame, key, ticket, usage: most } => What::Reserve(v1::Reserve {
            frame: frame.0,
            key: Some(handle(*key)),
            ticket: *ticket,
            usage: Some(usage(*most)),
        }),
        Report::Settle { frame, reserved, used } => What::Settle(v1::Settle {
            frame: frame.0,
            reserved: Some(usage(*reserved)),
            used: Some(usage(*used)),
        }),
        Report::LimitReached(limit) => What::LimitReached(limit.field().to_owned()),
    };
    v1::Report { what: Some(what) }
}

/// What the partition `from` has to say.
///
/// # Errors
/// It means nothing.
pub fn report_of(report: v1::Report, from: PartitionId) -> Result<Report, WireError> {
    Ok(match required(report.what, "a report")? {
        What::Delivered(of) => Report::Delivered {
            superstep: of.superstep,
            planned: of.planned.into_iter().map(planned_of).collect::<Result<_, _>>()?,
            joins: of.joins.into_iter().map(join_of).collect::<Result<_, _>>()?,
        },
        What::Started(of) => Report::Started {
            wanted: of.wanted.into_iter().map(frame_wanted_of).collect::<Result<_, _>>()?,
            started: of.started.into_iter().map(planned_of).collect::<Result<_, _>>()?,
        },
        What::Completed(of) => Report::Completed(Box::new(completed_of(of)?)),
        What::Suspension(of) => {
            Report::Suspension { activation: activation_of(of.activation)?, suspended: of.suspended }
        }
        What::Asked(of) => Report::Asked {
            id: question_of(of.id)?,
            question: Question { ask: payload_of(of.ask)?, state: optional(of.state)? },
        },
        What::Reserve(of) => Report::Reserve {
            frame: FrameId(of.frame),
            key: handle_of(of.key, from)?,
            ticket: of.ticket,
            usage: usage_of(of.usage),
        },
        What::Settle(of) => Report::Settle {
            frame: FrameId(of.frame),
            reserved: usage_of(of.reserved),
            used: usage_of(of.used),
        },
        What::LimitReached(field) => Report::LimitReached(limit_of(&field)?),
    })
}

fn planned(planned: &Planned) -> v1::Planned {
    v1::Planned {
        place: Some(place(planned.place)),
        weight: planned.weight,
        owed: planned.owed.iter().map(|slot| slot.0).collect(),
    }
}

fn planned_of(planned: v1::Planned) -> Result<Planned, WireError> {
    Ok(Planned { place: place_of(planned.place)?, weight: planned.weight, owed: slots(planned.owed) })
}

fn slots(numbers: Vec<u32>) -> Vec<SlotIx> {
    numbers.into_iter().map(SlotIx).collect()
}

fn join(join: &JoinReport) -> v1::JoinReport {
    v1::JoinReport {
        place: Some(place(join.place)),
        missing: join.missing.iter().map(|slot| slot.0).collect(),
        owing: join.owing.iter().map(|slot| slot.0).collect(),
        half_filled: join.half_filled,
        weight: join.weight,
    }
}

fn join_of(join: v1::JoinReport) -> Result<JoinReport, WireError> {
    Ok(JoinReport {
        place: place_of(join.place)?,
        missing: slots(join.missing),
        owing: slots(join.owing),
        half_filled: join.half_filled,
        weight: join.weight,
    })
}

fn frame_wanted(wanted: &FrameWanted) -> v1::FrameWanted {
    v1::FrameWanted {
        parent: Some(parent((wanted.parent, wanted.element))),
        graph: wanted.graph.clone(),
        parameters: json(&wanted.parameters),
        input: Some(payload(&wanted.input)),
    }
}

fn frame_wanted_of(wanted: v1::FrameWanted) -> Result<FrameWanted, WireError> {
    let (place, element) = parent_of(required(wanted.parent, "who wants a frame")?)?;
    Ok(FrameWanted {
        parent: place,
        element,
        graph: wanted.graph,
        parameters: json_of(&wanted.parameters, "parameters")?,
        input: payload_of(wanted.input)?,
    })
}

fn completed(of: &Completed) -> v1::Completed {
    v1::Completed {
        place: Some(place(of.place)),
        activation: Some(activation(&of.activation)),
        end: packed(&of.end),
        output: of.output.as_ref().map(payload),
        failure: of.failure.as_ref().map(failure),
        fatal: of.fatal,
        mutations: of.mutations.iter().map(json).collect(),
        contributions: of
            .contributions
            .iter()
            .map(|(name, what)| v1::Contribution {
                aggregator: name.as_str().to_owned(),
                payload: Some(payload(what)),
            })
            .collect(),
        outbound: of
            .outbound
            .iter()
            .map(|(to, messages)| v1::Outbound { partition: to.0, messages: *messages })
            .collect(),
        usage: Some(usage(of.usage)),
        measured: of.measured.as_ref().map(|measured| packed(&**measured)).unwrap_or_default(),
    }
}

fn completed_of(of: v1::Completed) -> Result<Completed, WireError> {
    let contribution = |of: v1::Contribution| Ok((of.aggregator.as_str().into(), payload_of(of.payload)?));
    let measured = Some(&of.measured).filter(|bytes| !bytes.is_empty());
    Ok(Completed {
        place: place_of(of.place)?,
        activation: activation_of(of.activation)?,
        end: unpacked(&of.end, "the end of an activation")?,
        output: optional(of.output)?,
        failure: of.failure.map(failure_of).transpose()?,
        fatal: of.fatal,
        mutations: of.mutations.iter().map(|one| json_of(one, "a mutation")).collect::<Result<_, _>>()?,
        contributions: of.contributions.into_iter().map(contribution).collect::<Result<_, _>>()?,
        outbound: of.outbound.into_iter().map(|to| (PartitionId(to.partition), to.messages)).collect(),
        usage: usage_of(of.usage),
        measured: measured.map(|bytes| unpacked(bytes, "costs").map(Box::new)).transpose()?,
    })
}
