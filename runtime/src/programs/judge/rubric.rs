//! Scores by criteria.

use serde_json::{Map, Value, json};
use superstep_engine::{Failure, Payload, View};
use superstep_graph as document;
use superstep_graph::{Criterion, Scale};

use super::{marked, object, reason};
use crate::programs::PrepareError;
use crate::schema::Schema;
use crate::template::Template;

/// A rubric, prepared.
pub(super) struct Rubric {
    subject: Template,
    criteria: Vec<Criterion>,
    scale: Scale,
    schema: Schema,
}

impl Rubric {
    pub(super) fn prepare(
        rubric: &document::Rubric,
        compile: &dyn Fn(&str, &str) -> Result<Template, PrepareError>,
    ) -> Result<Self, PrepareError> {
        let Scale { min, max } = rubric.scale;
        let score = json!({"type": "integer", "minimum": min, "maximum": max});
        let grade = object([reason(), ("score".to_owned(), score)]);
        let schema =
            object(rubric.criteria.iter().map(|criterion| (criterion.name.to_string(), grade.clone())));
        Ok(Self {
            subject: compile("rubric.subject", &rubric.subject)?,
            criteria: rubric.criteria.clone(),
            scale: rubric.scale,
            schema: Schema::compile(&schema).expect("it is made of known keywords"),
        })
    }

    pub(super) fn schema(&self) -> &Schema {
        &self.schema
    }

    pub(super) fn question(&self, view: &View) -> Result<String, Failure> {
        let Scale { min, max } = self.scale;
        let criteria: Vec<String> = self
            .criteria
            .iter()
            .map(|criterion| format!("- {}: {}", criterion.name, criterion.description))
            .collect();
        Ok(format!(
            "Grade what follows by each of these criteria, from {min} (worst) to {max} (best):\n{}\n\n{}\n\n\
             Answer with JSON: for each criterion the reason, in a sentence, and then the score, as in \
             {{\"{}\": {{\"reason\": \"…\", \"score\": {max}}}}}.",
            criteria.join("\n"),
            marked("subject", &self.subject.render(view)?),
            self.criteria.first().map(|criterion| criterion.name.as_str()).unwrap_or_default(),
        ))
    }

    /// The payload for grades that fit the schema.
    pub(super) fn result(&self, grades: &Value) -> Payload {
        let part = |part: &str| -> Map<String, Value> {
            let of = |criterion: &Criterion| grades[criterion.name.as_str()][part].clone();
            self.criteria.iter().map(|criterion| (criterion.name.to_string(), of(criterion))).collect()
        };
        let scores = part("score");
        let weight: f64 = self.criteria.iter().map(|criterion| criterion.weight).sum();
        let score = |criterion: &Criterion| scores[criterion.name.as_str()].as_f64().unwrap_or_default();
        let sum: f64 = self.criteria.iter().map(|criterion| criterion.weight * score(criterion)).sum();
        json!({"score": sum / weight, "scores": scores, "reasons": part("reason")}).into()
    }
}
