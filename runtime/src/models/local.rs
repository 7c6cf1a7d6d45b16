//! A model that runs in this process.

use std::path::Path;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use superstep_engine::{Failure, FailureClass, Usage};
use superstep_graph::Sampling;
use superstep_inference::{
    ChatMessage as Turn, Completion, Description, Event, Finish as End, GenerateError, Generator, LoadError,
    LoadOptions, Model as Weights, Request, Role as Speaker, Sampling as Draw, Stream,
};

use crate::call_subject::ModelIdentity;
use crate::logprobs::{LikelyToken, TokenLogprob};
use crate::model::{ChatMessage, Finish, Model, ModelAnswer, ModelRequest, Role, UsageParts};
use crate::model_work::ModelWork;
use crate::program::OnText;

/// A model that runs in this process, on a thread of its own. Clones share it.
#[derive(Clone)]
pub struct LocalModel {
    generator: Generator,
    /// The adapter that it is run with.
    adapter: Option<String>,
}

/// Why a local model does not run.
#[derive(Debug, thiserror::Error)]
pub enum LocalModelError {
    /// Its file cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The operating system gives it no thread.
    #[error("the model gets no thread: {0}")]
    Thread(#[source] std::io::Error),
}

impl LocalModel {
    /// Loads the GGUF file at `path` and starts it. It blocks for seconds.
    ///
    /// # Errors
    /// The file is missing, damaged, not the one expected, or of a kind that is not supported.
    pub fn load(path: &Path, options: &LoadOptions) -> Result<Self, LocalModelError> {
        let weights = Weights::load(path, options)?;
        Ok(Self { generator: Generator::start(weights).map_err(LocalModelError::Thread)?, adapter: None })
    }

    /// What the model is.
    pub fn description(&self) -> &Description {
        self.generator.description()
    }
}

impl Model for LocalModel {
    fn prompt_tokens(&self, request: &ModelRequest) -> u64 {
        // What cannot be counted cannot be sent either; the call then says why.
        self.generator.count_prompt_tokens(&to_request(request, None)).map_or(0, |tokens| tokens as u64)
    }

    fn adapted(&self, adapter: &str) -> Option<Arc<dyn Model>> {
        // There is one at a time: an adapter has no adapters.
        let is_there = self.adapter.is_none() && self.generator.has_adapter(adapter);
        is_there.then(|| Arc::new(Self { adapter: Some(adapter.to_owned()), ..self.clone() }) as _)
    }

    fn adapters(&self) -> Vec<String> {
        if self.adapter.is_none() { self.generator.adapters() } else { Vec::new() }
    }

    fn adapters_in_use(&self) -> Vec<String> {
        self.generator.adapters_in_use()
    }

    fn work(&self) -> Option<ModelWork> {
        let work = self.generator.work();
        Some(ModelWork {
            passes: work.passes,
            prompt_tokens: work.prompt_tokens,
            reused_tokens: work.reused_tokens,
            guessed_tokens: work.guessed_tokens,
            accepted_tokens: work.accepted_tokens,
        })
    }

    fn identity(&self) -> Option<ModelIdentity> {
        let description = self.description();
        let mut model = description.name.clone().unwrap_or_else(|| description.architecture.clone());
        if let Some(adapter) = &self.adapter {
            model = format!("{model}:{adapter}");
        }
        Some(ModelIdentity { provider: "superstep".into(), model, server: None })
    }

    fn generate(
        &self,
        request: ModelRequest,
        on_text: Option<OnText>,
    ) -> BoxFuture<'static, Result<ModelAnswer, Failure>> {
        let Self { generator, adapter } = self.clone();
        let told = request.sampling.logprobs.is_some();
        async move {
            let request = to_request(&request, adapter);
            // Rendering the prompt, compiling the schema and reading an adapter take milliseconds.
            let submitted = tokio::task::spawn_blocking(move || generator.submit(request)).await;
            let stream = submitted.map_err(|_| Failure::transient("the request was given up"))?;
            let completion = follow(stream.map_err(failure)?, on_text).await?;
            Ok(ModelAnswer {
                finish: match completion.finish {
                    End::Stop => Finish::Stop,
                    End::Length => Finish::Length,
                },
                usage: Usage {
                    prompt_tokens: completion.usage.prompt_tokens as u64,
                    completion_tokens: completion.usage.completion_tokens as u64,
                    ..Usage::default()
                },
                text: completion.text,
                reasoning: completion.reasoning,
                parts: UsageParts { reasoning: completion.usage.reasoning_tokens as u64, cached: 0 },
                logprobs: told.then(|| completion.logprobs.into_iter().map(likely).collect()),
                ..ModelAnswer::default()
            })
        }
        .boxed()
    }
}

