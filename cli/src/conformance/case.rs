//! A case: what others met with, and what must be so here.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use superstep_api::{Source, read_document};
use superstep_engine::MessageStatus;
use superstep_graph::{Mutation, VertexName, WhenIncomplete};

use crate::exit::CommandError;
use crate::report::show;

/// The file that makes a folder a case.
pub(super) const FILE: &str = "case.yaml";

/// What `case.yaml` says.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Case {
    /// What it shows, in a line.
    pub(super) shows: String,
    /// Where it was met, or described: addresses, or places in a paper.
    pub(super) origin: Vec<String>,
    /// What went wrong there; of a description, what it leaves open.
    pub(super) wrong: String,
    /// What must hold here.
    pub(super) right: String,
    /// What is done to the run from outside once it was driven as far as it goes.
    #[serde(default)]
    pub(super) steps: Vec<Step>,
    /// What it must come to.
    pub(super) expect: Expected,
    /// After which crashes it must come to the same.
    #[serde(default)]
    pub(super) crashes: Crashes,
    /// The supersteps before which the run is forked, each fork being driven to the same end.
    #[serde(default)]
    pub(super) forks: Vec<u64>,
}

/// Something that is done to a run while nobody drives it, apart from [`Self::Intrude`].
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) enum Step {
    /// The process was killed as soon as a superstep was durable: what came later has not happened.
    Kill(Kill),
    /// A person answers the open question of a vertex.
    Answer(Answer),
    /// A person asks for changes of the graph.
    Patch(Vec<Mutation>),
    /// A person ends the run.
    Cancel,
    /// A process drives the run on, as far as it goes.
    Resume,
    /// As [`Self::Resume`]; and while a call of this vertex is under way, another process tries to take the run
    /// over.
    Intrude(VertexName),
}

/// When a process was killed.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Kill {
    /// The last superstep that is durable; without one, nothing but the start of the run is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) after_superstep: Option<u64>,
}

/// An answer to a question.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Answer {
    /// The vertex that asks.
    pub(super) vertex: VertexName,
    /// The answer.
    pub(super) with: Value,
}

/// After which crashes a run must come to the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(super) enum Crashes {
    /// After one behind each of its records.
    #[default]
    EveryRecord,
    /// After none: what was done from outside came at a moment that a crash would shift.
    Never,
}

/// What a run must come to, as far as it matters to the case.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Expected {
    /// How it ends.
    pub(super) status: Ending,
    /// A part of why.
    #[serde(default, skip_serializing)]
    pub(super) because: Option<String>,
    /// Its outputs. Numbers are equal within a billionth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) outputs: Option<Value>,
    /// The vertices that start in each superstep, in the order of their names; those of sub-graphs as `1/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) started: Option<Vec<Vec<String>>>,
    /// The vertices whose results are in the commit of each superstep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) committed: Option<Vec<Vec<String>>>,
    /// How many messages have which status at the end; none of the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) messages: Option<BTreeMap<MessageStatus, u64>>,
    /// The joins that nothing could complete any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) incomplete: Option<Vec<Incomplete>>,
    /// What was asked to be changed, and what became of it, as progress tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) changes: Option<Vec<String>>,
    /// How many calls are made, without those that a crash makes necessary again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) calls: Option<u64>,
    /// How many processes were refused that tried to take the run over.
    #[serde(default, skip_serializing)]
    pub(super) refused: u64,
}

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) enum Ending {
    /// Nothing was left to do.
    Succeeded,
    /// A vertex failed.
    Failed,
    /// A limit was reached.
    LimitReached,
    /// Somebody cancelled it.
    Cancelled,
    /// It has not ended: it waits for an answer.
    Waiting,
    /// It has not ended, and moves no more.
    Stuck,
}

/// A join that nothing could complete any more.
#[derive(Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Incomplete {
    /// The vertex.
    pub(super) vertex: VertexName,
    /// What it did.
    pub(super) action: WhenIncomplete,
    /// From whom nothing had come.
    pub(super) missing: Vec<VertexName>,
}

/// A case, and where it is.
pub(super) struct Found {
    /// The name of its folder.
    pub(super) name: String,
    /// Its folder.
    pub(super) folder: PathBuf,
    /// What it says.
    pub(super) case: Case,
}

/// The case in `folder`, if it is one, else the cases in the folders there, in the order of their names. Every
/// mistake in them is shown.
///
/// # Errors
/// There is a mistake, there is no case, or none has the name that is asked for.
pub(super) fn find(folder: &Path, wanted: Option<&str>) -> Result<Vec<Found>, CommandError> {
    let unreadable = |error| CommandError::Cases { folder: folder.to_owned(), source: error };
    let mut folders = vec![folder.to_owned()];
    if !folder.join(FILE).is_file() {
        let entries = std::fs::read_dir(folder).map_err(unreadable)?;
        let entries = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>();
        folders = entries.map_err(unreadable)?;
        folders.retain(|entry| entry.join(FILE).is_file());
        folders.sort();
    }
    let name = |folder: &Path| folder.file_name().map(|name| name.to_string_lossy().into_owned());
    let named = folders.into_iter().filter_map(|folder| Some((name(&folder.canonicalize().ok()?)?, folder)));
    let named: Vec<_> = named.filter(|(name, _)| wanted.is_none_or(|wanted| wanted == name)).collect();
    if named.is_empty() {
        return Err(CommandError::NoCase { folder: folder.to_owned(), case: wanted.map(str::to_owned) });
    }
    let mut mistakes = Vec::new();
    let mut found = Vec::new();
    for (name, folder) in named {
        let file = folder.join(FILE);
        let text = std::fs::read_to_string(&file).map_err(unreadable)?;
        match read_document(&Arc::new(Source { name: file.display().to_string(), text, named: true })) {
            Ok(case) => found.push(Found { name, folder, case }),
            Err(why) => mistakes.extend(why),
        }
    }
    match show(&mistakes) {
        0 => Ok(found),
        errors => Err(CommandError::Mistakes { errors }),
    }
}
