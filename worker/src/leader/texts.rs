//! What the models of a run write, from the workers to those who watch it.

use superstep_proto::v1;
use superstep_proto::v1::from_leader::Said;
use superstep_runtime::{Hub, RunEvents};
use superstep_store::RunName;
use tokio::sync::oneshot;

use super::Attendant;

/// Hands a text on to those who listen.
pub(super) fn hear(hub: &Hub, text: v1::Text) {
    hub.missed(text.missed_bytes);
    if text.activation.is_none() {
        return;
    }
    match superstep_wire::activation_of(text.activation) {
        Ok(activation) => hub.text(&activation, &text.text),
        Err(error) => tracing::debug!(run = text.run, %error, "a text is of nobody"),
    }
}

/// Lets somebody listen from now on.
pub(super) fn attach(hub: &Hub, reply: oneshot::Sender<RunEvents>) {
    if reply.send(hub.events()).is_err() {
        tracing::trace!("nobody waits for the texts of the run any more");
    }
}

/// Tells the workers of a run whether anybody listens.
pub(super) fn listen(workers: &[Attendant], run: &RunName, texts: bool) {
    for worker in workers {
        worker.say(Said::Listen(v1::Listen { run: run.to_string(), texts }));
    }
}
