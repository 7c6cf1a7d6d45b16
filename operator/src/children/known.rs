//! What is known of children: as they were seen last, and what was written to them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Key;
use super::child::{Child, Owner};
use super::digest::Digest;
use super::seen::{OwnedBy, Seen};

/// How long somebody has to leave a child alone who changes it whenever it is written.
pub(super) const CONTEST: Duration = Duration::from_secs(30);

/// What was written last to an object.
#[derive(Clone, Debug)]
pub(super) struct Written {
    /// When it was written, or found to be there.
    pub(super) at: Instant,
    /// How often it was written for the same end, and since when.
    pub(super) times: u32,
    pub(super) since: Instant,
    /// What it is to be.
    wanted: Digest,
    /// The version that it had before.
    pub(super) before: Box<str>,
    /// What it was after that.
    pub(super) after: Digest,
}

/// What is known of one.
#[derive(Debug, Default)]
struct Entry {
    seen: Option<Arc<Seen>>,
    written: Option<Box<Written>>,
}

/// What is known of all. Of a child that was found to be what it is to be its digest is kept in place of the rest, and tells
/// when that changes: there may be ten thousands of them.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<HashMap<Key, Entry>>);

impl Known {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A child as it was seen last.
    pub(super) fn seen(&self, key: &Key) -> Option<Arc<Seen>> {
        self.lock().get(key)?.seen.as_ref().map(Arc::clone)
    }

    /// Those that this owner has.
    pub(super) fn of(&self, owner: &Owner) -> Vec<(Key, Arc<Seen>)> {
        let all = self.lock();
        let seen = all.iter().filter_map(|(key, entry)| Some((key, entry.seen.as_ref()?)));
        seen.filter(|(key, seen)| *key.namespace == *owner.namespace && seen.is_of(owner))
            .map(|(key, seen)| (key.clone(), Arc::clone(seen)))
            .collect()
    }

    /// Notes a child as it came or changed; who it belonged to before.
    pub(super) fn came(&self, key: Key, seen: Seen) -> Option<OwnedBy> {
        let mut all = self.lock();
        let entry = all.entry(key).or_default();
        let before = entry.seen.take().and_then(|before| before.owner.clone());
        entry.seen = Some(Arc::new(kept(seen, entry.written.as_deref())));
        before
    }

    /// What is to be kept of a child that is listed.
    pub(super) fn listed(&self, key: &Key, seen: Seen) -> Arc<Seen> {
        let all = self.lock();
        Arc::new(kept(seen, all.get(key).and_then(|entry| entry.written.as_deref())))
    }

    /// Forgets a child that went.
    pub(super) fn went(&self, key: &Key) {
        self.lock().remove(key);
    }

    /// Takes these as all that there are of a kind.
    pub(super) fn replace(&self, kind: &str, mut listed: HashMap<Key, Arc<Seen>>) {
        let mut all = self.lock();
        all.retain(|key, entry| {
            if *key.kind == *kind {
                entry.seen = listed.remove(key);
                // What was made while they were listed is not among them.
                entry.written =
                    entry.written.take().filter(|last| entry.seen.is_some() || last.at.elapsed() < CONTEST);
            }
            entry.seen.is_some() || entry.written.is_some()
        });
        all.extend(listed.into_iter().map(|(key, seen)| (key, Entry { seen: Some(seen), written: None })));
    }

    /// Notes what was written, or found to be so.
    pub(super) fn note(&self, child: &Child, before: &str, after: Digest, is_written: bool) {
        let now = Instant::now();
        let mut all = self.lock();
        let entry = all.entry(child.key.clone()).or_default();
        let last = entry.written.as_ref();
        let last = last.filter(|last| last.wanted == child.wanted && last.since.elapsed() < CONTEST);
        let (times, since) = last.map_or((0, now), |last| (last.times, last.since));
        let times = times + u32::from(is_written);
        let written = Written { at: now, times, since, wanted: child.wanted, before: before.into(), after };
        if let Some(seen) = &mut entry.seen
            && seen.digest == after
            && !seen.is_bare()
        {
            *seen = Arc::new(Seen::clone(seen).without_essence());
        }
        entry.written = Some(Box::new(written));
    }

