//! The name of a run.

use std::{fmt, str::FromStr, sync::Arc};

use crate::StoreError;

/// The name of a run in a store, which is also the name of its folder.
///
/// 1 to 128 ASCII letters, digits, `.`, `_` and `-`, the first of which is a letter or a digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunName(Arc<str>);

impl RunName {
    const LONGEST: usize = 128;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunName {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let starts_well = text.starts_with(|first: char| first.is_ascii_alphanumeric());
        let spelled_well = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if starts_well && spelled_well && text.len() <= Self::LONGEST {
            Ok(Self(text.into()))
        } else {
            Err(StoreError::BadName { name: text.to_owned() })
        }
    }
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
