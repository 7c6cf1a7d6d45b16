//! A cross-encoder that runs in this process.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use superstep_engine::{Failure, FailureClass};
use superstep_inference::{
    EmbedError, EmbedderDescription, EmbedderOptions, LoadError, RerankPair, RerankQuery, Reranker as Network,
};
use tokio::sync::oneshot;

use super::LocalModelError;
use crate::reranker::{Ranking, RerankRequest, Reranker};

/// A cross-encoder of the BERT family, on a thread of its own. What waits for it is computed as one batch, documents
/// of each request in turn, so that a short request is not held up by a long one. Clones share it.
#[derive(Clone)]
pub struct CrossEncoder {
    network: Arc<Network>,
    jobs: Sender<Job>,
}

/// What a request comes to.
type Reply = oneshot::Sender<Result<Ranking, EmbedError>>;

struct Job {
    request: RerankRequest,
    reply: Reply,
}

/// A request that is worked on.
struct Ranked {
    query: RerankQuery,
    documents: std::vec::IntoIter<String>,
    /// The next pair, if it was too long for the batch before.
    held: Option<RerankPair>,
    ranking: Ranking,
    reply: Reply,
}

impl CrossEncoder {
    /// Whether the model in the folder `path` is a cross-encoder.
    ///
    /// # Errors
    /// Its `config.json` cannot be read, or names what is not supported.
    pub fn is_in(path: &Path) -> Result<bool, LoadError> {
        Network::is_in(path)
    }

    /// Loads the model in the folder `path`: `model.safetensors`, `tokenizer.json` and `config.json`. At most
    /// `concurrent` requests are worked on at the same time. It blocks for a second or so.
    ///
    /// # Errors
    /// A file is missing, damaged, not the one expected, or of a kind that is not supported.
    pub fn load(path: &Path, options: &EmbedderOptions, concurrent: usize) -> Result<Self, LocalModelError> {
        let network = Arc::new(Network::load(path, options)?);
        let (jobs, queue) = channel();
        let computing = Arc::clone(&network);
        std::thread::Builder::new()
            .name("superstep-reranker".to_owned())
            .spawn(move || compute(&computing, &queue, concurrent.max(1)))
            .map_err(LocalModelError::Thread)?;
        Ok(Self { network, jobs })
    }

    /// What the model is.
    pub fn description(&self) -> &EmbedderDescription {
        self.network.description()
    }
}

impl Reranker for CrossEncoder {
    fn rerank(&self, request: RerankRequest) -> BoxFuture<'static, Result<Ranking, Failure>> {
        let model = self.clone();
        async move {
            let (reply, answer) = oneshot::channel();
            let gone = || Failure::transient("the cross-encoder has stopped");
            model.jobs.send(Job { request, reply }).map_err(|_| gone())?;
            let ranking = answer.await.map_err(|_| gone())?.map_err(failure)?;
            let tokens = ranking.usage.prompt_tokens;
            tracing::debug!(documents = ranking.scores.len(), tokens, "documents were ranked");
            Ok(ranking)
        }
        .boxed()
    }
}

/// Works on what is asked, until nobody can ask any more.
fn compute(network: &Network, queue: &Receiver<Job>, most: usize) {
    let mut ranked: VecDeque<Ranked> = VecDeque::new();
    loop {
        while ranked.len() < most {
            let job = if ranked.is_empty() {
                queue.recv().map_err(|_| TryRecvError::Disconnected)
            } else {
                queue.try_recv()
            };
            match job {
                // Whoever went away before his turn is not begun with.
                Ok(job) if job.reply.is_closed() => {}
                Ok(job) => ranked.extend(Ranked::begin(network, job)),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) if ranked.is_empty() => return,
                Err(TryRecvError::Disconnected) => break,
            }
        }
        step(network, &mut ranked);
    }
}

/// Works on one batch.
fn step(network: &Network, ranked: &mut VecDeque<Ranked>) {
    // Whoever went away is worked for no more.
    ranked.retain(|ranked| !ranked.reply.is_closed());
    let batch = next_batch(network, ranked);
    score(network, batch, ranked);
    // Another request is the first to be asked for the next batch.
    if let Some(first) = ranked.pop_front() {
        ranked.push_back(first);
    }
}

