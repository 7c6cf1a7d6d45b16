//! A run that broke a rule, kept as a file.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::faults::Faults;
use crate::scenario::Scenario;

/// A run that can be repeated without the generator that made it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// Where it came from, and what it broke then.
    pub origin: String,
    /// The planted mistake that it finds, if it was made for one: without that it breaks no rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finds: Option<String>,
    /// Why it is not run, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excluded: Option<String>,
    /// What is run.
    pub scenario: Scenario,
    /// What goes wrong.
    pub faults: Faults,
}

impl Case {
    /// Reads a case.
    ///
    /// # Errors
    /// There is no such file, or it is no case.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        Ok(serde_json::from_slice(&std::fs::read(path)?)?)
    }

    /// Writes a case.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        Ok(std::fs::write(path, text)?)
    }
}
