//! Which worker has what in a term, and how it hears of that.

use std::collections::{BTreeMap, BTreeSet};

use superstep_engine::{Coordinator, FrameId, Home, Homes, Placed, Record, RunStarted};
use superstep_graph::{GraphSpec, InWorkerModels, VertexName};
use superstep_proto::v1;
use superstep_proto::v1::from_leader::Said;

use super::Term;
use crate::labels::{has, label_of_model};
use crate::leader::Attendant;
use crate::leader::run::LeadError;
use crate::limits::RECORDS;

/// What the workers of vertices must have.
pub(in crate::leader) type Needs = BTreeMap<VertexName, BTreeSet<String>>;

impl Term {
    pub(super) fn assign(&self, records: &[Record], placed: &[Placed], traceparent: &str) {
        let homes: Vec<v1::Home> = self
            .workers
            .iter()
            .zip(placed)
            .map(|(worker, placed)| v1::Home {
                worker: placed.worker.clone(),
                address: worker.address.clone(),
                labels: labels_for(&self.needs, placed).into_iter().collect(),
                journal: placed.journal.clone(),
            })
            .collect();
        let needs: Vec<v1::Need> = self
            .needs
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
    let home = |placed: &Placed| Home { name: placed.worker.clone(), labels: labels_for(&needs, placed) };
    Homes::new(placed.iter().map(home).collect(), needs)
}

/// The labels of a worker, and those of the models that vertices call and that it has without saying so.
fn labels_for(needs: &Needs, placed: &Placed) -> BTreeSet<String> {
    let wanted = needs.values().flatten().filter(|label| has(&placed.labels, label));
    placed.labels.iter().chain(wanted).cloned().collect()
}

/// What the vertices with which a run began ask for of their workers: what they require, and the models inside workers that
/// they call. Vertices of one name in several graphs are at one worker, which must have what any of them asks for.
pub(in crate::leader) fn needs_of(started: &RunStarted) -> Needs {
    let (mut needs, models) = (Needs::new(), models_of(started));
    started.graphs.values().for_each(|spec| add_needs(&mut needs, spec, &models));
    needs
}

/// Adds what the vertices of the run's own graph ask for as mutations have made it; whether that is more.
pub(super) fn add_present_needs(needs: &mut Needs, started: &RunStarted, coordinator: &Coordinator) -> bool {
    let before = needs.clone();
    if let Some(graph) = coordinator.graph(FrameId::ROOT) {
        add_needs(needs, graph.spec(), &models_of(started));
    }
    *needs != before
}

fn models_of(started: &RunStarted) -> InWorkerModels {
    InWorkerModels::of(started.graphs.values().map(AsRef::as_ref))
}

fn add_needs(needs: &mut Needs, spec: &GraphSpec, models: &InWorkerModels) {
    for vertex in &spec.vertices {
        let labels = vertex.requires.iter().cloned().chain(models.called_by(vertex).map(label_of_model));
        let labels: BTreeSet<String> = labels.collect();
        if !labels.is_empty() {
            needs.entry(vertex.name.clone()).or_default().extend(labels);
        }
    }
}

/// Whether each vertex has a worker among these that has what it asks for.
///
/// # Errors
/// One has none.
pub(in crate::leader) fn check_met(needs: &Needs, workers: &[Attendant]) -> Result<(), LeadError> {
    let has_all =
        |worker: &Attendant, labels: &BTreeSet<String>| labels.iter().all(|label| has(&worker.labels, label));
    match needs.iter().find(|(_, labels)| !workers.iter().any(|worker| has_all(worker, labels))) {
        None => Ok(()),
        Some((vertex, labels)) => {
            Err(LeadError::Unmet { vertex: vertex.clone(), labels: labels.iter().cloned().collect() })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};
    use superstep_engine::Payload;

    use super::*;

    fn started(graph: Value) -> RunStarted {
        let graph: GraphSpec = serde_json::from_value(graph).unwrap();
        RunStarted {
            run: "r".to_owned(),
            root: "g".to_owned(),
            graphs: BTreeMap::from([("g".to_owned(), Arc::new(graph))]),
            input: Payload::null(),
            attachment: Payload::null(),
            started_at: 0,
        }
    }

    fn placed(worker: &str, labels: &[&str]) -> Placed {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        Placed { worker: worker.to_owned(), labels, journal: worker.to_owned() }
    }

    #[test]
    fn a_vertex_is_where_the_models_are_that_it_calls() {
        let prompt =
            |name: &str, model: &str| json!({"name": name, "prompt": {"model": model, "template": "hi"}});
        let mut both = prompt("both", "near");
        both["requires"] = json!(["gpu"]);
        let needs = needs_of(&started(json!({
            "entry": ["near"],
            "models": [
                {"name": "near", "modelServerRef": {"name": "small"}, "placement": "InWorker"},
                {"name": "far", "modelServerRef": {"name": "large"}},
            ],
            "vertices": [prompt("near", "near"), prompt("far", "far"), both],
        })));
        let labels =
            |labels: &[&str]| labels.iter().map(|label| (*label).to_owned()).collect::<BTreeSet<_>>();
        let expected =
            [("near".into(), labels(&["model/small"])), ("both".into(), labels(&["gpu", "model/small"]))];
        assert_eq!(needs, BTreeMap::from(expected));
        let at = |placed: &[Placed], vertex: &str| homes_of(placed, needs.clone()).of(&vertex.into()).0;
        let named =
            [placed("a", &["model/other"]), placed("b", &["model/small", "gpu"]), placed("c", &["model/"])];
        assert_eq!((at(&named, "near"), at(&named, "both")), (1, 1));
        // Who says nothing of models has them all.
        let silent = [placed("a", &["model/other"]), placed("b", &[]), placed("c", &["gpu"])];
        assert_eq!((at(&silent[..2], "near"), at(&silent, "both")), (1, 2));
    }
}
