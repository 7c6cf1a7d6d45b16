//! The way of spans to a collector.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::trace::SpanKind;
use opentelemetry::{InstrumentationScope, Key, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Config, SamplingDecision, SpanData, SpanExporter as Exporter,
    SpanProcessor as _,
};
use superstep_engine::RunStarted;
use superstep_graph::ValidatedGraph;
use superstep_runtime::{NewRun, Observer};

use crate::context::context_of;
use crate::graphs::Graphs;
use crate::ids::TraceIds;
use crate::leader::LeaderSpans;
use crate::observer::Watching;
use crate::over::Writing;
use crate::root::Origin;
use crate::settings::{SpanLimits, TraceOptions};
use crate::tree::SpanTree;
use crate::worker::WorkerSpans;

/// How many spans may wait to be sent, where `OTEL_BSP_MAX_QUEUE_SIZE` does not say: a superstep can end many
/// at once.
const QUEUE: usize = 16_384;

/// Why no traces can be sent.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// What was set makes no exporter.
    #[error("traces cannot be sent: {0}")]
    Exporter(#[from] ExporterBuildError),
    /// The environment asks for a protocol that is not spoken.
    #[error("traces are sent as http/protobuf, and {variable} asks for {protocol:?}")]
    Protocol {
        /// The variable.
        variable: &'static str,
        /// What it says.
        protocol: String,
    },
}

/// Sends the traces of runs to a collector, from a thread of its own. It never holds a run up: spans that
/// cannot be sent are lost, which is logged once.
///
/// What OpenTelemetry's variables say of traces holds: `OTEL_EXPORTER_OTLP_HEADERS` and `_TIMEOUT`,
/// `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER`, `OTEL_BSP_*`, and the limits of events and
/// links of a span.
pub struct Traces {
    outlet: Arc<Outlet>,
    writing: Writing,
    config: Config,
}

/// Takes spans that are over.
pub(crate) struct Outlet {
    processor: BatchSpanProcessor,
    taken: AtomicU64,
    told: Arc<Told>,
}

impl Outlet {
    pub(crate) fn send(&self, span: SpanData) {
        self.taken.fetch_add(1, Ordering::Relaxed);
        self.processor.on_end(span);
    }
}

/// What is known of the exporter's luck.
#[derive(Debug, Default)]
struct Told {
    delivered: AtomicU64,
    failed: AtomicBool,
}

impl Traces {
    /// Begins to send. Nobody is connected to before the first span.
    ///
    /// # Errors
    /// The address or another setting makes no sense.
    pub fn start(options: &TraceOptions) -> Result<Self, TracesError> {
        Self::begin(options, None)
    }

    /// Begins to send as one process of several, which `service.instance.id` tells from the others, unless the
    /// environment says that.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_as(options: &TraceOptions, instance: &str) -> Result<Self, TracesError> {
        Self::begin(options, Some(instance))
    }

    fn begin(options: &TraceOptions, instance: Option<&str>) -> Result<Self, TracesError> {
        let lookup = |name: &str| std::env::var(name).ok();
        only_protobuf(&lookup)?;
        let mut exporter = SpanExporter::builder().with_http();
        if let Some(endpoint) = &options.endpoint {
            exporter = exporter.with_endpoint(signal_address(endpoint));
        }
        let told = Arc::new(Told::default());
        let exporter = OnceTold { exporter: exporter.build()?, told: Arc::clone(&told) };
        let mut batches = BatchConfigBuilder::default();
        if lookup("OTEL_BSP_MAX_QUEUE_SIZE").is_none() {
            batches = batches.with_max_queue_size(QUEUE);
        }
        let mut processor = BatchSpanProcessor::new(exporter, batches.build());
        processor.set_resource(&resource(instance));
        let scope =
            InstrumentationScope::builder("superstep").with_version(env!("CARGO_PKG_VERSION")).build();
        let writing = Writing { scope, limits: SpanLimits::of(&lookup), content: options.content };
        let outlet = Arc::new(Outlet { processor, taken: AtomicU64::new(0), told });
        Ok(Self { outlet, writing, config: Config::default() })
    }

    /// Watches a run that begins.
    pub fn of_new(&self, new: &NewRun) -> Arc<dyn Observer> {
        let graphs = new.graphs.iter().map(|(name, graph): (_, &ValidatedGraph)| (name, graph.spec()));
        let graphs = Graphs::of(&new.root, graphs);
        let (run, graph, started_at) = (new.name.to_string(), new.root.clone(), new.started_at);
        self.watch(&Origin { run, graph, started_at }, graphs, false)
    }

    /// Watches a run that is resumed, whose log begins with `started`. What the run tells of its past is not
    /// sent again.
    pub fn of_resumed(&self, started: &RunStarted) -> Arc<dyn Observer> {
        self.watch(&Origin::of(started), graphs_of(started), true)
    }

    /// The spans that the leader of a run sends whose log begins with `started`; none if the sampler of the
    /// environment does not want the run.
    pub fn of_leader(&self, started: &RunStarted) -> Option<LeaderSpans> {
        let origin = Origin::of(started);
        let sampled = self.is_sampled(&origin.ids());
        sampled.then(|| LeaderSpans::new(origin, self.writing.clone(), Arc::clone(&self.outlet)))
    }

    /// The spans that `worker` sends of a run whose log begins with `started`, and whose leader has given it
    /// `traceparent`; none if the leader sends none.
    pub fn of_worker(&self, started: &RunStarted, worker: &str, traceparent: &str) -> Option<WorkerSpans> {
        let context = context_of(traceparent).filter(|context| context.is_sampled())?;
        let ids = Origin::of(started).ids();
        if context.trace_id() != ids.trace() {
            tracing::warn!(run = started.run, traceparent, "the leader has another trace of the run");
            return None;
        }
        let (writing, outlet) = (self.writing.clone(), Arc::clone(&self.outlet));
        Some(WorkerSpans::new(worker, ids, writing, outlet, graphs_of(started)))
    }

    fn watch(&self, origin: &Origin, graphs: Graphs, resumed: bool) -> Arc<dyn Observer> {
        if !self.is_sampled(&origin.ids()) {
            return Arc::new(Unwatched);
        }
        let tree = SpanTree::new(origin, graphs, &self.writing, resumed);
        Arc::new(Watching::new(tree, Arc::clone(&self.outlet)))
    }

    /// Whether the sampler of the environment wants the trace: all of it, or nothing.
    fn is_sampled(&self, ids: &TraceIds) -> bool {
        let trace = ids.trace();
        let sampled =
            self.config.sampler.should_sample(None, trace, "invoke_workflow", &SpanKind::Internal, &[], &[]);
        sampled.decision == SamplingDecision::RecordAndSample
    }

    /// Sends what waits, and gives up after `bound`. It blocks so long. What has not come to the collector is
    /// told in the log.
    pub fn finish(&self, bound: Duration) {
        let sent = self.outlet.processor.shutdown_with_timeout(bound);
        let taken = self.outlet.taken.load(Ordering::Relaxed);
        let delivered = self.outlet.told.delivered.load(Ordering::Relaxed);
        if delivered < taken {
            let lost = taken - delivered;
            match sent {
                Ok(()) => tracing::error!(lost, of = taken, "spans of the trace were not delivered"),
                Err(error) => {
                    tracing::error!(lost, of = taken, %error, "spans of the trace were not delivered");
                }
            }
        }
    }
}