/// Documents of each request in turn, as many as one computation takes, with the places of their requests. Requests
/// that fail or have nothing left are answered.
fn next_batch(network: &Network, ranked: &mut VecDeque<Ranked>) -> Vec<(usize, RerankPair)> {
    let mut batch = Vec::new();
    let mut room = Network::BATCH_TOKENS;
    let mut has_more = true;
    while has_more {
        has_more = false;
        let mut place = 0;
        while place < ranked.len() {
            match ranked[place].next(network) {
                Ok(None) => place += 1,
                Ok(Some(pair)) if pair.tokens() <= room || batch.is_empty() => {
                    room = room.saturating_sub(pair.tokens());
                    ranked[place].ranking.usage.prompt_tokens += pair.tokens() as u64;
                    batch.push((place, pair));
                    has_more = true;
                    place += 1;
                }
                Ok(Some(pair)) => {
                    ranked[place].held = Some(pair);
                    return batch;
                }
                Err(error) => {
                    // The places behind it move up, also those of pairs that were taken already.
                    batch.retain(|(other, _)| *other != place);
                    batch.iter_mut().filter(|(other, _)| *other > place).for_each(|(other, _)| *other -= 1);
                    if let Some(failed) = ranked.remove(place) {
                        send(failed.reply, Err(error));
                    }
                }
            }
        }
    }
    batch
}

/// Computes a batch, and answers the requests that have all their scores.
fn score(network: &Network, batch: Vec<(usize, RerankPair)>, ranked: &mut VecDeque<Ranked>) {
    let (places, pairs): (Vec<usize>, Vec<RerankPair>) = batch.into_iter().unzip();
    let failed = match network.relevance(pairs) {
        Ok(found) => {
            for (place, relevance) in places.iter().zip(found) {
                ranked[*place].ranking.scores.push(relevance.score);
            }
            None
        }
        Err(error) => Some(error),
    };
    for place in (0..ranked.len()).rev() {
        let is_hit = failed.is_some() && places.contains(&place);
        if !is_hit && !ranked[place].is_done() {
            continue;
        }
        let Some(Ranked { reply, ranking, .. }) = ranked.remove(place) else { continue };
        match failed.clone().filter(|_| is_hit) {
            Some(error) => send(reply, Err(error)),
            None => send(reply, Ok(ranking)),
        }
    }
}

impl Ranked {
    /// Begins to work on a request; none if it is refused.
    fn begin(network: &Network, Job { request, reply }: Job) -> Option<Self> {
        match network.query(&request.query) {
            Ok(query) => {
                let documents = request.documents.into_iter();
                Some(Self { query, documents, held: None, ranking: Ranking::default(), reply })
            }
            Err(error) => {
                send(reply, Err(error));
                None
            }
        }
    }

    /// The next document beside the question.
    fn next(&mut self, network: &Network) -> Result<Option<RerankPair>, EmbedError> {
        if let Some(held) = self.held.take() {
            return Ok(Some(held));
        }
        self.documents.next().map(|document| network.pair(&self.query, &document)).transpose()
    }

    fn is_done(&self) -> bool {
        self.held.is_none() && self.documents.as_slice().is_empty()
    }
}

fn send(reply: Reply, ranking: Result<Ranking, EmbedError>) {
    if reply.send(ranking).is_err() {
        tracing::trace!("nobody waits for a ranking any more");
    }
}

fn failure(error: EmbedError) -> Failure {
    let class = match &error {
        EmbedError::Tokenize { .. } | EmbedError::QueryTooLong { .. } | EmbedError::UnknownHead { .. } => {
            FailureClass::Permanent
        }
        EmbedError::Backend { .. } => FailureClass::Transient,
    };
    Failure::new(class, format!("cross-encoder: {error}"))
}

#[cfg(test)]
mod tests {
    use superstep_inference::testing::{TinyEmbedder, TinyHead};

    use super::*;

