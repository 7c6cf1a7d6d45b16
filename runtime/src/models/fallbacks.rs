//! A model and those that stand in for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use superstep_engine::{Failure, Usage};
use superstep_graph::{Prices, VertexName};

use crate::call_subject::ModelIdentity;
use crate::model::{Model, ModelAnswer, ModelRequest, StandIn};
use crate::program::OnText;

/// So many failures that may pass, one after the other, are a model that stays away.
const AWAY_AFTER: u32 = 3;

/// A model, and those that are asked in its place, in order, where it fails for good or stays away. It
/// stays away when three requests in a row, of any vertex, ended in failures that may pass; from then on
/// it is still asked first, and its next answer ends that.
///
/// What is reserved for a request is the most that any of them can use; what is charged is what the one
/// that answered has used, at its prices.
pub struct Fallbacks {
    members: Arc<[Member]>,
}

/// One model among those that stand in for each other.
pub struct Member {
    name: VertexName,
    model: Arc<dyn Model>,
    /// Failures that may pass since it last answered.
    failures: AtomicU32,
}

impl Member {
    /// The model that the graph calls `name`.
    pub fn new(name: VertexName, model: Arc<dyn Model>) -> Self {
        Self { name, model, failures: AtomicU32::new(0) }
    }

    /// Counts how a request ended; whether the next model is to be asked.
    fn gives_way(&self, answer: &Result<ModelAnswer, Failure>) -> bool {
        match answer {
            Ok(_) => {
                self.failures.store(0, Ordering::Relaxed);
                false
            }
            Err(failure) if failure.class.is_retryable() => {
                self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= AWAY_AFTER
            }
            Err(_) => true,
        }
    }
}

impl Fallbacks {
    /// `first`, and then the others.
    pub fn new(first: Member, others: impl IntoIterator<Item = Member>) -> Self {
        Self { members: std::iter::once(first).chain(others).collect() }
    }

    fn models(&self) -> impl Iterator<Item = &Arc<dyn Model>> {
        self.members.iter().map(|member| &member.model)
    }
}

impl Model for Fallbacks {
    fn prompt_tokens(&self, request: &ModelRequest) -> u64 {
        self.models().map(|model| model.prompt_tokens(request)).max().unwrap_or_default()
    }

    /// Whether all of them do: any of them may have to answer.
    fn calls_tools(&self) -> bool {
        self.models().all(|model| model.calls_tools())
    }

    fn identity(&self) -> Option<ModelIdentity> {
        self.members[0].model.identity()
    }

    /// Those of the first, at which its answers are charged.
    fn prices(&self) -> Prices {
        self.members[0].model.prices()
    }

    fn generate(
        &self,
        request: ModelRequest,
        on_text: Option<OnText>,
    ) -> BoxFuture<'static, Result<ModelAnswer, Failure>> {
        ask(Arc::clone(&self.members), request, on_text).boxed()
    }

    fn reserve(&self, request: &ModelRequest) -> Usage {
        let reserves = self.models().map(|model| model.reserve(request));
        reserves.fold(Usage::default(), |most, usage| Usage {
            calls: most.calls.max(usage.calls),
            prompt_tokens: most.prompt_tokens.max(usage.prompt_tokens),
            completion_tokens: most.completion_tokens.max(usage.completion_tokens),
            cost: most.cost.max(usage.cost),
        })
    }
}

/// Asks one after the other. The failures of all are told, so that the first is not lost.
async fn ask(
    members: Arc<[Member]>,
    request: ModelRequest,
    on_text: Option<OnText>,
) -> Result<ModelAnswer, Failure> {
    let mut failed: Option<Failure> = None;
    for (position, member) in members.iter().enumerate() {
        let mut asked = request.clone();
        if position > 0 {
            // Another request under the same key would be refused by a provider that both have in common.
            asked.idempotency_key = format!("{}-{}", request.idempotency_key, member.name);
            tracing::warn!(vertex = %request.vertex, model = %member.name, "a fallback is asked");
        }
        let answer = member.model.generate(asked, on_text.clone()).await;
        let gives_way = member.gives_way(&answer);
        match answer {
            Ok(answer) if position == 0 => return Ok(answer),
            Ok(answer) => {
                tracing::info!(vertex = %request.vertex, model = %member.name, "a fallback has answered");
                let prices = member.model.prices();
                let stand_in = answer.stand_in.clone();
                let stand_in = stand_in.unwrap_or_else(|| StandIn { model: member.name.clone(), prices });
                return Ok(ModelAnswer { stand_in: Some(stand_in), ..answer });
            }
            Err(failure) => {
                let last = position + 1 == members.len();
                let failure = match failed {
                    None => failure,
                    Some(before) => after(before, &failure),
                };
                if last || !gives_way {
                    return Err(failure);
                }
                failed = Some(failure);
            }
        }
    }
    Err(failed.expect("there is a first model, and the last returns"))
}

