//! `POST /v1/embeddings`.

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use superstep_runtime::EmbedRequest;

use crate::answer::json as answer;
use crate::asking::key;
use crate::desk::Desk;
use crate::fields::Fields;
use crate::refusal::Refusal;

/// The most texts of one request.
const MOST_TEXTS: usize = 2048;

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    Float,
    Base64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Input {
    One(String),
    Several(Vec<String>),
}

/// Answers a request for the vectors of texts. The same texts have the same vectors, so a request that comes again
/// is computed again.
pub(crate) async fn embeddings(desk: &Desk, headers: &HeaderMap, body: &[u8]) -> Result<Response, Refusal> {
    let mut fields = Fields::of_body(body)?;
    desk.check_name(&fields.need::<String>("model")?)?;
    let embedder = desk.embedder()?;
    let input: Value = fields.need("input")?;
    let Ok(input) = serde_json::from_value(input) else {
        let message = "input is a text or a list of texts; this server takes no tokens";
        return Err(Refusal::of_field("input", message));
    };
    let texts = match input {
        Input::One(text) => vec![text],
        Input::Several(texts) => texts,
    };
    if texts.is_empty() || texts.len() > MOST_TEXTS {
        return Err(Refusal::of_field("input", format!("input has 1 to {MOST_TEXTS} texts")));
    }
    let encoding = fields.take("encoding_format")?.unwrap_or(Encoding::Float);
    let dimensions: Option<usize> = fields.take("dimensions")?;
    fields.ignore(&["user"]);
    fields.finish()?;
    let key = key(headers).and_then(|key| key.to_str().ok()).unwrap_or_default();
    let request = EmbedRequest { vertex: "request".into(), texts, idempotency_key: key.to_owned() };
    let place = desk.place().await?;
    let found = embedder.embed(request).await.map_err(|failure| desk.failed(&failure))?;
    drop(place);
    let length = found.vectors.first().map_or(0, Vec::len);
    if let Some(dimensions) = dimensions.filter(|dimensions| *dimensions != length) {
        let message = format!("the vectors of this model have {length} dimensions, not {dimensions}");
        return Err(Refusal::unsupported("dimensions", message));
    }
    let tokens = found.usage.prompt_tokens;
    desk.counts.prompt_tokens.add(tokens);
    let data: Vec<Value> = found.vectors.iter().enumerate().map(|(index, vector)| {
        json!({"object": "embedding", "index": index, "embedding": encoded(vector, encoding)})
    }).collect();
    let body = json!({"object": "list", "data": data, "model": desk.offered.name(),
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens}});
    Ok(answer(StatusCode::OK, &body))
}

fn encoded(vector: &[f32], encoding: Encoding) -> Value {
    match encoding {
        Encoding::Float => json!(vector),
        Encoding::Base64 => {
            let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
            BASE64_STANDARD.encode(bytes).into()
        }
    }
}