    /// Whether something holds of the last time that a child was written to be what it is to be.
    pub(super) fn was(&self, child: &Child, holds: impl FnOnce(&Written) -> bool) -> bool {
        let all = self.lock();
        let last = all.get(&child.key).and_then(|entry| entry.written.as_deref());
        last.filter(|last| last.wanted == child.wanted).is_some_and(holds)
    }

    /// Forgets what was written longer ago than that to what is not seen.
    pub(super) fn forget(&self, age: Duration) {
        self.lock().retain(|_, entry| {
            entry.seen.is_some() || entry.written.as_ref().is_some_and(|last| last.at.elapsed() < age)
        });
    }
}

/// What is to be kept of a child: not what it is, where that is what came of writing it.
fn kept(seen: Seen, written: Option<&Written>) -> Seen {
    if written.is_some_and(|last| last.after == seen.digest) { seen.without_essence() } else { seen }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::ResourceExt as _;
    use serde_json::{Value, json};

    use super::super::live::Live;
    use super::*;

    const NAME: &str = "a";

    fn child() -> Child {
        let mut map = ConfigMap::default();
        map.metadata.namespace = Some("n".to_owned());
        map.metadata.name = Some(NAME.to_owned());
        assert_eq!(map.name_any(), NAME);
        Child::new(&map)
    }

    fn seen(version: &str, data: Value) -> (Key, Seen) {
        let metadata = json!({"namespace": "n", "name": NAME, "resourceVersion": version});
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data});
        serde_json::from_value::<Live>(object).unwrap().seen("ConfigMap").unwrap()
    }

    #[test]
    fn what_is_as_it_is_to_be_is_kept_by_its_digest_until_it_changes() {
        let (known, child) = (Known::default(), child());
        let (key, first) = seen("1", json!({"x": "1"}));
        assert_eq!(key, child.key);
        let (one, is_bare) = (first.digest, |known: &Known| known.seen(&child.key).unwrap().is_bare());
        known.came(key.clone(), first);
        assert!(!is_bare(&known), "nobody has judged it");
        known.note(&child, "1", one, false);
        assert!(is_bare(&known) && known.was(&child, |last| last.after == one));
        known.came(key.clone(), seen("2", json!({"x": "1"})).1);
        assert!(is_bare(&known), "it is the same");
        let drifted = seen("3", json!({"x": "2"})).1;
        let other = drifted.digest;
        known.came(key, drifted);
        assert!(!is_bare(&known), "somebody has changed it");
        // What was judged is not what is seen.
        known.note(&child, "2", one, false);
        assert!(!is_bare(&known) && !known.was(&child, |last| last.after == other));
    }

    #[test]
    fn a_list_is_all_that_there_is() {
        let (known, child) = (Known::default(), child());
        let (key, first) = seen("1", json!({"x": "1"}));
        let digest = first.digest;
        known.note(&child, "", digest, true);
        let listed = known.listed(&key, first);
        assert!(listed.is_bare(), "it is what was written");
        known.replace("ConfigMap", HashMap::from([(key.clone(), listed)]));
        assert!(known.seen(&key).is_some());
        known.replace("Role", HashMap::new());
        assert!(known.seen(&key).is_some(), "a list says nothing of other kinds");
        known.replace("ConfigMap", HashMap::new());
        assert!(known.seen(&key).is_none());
        assert!(
            known.was(&child, |last| last.after == digest),
            "it may have been made while they were listed"
        );
        known.went(&key);
        assert!(!known.was(&child, |_| true));
    }

    #[test]
    fn what_is_not_seen_is_forgotten_with_time() {
        let (known, child) = (Known::default(), child());
        known.note(&child, "", Digest::of(&json!(1)), true);
        known.forget(CONTEST);
        assert!(known.was(&child, |_| true));
        known.forget(Duration::ZERO);
        assert!(!known.was(&child, |_| true));
    }
}
