//! What people are told of an object, beside its status.

mod said;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::events::EventType;
use kube::{Api, Client, Resource};
use serde_json::json;

use crate::events::said::{Key, Said};
use crate::names::MANAGER;

/// The longest text of an event.
const NOTE: usize = 1_000;
/// The longest name of an object, which an event has too.
const NAME: usize = 253;
/// How long what is said again is counted on the event that said it first.
const SERIES: Duration = Duration::from_secs(360);

/// Tells people of objects. What cannot be told is only logged: it is no reason to do anything again.
#[derive(Clone)]
pub(crate) struct Events {
    client: Client,
    /// Who says it.
    instance: Arc<str>,
    said: Arc<Mutex<Said>>,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events")
    }
}

impl Events {
    /// Events of the process `name`.
    pub(crate) fn new(client: Client, name: &str) -> Self {
        Self { client, instance: name.into(), said: Arc::new(Mutex::new(Said::new(SERIES))) }
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
        if let Err(error) = self.publish(object.object_ref(&()), kind, (reason, cut(note, NOTE))).await {
            tracing::info!(error = &error as &dyn std::error::Error, reason, "an event cannot be written");
        }
    }

    /// Writes an event, or counts it on the last one that says the same of the object.
    async fn publish(
        &self,
        regarding: ObjectReference,
        kind: EventType,
        (reason, note): (&str, &str),
    ) -> Result<(), kube::Error> {
        let api = Api::<Event>::namespaced(
            self.client.clone(),
            regarding.namespace.as_deref().unwrap_or("default"),
        );
        let kind = match kind {
            EventType::Normal => "Normal",
            EventType::Warning => "Warning",
        };
        let key = Key::new(regarding.uid.as_deref().unwrap_or_default(), kind, (reason, note));
        let now = Timestamp::now();
        let last = self.said.lock().unwrap_or_else(PoisonError::into_inner).last(&key, Instant::now());
        if let Some((first, count)) = last {
            let count = count.saturating_add(1);
            let series = json!({"series": {"count": count, "lastObservedTime": MicroTime(now)}});
            let name = named(&regarding, first);
            match api.patch(&name, &PatchParams::default(), &Patch::Merge(series)).await {
                Ok(_) => {
                    self.note(key, first, count);
                    return Ok(());
                }
                // A cluster lets events go when it has had them long enough.
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => return Err(error),
            }
        }
        let event = Event {
            action: Some("Reconcile".to_owned()),
            event_time: Some(MicroTime(now)),
            metadata: ObjectMeta {
                name: Some(named(&regarding, now)),
                namespace: regarding.namespace.clone(),
                ..ObjectMeta::default()
            },
            note: Some(note.to_owned()).filter(|note| !note.is_empty()),
            reason: Some(reason.to_owned()),
            regarding: Some(regarding),
            reporting_controller: Some(MANAGER.to_owned()),
            reporting_instance: Some(self.instance.as_ref().to_owned()),
            type_: Some(kind.to_owned()),
            ..Event::default()
        };
        api.create(&PostParams::default(), &event).await?;
        self.note(key, now, 1);
        Ok(())
    }

    fn note(&self, key: Key, first: Timestamp, count: i32) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.note(key, (first, count), Instant::now());
    }
}

/// The name of the event that said something of an object at that time. Of a long name of the object it has the begin.
fn named(regarding: &ObjectReference, at: Timestamp) -> String {
    let time = format!(".{:x}", at.as_nanosecond());
    let name = regarding.name.as_deref().unwrap_or(MANAGER);
    // Each part of a name ends with a letter or a digit.
    let name = cut(name, NAME - time.len()).trim_end_matches(['-', '.']);
    format!("{name}{time}")
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

/// As much of a text as so many bytes have.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_a_name_that_an_api_server_takes() {
        let at = Timestamp::from_second(1_800_000_000).unwrap();
        let of = |name: &str| {
            named(&ObjectReference { name: Some(name.to_owned()), ..ObjectReference::default() }, at)
        };
        assert_eq!(of("triage"), "triage.18fae27693b40000");
        let longest = of(&"a".repeat(NAME));
        assert!(longest.len() == NAME && longest.ends_with(".18fae27693b40000"), "{longest}");
        let parted = of(&format!("{}-.{}", "a".repeat(234), "b".repeat(17)));
        assert_eq!(parted, format!("{}.18fae27693b40000", "a".repeat(234)));
    }

    #[test]
    fn a_text_is_cut_between_letters() {
        assert_eq!((cut("äö", 3), cut("äö", 4), cut("äö", 9)), ("ä", "äö", "äö"));
    }
}
