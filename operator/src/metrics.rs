//! What is counted, as Prometheus reads it.

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

type Labels<const N: usize> = [(&'static str, String); N];

/// What the operator counts.
pub(crate) struct Metrics {
    registry: Registry,
    reconciles: Family<Labels<2>, Counter>,
    seconds: Family<Labels<1>, Histogram>,
    calls: Family<Labels<2>, Counter>,
    requeues: Family<Labels<1>, Counter>,
    watch_errors: Family<Labels<1>, Counter>,
    objects: Family<Labels<2>, Gauge>,
    leads: Gauge,
}

/// From a millisecond, doubling, to half a minute.
fn histogram() -> Histogram {
    Histogram::new(prometheus_client::metrics::histogram::exponential_buckets(0.001, 2.0, 16))
}

impl Metrics {
    /// Nothing counted.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("superstep_operator");
        let seconds = Family::new_with_constructor(histogram as fn() -> Histogram);
        let metrics = Self {
            reconciles: Family::default(),
            seconds,
            calls: Family::default(),
            requeues: Family::default(),
            watch_errors: Family::default(),
            objects: Family::default(),
            leads: Gauge::default(),
            registry: Registry::default(),
        };
        registry.register("reconciles", "Objects looked at, by kind and outcome", metrics.reconciles.clone());
        registry.register("reconcile_seconds", "How long it took to look at one", metrics.seconds.clone());
        registry.register(
            "api_calls",
            "Requests to the API server, by verb and status",
            metrics.calls.clone(),
        );
        registry.register("requeues", "Objects that wait because of a failure", metrics.requeues.clone());
        registry.register("watch_errors", "Watches that were cut or refused", metrics.watch_errors.clone());
        registry.register("objects", "Objects there are, by kind and readiness", metrics.objects.clone());
        registry.register("leads", "Whether this process is the one that works", metrics.leads.clone());
        Self { registry, ..metrics }
    }

    /// One object was looked at.
    pub(crate) fn reconciled(&self, kind: &str, outcome: &str, took: Duration) {
        let labels = [("kind", kind.to_owned()), ("outcome", outcome.to_owned())];
        self.reconciles.get_or_create(&labels).inc();
        self.seconds.get_or_create(&[("kind", kind.to_owned())]).observe(took.as_secs_f64());
    }

    /// One object waits because of a failure.
    pub(crate) fn requeued(&self, kind: &str) {
        self.requeues.get_or_create(&[("kind", kind.to_owned())]).inc();
    }

    /// The API server was asked.
    pub(crate) fn called(&self, verb: &str, code: &str) {
        self.calls.get_or_create(&[("verb", verb.to_owned()), ("code", code.to_owned())]).inc();
    }

    /// A watch was cut or refused.
    pub(crate) fn watch_failed(&self, kind: &str) {
        self.watch_errors.get_or_create(&[("kind", kind.to_owned())]).inc();
    }

    /// Whether this process is the one that works.
    pub(crate) fn leads(&self, leads: bool) {
        self.leads.set(i64::from(leads));
    }

    /// Begins to count the objects there are.
    pub(crate) fn forget_objects(&self) {
        self.objects.clear();
    }

    /// There is one more object.
    pub(crate) fn object(&self, kind: &str, ready: &str) {
        self.objects.get_or_create(&[("kind", kind.to_owned()), ("ready", ready.to_owned())]).inc();
    }

    /// All of it as text.
    ///
    /// # Errors
    /// Never: a text takes everything.
    pub(crate) fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_told() {
        let metrics = Metrics::new();
        metrics.reconciled("AgentGraph", "ok", Duration::from_millis(3));
        metrics.called("PATCH", "200");
        metrics.requeued("AgentGraph");
        metrics.object("AgentGraph", "True");
        metrics.forget_objects();
        metrics.object("ModelServer", "False");
        let text = metrics.text().unwrap();
        for line in [
            r#"superstep_operator_reconciles_total{kind="AgentGraph",outcome="ok"} 1"#,
            r#"superstep_operator_reconcile_seconds_count{kind="AgentGraph"} 1"#,
            r#"superstep_operator_api_calls_total{verb="PATCH",code="200"} 1"#,
            r#"superstep_operator_objects{kind="ModelServer",ready="False"} 1"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(!text.contains(r#"superstep_operator_objects{kind="AgentGraph""#));
    }
}