/// Watches a run that the sampler does not want.
struct Unwatched;

impl Observer for Unwatched {
    fn notice(&self, _: &superstep_engine::Notice) {}
}

/// An exporter that tells its first failure, and counts what it delivers.
#[derive(Debug)]
struct OnceTold<E> {
    exporter: E,
    told: Arc<Told>,
}

impl<E: Exporter> Exporter for OnceTold<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len() as u64;
        let exported = self.exporter.export(batch).await;
        match &exported {
            Ok(()) => {
                self.told.delivered.fetch_add(count, Ordering::Relaxed);
            }
            Err(error) if !self.told.failed.swap(true, Ordering::Relaxed) => {
                tracing::warn!(%error, "a part of the trace cannot be sent; later failures are not told");
            }
            Err(_) => {}
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// The graphs of a run whose log begins with `started`.
fn graphs_of(started: &RunStarted) -> Graphs {
    Graphs::of(&started.root, started.graphs.iter().map(|(name, graph)| (name, &**graph)))
}

/// Who sends: `superstep`, where the environment gives no other name.
fn resource(instance: Option<&str>) -> Resource {
    const INSTANCE: &str = "service.instance.id";
    let found = Resource::builder().build();
    let mut resource = Resource::builder();
    let name = found.get(&Key::from_static_str("service.name")).map(|name| name.to_string());
    if name.is_none_or(|name| name.starts_with("unknown_service")) {
        resource = resource.with_service_name("superstep");
    }
    if let Some(instance) = instance.filter(|_| found.get(&Key::from_static_str(INSTANCE)).is_none()) {
        resource = resource.with_attribute(KeyValue::new(INSTANCE, instance.to_owned()));
    }
    resource.build()
}

/// The address of traces at a collector.
fn signal_address(endpoint: &str) -> String {
    let endpoint = endpoint.trim_end_matches('/');
    if endpoint.ends_with("/v1/traces") { endpoint.to_owned() } else { format!("{endpoint}/v1/traces") }
}

/// Refuses what the exporter would silently pass over.
fn only_protobuf(lookup: &dyn Fn(&str) -> Option<String>) -> Result<(), TracesError> {
    let variables = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
    let set = |variable| Some((variable, lookup(variable).filter(|value| !value.trim().is_empty())?));
    match variables.into_iter().find_map(set) {
        Some((variable, protocol)) if protocol.trim() != "http/protobuf" => {
            Err(TracesError::Protocol { variable, protocol })
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_have_their_place_at_a_collector() {
        for (given, expected) in [
            ("http://localhost:4318", "http://localhost:4318/v1/traces"),
            ("https://a.example/otlp/", "https://a.example/otlp/v1/traces"),
            ("https://a.example/v1/traces", "https://a.example/v1/traces"),
        ] {
            assert_eq!(signal_address(given), expected);
        }
    }

    #[test]
    fn other_protocols_are_refused_by_the_more_special_variable() {
        let lookup =
            |name: &str| Some(if name.contains("TRACES") { "http/protobuf" } else { "grpc" }.to_owned());
        assert!(only_protobuf(&lookup).is_ok());
        let grpc = |name: &str| (name == "OTEL_EXPORTER_OTLP_PROTOCOL").then(|| "grpc".to_owned());
        let error = only_protobuf(&grpc).unwrap_err().to_string();
        assert!(error.contains("OTEL_EXPORTER_OTLP_PROTOCOL") && error.contains("grpc"), "{error}");
    }
}
