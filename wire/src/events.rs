//! What happens in a run, for those who watch.

use superstep_engine::{CallKey, CallOutcome, Called, FrameId, MessageStatus, Notice, Opener, Question};
use superstep_graph::{Port, Revision, VertexName, WhenIncomplete};
use superstep_proto::v1;
use superstep_proto::v1::event::What;
use superstep_runtime::{Happening, Seen};

use crate::names::{
    activation, activation_of, failure, failure_of, json, json_of, optional, payload, payload_of, question,
    question_of, status, status_of, totals, totals_of, usage, usage_of,
};
use crate::{WireError, required};

/// What was seen. The cursor is put in by whoever has it. None for what only a process beside the run sees.
#[must_use]
pub fn event(seen: &Seen) -> Option<v1::Event> {
    let (offset, superstep, what) = match seen {
        Seen::Happened(happened) => (happened.offset, happened.superstep, happening(&happened.what)?),
        Seen::Text { activation: id, text } => {
            let text = v1::TextWritten { activation: Some(activation(id)), text: text.clone() };
            (0, 0, What::Text(text))
        }
        Seen::Missed { bytes } => (0, 0, What::MissedBytes(*bytes)),
        Seen::Driven(_) => return None,
    };
    Some(v1::Event { cursor: bytes::Bytes::new(), offset, superstep, what: Some(what) })
}

fn happening(what: &Happening) -> Option<What> {
    match what {
        Happening::Taken { epoch, owner } => {
            Some(What::Taken(v1::Taken { epoch: *epoch, owner: owner.clone() }))
        }
        Happening::Answered { question: id, answer } => {
            Some(What::Answered(v1::Answered { question: Some(question(id)), answer: Some(payload(answer)) }))
        }
        Happening::Patched { requester } => Some(What::Patched(requester.clone())),
        Happening::Notice(told) => notice(told),
    }
}

fn notice(notice: &Notice) -> Option<What> {
    Some(match notice {
        Notice::SuperstepStarted { superstep, started, carried } => {
            What::SuperstepStarted(v1::SuperstepStarted {
                superstep: *superstep,
                started: *started,
                carried: *carried,
            })
        }
        Notice::Started { activation: id, elements } => {
            What::Started(v1::ActivationStarted { activation: Some(activation(id)), elements: *elements })
        }
        Notice::Opened { frame, graph, by } => {
            What::Opened(v1::Opened { frame: frame.0, graph: graph.clone(), by: Some(opener(by)) })
        }
        Notice::Called(of) => What::Called(called(of)),
        Notice::Retrying { activation: id, attempts, failure: why } => What::Retrying(v1::Retrying {
            activation: Some(activation(id)),
            attempts: *attempts,
            failure: Some(failure(why)),
        }),
        Notice::Asked { id, question: asked } => {
            What::Asked(v1::Question { id: Some(question(id)), ask: Some(payload(&asked.ask)) })
        }
        Notice::Completed { activation: id, output, failure: why, usage: used } => {
            What::Completed(v1::ActivationCompleted {
                activation: Some(activation(id)),
                output: output.as_ref().map(payload),
                failure: why.as_ref().map(failure),
                usage: Some(usage(*used)),
            })
        }
        Notice::Cancelled { activation: id } => What::Cancelled(activation(id)),
        Notice::JoinIncomplete { frame, vertex, action, missing } => {
            What::JoinIncomplete(v1::JoinIncomplete {
                frame: frame.0,
                vertex: vertex.as_str().to_owned(),
                action: word(action),
                missing: missing.iter().map(|name| name.as_str().to_owned()).collect(),
            })
        }
        Notice::Settled { frame, from, port, to, sent, taken, status } => What::Settled(v1::Settled {
            frame: frame.0,
            from: from.as_str().to_owned(),
            port: port.as_str().to_owned(),
            to: to.as_str().to_owned(),
            sent: *sent,
            taken: *taken,
            status: word(status),
        }),
        Notice::Mutated { frame, requester, mutation, verdict } => What::Mutated(v1::Mutated {
            frame: frame.0,
            requester: requester.clone(),
            mutation: json(mutation),
            verdict: json(verdict),
        }),
        Notice::Committed { superstep, completed, revision } => What::Committed(v1::SuperstepCommitted {
            superstep: *superstep,
            completed: *completed,
            revision: crate::revision(revision),
        }),
        Notice::Paused => What::Paused(v1::Paused {}),
        Notice::Suspended => What::Suspended(v1::Suspended {}),
        Notice::Ended { status: how, totals: used } => {
            What::Ended(v1::Ended { status: Some(status(how)), totals: Some(totals(used)) })
        }
        // Who took the run over is told as such.
        Notice::Resumed { .. } => return None,
    })
}

/// A value of an enum without members, as its documents have it.
fn word<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(_) | Err(_) => String::new(),
    }
}

fn word_of<T: serde::de::DeserializeOwned>(word: String, what: &'static str) -> Result<T, WireError> {
    let value = serde_json::Value::String(word.clone());
    serde_json::from_value(value).map_err(|_| WireError::Value { what, value: word })
}

fn opener(by: &Opener) -> v1::ActivationId {
    v1::ActivationId {
        frame: by.frame.0,
        vertex: by.vertex.as_str().to_owned(),
        incarnation: 0,
        superstep: by.superstep,
        element: Some(by.element),
    }
}

