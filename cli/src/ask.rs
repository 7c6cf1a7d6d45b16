//! Questions of a run: asked on the terminal, or told so that they can be answered later.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use serde_json::Value;
use superstep_engine::{Decision, Notice, Payload, Proposal, Question, QuestionId};
use superstep_runtime::{AnswerError, HumanQuestion, Observer, RunHandle, check_answer};
use superstep_store::RunName;

use crate::log;
use crate::progress::change;

type Asked = (QuestionId, Question);

/// The questions of a run, on their way to whoever answers them.
pub(crate) struct Asking {
    told: Arc<Told>,
    questions: mpsc::Receiver<Asked>,
    /// Those that a resumed run has asked before, and that still wait.
    waiting: Vec<Asked>,
}

/// Hears of questions.
struct Told {
    run: RunName,
    on_terminal: bool,
    questions: mpsc::Sender<Asked>,
    /// Questions of the past, which a resumed run tells again.
    past: AtomicUsize,
    /// Questions that nobody has answered here.
    open: AtomicUsize,
}

impl Asking {
    /// Questions are asked on the terminal if stdin and stderr are one. Of a resumed run, `waiting` are the
    /// questions that wait, and `past` how many it has asked before.
    pub(crate) fn new(run: &RunName, no_input: bool, waiting: Vec<Asked>, past: usize) -> Self {
        let (sender, questions) = mpsc::channel();
        let told = Told {
            run: run.clone(),
            on_terminal: !no_input && io::stdin().is_terminal() && io::stderr().is_terminal(),
            questions: sender,
            past: AtomicUsize::new(past),
            open: AtomicUsize::new(0),
        };
        Self { told: Arc::new(told), questions, waiting }
    }

    /// Whether a person is there to answer.
    pub(crate) fn is_on_terminal(&self) -> bool {
        self.told.on_terminal
    }

    /// What hears of questions.
    pub(crate) fn observer(&self) -> Arc<dyn Observer> {
        Arc::clone(&self.told) as Arc<dyn Observer>
    }

    /// Begins to ask.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn begin(self, handle: RunHandle) -> io::Result<Unanswered> {
        let Self { told, questions, waiting } = self;
        waiting.into_iter().for_each(|asked| told.hear(asked));
        let unanswered = Unanswered(Arc::clone(&told));
        if told.on_terminal {
            // Reading the terminal blocks, and cannot be given up: the thread ends with the process.
            std::thread::Builder::new().name("questions".to_owned()).spawn(move || {
                for asked in questions {
                    if let Err(error) = ask(&asked, &handle, &told.open) {
                        tracing::warn!(%error, "questions cannot be asked, and the run is left open");
                        return handle.detach();
                    }
                }
            })?;
        }
        Ok(unanswered)
    }
}

/// Tells whether questions are left that nobody has answered here.
pub(crate) struct Unanswered(Arc<Told>);

impl Unanswered {
    /// Whether there is one.
    pub(crate) fn any(&self) -> bool {
        self.0.open.load(Ordering::Relaxed) > 0
    }
}

impl Told {
    fn hear(&self, asked: Asked) {
        self.open.fetch_add(1, Ordering::Relaxed);
        if self.on_terminal {
            if self.questions.send(asked).is_err() {
                tracing::debug!("nobody asks questions any more");
            }
            return;
        }
        let (id, question) = asked;
        let text = text_of(&question);
        log::say(&format!("{id} of run {} asks: {text}", self.run));
    }
}

impl Observer for Told {
    fn notice(&self, notice: &Notice) {
        let Notice::Asked { id, question } = notice else { return };
        let one_less = |past: usize| past.checked_sub(1);
        if self.past.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_err() {
            self.hear((id.clone(), question.clone()));
        }
    }
}

/// What is asked, for a person. What a model has written into it must not steer the terminal.
fn text_of(question: &Question) -> String {
    let text = match (HumanQuestion::of(question), Proposal::of(question)) {
        (None, None) => question.ask.value().to_string(),
        (None, Some(Proposal { mutations })) => {
            let changes: Vec<String> = mutations.iter().map(change).collect();
            format!("may it change the graph? {}", changes.join("; "))
        }
        (Some(human), _) => {
            let schema = human.schema.map(|schema| format!("\n  as {schema}")).unwrap_or_default();
            let refused = human.refused.map(|why| format!("\n  the answer before did not fit: {why}"));
            format!("{}{schema}{}", human.prompt, refused.unwrap_or_default())
        }
    };
    text.chars().map(|letter| if letter.is_control() && letter != '\n' { ' ' } else { letter }).collect()
}

/// Asks until the answer is taken; without more input the run is left open.
fn ask((id, question): &Asked, handle: &RunHandle, open: &AtomicUsize) -> io::Result<()> {
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
            Err(error @ AnswerError::Unfit { .. }) => writeln!(stderr, "{error}")?,
            // It was answered, or its time was over.
            settled => {
                open.fetch_sub(1, Ordering::Relaxed);
                return settled.or_else(|error| writeln!(stderr, "{error}"));
            }
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
    let is_proposal = Proposal::of(question).is_some();
    let word = match text.to_ascii_lowercase().as_str() {
        "yes" | "y" => Some(true),
        "no" | "n" => Some(false),
        _ => None,
    };
    // Without a schema every word is an answer as it stands.
    let has_schema = HumanQuestion::of(question).is_some_and(|human| human.schema.is_some());
    let word = word.filter(|_| has_schema || is_proposal).map(|approved| {
        if is_proposal {
            Payload::from(Decision { approved, why: None })
        } else {
            Payload::from(Value::Bool(approved))
        }
    });
    let mut first = None;
    let plain = Payload::from(Value::from(text));
    for answer in [json.map(Payload::from), word, Some(plain)].into_iter().flatten() {
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
    fn a_question_cannot_steer_the_terminal() {
        let question = Question { ask: json!({"prompt": "a\u{1b}[2Jb\nc"}).into(), state: None };
        assert_eq!(text_of(&question), "a [2Jb\nc");
    }

    fn proposal() -> Question {
        Question { ask: json!({"proposal": [{"removeVertex": {"name": "b"}}]}).into(), state: None }
    }

    #[test]
    fn a_proposal_says_what_it_would_change() {
        assert_eq!(text_of(&proposal()), "may it change the graph? removes vertex b");
    }

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
            (proposal(), "yes", Some(json!({"approved": true}))),
            (proposal(), "N", Some(json!({"approved": false}))),
            (
                proposal(),
                "{\"approved\": false, \"why\": \"no\"}",
                Some(json!({"approved": false, "why": "no"})),
            ),
            (proposal(), "perhaps", None),
            (proposal(), "true", None),
        ] {
            assert_eq!(read(&question, text).ok().map(|answer| answer.value().clone()), expected, "{text}");
        }
    }
}
