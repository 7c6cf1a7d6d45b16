//! `superstep answer`.

use std::io::{self, Read};
use std::path::Path;

use serde_json::{Value, json};
use superstep_engine::{Payload, Question, QuestionId};
use superstep_provision::not_loaded;
use superstep_runtime::{AnswerError, Reach, Reached, RunError, open_questions, read_run};
use superstep_store::RunName;

use crate::args::runs::{AnswerArgs, Store};
use crate::exit::{CommandError, Exit};
use crate::run::open_store;
use crate::{ask, input, log, output, remote, shell};

/// Which question is answered, and how; none if none is.
pub(crate) type Given = Result<Option<(QuestionId, Payload)>, CommandError>;

/// Answers a question of a run, whoever drives it, or shows its open questions.
///
/// # Errors
/// There is no such run or question, the answer does not fit, or the process that drives the run cannot be
/// reached.
pub(crate) fn answer(args: &AnswerArgs) -> Result<Exit, CommandError> {
    let given = |name: &RunName, open| given(args, name, open);
    match &args.connect.connect {
        Some(url) => remote::answer(&args.run, (url, &args.connect.trust), given),
        None => take(&args.run, &args.store, given),
    }
}

/// Answers a question of a run of this machine: `given` says which of the open ones, and how; none if none is to be
/// answered.
///
/// # Errors
/// Those of `given`; there is no such run, or the process that drives it cannot be reached.
pub(crate) fn take(
    run: &str,
    place: &Store,
    given: impl FnOnce(&RunName, Vec<(QuestionId, Question)>) -> Given,
) -> Result<Exit, CommandError> {
    let name: RunName = run.parse().map_err(RunError::Store)?;
    let store = open_store(place)?;
    let (started, records) = read_run(&store, &name)?;
    let programs = not_loaded(&name, &started)?;
    let open = open_questions(&name, &records, &programs)?;
    let Some((id, answer)) = given(&name, open)? else { return Ok(Exit::Success) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let reach = Reach::new(&store, &name, programs, "superstep answer");
    match runtime.block_on(reach.answer(id.clone(), answer))? {
        Reached::Driver => log::say(&format!("{id} has its answer")),
        Reached::Log => {
            let store = shell::store(place.folder.as_deref());
            log::say(&format!("{id} has its answer; go on with: superstep resume {name}{store}"));
        }
    }
    Ok(Exit::Success)
}

/// The answer that is given, and to which of the open questions of a run; none if they are only shown.
///
/// # Errors
/// No question is meant, or several are, or the answer does not fit.
fn given(args: &AnswerArgs, name: &RunName, mut open: Vec<(QuestionId, Question)>) -> Given {
    open.retain(|(id, _)| args.vertex.as_ref().is_none_or(|name| is_meant(id, name)));
    let Some(given) = &args.answer else {
        output::write(&shown(&open), args.output, &mut io::stdout().lock())?;
        return Ok(None);
    };
    let (id, question) = only(open).map_err(|asking| {
        let (run, vertex) = (name.clone(), args.vertex.clone());
        if asking.is_empty() {
            CommandError::NoQuestion { run, vertex }
        } else {
            CommandError::SeveralQuestions { run, asking }
        }
    })?;
    let answer = read(&question, given).map_err(|error| match error {
        Unread::Input(error) => CommandError::Input(error),
        Unread::Unfit(why) => {
            let source = AnswerError::Unfit { question: id.clone(), why };
            RunError::Answer { run: name.clone(), source }.into()
        }
    })?;
    Ok(Some((id, answer)))
}

fn shown(open: &[(QuestionId, Question)]) -> Value {
    let one = |(id, question): &(QuestionId, Question)| {
        json!({
            "vertex": id.activation.vertex.as_str(),
            "question": id.to_string(),
            "asks": question.ask.value(),
        })
    };
    open.iter().map(one).collect()
}

/// Whether a question is meant by a name: that of its vertex, of its activation, which an element of a forEach has too,
/// or its own.
pub(crate) fn is_meant(id: &QuestionId, name: &str) -> bool {
    id.activation.vertex.as_str() == name || id.activation.to_string() == name || id.to_string() == name
}

/// The one question that is meant.
///
/// # Errors
/// There is none, or there are several: their names.
pub(crate) fn only(mut open: Vec<(QuestionId, Question)>) -> Result<(QuestionId, Question), Vec<String>> {
    match (open.pop(), open.is_empty()) {
        (Some(asked), true) => Ok(asked),
        (None, _) => Err(Vec::new()),
        (Some(asked), false) => {
            open.push(asked);
            Err(open.iter().map(|(id, _)| id.to_string()).collect())
        }
    }
}

enum Unread {
    Input(input::InputError),
    Unfit(String),
}

fn read(question: &Question, given: &str) -> Result<Payload, Unread> {
    let text = match given.strip_prefix('@') {
        None if given == "-" => {
            let mut text = String::new();
            let read = io::stdin().read_to_string(&mut text);
            let name = "<stdin>".to_owned();
            read.map_err(|error| Unread::Input(input::InputError::Unreadable { name, error }))?;
            text
        }
        None => given.to_owned(),
        Some(file) if is_structured(file) => {
            let value = input::read(given, &mut io::empty()).map_err(Unread::Input)?.value;
            let answer = Payload::from(value);
            superstep_runtime::check_answer(question, &answer).map_err(Unread::Unfit)?;
            return Ok(answer);
        }
        Some(file) => std::fs::read_to_string(file)
            .map_err(|error| Unread::Input(input::InputError::Unreadable { name: file.to_owned(), error }))?,
    };
    ask::read(question, text.trim()).map_err(Unread::Unfit)
}

fn is_structured(file: &str) -> bool {
    let ending = Path::new(file).extension().and_then(std::ffi::OsStr::to_str);
    matches!(ending, Some("json" | "yaml" | "yml"))
}