fn called(of: &Called) -> v1::Called {
    let outcome = match &of.outcome.answer {
        Ok(answer) => v1::called::Outcome::Answer(payload(answer)),
        Err(why) => v1::called::Outcome::Failure(failure(why)),
    };
    v1::Called {
        activation: Some(activation(&of.call.activation)),
        digest: bytes::Bytes::copy_from_slice(&of.call.digest),
        occurrence: of.call.occurrence,
        attempt: of.call.attempt,
        target: of.target.clone(),
        usage: Some(usage(of.outcome.usage)),
        outcome: Some(outcome),
    }
}

fn called_of(of: v1::Called) -> Result<Called, WireError> {
    let digest: [u8; 16] = of.digest.as_ref().try_into().map_err(|_| WireError::Value {
        what: "the digest of a call",
        value: format!("{} bytes", of.digest.len()),
    })?;
    let answer = match required(of.outcome, "the outcome of a call")? {
        v1::called::Outcome::Answer(answer) => Ok(payload_of(Some(answer))?),
        v1::called::Outcome::Failure(why) => Err(failure_of(why)?),
    };
    let activation = activation_of(of.activation)?;
    Ok(Called {
        call: CallKey { activation, digest, occurrence: of.occurrence, attempt: of.attempt },
        target: of.target,
        outcome: CallOutcome { answer, usage: usage_of(of.usage) },
    })
}

/// What an event says.
///
/// # Errors
/// It means nothing.
pub fn seen_of(event: v1::Event) -> Result<Seen, WireError> {
    let what = match required(event.what, "an event")? {
        What::Text(of) => {
            return Ok(Seen::Text { activation: activation_of(of.activation)?, text: of.text });
        }
        What::MissedBytes(bytes) => return Ok(Seen::Missed { bytes }),
        What::Taken(of) => Happening::Taken { epoch: of.epoch, owner: of.owner },
        What::Answered(of) => {
            Happening::Answered { question: question_of(of.question)?, answer: payload_of(of.answer)? }
        }
        What::Patched(requester) => Happening::Patched { requester },
        what @ (What::SuperstepStarted(_)
        | What::Started(_)
        | What::Opened(_)
        | What::Called(_)
        | What::Retrying(_)
        | What::Asked(_)
        | What::Completed(_)
        | What::Cancelled(_)
        | What::JoinIncomplete(_)
        | What::Settled(_)
        | What::Mutated(_)
        | What::Committed(_)
        | What::Paused(_)
        | What::Suspended(_)
        | What::Ended(_)) => Happening::Notice(notice_of(what)?),
    };
    let (offset, superstep) = (event.offset, event.superstep);
    Ok(Seen::Happened(superstep_runtime::Happened { offset, superstep, what }))
}

fn notice_of(what: What) -> Result<Notice, WireError> {
    Ok(match what {
        What::SuperstepStarted(of) => {
            Notice::SuperstepStarted { superstep: of.superstep, started: of.started, carried: of.carried }
        }
        What::Started(of) => {
            Notice::Started { activation: activation_of(of.activation)?, elements: of.elements }
        }
        What::Opened(of) => {
            let by = required(of.by, "who opened a frame")?;
            let by = Opener {
                frame: FrameId(by.frame),
                vertex: by.vertex.as_str().into(),
                superstep: by.superstep,
                element: by.element.unwrap_or(0),
            };
            Notice::Opened { frame: FrameId(of.frame), graph: of.graph, by }
        }
        What::Called(of) => Notice::Called(Box::new(called_of(of)?)),
        What::Retrying(of) => Notice::Retrying {
            activation: activation_of(of.activation)?,
            attempts: of.attempts,
            failure: failure_of(required(of.failure, "why an attempt failed")?)?,
        },
        What::Asked(of) => {
            let question = Question { ask: payload_of(of.ask)?, state: None };
            Notice::Asked { id: question_of(of.id)?, question }
        }
        What::Completed(of) => Notice::Completed {
            activation: activation_of(of.activation)?,
            output: optional(of.output)?,
            failure: of.failure.map(failure_of).transpose()?,
            usage: usage_of(of.usage),
        },
        What::Cancelled(id) => Notice::Cancelled { activation: activation_of(Some(id))? },
        What::JoinIncomplete(of) => Notice::JoinIncomplete {
            frame: FrameId(of.frame),
            vertex: of.vertex.as_str().into(),
            action: word_of::<WhenIncomplete>(of.action, "what a join does")?,
            missing: of.missing.iter().map(|name| VertexName::from(name.as_str())).collect(),
        },
        What::Settled(of) => Notice::Settled {
            frame: FrameId(of.frame),
            from: of.from.as_str().into(),
            port: Port::from(of.port.as_str()),
            to: of.to.as_str().into(),
            sent: of.sent,
            taken: of.taken,
            status: word_of::<MessageStatus>(of.status, "the status of a message")?,
        },
        What::Mutated(of) => Notice::Mutated {
            frame: FrameId(of.frame),
            requester: of.requester,
            mutation: json_of(&of.mutation, "a mutation")?,
            verdict: json_of(&of.verdict, "a verdict")?,
        },
        What::Committed(of) => Notice::Committed {
            superstep: of.superstep,
            completed: of.completed,
            revision: crate::names::unpacked::<Revision>(&of.revision, "a revision")?,
        },
        What::Paused(_) => Notice::Paused,
        What::Suspended(_) => Notice::Suspended,
        What::Ended(of) => Notice::Ended { status: status_of(of.status)?, totals: totals_of(of.totals) },
        What::Text(_) | What::MissedBytes(_) | What::Taken(_) | What::Answered(_) | What::Patched(_) => {
            return Err(WireError::Missing { what: "a notice" });
        }
    })
}
