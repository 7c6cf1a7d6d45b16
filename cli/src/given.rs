//! What a run is given, checked against its graph.

use std::io;

use serde_json::{Value, json};
use superstep_graph::{GraphSpec, Problem};
use superstep_runtime::{check_input, check_parameters};

use crate::args::runs::RunArgs;
use crate::exit::CommandError;
use crate::input::{Given, InputError, read};
use crate::report::show;

/// The input and the parameters of a run, which fit its graph.
///
/// # Errors
/// One cannot be read, or does not fit.
pub(crate) fn of_run(args: &RunArgs, graph: &GraphSpec) -> Result<(Value, Value), CommandError> {
    let input = input(args.input.as_deref(), &mut io::stdin(), graph)?;
    let parameters = read_given(args.parameters.as_deref(), &mut io::empty())?;
    let parameters = parameters.unwrap_or_else(|| Value::Null.into());
    let problems = check_parameters(graph, &parameters.value);
    fits(&parameters, &problems, |problems| CommandError::UnfitParameters { problems })?;
    Ok((input, parameters.value))
}

/// The input that an argument gives, if it is there, else an empty object; it fits the graph.
///
/// # Errors
/// It cannot be read, or does not fit.
pub(crate) fn input(
    argument: Option<&str>,
    stdin: &mut dyn io::Read,
    graph: &GraphSpec,
) -> Result<Value, CommandError> {
    let input = read_given(argument, stdin)?.unwrap_or_else(|| json!({}).into());
    fits(&input, &check_input(graph, &input.value), |problems| CommandError::Unfit { problems })?;
    Ok(input.value)
}

/// What an argument gives, if it is there. What is wrong with a file is shown at its place.
fn read_given(argument: Option<&str>, stdin: &mut dyn io::Read) -> Result<Option<Given>, CommandError> {
    match argument.map(|argument| read(argument, stdin)).transpose() {
        Err(InputError::Malformed { mistakes }) => Err(CommandError::Mistakes { errors: show(&mistakes) }),
        Err(error) => Err(error.into()),
        Ok(given) => Ok(given),
    }
}

/// Whether there are no problems. Those of a file are shown at their places.
fn fits(
    given: &Given,
    problems: &[Problem],
    unfit: impl FnOnce(Vec<String>) -> CommandError,
) -> Result<(), CommandError> {
    if problems.is_empty() {
        return Ok(());
    }
    Err(match given.located(problems) {
        Some(located) => CommandError::Mistakes { errors: show(&located) },
        None => unfit(problems.iter().map(ToString::to_string).collect()),
    })
}
