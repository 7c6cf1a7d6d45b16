//! What is remembered of objects while the process lives, by their uid.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// A value for each object. What is forgotten with the process can be found again, at a price.
#[derive(Debug)]
pub(crate) struct Remembered<V>(Mutex<HashMap<String, V>>);

impl<V> Default for Remembered<V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<V: Clone> Remembered<V> {
    /// What is remembered of an object.
    pub(crate) fn get(&self, uid: &str) -> Option<V> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(uid).cloned()
    }

    /// Remembers it.
    pub(crate) fn insert(&self, uid: String, value: V) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(uid, value);
    }

    /// Forgets what is remembered of objects that are gone.
    pub(crate) fn keep(&self, is_there: impl Fn(&str) -> bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|uid, _| is_there(uid));
    }
}
