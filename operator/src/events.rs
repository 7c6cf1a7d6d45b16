//! What people are told of an object, beside its status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource};

use crate::names::MANAGER;

/// The longest text of an event.
const NOTE: usize = 1_000;

/// Tells people of objects. What cannot be told is only logged: it is no reason to do anything again.
#[derive(Clone)]
pub(crate) struct Events(Recorder);

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events")
    }
}

impl Events {
    /// Events of the process `name`.
    pub(crate) fn new(client: Client, name: &str) -> Self {
        let reporter = Reporter { controller: MANAGER.to_owned(), instance: Some(name.to_owned()) };
        Self(Recorder::new(client, reporter))
    }

    /// Says that the standing of an object is another one, if it is.
    pub(crate) async fn standing<K>(&self, object: &K, before: &[Condition], after: &[Condition])
    where
        K: Resource<DynamicType = ()>,
    {
        if let Some((kind, condition)) = changed(before, after) {
            self.say(object, kind, &condition.reason, &condition.message).await;
        }
    }

    /// Says that something was done to an object, or could not be.
    pub(crate) async fn say<K>(&self, object: &K, kind: EventType, reason: &str, note: &str)
    where
        K: Resource<DynamicType = ()>,
    {
        let event = Event {
            type_: kind,
            reason: reason.to_owned(),
            note: Some(cut(note).to_owned()).filter(|note| !note.is_empty()),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        if let Err(error) = self.0.publish(&event, &object.object_ref(&())).await {
            tracing::info!(error = &error as &dyn std::error::Error, reason, "an event cannot be written");
        }
    }
}

/// The standing that is another one than before: what is ready or on its way is normal.
fn changed<'a>(before: &[Condition], after: &'a [Condition]) -> Option<(EventType, &'a Condition)> {
    let ready = |all: &[Condition]| all.iter().position(|condition| condition.type_ == "Ready");
    let now = &after[ready(after)?];
    let same = ready(before).is_some_and(|index| {
        let then = &before[index];
        then.status == now.status && then.reason == now.reason
    });
    let stalled = after.iter().any(|condition| condition.type_ == "Stalled");
    (!same).then_some((if stalled { EventType::Warning } else { EventType::Normal }, now))
}

fn cut(note: &str) -> &str {
    let mut end = note.len().min(NOTE);
    while !note.is_char_boundary(end) {
        end -= 1;
    }
    &note[..end]
}
