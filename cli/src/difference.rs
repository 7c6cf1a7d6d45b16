//! `superstep diff`: how two runs differ.

mod course;

use std::collections::BTreeSet;
use std::io;

use serde_json::{Value, json};
use superstep_runtime::RunError;
use superstep_store::RunName;

use crate::args::runs::DiffArgs;
use crate::exit::{CommandError, Exit};
use crate::output::{self, OutputFormat};
use crate::run::open_store;
use course::{Course, Stage};

/// Shows where two runs part, and what came of that.
///
/// # Errors
/// There is no such run, a log is corrupt, or stdout cannot be written to.
pub(crate) fn diff(args: &DiffArgs) -> Result<Exit, CommandError> {
    let store = open_store(&args.store)?;
    let read = |run: &String| -> Result<Course, CommandError> {
        let name: RunName = run.parse().map_err(RunError::Store)?;
        Course::of(&store, &name)
    };
    let (one, other) = (read(&args.one)?, read(&args.other)?);
    let difference = Difference::between(&one, &other);
    let told = match args.output {
        OutputFormat::Table => difference.rows(&one, &other),
        OutputFormat::Json | OutputFormat::Yaml => difference.document(&one, &other),
    };
    output::write(&told, args.output, &mut io::stdout().lock())?;
    Ok(Exit::Success)
}

/// Something that is one thing in one run, and another in the other; null where a run does not have it.
#[derive(Clone, Debug, PartialEq)]
struct Pair {
    what: String,
    one: Value,
    other: Value,
}

impl Pair {
    fn differs(&self) -> bool {
        self.one != self.other
    }
}

/// How two runs differ.
#[derive(Clone, Debug, PartialEq)]
struct Difference {
    /// What they were started with, where that differs.
    start: Vec<Pair>,
    /// The first superstep in which they differ.
    superstep: Option<u64>,
    /// What differs in it.
    stage: Vec<Pair>,
    /// The outputs that differ, by vertex.
    outputs: Vec<Pair>,
    /// What each came to and used.
    totals: Vec<Pair>,
}

impl Difference {
    fn between(one: &Course, other: &Course) -> Self {
        let start = [
            ("graph", &one.graph, &other.graph),
            ("revision", &one.revision, &other.revision),
            ("input", &one.input, &other.input),
        ];
        let start = start.map(|(what, one, other)| pair(what, one, other)).into_iter().filter(Pair::differs);
        let all: BTreeSet<u64> = one.stages.keys().chain(other.stages.keys()).copied().collect();
        let nothing = Stage::default();
        let stage = |course: &Course, at: u64| course.stages.get(&at).unwrap_or(&nothing).clone();
        let superstep = all.into_iter().find(|at| stage(one, *at) != stage(other, *at));
        Self {
            start: start.collect(),
            superstep,
            stage: superstep.map(|at| members(&stage(one, at), &stage(other, at))).unwrap_or_default(),
            outputs: members_of(&one.outputs, &other.outputs),
            totals: one
                .totals
                .iter()
                .zip(&other.totals)
                .map(|((what, one), (_, other))| pair(what, one, other))
                .collect(),
        }
    }

    fn same(&self) -> bool {
        self.start.is_empty() && self.superstep.is_none() && self.outputs.is_empty()
    }

    fn document(&self, one: &Course, other: &Course) -> Value {
        let named = |pairs: &[Pair]| -> Vec<Value> {
            pairs
                .iter()
                .map(|pair| json!({"what": pair.what, "one": pair.one, "other": pair.other}))
                .collect()
        };
        json!({
            "one": one.name.as_str(),
            "other": other.name.as_str(),
            "same": self.same(),
            "origins": {"one": one.origin, "other": other.origin},
            "start": named(&self.start),
            "firstDifference": self.superstep,
            "superstep": named(&self.stage),
            "outputs": named(&self.outputs),
            "totals": named(&self.totals),
        })
    }

    /// A row for each thing that differs, and for each total.
    fn rows(&self, one: &Course, other: &Course) -> Value {
        let at = self.superstep.map(|at| format!("superstep {at}: ")).unwrap_or_default();
        // Where a run comes from is told, and makes no difference.
        let origin = pair("origin", &one.origin, &other.origin);
        let origins: Vec<Pair> = [origin].into_iter().filter(Pair::differs).collect();
        let parts = [
            (String::new(), &origins),
            (String::new(), &self.start),
            (at, &self.stage),
            ("output ".to_owned(), &self.outputs),
            (String::new(), &self.totals),
        ];
        let rows = parts.iter().flat_map(|(prefix, pairs)| {
            pairs.iter().map(move |pair| {
                let mut row = serde_json::Map::new();
                row.insert("what".to_owned(), format!("{prefix}{}", pair.what).into());
                // Two runs of different stores can have one name.
                row.insert(format!("one: {}", one.name), short(&pair.one));
                row.insert(format!("other: {}", other.name), short(&pair.other));
                Value::Object(row)
            })
        });
        rows.collect()
    }
}

fn pair(what: &str, one: &Value, other: &Value) -> Pair {
    Pair { what: what.to_owned(), one: one.clone(), other: other.clone() }
}

fn members(one: &Stage, other: &Stage) -> Vec<Pair> {
    let names: BTreeSet<&String> = one.0.keys().chain(other.0.keys()).collect();
    let value = |stage: &Stage, name: &String| stage.0.get(name).cloned().unwrap_or_default();
    let pairs = names.into_iter().map(|name| pair(name, &value(one, name), &value(other, name)));
    pairs.filter(Pair::differs).collect()
}

fn members_of(one: &Value, other: &Value) -> Vec<Pair> {
    let stage = |value: &Value| {
        let members = value.as_object().into_iter().flatten();
        Stage(members.map(|(name, member)| (name.clone(), member.clone())).collect())
    };
    members(&stage(one), &stage(other))
}

/// The longest text in a cell, in characters.
const MOST_OF_CELL: usize = 60;

/// The value on one line of a table, cut where it is long.
fn short(value: &Value) -> Value {
    let text = match value {
        Value::Null => return Value::Null,
        Value::String(text) => text.split_whitespace().collect::<Vec<_>>().join(" "),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    if text.chars().count() <= MOST_OF_CELL {
        return text.into();
    }
    text.chars().take(MOST_OF_CELL - 1).chain(['…']).collect::<String>().into()
}
