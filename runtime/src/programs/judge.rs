//! The program `judge`: a model that grades, by a rubric, in pairs, or by a schema.

mod pairwise;
mod rubric;

use std::sync::Arc;

use serde_json::{Map, Value, json};
use superstep_engine::{Failure, Payload, View};
use superstep_graph::{JudgeProgram, Sampling, VertexSpec};

use super::asking::{Asking, Question, Session};
use super::{PrepareError, compiled_schema, template};
use crate::model::{ChatMessage, Model, Role};
use crate::program::{Activation, Execution, Program};
use crate::schema::Schema;
use crate::template::Template;
use pairwise::{Comparison, Pair};
use rubric::Rubric;

const SYSTEM: &str = "You are a strict and fair judge. You judge only what you are shown.";

/// The longest reason, in characters, and the tokens that leave room for it.
const REASON: u32 = 400;
const TOKENS_OF_REASON: u32 = 160;

pub(super) struct Judge {
    asking: Arc<Asking>,
    system: Option<Template>,
    way: Way,
}

/// How it grades.
enum Way {
    Rubric(Arc<Rubric>),
    Pairwise(Pair),
    Verdict(Template, Schema),
}

impl Judge {
    pub(super) fn prepare(
        vertex: &VertexSpec,
        judge: &JudgeProgram,
        model: &Arc<dyn Model>,
    ) -> Result<Self, PrepareError> {
        let compile = |field: &str, source: &str| template(vertex, &format!("judge.{field}"), source);
        let (way, reasons) = match (&judge.rubric, &judge.pairwise, &judge.verdict) {
            (Some(rubric), None, None) => {
                let reasons = u32::try_from(rubric.criteria.len()).unwrap_or(u32::MAX);
                (Way::Rubric(Arc::new(Rubric::prepare(rubric, &compile)?)), reasons)
            }
            (None, Some(pair), None) => (Way::Pairwise(Pair::prepare(pair, &compile)?), 1),
            (None, None, Some(verdict)) => {
                let schema = compiled_schema(vertex, "judge.verdict.schema", &verdict.schema)?;
                (Way::Verdict(compile("verdict.template", &verdict.template)?, schema), 0)
            }
            (None, None, None) | (Some(_), Some(_), _) | (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => {
                return Err(PrepareError::NoProgram { vertex: vertex.name.clone() });
            }
        };
        Ok(Self {
            system: judge.system.as_deref().map(|source| compile("system", source)).transpose()?,
            way,
            asking: Arc::new(Asking {
                vertex: vertex.name.clone(),
                model_name: judge.model.clone(),
                model: Arc::clone(model),
                sampling: with_room(&judge.sampling, reasons),
            }),
        })
    }

    fn begin(&self, activation: Activation) -> Result<Execution, Failure> {
        let view = activation.view.clone();
        let system = self.system(&view)?;
        let question = |text: String| Question {
            messages: vec![system.clone(), ChatMessage::new(Role::User, text)].into(),
            ..Question::default()
        };
        let asking = Arc::clone(&self.asking);
        let session = Session::from(activation);
        Ok(match &self.way {
            Way::Rubric(rubric) => {
                let (rubric, question) = (Arc::clone(rubric), question(rubric.question(&view)?));
                Execution::running(async move {
                    let grades = asking.ask_for(&session, question, rubric.schema()).await?;
                    Ok(rubric.result(&grades))
                })
            }
            Way::Pairwise(pair) => {
                let Comparison { straight, swapped, schema } = pair.comparison(&view)?;
                let (straight, swapped) = (question(straight), swapped.map(question));
                Execution::running(async move {
                    let straight = asking.ask_for(&session, straight, &schema);
                    let Some(swapped) = swapped else {
                        return Ok(pairwise::result(&straight.await?, None));
                    };
                    let both = futures::join!(straight, asking.ask_for(&session, swapped, &schema));
                    Ok(pairwise::result(&both.0?, Some(&both.1?)))
                })
            }
            Way::Verdict(template, schema) => {
                let (question, schema) = (question(template.render(&view)?), schema.clone());
                Execution::running(async move {
                    asking.ask_for(&session, question, &schema).await.map(Payload::from)
                })
            }
        })
    }

    fn system(&self, view: &View) -> Result<ChatMessage, Failure> {
        let text = match &self.system {
            Some(system) => system.render(view)?,
            None => SYSTEM.to_owned(),
        };
        Ok(ChatMessage::new(Role::System, text))
    }
}

impl Program for Judge {
    fn start(&self, activation: Activation) -> Execution {
        self.begin(activation).unwrap_or_else(|failure| Execution::of(Err(failure)))
    }
}

fn with_room(sampling: &Sampling, reasons: u32) -> Sampling {
    let room = (reasons > 0).then(|| reasons.saturating_add(1).saturating_mul(TOKENS_OF_REASON));
    Sampling { max_tokens: sampling.max_tokens.or(room), ..sampling.clone() }
}

/// The schema of an object whose members are all there. A reason comes before what it is the reason of, so
/// that it is thought of first.
fn object(members: impl IntoIterator<Item = (String, Value)>) -> Value {
    let properties: Map<String, Value> = members.into_iter().collect();
    let required: Vec<&String> = properties.keys().collect();
    json!({
        "type": "object", "required": required, "properties": properties, "additionalProperties": false,
    })
}

fn reason() -> (String, Value) {
    ("reason".to_owned(), json!({"type": "string", "maxLength": REASON}))
}

/// What is judged, between marks that tell it from the instructions.
fn marked(mark: &str, text: &str) -> String {
    format!("<{mark}>\n{text}\n</{mark}>")
}

#[cfg(test)]
mod tests;
