//! What a worker has and has done, counted for those who look at it from outside.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use crate::stale::Stale;

/// The counts of one worker. Clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// The runs that it leads.
    pub(crate) runs_led: Gauge,
    /// The partitions of runs that it has.
    pub(crate) partitions: Gauge,
    /// The supersteps that it has committed as a leader.
    pub(crate) supersteps: Counter,
    /// The calls that have ended in it.
    pub(crate) calls: Counter,
    /// What was of a term that is over.
    pub(crate) stale: Stale,
}

/// One more of what a gauge counts, until it is dropped.
#[derive(Debug)]
pub(crate) struct Held(Gauge);

impl Held {
    pub(crate) fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}
