//! Which of two is better.

use serde_json::{Value, json};
use superstep_engine::{Failure, Payload, View};
use superstep_graph::Pairwise;

use super::{marked, object, reason};
use crate::programs::PrepareError;
use crate::schema::Schema;
use crate::template::Template;

/// A pair, prepared.
pub(super) struct Pair {
    a: Template,
    b: Template,
    question: Option<Template>,
    swap: bool,
    schema: Schema,
}

/// What is asked of one pair: with `a` as the first, and the other way round.
pub(super) struct Comparison {
    pub(super) straight: String,
    pub(super) swapped: Option<String>,
    pub(super) schema: Schema,
}

impl Pair {
    pub(super) fn prepare(
        pair: &Pairwise,
        compile: &dyn Fn(&str, &str) -> Result<Template, PrepareError>,
    ) -> Result<Self, PrepareError> {
        let schema = object([reason(), ("winner".to_owned(), json!({"enum": ["first", "second", "tie"]}))]);
        let question = pair.question.as_deref();
        Ok(Self {
            a: compile("pairwise.a", &pair.a)?,
            b: compile("pairwise.b", &pair.b)?,
            question: question.map(|source| compile("pairwise.question", source)).transpose()?,
            swap: pair.swap,
            schema: Schema::compile(&schema).expect("it is made of known keywords"),
        })
    }

    pub(super) fn comparison(&self, view: &View) -> Result<Comparison, Failure> {
        let question = self.question.as_ref().map(|question| question.render(view)).transpose()?;
        let question = question.map(|text| marked("question", &text) + "\n\n").unwrap_or_default();
        let (a, b) = (self.a.render(view)?, self.b.render(view)?);
        let ask = |first: &str, second: &str| {
            format!(
                "{question}Compare these two. Their order and their length mean nothing.\n\n{}\n\n{}\n\n\
                 Answer with JSON: the reason, in a sentence, and then the winner, as in \
                 {{\"reason\": \"…\", \"winner\": \"first\"}}; it is first, second or tie.",
                marked("first", first),
                marked("second", second)
            )
        };
        Ok(Comparison {
            straight: ask(&a, &b),
            swapped: self.swap.then(|| ask(&b, &a)),
            schema: self.schema.clone(),
        })
    }
}

/// The payload for answers that fit the schema. What wins in one order only does not win.
pub(super) fn result(straight: &Value, swapped: Option<&Value>) -> Payload {
    let winner = |answer: &Value, first: &'static str, second: &'static str| match answer["winner"].as_str() {
        Some("first") => first,
        Some("second") => second,
        Some(_) | None => "tie",
    };
    let one = winner(straight, "a", "b");
    let other = swapped.map_or(one, |swapped| winner(swapped, "b", "a"));
    let agreed = one == other;
    let reasons: Vec<&Value> =
        [Some(straight), swapped].into_iter().flatten().map(|it| &it["reason"]).collect();
    json!({"winner": if agreed { one } else { "tie" }, "agreed": agreed, "reasons": reasons}).into()
}
