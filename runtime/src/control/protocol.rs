//! The messages of the control channel, one JSON object a line.
//!
//! A request is `{"version": 1, "run": "triage-k3v9q2", "request": …}`, a reply `{"version": 1, "reply": …}`. A
//! watch is answered by replies until the run is not driven any more, everything else by one.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use superstep_engine::{ActivationId, Patch, Payload, QuestionId, RunStatus};

use super::ControlError;
use crate::runner::{AnswerError, PatchError, RunState};

/// The version that is spoken here. One who speaks another is refused, and told which one is spoken.
pub(super) const VERSION: u32 = 1;

/// What is asked of whoever drives a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Request {
    /// Where the run stands.
    Get,
    /// How far its log comes, whenever it holds more than `from` records, and the texts of models.
    Watch {
        /// So many records are known.
        from: u64,
    },
    /// An answer to a question.
    Answer {
        /// The question.
        question: QuestionId,
        /// The answer.
        answer: Payload,
    },
    /// The end of the run, with what it has.
    Cancel,
    /// A change at the next barrier.
    Patch(Patch),
    /// That the run stands still at its next barrier, or goes on.
    Suspend(bool),
}

/// What whoever drives a run replies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Reply {
    /// To `get`.
    State(RunState),
    /// To `watch`: so many records are durable.
    Durable {
        /// How many.
        records: u64,
    },
    /// To `watch`: a model has written on.
    Text {
        /// For which activation.
        activation: ActivationId,
        /// What came.
        text: String,
    },
    /// To `watch`: texts were dropped here, because they were not read.
    Missed {
        /// How much, in bytes.
        bytes: u64,
    },
    /// To `answer`, `patch` and `suspend`: it is durable.
    Recorded,
    /// To `cancel`: the run has ended, durably.
    Ended {
        /// How, which is otherwise than cancelled if it had ended before.
        status: RunStatus,
    },
    /// It was not done.
    Refused(Refusal),
}

/// Why a request is not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Refusal {
    /// The answer is not taken.
    #[error(transparent)]
    Answer(AnswerError),
    /// The patch is not taken.
    #[error(transparent)]
    Patch(PatchError),
    /// Another version of the protocol was spoken.
    #[error("it speaks version {speaks} of the control protocol")]
    Version {
        /// The one that is spoken.
        speaks: u32,
    },
    /// Another run was meant.
    #[error("it drives run {drives:?}")]
    OtherRun {
        /// The run that listens here.
        drives: String,
    },
    /// The line is no request.
    #[error("it does not understand: {why}")]
    Malformed {
        /// What is wrong with it.
        why: String,
    },
    /// Too many are connected.
    #[error("too many are connected to it")]
    Busy,
}

#[derive(Serialize, Deserialize)]
struct Asked<T> {
    version: u32,
    run: String,
    request: T,
}

#[derive(Serialize, Deserialize)]
struct Replied<T> {
    version: u32,
    reply: T,
}

/// The line of a request to whoever drives `run`.
pub(super) fn request_line(run: &str, request: &Request) -> Vec<u8> {
    line(&Asked { version: VERSION, run: run.to_owned(), request })
}

/// The line of a reply.
pub(super) fn reply_line(reply: &Reply) -> Vec<u8> {
    line(&Replied { version: VERSION, reply })
}

fn line(message: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).expect("messages have string keys only");
    line.push(b'\n');
    line
}

/// The request in a line to whoever drives `run`.
///
/// # Errors
/// What is replied to the line instead.
pub(super) fn read_request(line: &[u8], run: &str) -> Result<Request, Refusal> {
    let malformed = |error: serde_json::Error| Refusal::Malformed { why: error.to_string() };
    let value: Value = serde_json::from_slice(line).map_err(malformed)?;
    // Of another version nothing is known but this.
    if value.get("version") != Some(&Value::from(VERSION)) {
        return Err(Refusal::Version { speaks: VERSION });
    }
    let asked: Asked<Request> = serde_json::from_value(value).map_err(malformed)?;
    if asked.run != run {
        return Err(Refusal::OtherRun { drives: run.to_owned() });
    }
    Ok(asked.request)
}

/// The reply in a line.
///
/// # Errors
/// It has none of this version.
pub(super) fn read_reply(line: &[u8]) -> Result<Reply, ControlError> {
    let malformed = |error: serde_json::Error| ControlError::Malformed { why: error.to_string() };
    let value: Value = serde_json::from_slice(line).map_err(malformed)?;
    match value.get("version") {
        Some(version) if *version == VERSION => {
            serde_json::from_value::<Replied<Reply>>(value).map(|replied| replied.reply).map_err(malformed)
        }
        other => {
            let other = other.cloned().unwrap_or_default();
            let why = format!("it speaks version {other} of the control protocol, and here is {VERSION}");
            Err(ControlError::Malformed { why })
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use superstep_graph::{Mutation, PriorityClass};

    use super::*;

    fn patch() -> Patch {
        let mutations: Vec<Mutation> =
            serde_json::from_value(json!([{"removeEdge": {"from": "a", "to": "b"}}])).unwrap();
        Patch { class: PriorityClass::Person, requester: "p".to_owned(), mutations }
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        for request in [Request::Get, Request::Cancel, Request::Watch { from: 7 }, Request::Patch(patch())] {
            let line = request_line("r", &request);
            assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            assert_eq!(read_request(&line, "r"), Ok(request));
        }
        let refused = Reply::Refused(Refusal::Patch(PatchError::NameTaken { name: "p".to_owned() }));
        for reply in [Reply::Recorded, Reply::Durable { records: 3 }, refused] {
            assert_eq!(read_reply(&reply_line(&reply)).unwrap(), reply);
        }
    }

    #[test]
    fn version_1_is_spoken_as_ever() {
        let line = r#"{"version":1,"run":"r","request":{"patch":{"class":"Person","requester":"p","mutations":[{"removeEdge":{"from":"a","to":"b"}}]}}}"#;
        assert_eq!(read_request(line.as_bytes(), "r"), Ok(Request::Patch(patch())));
        for (line, expected) in [
            (r#"{"version":1,"run":"r","request":"get"}"#, Request::Get),
            (r#"{"version":1,"run":"r","request":"cancel"}"#, Request::Cancel),
            (r#"{"version":1,"run":"r","request":{"watch":{"from":2}}}"#, Request::Watch { from: 2 }),
            (r#"{"version":1,"run":"r","request":{"suspend":true}}"#, Request::Suspend(true)),
        ] {
            assert_eq!(read_request(line.as_bytes(), "r"), Ok(expected));
        }
    }

    #[test]
    fn what_is_no_request_of_this_version_to_this_run_is_refused() {
        let is_malformed = |refusal: &Refusal| matches!(refusal, Refusal::Malformed { .. });
        for line in
            ["", "{", "\u{0}\u{0}", r#"{"version":1,"run":"r","request":"dance"}"#, r#"{"version":1}"#]
        {
            let refusal = read_request(line.as_bytes(), "r").unwrap_err();
            assert!(is_malformed(&refusal), "{line:?}: {refusal}");
        }
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(is_malformed(&read_request(deep.as_bytes(), "r").unwrap_err()));
        for line in ["{}", "7", r#"{"version":2,"run":"r","steer":true}"#] {
            let refusal = read_request(line.as_bytes(), "r").unwrap_err();
            assert_eq!(refusal, Refusal::Version { speaks: 1 }, "{line}");
        }
        let other = read_request(&request_line("s", &Request::Get), "r").unwrap_err();
        assert_eq!(other, Refusal::OtherRun { drives: "r".to_owned() });
    }
}
