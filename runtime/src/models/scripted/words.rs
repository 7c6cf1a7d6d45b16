//! Vectors and rankings without a model: texts are near to each other by the words that they share.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use superstep_engine::{Failure, Usage};
use superstep_graph::Prices;

use super::{Scripted, pause, tokens};
use crate::call_subject::ModelIdentity;
use crate::embedder::{EmbedRequest, Embedder, Embeddings};
use crate::model::Model;
use crate::reranker::{Ranking, RerankRequest, Reranker};
use crate::vectors::{dot, normalize};

/// Numbers of a vector. Two words share one only now and then.
const DIMENSION: usize = 512;

impl Embedder for Scripted {
    fn tokens(&self, texts: &[String]) -> u64 {
        texts.iter().map(|text| tokens(text)).sum()
    }

    fn identity(&self) -> Option<ModelIdentity> {
        Model::identity(self)
    }

    fn prices(&self) -> Prices {
        self.script.prices
    }

    fn embed(&self, request: EmbedRequest) -> BoxFuture<'static, Result<Embeddings, Failure>> {
        let usage = Usage { prompt_tokens: Embedder::tokens(self, &request.texts), ..Usage::default() };
        let vectors = request.texts.iter().map(|text| counted(text)).collect();
        let latency = self.script.latency;
        async move {
            pause(latency).await;
            Ok(Embeddings { vectors, usage })
        }
        .boxed()
    }
}

impl Reranker for Scripted {
    fn rerank(&self, request: RerankRequest) -> BoxFuture<'static, Result<Ranking, Failure>> {
        let RerankRequest { query, documents } = request;
        let wanted = counted(&query);
        let score = |document: &String| f64::from(dot(&wanted, &counted(document))).clamp(0.0, 1.0);
        let scores = documents.iter().map(score).collect();
        let read = documents.iter().map(|document| tokens(&query) + tokens(document));
        let usage = Usage { prompt_tokens: read.sum(), ..Usage::default() };
        let latency = self.script.latency;
        async move {
            pause(latency).await;
            Ok(Ranking { scores, usage })
        }
        .boxed()
    }
}

/// The words of a text, each counted at the place that its hash gives; of length 1 unless it has none.
fn counted(text: &str) -> Vec<f32> {
    let mut vector = vec![0.0; DIMENSION];
    let words = text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    for word in words {
        let hash = blake3::hash(word.to_lowercase().as_bytes());
        let (first, _) = hash.as_bytes().split_first_chunk().expect("a hash has 32 bytes");
        vector[usize::from(u16::from_le_bytes(*first)) % DIMENSION] += 1.0;
    }
    normalize(&mut vector);
    vector
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::ScriptedModel;

    #[test]
    fn texts_are_near_by_their_words() {
        let cosine = |one: &str, two: &str| dot(&counted(one), &counted(two));
        assert!((cosine("The invoice is wrong.", "the INVOICE, is wrong") - 1.0).abs() < 1e-6);
        let near = cosine("my invoice is wrong", "an invoice was wrong");
        assert!((near - 0.5).abs() < 1e-6, "two words of four: {near}");
        assert!(cosine("the printer is on fire", "an invoice was wrong").abs() < 1e-6);
        assert!(cosine("", "x").abs() < f32::EPSILON);
    }

    #[tokio::test]
    async fn a_script_ranks_by_words() {
        let documents = ["the printer is on fire", "an invoice was wrong", "my invoice is wrong"];
        let request = RerankRequest {
            query: "the invoice is wrong".to_owned(),
            documents: documents.map(str::to_owned).to_vec(),
        };
        let ranking = Scripted::new(ScriptedModel::default()).rerank(request).await.unwrap();
        let [fire, other, own] = ranking.scores.try_into().unwrap();
        assert!(own > other && other > 0.4 && own > fire && own <= 1.0, "{fire} {other} {own}");
        assert!(ranking.usage.prompt_tokens > 15, "{:?}", ranking.usage);
    }

    #[tokio::test]
    async fn a_script_embeds_at_its_prices() {
        let script: ScriptedModel =
            serde_json::from_value(serde_json::json!({"prices": {"promptPerMillion": 1_000_000}})).unwrap();
        let scripted = Scripted::new(script);
        let texts = vec!["one two".to_owned(), String::new()];
        let reserve = Embedder::reserve(&scripted, &texts);
        assert_eq!((reserve.calls, reserve.prompt_tokens, reserve.cost), (1, 2, 2.0));
        let request = EmbedRequest { vertex: "v".into(), texts, idempotency_key: String::new() };
        let answer = scripted.embed(request).await.unwrap();
        assert_eq!((answer.vectors.len(), answer.usage.prompt_tokens), (2, 2));
    }
}