async fn follow(mut stream: Stream, on_text: Option<OnText>) -> Result<Completion, Failure> {
    while let Some(event) = stream.next().await {
        match event {
            Event::Token { text, .. } => {
                if let Some(on_text) = on_text.as_ref().filter(|_| !text.is_empty()) {
                    on_text(&text);
                }
            }
            Event::Done(completion) => return Ok(completion),
            Event::Failed(error) => return Err(failure(error)),
        }
    }
    Err(failure(GenerateError::Stopped))
}

fn failure(error: GenerateError) -> Failure {
    let class = match &error {
        GenerateError::Backend { .. } | GenerateError::Stopped => FailureClass::Transient,
        GenerateError::Chat(_)
        | GenerateError::Tokenize { .. }
        | GenerateError::TextTooLong { .. }
        | GenerateError::PromptTooLong { .. }
        | GenerateError::Sampling { .. }
        | GenerateError::StopWithSchema
        | GenerateError::UnknownAdapter { .. }
        | GenerateError::Adapter { .. }
        | GenerateError::Schema { .. }
        | GenerateError::SchemaTooLong { .. }
        | GenerateError::SchemaUnfinished { .. } => FailureClass::Permanent,
    };
    Failure::new(class, format!("local model: {error}"))
}

fn to_request(request: &ModelRequest, adapter: Option<String>) -> Request {
    Request {
        messages: request.messages.iter().map(to_turn).collect(),
        sampling: to_draw(&request.sampling, request.seed(), request.max_tokens()),
        schema: request.schema.as_deref().cloned(),
        adapter,
    }
}

fn to_turn(message: &ChatMessage) -> Turn {
    let speaker = match message.role {
        Role::System => Speaker::System,
        Role::User => Speaker::User,
        Role::Assistant => Speaker::Assistant,
        // Tools are described to it in its instructions, and it hears of their answers from the asking side.
        Role::Tool => Speaker::User,
    };
    Turn::new(speaker, message.content.as_str())
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the model computes with f32; what is out of range is refused there"
)]
fn to_draw(sampling: &Sampling, seed: u64, max_tokens: u32) -> Draw {
    let plain = Draw::default();
    let or = |value: Option<f64>, default: f32| value.map_or(default, |value| value as f32);
    let whole = |value: u32| usize::try_from(value).unwrap_or(usize::MAX);
    Draw {
        temperature: or(sampling.temperature, plain.temperature),
        top_p: or(sampling.top_p, plain.top_p),
        top_k: sampling.top_k.map_or(plain.top_k, whole),
        min_p: or(sampling.min_p, plain.min_p),
        presence_penalty: or(sampling.presence_penalty, plain.presence_penalty),
        frequency_penalty: or(sampling.frequency_penalty, plain.frequency_penalty),
        repetition_penalty: or(sampling.repetition_penalty, plain.repetition_penalty),
        seed,
        stop: sampling.stop.clone(),
        max_tokens: whole(max_tokens),
        logprobs: sampling.logprobs,
    }
}

