//! Questions of a run: asked on the terminal, or told so that they can be answered later.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use serde_json::Value;
use superstep_engine::{Notice, Payload, Question, QuestionId};
use superstep_runtime::{AnswerError, HumanQuestion, Observer, RunHandle, check_answer};
use superstep_store::RunName;

type Asked = (QuestionId, Question);

/// The questions of a run, on their way to whoever answers them.
pub(crate) struct Asking {
    on_terminal: bool,
    told: Arc<Told>,
    questions: mpsc::Receiver<Asked>,
}

/// Hears of questions.
struct Told {
    questions: mpsc::Sender<Asked>,
    /// Questions of the past, which a resumed run tells again.
    past: AtomicUsize,
}

impl Asking {
    /// Questions are asked on the terminal if stdin and stderr are one. Of a resumed run, `open` are the
    /// questions that wait, and `past` how many it has asked before.
    pub(crate) fn new(no_input: bool, open: Vec<Asked>, past: usize) -> Self {
        let (sender, questions) = mpsc::channel();
        for asked in open {
            sender.send(asked).expect("the receiver is here");
        }
        let on_terminal = !no_input && io::stdin().is_terminal() && io::stderr().is_terminal();
        Self {
            on_terminal,
            told: Arc::new(Told { questions: sender, past: AtomicUsize::new(past) }),
            questions,
        }
    }

    /// Whether a person is there to answer.
    pub(crate) fn is_on_terminal(&self) -> bool {
        self.on_terminal
    }

    /// What hears of questions.
    pub(crate) fn observer(&self) -> Arc<dyn Observer> {
        Arc::clone(&self.told) as Arc<dyn Observer>
    }

    /// Begins to ask; what it gives back tells whether something was asked that is left to be answered.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn begin(self, run: &RunName, handle: RunHandle) -> io::Result<Arc<AtomicBool>> {
        let waits = Arc::new(AtomicBool::new(false));
        let (left, run) = (Arc::clone(&waits), run.clone());
        // Reading the terminal blocks, and cannot be given up: the thread ends with the process.
        std::thread::Builder::new().name("questions".to_owned()).spawn(move || {
            for asked in self.questions {
                left.store(true, Ordering::Relaxed);
                let done = if self.on_terminal { ask(&asked, &handle, &left) } else { tell(&asked, &run) };
                if let Err(error) = done {
                    tracing::warn!(%error, "questions cannot be asked");
                    return;
                }
            }
        })?;
        Ok(waits)
    }
}

impl Observer for Told {
    fn notice(&self, notice: &Notice) {
        let Notice::Asked { id, question } = notice else { return };
        let one_less = |past: usize| past.checked_sub(1);
        if self.past.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
            return;
        }
        if self.questions.send((id.clone(), question.clone())).is_err() {
            tracing::debug!("nobody asks questions any more");
        }
    }
}

/// What is asked, for a person.
fn text_of(question: &Question) -> String {
    match HumanQuestion::of(question) {
        None => question.ask.value().to_string(),
        Some(human) => {
            let schema = human.schema.map(|schema| format!("\n  as {schema}")).unwrap_or_default();
            let refused = human.refused.map(|why| format!("\n  the answer before did not fit: {why}"));
            format!("{}{schema}{}", human.prompt, refused.unwrap_or_default())
        }
    }
}

fn tell((id, question): &Asked, run: &RunName) -> io::Result<()> {
    writeln!(io::stderr(), "superstep: {id} of run {run} asks: {}", text_of(question))
}

/// Asks until the answer is taken; without more input the run is left open.
fn ask((id, question): &Asked, handle: &RunHandle, left: &AtomicBool) -> io::Result<()> {
    let mut stderr = io::stderr();
    writeln!(stderr, "{id} asks: {}", text_of(question))?;
    loop {
        write!(stderr, "> ")?;
        stderr.flush()?;
        let mut line = String::new();
        if io::stdin().read_line(&mut line)? == 0 {
            handle.detach();
            return Ok(());
        }
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let answer = match read(question, line) {
            Ok(answer) => answer,
            Err(why) => {
                writeln!(stderr, "that does not fit: {why}")?;
                continue;
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        match runtime.block_on(handle.answer(id.clone(), answer)) {
            Ok(()) => {
                left.store(false, Ordering::Relaxed);
                return Ok(());
            }
            Err(error @ AnswerError::Unfit { .. }) => writeln!(stderr, "{error}")?,
            Err(error) => return writeln!(stderr, "{error}"),
        }
    }
}

/// The answer that `text` means: the JSON that it is, or yes or no, or else the text itself; the first that
/// the question takes.
///
/// # Errors
/// None is taken.
pub(crate) fn read(question: &Question, text: &str) -> Result<Payload, String> {
    let json = serde_json::from_str::<Value>(text).ok();
    let word = match text.to_ascii_lowercase().as_str() {
        "yes" | "y" => Some(Value::Bool(true)),
        "no" | "n" => Some(Value::Bool(false)),
        _ => None,
    };
    // Without a schema every word is an answer as it stands.
    let has_schema = HumanQuestion::of(question).is_some_and(|human| human.schema.is_some());
    let word = word.filter(|_| has_schema);
    let mut first = None;
    for candidate in [json, word, Some(Value::from(text))].into_iter().flatten() {
        let answer = Payload::from(candidate);
        match check_answer(question, &answer) {
            Ok(()) => return Ok(answer),
            Err(why) => first = first.or(Some(why)),
        }
    }
    Err(first.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_is_what_the_question_takes() {
        let ask =
            |schema: Value| Question { ask: json!({"prompt": "x", "schema": schema}).into(), state: None };
        let open = Question { ask: json!({"prompt": "x"}).into(), state: None };
        for (question, text, expected) in [
            (ask(json!({"type": "string"})), "5", Some(json!("5"))),
            (ask(json!({"type": "integer"})), "5", Some(json!(5))),
            (ask(json!({"type": "boolean"})), "Yes", Some(json!(true))),
            (ask(json!({"type": "boolean"})), "perhaps", None),
            (ask(json!({"enum": ["yes", "no"]})), "yes", Some(json!("yes"))),
            (open.clone(), "yes", Some(json!("yes"))),
            (open.clone(), "{\"a\": 1}", Some(json!({"a": 1}))),
            (open, "as you like", Some(json!("as you like"))),
        ] {
            assert_eq!(read(&question, text).ok().map(|answer| answer.value().clone()), expected, "{text}");
        }
    }
}
