//! Spans of one run that are over, on their way out.

use std::time::SystemTime;

use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::trace::SpanData;

use crate::draft::Draft;
use crate::ids::TraceIds;
use crate::settings::SpanLimits;

/// How spans are written.
#[derive(Clone, Debug)]
pub(crate) struct Writing {
    pub(crate) scope: InstrumentationScope,
    pub(crate) limits: SpanLimits,
    pub(crate) content: bool,
}

/// Takes the spans of one run that are over.
///
/// What is told of the past is followed and gives no spans: the process that was there has sent them. A span that
/// was open then is sent by the process in which it ends.
pub(crate) struct Over {
    pub(crate) ids: TraceIds,
    pub(crate) writing: Writing,
    /// Whether what is told is of the past.
    pub(crate) past: bool,
    spans: Vec<SpanData>,
}

impl Over {
    pub(crate) fn new(ids: TraceIds, writing: Writing, past: bool) -> Self {
        Self { ids, writing, past, spans: Vec::new() }
    }

    pub(crate) fn finish(&mut self, draft: Draft, now: SystemTime) {
        if !self.past {
            self.spans.push(draft.finish(&self.ids, &self.writing.scope, now));
        }
    }

    /// The spans that are over since the last time.
    pub(crate) fn take(&mut self) -> Vec<SpanData> {
        std::mem::take(&mut self.spans)
    }
}
