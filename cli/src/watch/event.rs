//! What a watch sees, as JSON on a line.

use std::io::{self, Write};

use serde_json::{Value, json};
use superstep_engine::Notice;
use superstep_graph::VertexName;
use superstep_runtime::{CursorText, Happening, RunEnd, Seen};

use crate::history::{call, words};
use crate::progress::change;
use crate::run::summary;

/// Writes a line, at once.
///
/// # Errors
/// Stdout cannot be written to.
pub(super) fn write(event: &Value) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{event}")?;
    stdout.flush()
}

/// The event of what was seen. What is durable has an offset, and nothing else; on a cluster the place behind it too.
pub(super) fn of(seen: &Seen, cursor: Option<&CursorText>) -> Value {
    let (at, event) = match seen {
        Seen::Happened(happened) => {
            let at = json!({"offset": happened.offset, "superstep": happened.superstep});
            (at, happening(&happened.what))
        }
        Seen::Text { activation, text } => {
            (json!({}), json!({"event": "text", "activation": activation.to_string(), "text": text}))
        }
        Seen::Missed { bytes } => (json!({}), json!({"event": "missedText", "bytes": bytes})),
        Seen::Driven(driven) => (json!({}), json!({"event": "driven", "driven": driven})),
    };
    let mut event = joined(at, event);
    if let Some(cursor) = cursor {
        event["cursor"] = cursor.to_string().into();
    }
    event
}

/// What the run gave in all, told behind its end.
pub(super) fn outputs(end: &RunEnd) -> Value {
    let told = json!({"event": "result", "outputs": end.outputs.value()});
    joined(told, summary(Some(&end.status), &end.totals))
}

fn joined(mut one: Value, other: Value) -> Value {
    if let (Value::Object(one), Value::Object(other)) = (&mut one, other) {
        one.extend(other);
    }
    one
}

fn happening(what: &Happening) -> Value {
    match what {
        Happening::Taken { epoch, owner } => json!({"event": "taken", "epoch": epoch, "owner": owner}),
        Happening::Answered { question, answer } => {
            json!({"event": "answered", "question": question.to_string(), "answer": answer.value()})
        }
        Happening::Patched { requester } => json!({"event": "patched", "patch": requester}),
        Happening::Notice(told) => notice(told),
    }
}

fn notice(notice: &Notice) -> Value {
    match notice {
        Notice::SuperstepStarted { started, carried, .. } => {
            json!({"event": "superstepStarted", "started": started, "carriedOver": carried})
        }
        Notice::Started { activation, elements } => {
            json!({"event": "started", "activation": activation.to_string(), "elements": elements})
        }
        Notice::Opened { frame, graph, by } => json!({
            "event": "opened", "frame": frame.0, "graph": graph,
            "by": {
                "frame": by.frame.0, "vertex": by.vertex.as_str(), "superstep": by.superstep,
                "element": by.element,
            },
        }),
        Notice::Called(called) => joined(json!({"event": "called"}), call(called)),
        Notice::Retrying { activation, attempts, failure } => json!({
            "event": "retrying", "activation": activation.to_string(), "attempts": attempts,
            "failure": failure.message,
        }),
        Notice::Asked { id, question } => {
            json!({"event": "asked", "question": id.to_string(), "asks": question.ask.value()})
        }
        Notice::Completed { activation, output, failure, usage } => json!({
            "event": "completed", "activation": activation.to_string(),
            "output": output.as_ref().map(|output| output.value()),
            "failure": failure.as_ref().map(|failure| failure.message.as_str()),
            "tokens": usage.tokens(), "cost": usage.cost,
        }),
        Notice::Cancelled { activation } => {
            json!({"event": "cancelled", "activation": activation.to_string()})
        }
        Notice::JoinIncomplete { frame, vertex, action, missing } => json!({
            "event": "joinIncomplete", "frame": frame.0, "vertex": vertex.as_str(),
            "action": format!("{action:?}"),
            "missing": missing.iter().map(VertexName::as_str).collect::<Vec<_>>(),
        }),
        Notice::Settled { frame, from, port, to, sent, taken, status } => json!({
            "event": "message", "frame": frame.0, "from": from.as_str(), "port": port.as_str(),
            "to": to.as_str(), "sent": sent, "taken": taken, "status": format!("{status:?}"),
        }),
        Notice::Mutated { frame, requester, mutation, verdict } => json!({
            "event": "mutated", "frame": frame.0, "requester": requester, "change": change(mutation),
            "verdict": words(verdict),
        }),
        Notice::Committed { completed, revision, .. } => {
            json!({"event": "committed", "completed": completed, "revision": revision.to_string()})
        }
        Notice::Paused => json!({"event": "paused"}),
        Notice::Suspended => json!({"event": "suspended"}),
        Notice::Resumed { epoch } => json!({"event": "resumed", "epoch": epoch.0}),
        Notice::Ended { status, totals } => joined(json!({"event": "ended"}), summary(Some(status), totals)),
    }
}
