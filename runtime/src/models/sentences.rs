//! A sentence model that runs in this process.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use superstep_engine::{Failure, FailureClass, Usage};
use superstep_inference::{EmbedError, Embedder as Network, EmbedderDescription, EmbedderOptions};
use tokio::sync::oneshot;

use super::LocalModelError;
use crate::embedder::{EmbedRequest, Embedder, Embeddings};

/// A sentence model of the BERT family, on a thread of its own. What waits for it is computed as one batch.
/// Clones share it.
#[derive(Clone)]
pub struct SentenceModel {
    network: Arc<Network>,
    jobs: Sender<Job>,
}

struct Job {
    texts: Vec<String>,
    reply: oneshot::Sender<Result<Vec<Vec<f32>>, EmbedError>>,
}

impl SentenceModel {
    /// Requests that are computed as one batch, where nobody says otherwise.
    pub const BATCH: usize = 64;

    /// Loads the model in the folder `path`: `model.safetensors`, `tokenizer.json`, `config.json`, and what else
    /// its authors put there. At most `batch` requests that wait are computed at once. It blocks for a second or
    /// so.
    ///
    /// # Errors
    /// A file is missing, damaged, not the one expected, or of a kind that is not supported.
    pub fn load(path: &Path, options: &EmbedderOptions, batch: usize) -> Result<Self, LocalModelError> {
        let network = Arc::new(Network::load(path, options)?);
        let (jobs, queue) = channel();
        let computing = Arc::clone(&network);
        std::thread::Builder::new()
            .name("superstep-embedder".to_owned())
            .spawn(move || compute(&computing, &queue, batch))
            .map_err(LocalModelError::Thread)?;
        Ok(Self { network, jobs })
    }

    /// What the model is.
    pub fn description(&self) -> &EmbedderDescription {
        self.network.description()
    }
}

impl Embedder for SentenceModel {
    fn tokens(&self, texts: &[String]) -> u64 {
        let most = self.network.description().max_tokens;
        // What cannot be counted cannot be embedded either; the call then says why.
        texts
            .iter()
            .map(|text| self.network.count_tokens(text).map_or(0, |tokens| tokens.min(most) as u64))
            .sum()
    }

    fn embed(&self, request: EmbedRequest) -> BoxFuture<'static, Result<Embeddings, Failure>> {
        let model = self.clone();
        async move {
            let EmbedRequest { vertex, texts, .. } = request;
            let usage = Usage { prompt_tokens: model.tokens(&texts), ..Usage::default() };
            let (reply, answer) = oneshot::channel();
            let gone = || Failure::transient("the sentence model has stopped");
            model.jobs.send(Job { texts, reply }).map_err(|_| gone())?;
            let vectors = answer.await.map_err(|_| gone())?.map_err(failure)?;
            tracing::debug!(%vertex, texts = vectors.len(), tokens = usage.prompt_tokens, "texts were embedded");
            Ok(Embeddings { vectors, usage })
        }
        .boxed()
    }
}

/// Computes what waits, until nobody can ask any more.
fn compute(network: &Network, queue: &Receiver<Job>, most: usize) {
    while let Ok(first) = queue.recv() {
        let others = queue.try_iter().take(most.saturating_sub(1));
        let mut batch: Vec<Job> = std::iter::once(first).chain(others).collect();
        batch.retain(|job| !job.reply.is_closed());
        answer(network, batch);
    }
}

fn answer(network: &Network, batch: Vec<Job>) {
    let texts: Vec<&str> = batch.iter().flat_map(|job| &job.texts).map(String::as_str).collect();
    match network.embed(&texts) {
        Ok(vectors) => {
            let mut vectors = vectors.into_iter();
            for Job { texts, reply } in batch {
                send(reply, Ok(vectors.by_ref().take(texts.len()).collect()));
            }
        }
        // One text that cannot be embedded is no reason to refuse the others.
        Err(_) => batch.into_iter().for_each(|Job { texts, reply }| {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            send(reply, network.embed(&texts));
        }),
    }
}

fn send(
    reply: oneshot::Sender<Result<Vec<Vec<f32>>, EmbedError>>,
    vectors: Result<Vec<Vec<f32>>, EmbedError>,
) {
    if reply.send(vectors).is_err() {
        tracing::trace!("nobody waits for vectors any more");
    }
}

fn failure(error: EmbedError) -> Failure {
    let class = match &error {
        EmbedError::Tokenize { .. } | EmbedError::QueryTooLong { .. } | EmbedError::UnknownHead { .. } => {
            FailureClass::Permanent
        }
        EmbedError::Backend { .. } => FailureClass::Transient,
    };
    Failure::new(class, format!("sentence model: {error}"))
}

#[cfg(test)]
mod tests {
    use superstep_inference::testing::TinyEmbedder;

    use super::*;

    fn model() -> SentenceModel {
        let folder = tempfile::tempdir().unwrap();
        TinyEmbedder::default().write(folder.path()).unwrap();
        SentenceModel::load(folder.path(), &EmbedderOptions::default(), SentenceModel::BATCH).unwrap()
    }

    fn request(texts: &[&str]) -> EmbedRequest {
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        EmbedRequest { vertex: "find".into(), texts, idempotency_key: String::new() }
    }

    #[tokio::test]
    async fn who_asks_at_the_same_time_gets_own_vectors() {
        let model = model();
        let wanted: [&[&str]; 4] = [&["red"], &["a green blue", "red"], &["blue"], &["green", "red", "blue"]];
        let asked = wanted.map(|texts| model.embed(request(texts)));
        let answers = futures::future::join_all(asked).await;
        for (texts, answer) in wanted.iter().zip(answers) {
            let answer = answer.unwrap();
            assert_eq!(answer.vectors.len(), texts.len());
            assert_eq!(answer.usage.prompt_tokens, model.tokens(&request(texts).texts));
            for (text, vector) in texts.iter().zip(&answer.vectors) {
                let alone = model.embed(request(&[text])).await.unwrap().vectors.remove(0);
                assert!(crate::vectors::dot(&alone, vector) > 0.999_99, "{text}");
            }
        }
    }

    #[tokio::test]
    async fn tokens_that_are_not_read_are_not_counted() {
        let model = model();
        let long = "red ".repeat(100);
        let reserve = model.reserve(&request(&[&long, "red"]).texts);
        assert_eq!((reserve.calls, reserve.prompt_tokens), (1, 32 + 3));
        let used = model.embed(request(&[&long, "red"])).await.unwrap().usage;
        assert_eq!(used.prompt_tokens, reserve.prompt_tokens);
    }

    #[test]
    fn what_is_no_model_is_refused() {
        let error = SentenceModel::load(Path::new("absent"), &EmbedderOptions::default(), 1).err().unwrap();
        assert!(error.to_string().contains("config.json"), "{error}");
    }
}
