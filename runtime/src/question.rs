//! Questions to people, and what may be answered.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use superstep_engine::{Decision, Outcome, Payload, Proposal, Question};
use superstep_graph::DurationSpec;

use crate::schema::Schema;

/// What a vertex asks of a person: the `ask` of its question, for people and programs to read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HumanQuestion {
    /// What is asked.
    pub prompt: String,
    /// A JSON schema of the answer. Default: any answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// The answer when nobody has given one in time. Default: then the question fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// How long an answer is waited for. Default: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<DurationSpec>,
    /// When that is over, in milliseconds since 1970. Put in by the runner when the question is asked, before
    /// it is recorded, so that it is the same after a crash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<u64>,
    /// Why the answer before was not taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

impl HumanQuestion {
    /// The question, if that is what `question` asks.
    pub fn of(question: &Question) -> Option<Self> {
        question.ask.value().get("prompt")?;
        Self::deserialize(question.ask.value()).ok()
    }

    /// Whether `answer` can be taken.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn check(&self, answer: &Value) -> Result<(), String> {
        let Some(schema) = &self.schema else { return Ok(()) };
        Schema::compile(schema).map_err(|error| error.to_string())?.check(answer)
    }
}

impl From<HumanQuestion> for Payload {
    fn from(question: HumanQuestion) -> Self {
        Self::from(json!(question))
    }
}

/// Whether `answer` can be taken as the answer to `question`.
///
/// # Errors
/// Why it cannot.
pub fn check_answer(question: &Question, answer: &Payload) -> Result<(), String> {
    if is_unanswered(answer) {
        return Err(format!("{} says that nobody has answered", answer.value()));
    }
    if question.ask.value().get("unknownCall").is_some() {
        let told = answer.value();
        let tells = told.get("retry") == Some(&Value::Bool(true)) || told.get("result").is_some();
        let how = "answer {\"retry\": true}, or {\"result\": …} with what the call gave";
        return if tells { Ok(()) } else { Err(how.to_owned()) };
    }
    if Proposal::of(question).is_some() {
        let how =
            |why| format!("{why}: answer {{\"approved\": true}}, or {{\"approved\": false, \"why\": …}}");
        return Decision::of(answer).map(drop).map_err(how);
    }
    HumanQuestion::of(question).map_or(Ok(()), |human| human.check(answer.value()))
}

/// Puts the deadline into a question that has a timeout, asked at `now` in milliseconds since 1970.
pub(crate) fn stamp(question: &mut Question, now: u64) {
    if let Some(human) = HumanQuestion::of(question)
        && let (Some(timeout), None) = (human.timeout, human.deadline)
    {
        let deadline = Some(now.saturating_add(timeout.as_millis()));
        question.ask = HumanQuestion { deadline, ..human }.into();
    }
}

/// The outcome of a program that was executed again, with the deadline that its question had when it was
/// recorded: that is a time, and none of the program's.
pub(crate) fn stamped_as(mut outcome: Outcome, recorded: &Outcome) -> Outcome {
    if let (Outcome::Suspended(question), Outcome::Suspended(recorded)) = (&mut outcome, recorded)
        && let (Some(human), Some(before)) = (HumanQuestion::of(question), HumanQuestion::of(recorded))
        && human.timeout.is_some()
    {
        question.ask = HumanQuestion { deadline: before.deadline, ..human }.into();
    }
    outcome
}

/// What the runner answers when the deadline of `question` is over.
pub(crate) fn answer_at_deadline(question: &HumanQuestion) -> Payload {
    question.default.clone().map_or_else(unanswered, Payload::from)
}

const UNANSWERED: &str = "$unanswered";

/// Stands for an answer that nobody has given. It is not taken from outside.
fn unanswered() -> Payload {
    json!({ UNANSWERED: true }).into()
}

pub(crate) fn is_unanswered(answer: &Payload) -> bool {
    answer.value().get(UNANSWERED).is_some()
}
