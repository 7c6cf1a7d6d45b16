//! What the workers of a term say.

use superstep_engine::{CoordinatorEvent, PartitionId};
use superstep_proto::v1;
use tokio::time::{Duration, Instant};

use super::Term;
use crate::leader::run::RunLead;
use crate::leader::{Connection, texts};

/// How long a worker that cannot have a run is not asked again.
const REFUSED: Duration = Duration::from_secs(10);

impl Term {
    pub(super) fn said(&mut self, lead: &mut RunLead, from: Connection, said: v1::from_worker::Said) {
        use v1::from_worker::Said;
        let epoch = match &said {
            Said::Ready(ready) => ready.epoch,
            Said::Reports(reports) => reports.epoch,
            Said::Gone(gone) => gone.epoch,
            Said::Relayed(batch) => batch.epoch,
            Said::Text(_) | Said::Register(_) | Said::Beat(_) | Said::Leaving(_) | Said::Piece(_) => {
                self.epoch
            }
        };
        if epoch < self.epoch {
            self.shared.counts.stale.refuse(&self.run, "what a worker says", epoch);
            return;
        }
        let Some(partition) = (0u32..).zip(&self.workers).find(|(_, worker)| worker.connection == from)
        else {
            return;
        };
        match said {
            Said::Reports(reports) => {
                lead.spans.settled(partition.0, &reports);
                self.reports(PartitionId(partition.0), reports);
            }
            Said::Gone(gone) => self.gone(lead, partition.0 as usize, &gone.why),
            Said::Ready(_) => self.awaited.ready(partition.0 as usize),
            Said::Relayed(batch) => {
                if let Some(worker) = self.workers.get(batch.partition as usize) {
                    worker.say(v1::from_leader::Said::Relayed(batch));
                }
            }
            Said::Text(text) => {
                texts::hear(&self.hub, text);
                if !self.hub.has_listeners() {
                    texts::listen(std::slice::from_ref(partition.1), &self.run, false);
                }
            }
            Said::Register(_) | Said::Beat(_) | Said::Leaving(_) | Said::Piece(_) => {}
        }
    }

    /// The worker of a partition cannot have it.
    fn gone(&mut self, lead: &mut RunLead, partition: usize, why: &str) {
        let worker = &self.workers[partition];
        tracing::warn!(run = %self.run, worker = worker.name, why, "a worker cannot have the run");
        lead.refused.push((worker.connection, Instant::now() + REFUSED));
        lead.waits_for = Some(format!("worker {} cannot have it: {why}", worker.name));
        self.lost = true;
    }

    pub(super) fn give_up_overdue(&mut self, lead: &mut RunLead) {
        for partition in self.awaited.overdue(Instant::now()).to_vec() {
            self.awaited.ready(partition);
            self.gone(lead, partition, "it does not take the run over");
        }
    }

    fn reports(&mut self, from: PartitionId, reports: v1::Reports) {
        let now = self.clock.now();
        for report in reports.reports {
            match superstep_wire::report_of(report, from) {
                Ok(report) => self.coordinator.handle(CoordinatorEvent::Report(from, report), now),
                Err(error) => {
                    let why = crate::with_causes(&error);
                    tracing::error!(run = %self.run, %why, "a worker says what means nothing");
                    self.lost = true;
                }
            }
        }
    }
}
