//! The program `human`: a question to a person, whose answer is the payload.

use superstep_engine::{Failure, FailureClass, Outcome, Payload, ProgramResult, Question, View};
use superstep_graph::{HumanProgram, VertexSpec};

use super::{PrepareError, compiled_schema, template};
use crate::program::{Activation, Execution, Program};
use crate::question::{HumanQuestion, is_unanswered};
use crate::template::Template;

pub(super) struct Human {
    prompt: Template,
    document: HumanProgram,
}

impl Human {
    pub(super) fn prepare(vertex: &VertexSpec, human: &HumanProgram) -> Result<Self, PrepareError> {
        if let Some(schema) = &human.schema {
            compiled_schema(vertex, "human.schema", schema)?;
        }
        Ok(Self { prompt: template(vertex, "human.prompt", &human.prompt)?, document: human.clone() })
    }

    fn question(&self, view: &View) -> Result<HumanQuestion, Failure> {
        let HumanProgram { schema, timeout, default, .. } = self.document.clone();
        Ok(HumanQuestion {
            prompt: self.prompt.render(view)?,
            schema,
            default,
            timeout,
            ..HumanQuestion::default()
        })
    }

    fn answered(&self, view: &View, answer: Payload) -> Result<Outcome, Failure> {
        if is_unanswered(&answer) {
            let timeout = self.document.timeout.map(|timeout| format!(" within {timeout}"));
            let message = format!("nobody answered{}", timeout.unwrap_or_default());
            return Err(Failure::new(FailureClass::Timeout, message));
        }
        let question = self.question(view)?;
        Ok(match question.check(answer.value()) {
            Ok(()) => Outcome::Done(ProgramResult::output(answer)),
            // It came past those who check answers.
            Err(why) => suspended(HumanQuestion { refused: Some(why), ..question }),
        })
    }
}

impl Program for Human {
    fn start(&self, activation: Activation) -> Execution {
        let view = &activation.view;
        let outcome = match activation.resumption {
            None => self.question(view).map(suspended),
            Some(resumption) => self.answered(view, resumption.answer),
        };
        Execution::Ready(outcome.unwrap_or_else(Outcome::Failed))
    }
}

/// With a state the program is run again with the answer, and its vertex's effects apply.
fn suspended(question: HumanQuestion) -> Outcome {
    Outcome::Suspended(Question { ask: question.into(), state: Some(Payload::null()) })
}

#[cfg(test)]
mod tests;
