//! Servers that tests ask.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use superstep_engine::Failure;
use superstep_inference::testing::{TinyEmbedder, TinyHead, TinyModel};
use superstep_runtime::{
    CrossEncoder, EmbedderOptions, LoadOptions, LocalModel, Model, ModelAnswer, ModelRequest, OnText,
    Scripted, SentenceModel,
};
use superstep_serving::{Offered, Server, Settings};
use tokio::sync::{Mutex, mpsc};

/// So long may anything take that a test waits for, on a machine that is busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A server, and who asks it.
pub(crate) struct Given {
    pub(crate) server: Server,
    pub(crate) client: Client,
}

impl Given {
    /// A server without a model.
    pub(crate) async fn empty(queue: usize) -> Self {
        let listen = "127.0.0.1:0".parse().unwrap();
        let server = Server::bind(Settings { listen, queue }).await.unwrap();
        Self { server, client: Client::new() }
    }

    pub(crate) async fn offering(offered: Offered, queue: usize) -> Self {
        let given = Self::empty(queue).await;
        given.server.open(offered).await.unwrap();
        given
    }

    /// A server of a tiny model, computed here.
    pub(crate) async fn tiny() -> Self {
        Self::offering(offered(tiny_model(), 4), 64).await
    }

    /// A server of a script.
    pub(crate) async fn scripted(script: Value) -> Self {
        Self::offering(script_offered(script, 4), 64).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.address())
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        let body = body.to_string();
        self.client.post(self.url(path)).header("content-type", "application/json").body(body)
    }

    pub(crate) fn chat(&self, body: &Value) -> RequestBuilder {
        self.post("/v1/chat/completions", body)
    }

    /// The answer to a chat, which is one.
    pub(crate) async fn answer(&self, body: &Value) -> Value {
        let (status, _, answer) = taken(self.chat(body)).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// The status of a chat, and the error.
    pub(crate) async fn refusal(&self, body: &Value) -> (u16, Value) {
        let (status, _, answer) = taken(self.chat(body)).await;
        (status, answer["error"].clone())
    }

    /// The status of a request for a stream that is refused before the stream begins. On a machine that is so busy that
    /// it has begun before, it is asked for again.
    pub(crate) async fn refused_at_once(&self, path: &str, body: &Value) -> u16 {
        let begun = Instant::now();
        loop {
            let status = self.post(path, body).send().await.unwrap().status().as_u16();
            if status != 200 {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "it is always told by an event");
        }
    }

    pub(crate) async fn text(&self, path: &str) -> (u16, String) {
        let response = self.client.get(self.url(path)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// The value of a metric.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.text("/metrics").await;
        let line = text.lines().find(|line| line.starts_with(name) && !line.starts_with('#'));
        let line = line.unwrap_or_else(|| panic!("{name} is not in {text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// Waits until a metric has a value.
    pub(crate) async fn until(&self, name: &str, value: f64) {
        let begun = Instant::now();
        while (self.metric(name).await - value).abs() > 1e-9 {
            assert!(begun.elapsed() < PATIENCE, "waited too long until {name} is {value}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// What came of a request: its status, headers and JSON.
pub(crate) async fn taken(request: RequestBuilder) -> (u16, HeaderMap, Value) {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    (status, headers, body)
}

/// The data of the events of a stream.
pub(crate) async fn events(response: Response) -> Vec<Value> {
    events_of(&response.text().await.unwrap())
}

fn events_of(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).unwrap_or_else(|_| json!(data))).collect()
}

/// A stream that is heard as it comes.
pub(crate) struct Heard {
    response: Response,
    text: String,
}

impl Heard {
    pub(crate) fn new(response: Response) -> Self {
        Self { response, text: String::new() }
    }

    /// Waits until a text was heard; what comes after it is left to be heard.
    pub(crate) async fn until(&mut self, text: &str) {
        let begun = Instant::now();
        while !self.text.contains(text) {
            let left = PATIENCE.saturating_sub(begun.elapsed());
            let chunk = tokio::time::timeout(left, self.response.chunk()).await;
            let chunk =
                chunk.unwrap_or_else(|_| panic!("waited too long for {text:?} behind {:?}", self.text));
            let chunk = chunk.unwrap().unwrap_or_else(|| panic!("no {text:?} in {:?}", self.text));
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The data of all events, once the stream has ended.
    pub(crate) async fn events(self) -> Vec<Value> {
        let rest = self.response.text().await.unwrap();
        events_of(&(self.text + &rest))
    }
}

/// What a [`Dictated`] model does next.
pub(crate) enum Dictate {
    /// It writes this.
    Text(&'static str),
    /// It ends its answer.
    End,
    /// It fails.
    Fail(&'static str),
}

/// A model that does what it is told by a test, and nothing before.
struct Dictated(Arc<Mutex<mpsc::UnboundedReceiver<Dictate>>>);

impl Model for Dictated {
    fn generate(
        &self,
        _: ModelRequest,
        on_text: Option<OnText>,
    ) -> BoxFuture<'static, Result<ModelAnswer, Failure>> {
        let told = Arc::clone(&self.0);
        async move {
            let (mut told, mut text) = (told.lock().await, String::new());
            loop {
                match told.recv().await {
                    Some(Dictate::Text(more)) => {
                        text.push_str(more);
                        on_text.iter().for_each(|on_text| on_text(more));
                    }
                    Some(Dictate::Fail(message)) => return Err(Failure::transient(message)),
                    Some(Dictate::End) | None => return Ok(ModelAnswer { text, ..ModelAnswer::default() }),
                }
            }
        }
        .boxed()
    }
}

/// A server of a model that does what it is told, and by what it is told.
pub(crate) async fn dictated() -> (Given, mpsc::UnboundedSender<Dictate>) {
    let (tell, told) = mpsc::unbounded_channel();
    let model = Some(Arc::new(Dictated(Arc::new(Mutex::new(told)))) as _);
    let names = vec!["tiny".to_owned()];
    let offered = Offered { names, model, embedder: None, reranker: None, concurrent: 4, is_local: false };
    (Given::offering(offered, 64).await, tell)
}

pub(crate) fn offered(model: LocalModel, concurrent: usize) -> Offered {
    let names = vec!["tiny".to_owned(), "the-tiny".to_owned()];
    let model = Some(Arc::new(model) as _);
    Offered { names, model, embedder: None, reranker: None, concurrent, is_local: true }
}

pub(crate) fn script_offered(script: Value, concurrent: usize) -> Offered {
    let scripted = Arc::new(Scripted::new(serde_json::from_value(script).unwrap()));
    let names = vec!["tiny".to_owned()];
    Offered {
        names,
        model: Some(scripted.clone()),
        embedder: Some(scripted.clone()),
        reranker: Some(scripted),
        concurrent,
        is_local: false,
    }
}

/// A cross-encoder, computed here.
pub(crate) fn ranking_offered() -> Offered {
    let reranker = Some(Arc::new(tiny_reranker()) as _);
    let names = vec!["tiny".to_owned()];
    Offered { names, model: None, embedder: None, reranker, concurrent: 8, is_local: true }
}

pub(crate) fn tiny_model() -> LocalModel {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    TinyModel { context_length: 2048, ..TinyModel::default() }.write(&path).unwrap();
    let options = LoadOptions { context_length: 2048, max_concurrent: 4, ..LoadOptions::default() };
    LocalModel::load(&path, &options).unwrap()
}

pub(crate) fn tiny_embedder() -> SentenceModel {
    let folder = tempfile::tempdir().unwrap();
    TinyEmbedder::default().write(folder.path()).unwrap();
    SentenceModel::load(folder.path(), &EmbedderOptions::default(), 8).unwrap()
}

pub(crate) fn tiny_reranker() -> CrossEncoder {
    let folder = tempfile::tempdir().unwrap();
    let tiny = TinyEmbedder { head: Some(TinyHead::RELEVANCE), ..TinyEmbedder::default() };
    tiny.write(folder.path()).unwrap();
    CrossEncoder::load(folder.path(), &EmbedderOptions::default(), 8).unwrap()
}

/// The body of a chat of one message, with `more` fields.
pub(crate) fn says(text: &str, more: Value) -> Value {
    let mut body = json!({"model": "tiny", "messages": [{"role": "user", "content": text}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// The text of an answer.
pub(crate) fn content(answer: &Value) -> &str {
    answer["choices"][0]["message"]["content"].as_str().unwrap_or_else(|| panic!("no text: {answer}"))
}