    fn model(concurrent: usize) -> CrossEncoder {
        let folder = tempfile::tempdir().unwrap();
        let tiny = TinyEmbedder { head: Some(TinyHead::RELEVANCE), ..TinyEmbedder::default() };
        tiny.write(folder.path()).unwrap();
        assert!(CrossEncoder::is_in(folder.path()).unwrap());
        CrossEncoder::load(folder.path(), &EmbedderOptions::default(), concurrent).unwrap()
    }

    fn request(query: &str, documents: &[&str]) -> RerankRequest {
        let documents = documents.iter().map(|document| (*document).to_owned()).collect();
        RerankRequest { query: query.to_owned(), documents }
    }

    #[tokio::test]
    async fn who_asks_at_the_same_time_gets_own_scores() {
        let long = "green blue a ".repeat(20);
        let many: Vec<&str> =
            ["red", "a green blue", &long, "", "blue [SEP]"].into_iter().cycle().take(150).collect();
        let wanted = [
            request("red", &["blue", "red a"]),
            request("red green", &many),
            request("a", &["green"]),
            request("blue blue", &many[..7]),
        ];
        for concurrent in [1, 3, 64] {
            let model = model(concurrent);
            let asked = wanted.iter().map(|request| model.rerank(request.clone()));
            let answers = futures::future::join_all(asked).await;
            for (request, answer) in wanted.iter().zip(answers) {
                let answer = answer.unwrap();
                assert_eq!(answer.scores.len(), request.documents.len());
                let mut tokens = 0;
                for (document, score) in request.documents.iter().zip(&answer.scores).take(10) {
                    let one = RerankRequest { documents: vec![document.clone()], ..request.clone() };
                    let alone = model.rerank(one).await.unwrap();
                    assert!((alone.scores[0] - score).abs() < 1e-5, "{document:?}");
                    tokens += alone.usage.prompt_tokens;
                }
                assert!(answer.usage.prompt_tokens >= tokens && tokens > 0);
                if request.documents.len() <= 10 {
                    assert_eq!(answer.usage.prompt_tokens, tokens);
                }
            }
        }
    }

    #[tokio::test]
    async fn a_request_that_is_refused_harms_no_other() {
        let model = model(8);
        let long = "red ".repeat(40);
        let asked = [request("red", &["blue"]), request(&long, &["blue"]), request("green", &["red", "a"])];
        let answers = futures::future::join_all(asked.map(|request| model.rerank(request))).await;
        let [first, refused, last] = answers.try_into().unwrap();
        assert_eq!((first.unwrap().scores.len(), last.unwrap().scores.len()), (1, 2));
        let failure = refused.unwrap_err();
        assert_eq!(failure.class, FailureClass::Permanent);
        assert!(failure.message.contains("40 tokens"), "{failure}");
    }

    #[test]
    fn a_short_request_is_not_held_up_by_a_long_one_nor_by_one_that_nobody_waits_for() {
        let model = model(8);
        let begin = |documents: &[&str]| {
            let (reply, answer) = oneshot::channel();
            let job = Job { request: request("red", documents), reply };
            (Ranked::begin(&model.network, job).unwrap(), answer)
        };
        let (gone, answer) = begin(&["blue"; 1000]);
        drop(answer);
        let (long, mut long_answer) = begin(&["green a"; 1000]);
        let (short, mut short_answer) = begin(&["blue", "a"]);
        let mut ranked = VecDeque::from([gone, long, short]);
        step(&model.network, &mut ranked);
        assert_eq!(short_answer.try_recv().unwrap().unwrap().scores.len(), 2);
        assert!(long_answer.try_recv().is_err());
        let [left] = ranked.make_contiguous() else { panic!("{} are left", ranked.len()) };
        let scored = left.ranking.scores.len();
        assert!(scored > 100 && scored < 300, "a batch is full, and no more: {scored}");
        while !ranked.is_empty() {
            step(&model.network, &mut ranked);
        }
        let all = long_answer.try_recv().unwrap().unwrap();
        assert_eq!((all.scores.len(), all.usage.prompt_tokens), (1000, 6000));
    }
}
