//! A partition that is given messages as references to what they say.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod nothing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;
use superstep_engine::{
    Command, Committed, Effect, Failure, FrameId, Homes, Job, MessageKey, Opening, Partition, PartitionEvent,
    PartitionId, Payload, Reference, Report, Routed, Start, Target, Timestamp,
};
use superstep_graph::{GraphSpec, Port, ValidatedGraph};

use nothing::Nothing;

const NOW: Timestamp = Timestamp(0);

/// `from` sends to `to`, which is as `to` says.
fn graph(to: &serde_json::Value) -> ValidatedGraph {
    let mut vertex = json!({"name": "to", "custom": {"name": "p"}});
    vertex.as_object_mut().unwrap().extend(to.as_object().unwrap().clone());
    let spec = json!({
        "entry": ["from"],
        "vertices": [{"name": "from", "custom": {"name": "p"}}, vertex],
        "edges": [{"from": "from", "to": "to"}],
    });
    let spec: GraphSpec = serde_json::from_value(spec).unwrap();
    ValidatedGraph::after_mutation(spec)
}

fn opened(to: &serde_json::Value) -> Partition {
    let mut partition = Partition::new("r", PartitionId(0), Arc::new(Homes::numbered(1)), Arc::new(Nothing));
    let (frame, input) = (FrameId::ROOT, Payload::null());
    let opening = Opening { frame, graph: graph(to), input, parent: None, costs: None, carried: None };
    partition.handle(PartitionEvent::Command(Command::Open(vec![opening])), NOW);
    partition
}

fn reference() -> Reference {
    Reference { digest: [7; 32], bytes: 3 }
}

fn fetched() -> BTreeMap<Reference, Payload> {
    BTreeMap::from([(reference(), Payload::from(json!([1])))])
}

/// Hands a message in that is kept elsewhere.
fn hand_in(partition: &mut Partition) {
    let key = MessageKey {
        from: "from".into(),
        incarnation: 0,
        superstep: 0,
        direct: false,
        port: Port::default(),
        ordinal: 0,
    };
    let message = Routed {
        frame: FrameId::ROOT,
        to: Target::Absent("to".into()),
        key,
        payload: Payload::kept(reference()),
        trail: None,
        orphan: false,
        passive: false,
        via: None,
    };
    partition.handle(PartitionEvent::Messages { superstep: 1, messages: vec![message] }, NOW);
}

/// Delivers and starts; the programs that are to run, and why what has ended did.
fn started(partition: &mut Partition) -> (Vec<Job>, Vec<Failure>) {
    let (aggregates, costs) = (Vec::new(), Vec::new());
    let deliver = Command::Deliver { superstep: 1, expect: 1, aggregates, costs, starts: false };
    partition.handle(PartitionEvent::Command(deliver), NOW);
    let start = Command::Start(Start { superstep: 1, ..Start::default() });
    partition.handle(PartitionEvent::Command(start), NOW);
    let (mut jobs, mut failures) = (Vec::new(), Vec::new());
    while let Some(effect) = partition.poll_effect() {
        if let Effect::Run(job) = effect {
            jobs.extend((job.activation.vertex.as_str() == "to").then_some(job));
        } else if let Effect::Report(Report::Completed(completed)) = effect {
            failures.extend(completed.failure);
        }
    }
    (jobs, failures)
}

#[test]
fn what_is_kept_elsewhere_is_put_in_before_the_program_runs() {
    let mut partition = opened(&json!({}));
    assert!(!partition.takes_whole(FrameId::ROOT, &"to".into()));
    hand_in(&mut partition);
    assert!(partition.unfetched().is_empty());
    let (mut jobs, failures) = started(&mut partition);
    assert_eq!((jobs.len(), failures.len()), (1, 0));
    let job = &mut jobs[0];
    assert_eq!(job.references(), BTreeSet::from([reference()]));
    job.put(&fetched());
    assert!(job.references().is_empty());
    assert_eq!(job.view.messages[0].payload, Payload::from(json!([1])));
}

#[test]
fn what_the_partition_looks_into_comes_whole_or_fails_its_vertex() {
    for to in [
        json!({"forEach": {}}),
        json!({"combiner": "Append"}),
        json!({"custom": null, "graph": {"ref": {"name": "g"}}}),
    ] {
        let mut partition = opened(&to);
        assert!(partition.takes_whole(FrameId::ROOT, &"to".into()), "{to}");
        assert!(
            partition.takes_whole(FrameId(9), &"to".into())
                && partition.takes_whole(FrameId::ROOT, &"no".into())
        );
        hand_in(&mut partition);
        let (jobs, failures) = started(&mut partition);
        assert!(jobs.is_empty(), "{to}");
        assert!(failures[0].message.contains("was not fetched"), "{to}: {failures:?}");
    }
}

#[test]
fn what_a_mutation_makes_the_partition_look_into_is_put_in_where_it_waits() {
    let mut partition = opened(&json!({}));
    hand_in(&mut partition);
    let graphs = vec![(FrameId::ROOT, graph(&json!({"combiner": "Append"})), Vec::new())];
    let commit = Committed { superstep: 0, completed: Vec::new(), graphs, closing: false };
    partition.handle(PartitionEvent::Command(Command::Commit(commit)), NOW);
    assert_eq!(partition.unfetched(), BTreeSet::from([reference()]));
    partition.put(&fetched());
    assert!(partition.unfetched().is_empty());
    let (jobs, failures) = started(&mut partition);
    assert_eq!((jobs.len(), failures.len()), (1, 0));
    assert_eq!(jobs[0].view.messages[0].payload, Payload::from(json!([[1]])));
}