/// Both failures as one: it may pass if either may.
fn after(first: Failure, second: &Failure) -> Failure {
    let message = format!("{}; then {}", first.message, second.message);
    let class = if first.class.is_retryable() { first.class } else { second.class };
    let pauses = [first.retry_after, second.retry_after];
    Failure::new(class, message).retry_after(pauses.into_iter().flatten().min())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use superstep_engine::FailureClass;
    use superstep_graph::Sampling;

    use super::*;
    use crate::model::{ChatMessage, Role};
    use crate::models::Scripted;

    fn request() -> ModelRequest {
        ModelRequest {
            vertex: "ask".into(),
            messages: vec![ChatMessage::new(Role::User, "hello")].into(),
            tools: Arc::default(),
            sampling: Sampling::default(),
            seed: 0,
            schema: None,
            idempotency_key: "k".to_owned(),
        }
    }

    /// A model that fails `times` and then says its name; a token costs `price` millionths.
    fn member(name: &str, times: u32, permanent: bool, price: f64) -> Member {
        let fail = json!({"times": times, "message": format!("{name} fails"), "permanent": permanent});
        let script: Value = json!({"rules": [{"answer": name, "fail": fail}], "prices": {
            "promptPerMillion": price, "completionPerMillion": price}});
        Member::new(name.into(), Arc::new(Scripted::new(serde_json::from_value(script).unwrap())))
    }

    async fn text(model: &Fallbacks) -> Result<String, Failure> {
        model.generate(request(), None).await.map(|answer| answer.text)
    }

    #[tokio::test]
    async fn the_next_model_answers_at_its_own_price() {
        let model = Fallbacks::new(
            member("large", 1, true, 10.0),
            [member("other", 9, true, 1.0), member("tiny", 0, false, 2.0)],
        );
        let answer = model.generate(request(), None).await.unwrap();
        assert_eq!(answer.text, "tiny");
        assert_eq!(answer.stand_in.as_ref().unwrap().model, "tiny".into());
        let tokens = answer.usage.prompt_tokens + answer.usage.completion_tokens;
        assert_eq!(tokens, 3);
        assert!((answer.call_usage(&model.prices()).cost * 1e6 - 6.0).abs() < 1e-9);
        let answer = model.generate(request(), None).await.unwrap();
        assert_eq!((answer.text.as_str(), &answer.stand_in), ("large", &None));
        assert!((answer.call_usage(&model.prices()).cost * 1e6 - 40.0).abs() < 1e-9);
    }

    #[tokio::test]
    async fn what_may_pass_is_tried_again_until_the_model_stays_away() {
        let model = Fallbacks::new(member("large", 3, false, 0.0), [member("tiny", 0, false, 0.0)]);
        for expected in [Err("large fails"), Err("large fails"), Ok("tiny"), Ok("large")] {
            let found = text(&model).await.map_err(|failure| failure.message);
            assert_eq!(found.as_deref().map_err(String::as_str), expected);
        }
    }

    #[tokio::test]
    async fn an_answer_between_failures_counts_from_the_start() {
        let first = member("large", 0, false, 0.0);
        let away = Err(Failure::transient("away"));
        let here = Ok(ModelAnswer::default());
        for (outcome, gives_way) in
            [(&away, false), (&away, false), (&here, false), (&away, false), (&away, false), (&away, true)]
        {
            assert_eq!(first.gives_way(outcome), gives_way);
        }
    }

    #[tokio::test]
    async fn when_all_fail_all_are_told_and_what_may_pass_may_pass() {
        let model = Fallbacks::new(member("large", 9, true, 0.0), [member("tiny", 1, false, 0.0)]);
        let failure = text(&model).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Transient);
        assert_eq!(failure.message, "large fails; then tiny fails");
        assert_eq!(text(&model).await.unwrap(), "tiny");
    }

    #[test]
    fn the_most_that_any_can_use_is_reserved() {
        let model = Fallbacks::new(member("cheap", 0, false, 1.0), [member("dear", 0, false, 5.0)]);
        let dear = member("dear", 0, false, 5.0);
        assert_eq!(model.reserve(&request()), dear.model.reserve(&request()));
        assert!((model.prices().prompt_per_million - 1.0).abs() < 1e-9);
    }
}
