//! Which worker has what in a term, and how it hears of that.

use std::collections::{BTreeMap, BTreeSet};

use superstep_engine::{Coordinator, FrameId, Home, Homes, Placed, Record, RunStarted};
use superstep_graph::{GraphSpec, VertexName};
use superstep_proto::v1;
use superstep_proto::v1::from_leader::Said;

use super::Term;
use crate::leader::Attendant;
use crate::limits::RECORDS;

/// What the workers of vertices must have.
pub(in crate::leader) type Needs = BTreeMap<VertexName, BTreeSet<String>>;

impl Term {
    pub(super) fn assign(&self, records: &[Record], placed: &[Placed], needs: &Needs, traceparent: &str) {
        let homes: Vec<v1::Home> = self
            .workers
            .iter()
            .zip(placed)
            .map(|(worker, placed)| v1::Home {
                worker: placed.worker.clone(),
                address: worker.address.clone(),
                labels: placed.labels.iter().cloned().collect(),
                journal: placed.journal.clone(),
            })
            .collect();
        let needs: Vec<v1::Need> = needs
            .iter()
            .map(|(vertex, labels)| v1::Need {
                vertex: vertex.as_str().to_owned(),
                labels: labels.iter().cloned().collect(),
            })
            .collect();
        let chunks = self.in_chunks(records);
        for (partition, worker) in (0u32..).zip(&self.workers) {
            worker.say(Said::Assign(v1::Assign {
                run: self.run.to_string(),
                epoch: self.epoch,
                partition,
                homes: homes.clone(),
                needs: needs.clone(),
                records: records.len() as u64,
                position: self.position,
                traceparent: traceparent.to_owned(),
            }));
            for chunk in &chunks {
                worker.say(Said::Records(chunk.clone()));
            }
        }
    }

    fn in_chunks(&self, records: &[Record]) -> Vec<v1::Records> {
        let like = |records| v1::Records { run: self.run.to_string(), epoch: self.epoch, records };
        let (mut chunks, mut chunk, mut bytes) = (Vec::new(), Vec::new(), 0);
        for record in records {
            let record = postcard::to_stdvec(record).expect("what was read from a log can be encoded");
            bytes += record.len();
            chunk.push(record.into());
            if bytes >= RECORDS {
                chunks.push(like(std::mem::take(&mut chunk)));
                bytes = 0;
            }
        }
        if !chunk.is_empty() {
            chunks.push(like(chunk));
        }
        chunks
    }
}

/// The highest term that a record tells of.
pub(super) fn epoch_of(record: &Record) -> u64 {
    if let Record::EpochTaken { epoch, .. } = record { epoch.0 } else { 0 }
}

pub(super) fn placed(worker: &Attendant, epoch: u64) -> Placed {
    Placed {
        worker: worker.name.clone(),
        labels: worker.labels.clone(),
        journal: format!("{epoch:06}-{}-{}", worker.name, worker.incarnation),
    }
}

pub(super) fn homes_of(placed: &[Placed], needs: Needs) -> Homes {
    let home = |placed: &Placed| Home { name: placed.worker.clone(), labels: placed.labels.clone() };
    Homes::new(placed.iter().map(home).collect(), needs)
}

/// What the vertices with which a run began ask for of their workers. Vertices of one name in several graphs are at
/// one worker, which must have what any of them asks for.
pub(in crate::leader) fn needs_of(started: &RunStarted) -> Needs {
    let mut needs = Needs::new();
    started.graphs.values().for_each(|spec| add_needs(&mut needs, spec));
    needs
}

/// Adds what the vertices of the run's own graph ask for as mutations have made it; whether that is more.
pub(super) fn add_present_needs(needs: &mut Needs, coordinator: &Coordinator) -> bool {
    let before = needs.clone();
    if let Some(graph) = coordinator.graph(FrameId::ROOT) {
        add_needs(needs, graph.spec());
    }
    *needs != before
}

fn add_needs(needs: &mut Needs, spec: &GraphSpec) {
    for vertex in spec.vertices.iter().filter(|vertex| !vertex.requires.is_empty()) {
        needs.entry(vertex.name.clone()).or_default().extend(vertex.requires.iter().cloned());
    }
}

/// A vertex that asks for what no worker has, and what that is.
pub(in crate::leader) fn unmet<'a>(
    needs: &'a Needs,
    workers: &[Attendant],
) -> Option<(&'a VertexName, &'a BTreeSet<String>)> {
    needs.iter().find(|(_, labels)| !workers.iter().any(|worker| labels.is_subset(&worker.labels)))
}
