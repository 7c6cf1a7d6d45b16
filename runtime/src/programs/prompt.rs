//! The program `prompt`: one question to a model, asked again when the answer does not fit.

use std::sync::Arc;

use futures::FutureExt as _;
use serde_json::json;
use superstep_engine::{Emission, Failure, Outcome, Payload, ProgramResult, View};
use superstep_graph::{Port, PromptProgram, VertexSpec};

use super::asking::{Asking, Question, Session};
use super::history::History;
use super::{PrepareError, compiled_schema, template};
use crate::model::{ChatMessage, Model, Role};
use crate::program::{Activation, Execution, Program};
use crate::schema::Schema;
use crate::template::Template;

pub(super) struct Prompt {
    asking: Arc<Asking>,
    schema: Option<Schema>,
    system: Option<Template>,
    history: Option<History>,
    template: Template,
}

impl Prompt {
    pub(super) fn prepare(
        vertex: &VertexSpec,
        prompt: &PromptProgram,
        model: &Arc<dyn Model>,
    ) -> Result<Self, PrepareError> {
        let schema = prompt.output.as_ref().map(|output| &output.schema);
        let system = prompt.system.as_deref();
        Ok(Self {
            schema: schema
                .map(|schema| compiled_schema(vertex, "prompt.output.schema", schema))
                .transpose()?,
            system: system.map(|source| template(vertex, "prompt.system", source)).transpose()?,
            history: History::prepare(vertex, "prompt.history", prompt.history.as_deref())?,
            template: template(vertex, "prompt.template", &prompt.template)?,
            asking: Arc::new(Asking {
                vertex: vertex.name.clone(),
                model_name: prompt.model.clone(),
                model: Arc::clone(model),
                sampling: prompt.sampling.clone(),
            }),
        })
    }

    fn messages(&self, view: &View) -> Result<Vec<ChatMessage>, Failure> {
        let system = self.system.as_ref().map(|system| system.render(view)).transpose()?;
        let history = self.history.as_ref().map(|history| history.messages(view)).transpose()?;
        let user = ChatMessage::new(Role::User, self.template.render(view)?);
        let system = system.map(|system| ChatMessage::new(Role::System, system));
        Ok(system.into_iter().chain(history.into_iter().flatten()).chain([user]).collect())
    }
}

impl Program for Prompt {
    fn start(&self, activation: Activation) -> Execution {
        let messages = match self.messages(&activation.view) {
            Ok(messages) => messages,
            Err(failure) => return Execution::of(Err(failure)),
        };
        let (asking, schema) = (Arc::clone(&self.asking), self.schema.clone());
        let question = Question { messages: messages.into(), ..Question::default() };
        let answer = async move { answer(&asking, &activation.into(), question, schema).await };
        Execution::Running(answer.map(|answer| answer.map_or_else(Outcome::Failed, Outcome::Done)).boxed())
    }
}

async fn answer(
    asking: &Asking,
    session: &Session,
    question: Question,
    schema: Option<Schema>,
) -> Result<ProgramResult, Failure> {
    let (payload, recorded) = match schema {
        Some(schema) => {
            let (value, recorded) = asking.ask_until(session, question, &schema).await?;
            (Payload::from(value), recorded)
        }
        None => {
            let recorded = asking.ask(session, question).await?;
            (json!({ "text": recorded.text }).into(), recorded)
        }
    };
    let mut result = ProgramResult::output(payload);
    if asking.sampling.logprobs.is_some() {
        let told = recorded.logprobs.ok_or_else(|| no_logprobs(asking))?;
        result.emissions.push(Emission { port: Port::LOGPROBS.into(), payload: json!(told).into() });
    }
    Ok(result)
}

fn no_logprobs(asking: &Asking) -> Failure {
    let message = format!("model {:?} does not tell how likely its tokens were", asking.model_name);
    Failure::permanent(format!("{message}, as a local model does: leave sampling.logprobs out"))
}

#[cfg(test)]
mod tests;