fn likely(told: superstep_inference::TokenLogprob) -> TokenLogprob {
    let top = told.top.into_iter();
    TokenLogprob {
        token: told.token,
        logprob: told.logprob.into(),
        top: top.map(|(token, logprob)| LikelyToken { token, logprob: logprob.into() }).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use serde_json::{Value, json};
    use superstep_graph::Prices;
    use superstep_inference::testing::{TinyAdapter, TinyModel};

    use super::*;

    fn model() -> LocalModel {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiny.gguf");
        TinyModel::default().write(&path).unwrap();
        LocalModel::load(&path, &LoadOptions::default()).unwrap()
    }

    #[test]
    fn sampling_is_drawn_by_as_it_is_written() {
        let sampling: Sampling = serde_json::from_value(json!({
            "temperature": 0.5, "topP": 0.75, "topK": 40, "minP": 0.25, "presencePenalty": 0.125,
            "frequencyPenalty": -0.5, "repetitionPenalty": 1.5, "stop": ["END"], "logprobs": 3,
        }))
        .unwrap();
        let expected = Draw {
            temperature: 0.5,
            top_p: 0.75,
            top_k: 40,
            min_p: 0.25,
            presence_penalty: 0.125,
            frequency_penalty: -0.5,
            repetition_penalty: 1.5,
            seed: 7,
            stop: vec!["END".to_owned()],
            max_tokens: 64,
            logprobs: Some(3),
        };
        assert_eq!(to_draw(&sampling, 7, 64), expected);
    }

    fn request(schema: Option<Value>) -> ModelRequest {
        ModelRequest {
            vertex: "judge".into(),
            messages: vec![ChatMessage::new(Role::User, "hello")].into(),
            tools: Arc::default(),
            sampling: Sampling { max_tokens: Some(24), ..Sampling::default() },
            seed: 1,
            schema: schema.map(Arc::new),
            idempotency_key: String::new(),
        }
    }

    #[tokio::test]
    async fn it_writes_within_what_was_reserved_and_is_heard_writing() {
        let model = model();
        let heard = Arc::new(Mutex::new(String::new()));
        let hearing = Arc::clone(&heard);
        let reserve = model.reserve(&request(None));
        let on_text: OnText = Arc::new(move |text| hearing.lock().unwrap().push_str(text));
        let answer = model.generate(request(None), Some(on_text)).await.unwrap();
        assert_eq!(*heard.lock().unwrap(), answer.text);
        assert_eq!(answer.usage.prompt_tokens, reserve.prompt_tokens);
        assert!(answer.usage.completion_tokens <= reserve.completion_tokens);
        assert_eq!(model.generate(request(None), None).await.unwrap(), answer);
    }

    #[tokio::test]
    async fn it_writes_otherwise_with_an_adapter_at_the_same_price() {
        let folder = tempfile::tempdir().unwrap();
        TinyModel::default().write(&folder.path().join("tiny.gguf")).unwrap();
        TinyAdapter { alpha: 32.0, ..TinyAdapter::default() }.write(&folder.path().join("style")).unwrap();
        let options = LoadOptions { adapters: Some(folder.path().to_owned()), ..LoadOptions::default() };
        let plain = LocalModel::load(&folder.path().join("tiny.gguf"), &options).unwrap();
        assert_eq!(plain.adapters(), ["style"]);
        assert!(plain.adapted("other").is_none());
        let prices = Prices { prompt_per_million: 1.0, completion_per_million: 2.0 };
        let priced = crate::models::Priced::new(Arc::new(plain.clone()), prices);
        let adapted = priced.adapted("style").unwrap();
        assert_eq!((adapted.prices(), priced.adapters()), (prices, plain.adapters()));
        assert!(adapted.adapted("style").is_none() && adapted.adapters().is_empty());
        assert_eq!(adapted.identity().unwrap().model, "tiny:style");
        let mut asked = request(None);
        asked.sampling.logprobs = Some(2);
        let other = adapted.generate(asked.clone(), None).await.unwrap();
        assert_ne!(other.logprobs, plain.generate(asked, None).await.unwrap().logprobs);
        let work = adapted.work().unwrap();
        assert_eq!(Some(work), plain.work());
        assert!(work.passes >= 2 && work.prompt_tokens > 0, "{work:?}");
    }

    #[tokio::test]
    async fn it_tells_how_likely_its_tokens_were_if_it_is_asked() {
        let plain = model().generate(request(None), None).await.unwrap();
        assert_eq!(plain.logprobs, None);
        for count in [0, 4] {
            let mut asked = request(None);
            asked.sampling.logprobs = Some(count);
            let answer = model().generate(asked, None).await.unwrap();
            assert_eq!(answer.text, plain.text);
            let told = answer.logprobs.unwrap();
            assert!(!told.is_empty() && told.len() as u64 <= plain.usage.completion_tokens);
            for token in told {
                assert_eq!(token.top.len(), usize::from(count));
                assert!(token.logprob <= 0.0, "{token:?}");
                assert!(token.top.first().is_none_or(|best| best.logprob >= token.logprob), "{token:?}");
            }
        }
    }

    #[tokio::test]
    async fn it_is_held_to_a_schema() {
        let schema = json!({"type": "object", "required": ["grade"], "properties": {"grade": {"enum": [1, 2]}},
            "additionalProperties": false});
        let answer = model().generate(request(Some(schema.clone())), None).await.unwrap();
        let value: Value = serde_json::from_str(&answer.text).unwrap();
        assert!(jsonschema::is_valid(&schema, &value), "{value}");
    }

    #[tokio::test]
    async fn what_it_cannot_do_is_a_failure_for_good() {
        let mut request = request(None);
        request.sampling.temperature = Some(-1.0);
        assert_eq!(model().generate(request, None).await.unwrap_err().class, FailureClass::Permanent);
        assert!(matches!(
            LocalModel::load(Path::new("absent.gguf"), &LoadOptions::default()),
            Err(LocalModelError::Load(_))
        ));
    }
}
