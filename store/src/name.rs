//! The names of runs and of their journals.

use std::{fmt, str::FromStr, sync::Arc};

use crate::StoreError;

const LONGEST: usize = 128;

/// The name of a run in a store, which is also the name of its folder.
///
/// 1 to 128 ASCII letters, digits, `.`, `_` and `-`, the first of which is a letter or a digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunName(Arc<str>);

impl RunName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunName {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        if is_name(text) { Ok(Self(text.into())) } else { Err(StoreError::BadName { name: text.to_owned() }) }
    }
}

/// The name of a call journal of a run: what tells one writer of one from every other.
///
/// It is spelled as a [`RunName`] is. A name belongs to one writer for ever: one that comes back takes another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JournalName(Arc<str>);

impl JournalName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for JournalName {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        if is_name(text) {
            Ok(Self(text.into()))
        } else {
            Err(StoreError::BadJournalName { name: text.to_owned() })
        }
    }
}

impl fmt::Display for JournalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_name(text: &str) -> bool {
    let starts_well = text.starts_with(|first: char| first.is_ascii_alphanumeric());
    let spelled_well = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    starts_well && spelled_well && text.len() <= LONGEST
}

impl fmt::Display for RunName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_folder() {
        for good in ["a", "run-1", "2024.01_x"] {
            assert_eq!(good.parse::<RunName>().unwrap().as_str(), good);
        }
        let long = "x".repeat(129);
        for bad in ["", ".", "..", ".hidden", "-flag", "a/b", "a b", "é", "a\0", &long] {
            assert!(bad.parse::<RunName>().is_err(), "{bad:?}");
        }
    }
}
