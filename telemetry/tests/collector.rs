//! A collector of traces on this machine, which speaks OTLP over HTTP.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

/// A collector that keeps what it gets.
pub(crate) struct Collector {
    pub(crate) address: String,
    received: Arc<Received>,
}

#[derive(Default)]
struct Received {
    spans: Mutex<Vec<Span>>,
    services: Mutex<BTreeSet<String>>,
    refuses: bool,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        Self::serving(Received::default()).await
    }

    /// One that refuses whatever it gets.
    pub(crate) async fn refusing() -> Self {
        Self::serving(Received { refuses: true, ..Received::default() }).await
    }

    async fn serving(received: Received) -> Self {
        let received = Arc::new(received);
        let app = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&received));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, received }
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        self.received.spans.lock().unwrap().clone()
    }

    pub(crate) fn trace(&self) -> Trace {
        Trace::of(self.spans())
    }

    pub(crate) fn services(&self) -> BTreeSet<String> {
        self.received.services.lock().unwrap().clone()
    }
}

async fn take(State(received): State<Arc<Received>>, body: Bytes) -> StatusCode {
    if received.refuses {
        return StatusCode::BAD_REQUEST;
    }
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    for resource in request.resource_spans {
        let of = resource.resource.unwrap();
        received.services.lock().unwrap().insert(text(&of.attributes, "service.name").unwrap());
        let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        received.spans.lock().unwrap().extend(spans);
    }
    StatusCode::OK
}

/// The spans of one trace.
pub(crate) struct Trace(BTreeMap<Vec<u8>, Span>);

impl Trace {
    /// Expects one trace, in which every span is there once.
    pub(crate) fn of(spans: Vec<Span>) -> Self {
        let traces: BTreeSet<&Vec<u8>> = spans.iter().map(|span| &span.trace_id).collect();
        assert_eq!(traces.len(), 1, "one trace");
        let count = spans.len();
        let by_id: BTreeMap<Vec<u8>, Span> =
            spans.into_iter().map(|span| (span.span_id.clone(), span)).collect();
        assert_eq!(by_id.len(), count, "every span once");
        Self(by_id)
    }

    pub(crate) fn spans(&self) -> impl Iterator<Item = &Span> {
        self.0.values()
    }

    pub(crate) fn id(&self) -> Vec<u8> {
        self.spans().next().unwrap().trace_id.clone()
    }

    /// The one root; every other span has its parent in the trace, and starts no sooner than the root.
    pub(crate) fn root(&self) -> &Span {
        let (roots, others): (Vec<&Span>, Vec<&Span>) =
            self.spans().partition(|span| span.parent_span_id.is_empty());
        assert_eq!(roots.len(), 1, "one root");
        for span in others {
            assert!(self.0.contains_key(&span.parent_span_id), "the parent of {:?} is there", span.name);
            assert!(span.start_time_unix_nano >= roots[0].start_time_unix_nano, "{}", span.name);
            assert!(span.end_time_unix_nano >= span.start_time_unix_nano, "{}", span.name);
        }
        roots[0]
    }

    pub(crate) fn parent(&self, span: &Span) -> &Span {
        &self.0[&span.parent_span_id]
    }

    pub(crate) fn linked(&self, span: &Span) -> BTreeSet<&str> {
        let linked = span.links.iter().map(|link| self.0[&link.span_id].name.as_str());
        linked.collect()
    }

    pub(crate) fn named(&self, name: &str) -> Vec<&Span> {
        self.spans().filter(|span| span.name == name).collect()
    }

    pub(crate) fn one(&self, name: &str) -> &Span {
        let named = self.named(name);
        assert_eq!(named.len(), 1, "{name} in {:?}", self.names());
        named[0]
    }

    pub(crate) fn names(&self) -> BTreeSet<&str> {
        self.spans().map(|span| span.name.as_str()).collect()
    }

    /// The sum of an attribute over all spans that have it.
    pub(crate) fn sum(&self, key: &str) -> i64 {
        self.spans().filter_map(|span| number(&span.attributes, key)).sum()
    }

    /// Everything that the spans say, for what must not be there.
    pub(crate) fn said(&self) -> String {
        self.spans().map(|span| format!("{span:?}")).collect()
    }
}

pub(crate) fn value<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a any_value::Value> {
    attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()
}

pub(crate) fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let value = value(attributes, key)?;
    let any_value::Value::StringValue(text) = value else { panic!("{key} is {value:?}") };
    Some(text.clone())
}

pub(crate) fn number(attributes: &[KeyValue], key: &str) -> Option<i64> {
    let value = value(attributes, key)?;
    let any_value::Value::IntValue(number) = value else { panic!("{key} is {value:?}") };
    Some(*number)
}

pub(crate) fn texts(attributes: &[KeyValue], key: &str) -> Vec<String> {
    let Some(any_value::Value::ArrayValue(array)) = value(attributes, key) else { return Vec::new() };
    let text = |value: &AnyValue| match &value.value {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        other => panic!("{key} has {other:?}"),
    };
    array.values.iter().map(text).collect()
}
