//! What the operator does in a time.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::audit::{Audit, Line};
use crate::bench::Bench;
use crate::kubectl;
use crate::objects::text;
use crate::release::NAMESPACE;
use crate::report::Report;

/// What the operator counts when it has looked at an object.
const RECONCILES: &str = "superstep_operator_reconciles_total";

/// A time from its begin on.
pub(super) struct Work {
    begun: Instant,
    audit: Option<Audit>,
    reconciles: u64,
}

impl Work {
    pub(super) fn begin(bench: &Bench) -> Result<Self> {
        let audit = bench.audit.as_deref().map(Audit::begin).transpose()?;
        let reconciles = reconciles()?;
        Ok(Self { begun: Instant::now(), audit, reconciles })
    }

    pub(super) fn took(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Says what was done for so many graphs of all, and gives what was asked of the API server, if that is known.
    pub(super) fn tell(
        self,
        report: &mut Report,
        (what, done, count): (&str, usize, usize),
    ) -> Result<Option<Vec<Line>>> {
        let seconds = self.took().as_secs_f64();
        let looked = reconciles()?.saturating_sub(self.reconciles);
        report.note(format!(
            "{done} of {count} graphs {what} in {seconds:.1} s, {:.0} a second; {looked} reconciles, {:.0} a second",
            done as f64 / seconds,
            looked as f64 / seconds
        ));
        let Some(audit) = self.audit else { return Ok(None) };
        let lines = audit.lines()?;
        let calls = lines.iter().filter(|line| line.is_of_operator()).count();
        report.note(format!(
            "{:.1} requests of the operator for each that was {what}",
            calls as f64 / count as f64
        ));
        Ok(Some(lines))
    }
}

/// How often the operator has looked at an object since it began, of whatever kind and however that went. Of several processes
/// only one works.
fn reconciles() -> Result<u64> {
    let words = ["pods", "--namespace", NAMESPACE, "--selector=app.kubernetes.io/component=operator"];
    let pods = kubectl::list(&words)?;
    let of_pod = |pod| {
        let name = text(pod, "/metadata/name");
        let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{name}:8080/proxy/metrics");
        counted(&kubectl::run(&["get", "--raw", &path])?)
    };
    pods.iter().map(of_pod).sum()
}

/// The sum of a counter over its labels, in the form of Prometheus.
fn counted(metrics: &str) -> Result<u64> {
    let of_it = metrics.lines().filter(|line| line.starts_with(RECONCILES));
    let values = of_it.filter_map(|line| line.rsplit_once(' '));
    values.map(|(_, value)| value.parse::<u64>().with_context(|| format!("no count: {value}"))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_summed_over_its_labels() {
        let metrics = "# TYPE superstep_operator_reconciles counter\n\
            superstep_operator_reconciles_total{kind=\"AgentGraph\",outcome=\"done\"} 7\n\
            superstep_operator_reconciles_total{kind=\"GraphRun\",outcome=\"failed\"} 2\n\
            superstep_operator_leads 1\n";
        assert_eq!(counted(metrics).unwrap(), 9);
        assert!(counted("superstep_operator_reconciles_total{} x").is_err());
    }
}
