//! Tools that are requests over HTTP.

mod answer;
mod redirect;
mod url_template;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Client, Method, Response, Url};
use serde_json::{Map, Value};
use superstep_engine::{Failure, FailureClass, Payload};
use superstep_graph::{HttpMethod, HttpTool as Document, ToolSpec, VertexName};
use superstep_runtime::{Tool, ToolRequest, ToolSignature};

use crate::address::Reach;
use crate::client::{Clients, causes, check_literal, refused};
use crate::doubt::in_doubt;
use crate::error::LoadError;
use crate::limits::{MAX_ANSWER, timeout_of};
use crate::secret::{FindSecret, Secret};
use crate::signature::signature;
use crate::wait::retry_after;
use answer::BodyError;
pub(crate) use answer::Verdict;
use redirect::Hop;
use url_template::{UrlTemplate, text_of};

/// Headers that belong to the request itself, or that would hold a secret.
const RESERVED: [&str; 9] = [
    "authorization",
    "connection",
    "content-length",
    "host",
    "idempotency-key",
    "proxy-authorization",
    "te",
    "transfer-encoding",
    "upgrade",
];

static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A tool that is a request over HTTP.
#[derive(Debug)]
pub(crate) struct HttpTool {
    signature: ToolSignature,
    request: Arc<Request>,
}

/// What every call of the tool sends.
#[derive(Debug)]
struct Request {
    tool: VertexName,
    method: Method,
    url: UrlTemplate,
    headers: HeaderMap,
    secret: Option<(HeaderName, &'static str, Secret)>,
    client: Client,
    reach: Reach,
    timeout: Duration,
    max_answer: u64,
    is_idempotent: bool,
}

impl HttpTool {
    /// Makes the tool of a document.
    ///
    /// # Errors
    /// What is wrong with the document, or the secret is not there.
    pub(crate) fn load(
        spec: &ToolSpec,
        http: &Document,
        clients: &Clients,
        secret: FindSecret<'_>,
    ) -> Result<Self, LoadError> {
        let signature = signature(spec, "http.parameters", http.parameters.as_ref())?;
        let field = |field: &str, message| LoadError::Field {
            tool: spec.name.clone(),
            field: format!("http.{field}"),
            message,
        };
        let url = UrlTemplate::parse(&http.url).map_err(|message| field("url", message))?;
        undeclared(&url, &signature.parameters).map_err(|message| field("url", message))?;
        let reach = if http.allow_private_addresses { Reach::Everywhere } else { Reach::Public };
        let request = Request {
            tool: spec.name.clone(),
            method: method(http.method),
            headers: headers(http).map_err(|message| field("headers", message))?,
            secret: auth(spec, http, secret)?,
            client: clients.of(reach)?,
            reach,
            timeout: timeout_of(spec),
            max_answer: http.max_response_bytes.unwrap_or(MAX_ANSWER),
            is_idempotent: http.is_idempotent(),
            url,
        };
        Ok(Self { signature, request: Arc::new(request) })
    }
}

impl Tool for HttpTool {
    fn signature(&self) -> &ToolSignature {
        &self.signature
    }

    fn is_idempotent(&self) -> bool {
        self.request.is_idempotent
    }

    fn call(&self, call: ToolRequest) -> BoxFuture<'static, Result<Payload, Failure>> {
        let request = Arc::clone(&self.request);
        async move {
            match tokio::time::timeout(request.timeout, request.make(call)).await {
                Ok(answer) => answer,
                Err(_) => {
                    let what = format!("there was no answer in {} s", request.timeout.as_secs_f64());
                    Err(request.doubtful(FailureClass::Timeout, &what))
                }
            }
        }
        .boxed()
    }
}

