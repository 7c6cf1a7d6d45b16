//! How a worker is: whether it is ready, and what it counts.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use superstep_engine::Record;
use superstep_store::Store;
use superstep_transport::{Refusal, Security};
use tokio::sync::watch;

use crate::counts::Counts;
use crate::leader::LeaderHandle;

/// How a worker is. Clones look at the same one.
#[derive(Clone)]
pub struct Vitals {
    pub(crate) security: Security,
    pub(crate) store: Store<Record>,
    pub(crate) counts: Counts,
    pub(crate) leads: watch::Receiver<Option<LeaderHandle>>,
    pub(crate) leaving: watch::Receiver<bool>,
}

impl Vitals {
    /// Why nobody should ask it for anything; none if it is ready. It listens, and has found its store to be one, as soon as
    /// it has vitals.
    #[must_use]
    pub fn unready(&self) -> Option<&'static str> {
        if *self.leaving.borrow() {
            return Some("the worker leaves");
        }
        match &self.security {
            Security::Mutual(credentials) if !credentials.are_valid() => {
                Some("the certificate is not valid at this time")
            }
            Security::Mutual(_) | Security::Plaintext | Security::Within(_) => None,
        }
    }

    fn encode_refusals(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (refusals, what) = (self.security.refusals(), "Callers that were refused, by reason");
        let mut refused = encoder.encode_descriptor("callers_refused", what, None, MetricType::Counter)?;
        Refusal::ALL.iter().try_for_each(|refusal| {
            let reason = [("reason", refusal.word())];
            ConstCounter::new(refusals.of(*refusal)).encode(refused.encode_family(&reason)?)
        })
    }
}

impl fmt::Debug for Vitals {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Vitals").field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl Collector for Vitals {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let counts = &self.counts;
        let leads = i64::from(self.leads.borrow().is_some());
        let away = self.store.away_since().map_or(0.0, |since| since.elapsed().as_secs_f64());
        for (name, what, value) in [
            ("leads", "Whether the worker leads", leads),
            ("runs_led", "Runs that the worker leads", counts.runs_led.get()),
            ("partitions", "Partitions of runs that the worker has", counts.partitions.get()),
        ] {
            let gauge = encoder.encode_descriptor(name, what, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(gauge)?;
        }
        for (name, what, value) in [
            (
                "supersteps",
                "Supersteps that were committed by the worker as a leader",
                counts.supersteps.get(),
            ),
            ("calls", "Calls of models and tools that have ended in the worker", counts.calls.get()),
            ("stale_refused", "What was refused since it was of a term that is over", counts.stale.refused()),
        ] {
            let counter = encoder.encode_descriptor(name, what, None, MetricType::Counter)?;
            ConstCounter::new(value).encode(counter)?;
        }
        let what = "How long the store has been away, in seconds; 0 while it is there";
        let gauge = encoder.encode_descriptor("store_away_seconds", what, None, MetricType::Gauge)?;
        ConstGauge::new(away).encode(gauge)?;
        self.encode_refusals(&mut encoder)
    }
}
