//! A span that is not over.

use std::borrow::Cow;
use std::time::SystemTime;

use opentelemetry::trace::{Event, Link, SpanId, SpanKind, Status};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use crate::ids::TraceIds;
use crate::settings::SpanLimits;

/// What is known of a span so far.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) id: SpanId,
    parent: SpanId,
    name: Cow<'static, str>,
    kind: SpanKind,
    pub(crate) start: SystemTime,
    attributes: Vec<KeyValue>,
    events: SpanEvents,
    links: SpanLinks,
    status: Status,
}

impl Draft {
    pub(crate) fn new(
        id: SpanId,
        parent: SpanId,
        name: impl Into<Cow<'static, str>>,
        start: SystemTime,
    ) -> Self {
        Self {
            id,
            parent,
            name: name.into(),
            kind: SpanKind::Internal,
            start,
            attributes: Vec::new(),
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
        }
    }

    /// Makes it a span of a client that waits for a service outside.
    pub(crate) fn of_client(&mut self) {
        self.kind = SpanKind::Client;
    }

    pub(crate) fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        self.attributes.push(KeyValue::new(key, value));
    }

    pub(crate) fn set_if(&mut self, key: &'static str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.set(key, value);
        }
    }

    /// Counts, which no run brings past 2^63.
    pub(crate) fn count(&mut self, key: &'static str, value: u64) {
        self.set(key, i64::try_from(value).unwrap_or(i64::MAX));
    }

    /// Keeps an event, or only counts it where there are too many.
    pub(crate) fn event(&mut self, event: Event, limits: SpanLimits) {
        if self.events.events.len() < limits.events {
            self.events.events.push(event);
        } else {
            self.events.dropped_count = self.events.dropped_count.saturating_add(1);
        }
    }

    /// Keeps a link, or only counts it where there are too many.
    pub(crate) fn link(&mut self, link: Link, limits: SpanLimits) {
        if self.links.links.len() < limits.links {
            self.links.links.push(link);
        } else {
            self.links.dropped_count = self.links.dropped_count.saturating_add(1);
        }
    }

    /// Says that what it stands for went wrong. A description may hold what tools and models said.
    pub(crate) fn fail(&mut self, class: &'static str, description: Option<String>) {
        self.set("error.type", class);
        self.status = Status::error(description.unwrap_or_default());
    }

    /// The span, over since `end`.
    pub(crate) fn finish(self, ids: &TraceIds, scope: &InstrumentationScope, end: SystemTime) -> SpanData {
        SpanData {
            span_context: ids.context(self.id),
            parent_span_id: self.parent,
            parent_span_is_remote: false,
            span_kind: self.kind,
            name: self.name,
            start_time: self.start,
            end_time: end.max(self.start),
            attributes: self.attributes,
            dropped_attributes_count: 0,
            events: self.events,
            links: self.links,
            status: self.status,
            instrumentation_scope: scope.clone(),
        }
    }
}
