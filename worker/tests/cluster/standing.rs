//! Runs that are suspended and go on, and what is told of their mutations.

use superstep_engine::Totals;

use super::*;

/// A graph that counts to `most`, one superstep for each number.
fn counting(most: u64) -> String {
    let graph = json!({
        "apiVersion": "superstep.dev/v1alpha1",
        "kind": "AgentGraph",
        "metadata": {"name": "counting"},
        "spec": {
            "entry": ["count"],
            "limits": {"supersteps": most + 10, "activations": most + 10},
            "vertices": [
                {"name": "count", "function": {"cel": "size(messages) == 0 ? 0 : message + 1"}},
                {"name": "done", "function": {"cel": "message"}},
            ],
            "edges": [
                {"from": "count", "to": "count", "when": format!("message < {most}")},
                {"from": "count", "to": "done", "when": format!("message >= {most}")},
            ],
        },
    });
    graph.to_string()
}

impl Group {
    fn suspend(&self, run: &str, suspended: bool) {
        let request = v1::SuspendRequest { run: run.to_owned(), suspended };
        self.ask(async |mut client| Ok(client.suspend(request.clone()).await?.into_inner()));
    }

    /// Waits until a run is about that.
    fn becomes(&self, run: &str, phase: v1::RunPhase) -> v1::Run {
        for _ in 0..1_200 {
            let found = self.get(run);
            // One that is being taken over is told by its log.
            if found.phase() == phase && found.waits_for.is_empty() {
                return found;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the run does not become {phase:?}: {:?}", self.get(run));
    }

    fn mutations(&self, run: &str, from_superstep: u64) -> Vec<v1::JudgedPatch> {
        let request = v1::MutationsRequest { run: run.to_owned(), from_superstep };
        self.ask(async |mut client| Ok(client.mutations(request.clone()).await?.into_inner().patches))
    }
}

fn supersteps(run: &v1::Run) -> u64 {
    let totals: Totals = superstep_wire::totals_of(run.totals);
    totals.supersteps
}

#[test]
fn a_suspended_run_stands_still_whoever_leads_and_goes_on_where_it_stood() {
    let documents = [counting(3_000)];
    let (status, outputs, notices) = alone(&documents, &Value::Null);
    let mut group = Group::new(&["a", "b", "c"]);
    group.complete(3);
    group.submit("counting", &documents, &Value::Null);
    group.suspend("counting", true);
    group.suspend("counting", true);
    let stood = group.becomes("counting", v1::RunPhase::Suspended);
    assert!(stood.suspended && supersteps(&stood) < 3_000, "{stood:?}");
    assert_eq!(stood.revision.len(), 16);
    group.kill(&group.leader());
    let stands = group.becomes("counting", v1::RunPhase::Suspended);
    assert!(stands.epoch > stood.epoch);
    assert_eq!((supersteps(&stands), &stands.revision), (supersteps(&stood), &stood.revision));
    // Workers that come have a part of it before it goes on.
    group.start("d");
    group.complete(3);
    assert_eq!(supersteps(&group.becomes("counting", v1::RunPhase::Suspended)), supersteps(&stood));
    group.suspend("counting", false);
    assert_eq!(group.end("counting"), (status, outputs));
    let ended = group.get("counting");
    assert!(!ended.suspended);
    // One that has ended stays as it is.
    group.suspend("counting", true);
    assert!(!group.get("counting").suspended);
    let seen = group.watched("counting");
    let told = seen.iter().filter_map(|seen| match seen {
        Seen::Happened(happened) => match &happened.what {
            Happening::Notice(notice) => Some(notice),
            Happening::Taken { .. } | Happening::Answered { .. } | Happening::Patched { .. } => None,
        },
        Seen::Text { .. } | Seen::Missed { .. } | Seen::Driven(_) => None,
    });
    let (stood, went): (Vec<&Notice>, Vec<&Notice>) =
        told.partition(|notice| matches!(notice, Notice::Suspended));
    assert_eq!(stood.len(), 1);
    assert_eq!(course(went.into_iter()), course(notices.iter()));
}

#[test]
fn a_suspended_run_that_is_cancelled_ends_with_what_it_has() {
    let group = Group::new(&["a", "b"]);
    group.complete(2);
    group.submit("counting", &[counting(3_000)], &Value::Null);
    group.suspend("counting", true);
    let stood = group.becomes("counting", v1::RunPhase::Suspended);
    let cancel = v1::CancelRequest { run: "counting".to_owned() };
    let status = group.ask(async |mut client| Ok(client.cancel(cancel.clone()).await?.into_inner().status));
    assert_eq!(superstep_wire::status_of(status).unwrap(), RunStatus::Cancelled);
    assert_eq!(supersteps(&group.get("counting")), supersteps(&stood));
}

#[test]
fn what_became_of_mutations_is_told_with_their_barrier_and_their_revision() {
    let group = Group::new(&["a", "b"]);
    group.complete(2);
    group.submit("asking", &[asking::asking()], &Value::Null);
    let begun = group.becomes("asking", v1::RunPhase::Paused);
    assert_eq!(group.mutations("asking", 0), []);
    let request = v1::PatchRequest {
        run: "asking".to_owned(),
        name: "more".to_owned(),
        mutations: json!([
            {"addVertex": {"name": "extra", "function": {"cel": "1"}}},
            {"removeVertex": {"name": "nobody"}},
        ])
        .to_string()
        .into_bytes()
        .into(),
    };
    group.ask(async |mut client| Ok(client.patch(request.clone()).await?.into_inner()));
    let judged = loop {
        let judged = group.mutations("asking", 0);
        if !judged.is_empty() {
            break judged;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let [patch] = judged.as_slice() else { panic!("{judged:?}") };
    assert_eq!((patch.requester.as_str(), patch.from_outside, patch.frame), ("more", true, 0));
    let verdicts: Vec<Value> =
        patch.mutations.iter().map(|of| serde_json::from_slice(&of.verdict).unwrap()).collect();
    assert_eq!(verdicts, [json!("Applied"), json!({"Refused": {"Absent": "vertex \"nobody\""}})]);
    let asked: Vec<Value> =
        patch.mutations.iter().map(|of| serde_json::from_slice(&of.mutation).unwrap()).collect();
    assert_eq!(asked[1], json!({"removeVertex": {"name": "nobody"}}));
    let changed = group.becomes("asking", v1::RunPhase::Paused);
    assert!(changed.revision == patch.revision && changed.revision != begun.revision);
    assert_eq!(group.mutations("asking", patch.superstep), judged);
    assert_eq!(group.mutations("asking", patch.superstep + 1), []);
    let absent = v1::MutationsRequest { run: "none".to_owned(), from_superstep: 0 };
    let refused = group.refused(async |mut client| client.mutations(absent.clone()).await);
    assert_eq!(refused.code(), tonic::Code::NotFound);
}