impl Request {
    async fn make(&self, call: ToolRequest) -> Result<Payload, Failure> {
        let Value::Object(mut arguments) = call.arguments else {
            return Err(self.fails(FailureClass::Permanent, "its arguments are no object"));
        };
        let url = self.url.expand(&arguments).map_err(|why| self.fails(FailureClass::Permanent, &why))?;
        arguments.retain(|name, _| !self.url.arguments().any(|used| used == name));
        let with_body = !matches!(self.method, Method::GET | Method::HEAD | Method::DELETE);
        let (url, body) = if with_body {
            (url, Some(Value::Object(arguments).to_string()))
        } else {
            (with_query(url, &arguments).map_err(|why| self.fails(FailureClass::Permanent, &why))?, None)
        };
        let mut hop = Hop { method: self.method.clone(), url, with_body, with_secret: true };
        for _ in 0..=redirect::MOST {
            let response = self.send(&hop, body.as_deref(), &call.idempotency_key).await?;
            let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            match hop.next(response.status(), location) {
                Ok(Some(next)) => hop = next,
                Ok(None) => return self.take(&hop.url, response).await,
                Err(why) => {
                    let what = format!("a redirect of {} is not followed: {why}", host(&hop.url));
                    return Err(self.fails(FailureClass::Permanent, &what));
                }
            }
        }
        let what = format!("more than {} redirects, the last by {}", redirect::MOST, host(&hop.url));
        Err(self.fails(FailureClass::Permanent, &what))
    }

    async fn send(&self, hop: &Hop, body: Option<&str>, key: &str) -> Result<Response, Failure> {
        check_literal(&hop.url, self.reach)
            .map_err(|error| self.fails(FailureClass::Permanent, &error.to_string()))?;
        let mut request = self.client.request(hop.method.clone(), hop.url.clone());
        if let Some(body) = body.filter(|_| hop.with_body) {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_owned());
        }
        // Headers of the document replace those that stand before them.
        request = request.headers(self.headers.clone()).header(&IDEMPOTENCY_KEY, key);
        if let Some((name, prefix, secret)) = self.secret.as_ref().filter(|_| hop.with_secret) {
            request = request.header(name, secret.header(prefix));
        }
        request.send().await.map_err(|error| self.lost(&hop.url, error))
    }

    /// What becomes of an answer.
    async fn take(&self, url: &Url, response: Response) -> Result<Payload, Failure> {
        let status = response.status();
        let verdict = Verdict::of(status);
        if verdict != Verdict::Done {
            let mut what = format!("{} answered {status}", host(url));
            let after = answer::retry_after(response.headers());
            if let Some(after) = after {
                what.push_str(&format!(" (to be asked again after: {after})"));
            }
            let pause = after.and_then(|after| retry_after(after, SystemTime::now()));
            let body = self.hide(answer::beginning(response).await);
            if !body.is_empty() {
                what.push_str(&format!(": {body}"));
            }
            let failure = match verdict {
                Verdict::NotNow => self.fails(FailureClass::Transient, &what),
                Verdict::BrokeDown => self.doubtful(FailureClass::Transient, &what),
                Verdict::Refused | Verdict::Done => self.fails(FailureClass::Permanent, &what),
            };
            return Err(failure.retry_after(pause));
        }
        let kind = answer::content_type(response.headers());
        let body = answer::read(response, self.max_answer).await.map_err(|error| match error {
            BodyError::Lost(error) => self.lost(url, error),
            BodyError::TooMuch => {
                let what = format!("{} answered with more than {} bytes", host(url), self.max_answer);
                self.fails(FailureClass::Permanent, &what)
            }
        })?;
        let text = String::from_utf8(body).map_err(|_| {
            let kind = kind.as_deref().unwrap_or("no content type");
            let what = format!("{} answered with what is no text in UTF-8 ({kind})", host(url));
            self.fails(FailureClass::Permanent, &what)
        })?;
        answer::payload(kind.as_deref(), &self.hide(text))
            .map_err(|why| self.fails(FailureClass::Permanent, &format!("{} answered, but {why}", host(url))))
    }

    fn lost(&self, url: &Url, error: reqwest::Error) -> Failure {
        let error = error.without_url();
        if let Some(refused) = refused(&error) {
            return self.fails(FailureClass::Permanent, &refused.to_string());
        }
        let what = format!("{}: {}", host(url), causes(&error));
        if error.is_connect() {
            // Nothing was sent.
            return self.fails(FailureClass::Transient, &what);
        }
        self.doubtful(FailureClass::Transient, &what)
    }

    fn hide(&self, text: String) -> String {
        match &self.secret {
            Some((_, _, secret)) => secret.hide_in(text),
            None => text,
        }
    }

    fn fails(&self, class: FailureClass, what: &str) -> Failure {
        Failure::new(class, format!("tool {:?}: {what}", self.tool))
    }

    fn doubtful(&self, class: FailureClass, what: &str) -> Failure {
        let (class, what) = in_doubt(self.is_idempotent, class, what);
        self.fails(class, &what)
    }
}

