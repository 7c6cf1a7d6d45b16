//! `POST /v1/rerank`, as Cohere and Jina have it.

use std::hash::{BuildHasher as _, RandomState};

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use superstep_runtime::RerankRequest;

use crate::answer::json as answer;
use crate::desk::Desk;
use crate::fields::Fields;
use crate::refusal::Refusal;

/// The most documents of one request.
const MOST_DOCUMENTS: usize = 1024;

/// Answers a request to rank documents. The same documents have the same scores, so a request that comes again is
/// computed again.
pub(crate) async fn rerank(desk: &Desk, body: &[u8]) -> Result<Response, Refusal> {
    let mut fields = Fields::of_body(body)?;
    desk.check_name(&fields.need::<String>("model")?)?;
    let reranker = desk.reranker()?;
    let query: String = fields.need("query")?;
    if query.trim().is_empty() {
        return Err(Refusal::of_field("query", "query is empty"));
    }
    let documents = read_documents(fields.need("documents")?)?;
    let top = fields.take("top_n")?.unwrap_or(documents.len());
    if top == 0 {
        return Err(Refusal::of_field("top_n", "top_n is at least 1"));
    }
    let returns_documents = fields.take("return_documents")?.unwrap_or(false);
    fields.ignore(&["user"]);
    fields.finish()?;
    let texts = if returns_documents { documents.clone() } else { Vec::new() };
    let place = desk.place().await?;
    let request = RerankRequest { query, documents };
    let ranking = reranker.rerank(request).await.map_err(|failure| desk.failed(&failure))?;
    drop(place);
    let mut ranked: Vec<(usize, f64)> = ranking.scores.into_iter().enumerate().collect();
    // The sort keeps equally good ones in the order in which they came.
    ranked.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let result = |(index, score): &(usize, f64)| {
        let mut result = json!({"index": index, "relevance_score": score});
        if let Some(text) = texts.get(*index) {
            result["document"] = json!({"text": text});
        }
        result
    };
    let results: Vec<Value> = ranked.iter().take(top).map(result).collect();
    let tokens = ranking.usage.prompt_tokens;
    desk.counts.prompt_tokens.add(tokens);
    let id = format!("rerank-{:016x}", RandomState::new().hash_one(tokens));
    let body = json!({"id": id, "object": "list", "model": desk.offered.name(), "results": results,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        "meta": {"tokens": {"input_tokens": tokens, "output_tokens": 0}}});
    Ok(answer(StatusCode::OK, &body))
}

/// Texts, or objects with a text.
fn read_documents(documents: Vec<Value>) -> Result<Vec<String>, Refusal> {
    if documents.is_empty() || documents.len() > MOST_DOCUMENTS {
        return Err(Refusal::of_field("documents", format!("documents has 1 to {MOST_DOCUMENTS} of them")));
    }
    let read = |(number, document): (usize, Value)| match document {
        Value::String(text) => Ok(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            let mut document = Fields::of(&format!("documents[{number}]"), document)?;
            let text = document.need("text")?;
            document.finish()?;
            Ok(text)
        }
    };
    documents.into_iter().enumerate().map(read).collect()
}