/// The host that a failure names; a path or query may hold what is private.
fn host(url: &Url) -> &str {
    url.host_str().unwrap_or("the server")
}

fn method(method: HttpMethod) -> Method {
    match method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Head => Method::HEAD,
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Patch => Method::PATCH,
        HttpMethod::Delete => Method::DELETE,
    }
}

/// `url` with `arguments` at the end of its query; a list is a member for each of its items.
fn with_query(mut url: Url, arguments: &Map<String, Value>) -> Result<Url, String> {
    for (name, value) in arguments {
        let items = match value {
            Value::Null => continue,
            Value::Array(items) => items.as_slice(),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                std::slice::from_ref(value)
            }
        };
        for item in items {
            let text = text_of(item).ok_or_else(|| {
                format!("argument {name:?} has no form in a query: give texts, numbers, booleans, or a list of them")
            })?;
            url.query_pairs_mut().append_pair(name, &text);
        }
    }
    Ok(url)
}

/// Checks that every argument in the address is one that must be given.
fn undeclared(url: &UrlTemplate, parameters: &Value) -> Result<(), String> {
    let required = parameters["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    for name in url.arguments() {
        if parameters["properties"].get(name).is_none() {
            return Err(format!("argument {name:?} is none of the properties of parameters"));
        }
        if !required.iter().any(|required| required == name) {
            return Err(format!("argument {name:?} has to be given: name it in parameters.required"));
        }
    }
    Ok(())
}

fn headers(http: &Document) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/*;q=0.9, */*;q=0.5"));
    for (name, value) in &http.headers {
        headers.insert(
            header_name(name)?,
            HeaderValue::from_str(value)
                .map_err(|_| format!("the value of {name:?} has characters that no header can hold"))?,
        );
    }
    Ok(headers)
}

fn header_name(name: &str) -> Result<HeaderName, String> {
    let parsed: HeaderName = name.parse().map_err(|_| format!("{name:?} is no name of a header"))?;
    match RESERVED.contains(&parsed.as_str()) {
        true if parsed == "authorization" => {
            Err("a secret does not stand in a document: use auth".to_owned())
        }
        true => Err(format!("{name:?} belongs to the request itself")),
        false => Ok(parsed),
    }
}

fn auth(
    spec: &ToolSpec,
    http: &Document,
    secret: FindSecret<'_>,
) -> Result<Option<(HeaderName, &'static str, Secret)>, LoadError> {
    let Some(auth) = &http.auth else { return Ok(None) };
    let field = |message: String| LoadError::Field {
        tool: spec.name.clone(),
        field: "http.auth".to_owned(),
        message,
    };
    match (&auth.bearer, &auth.header) {
        (Some(credential), None) => {
            let secret = Secret::find(&spec.name, credential, secret)?;
            Ok(Some((reqwest::header::AUTHORIZATION, "Bearer ", secret)))
        }
        (None, Some(header)) => {
            let name: HeaderName = header
                .name
                .parse()
                .map_err(|_| field(format!("{:?} is no name of a header", header.name)))?;
            let is_reserved = RESERVED.contains(&name.as_str()) && name != reqwest::header::AUTHORIZATION;
            if is_reserved || http.headers.keys().any(|other| other.eq_ignore_ascii_case(name.as_str())) {
                return Err(field(format!("{:?} has its value already", header.name)));
            }
            let secret = Secret::find(&spec.name, &header.credential_ref, secret)?;
            Ok(Some((name, "", secret)))
        }
        (None, None) | (Some(_), Some(_)) => Err(field("give exactly one of bearer, header".to_owned())),
    }
}

#[cfg(test)]
mod tests;
