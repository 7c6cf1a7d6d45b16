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
        self.comes_to(run, |found| found.phase() == phase)
    }

    /// Waits until a run is as it is to be, and not about to be taken over, where its log tells of it.
    fn comes_to(&self, run: &str, is: impl Fn(&v1::Run) -> bool) -> v1::Run {
        let since = Instant::now();
        loop {
            let found = self.get(run);
            if is(&found) && found.waits_for.is_empty() {
                return found;
            }
            assert!(since.elapsed() < PATIENCE, "the run does not come to that: {found:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Suspends a run of [`counting`] while it counts; what it is, how far it counts, and where it stands. One that has
    /// ended before is tried again with more to count.
    fn suspended(&self) -> (&'static str, u64, v1::Run) {
        for (run, most) in [("counting", 3_000), ("longer", 30_000), ("longest", 300_000)] {
            self.submit(run, &[counting(most)], &Value::Null);
            self.suspend(run, true);
            self.suspend(run, true);
            let stands = [v1::RunPhase::Suspended, v1::RunPhase::Ended];
            let stood = self.comes_to(run, |found| stands.contains(&found.phase()));
            if stood.phase() == v1::RunPhase::Suspended {
                return (run, most, stood);
            }
        }
        panic!("every run had ended before it was suspended")
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
    let mut group = Group::new(&["a", "b", "c"]);
    group.complete(3);
    let (run, most, stood) = group.suspended();
    let (status, outputs, notices) = alone(&[counting(most)], &Value::Null);
    assert!(stood.suspended && supersteps(&stood) < most, "{stood:?}");
    assert_eq!(stood.revision.len(), 16);
    group.kill(&group.leader());
    let stands = group.becomes(run, v1::RunPhase::Suspended);
    assert!(stands.epoch > stood.epoch);
    assert_eq!((supersteps(&stands), &stands.revision), (supersteps(&stood), &stood.revision));
    // Workers that come have a part of it before it goes on.
    group.start("d");
    group.complete(3);
    assert_eq!(supersteps(&group.becomes(run, v1::RunPhase::Suspended)), supersteps(&stood));
    group.suspend(run, false);
    assert_eq!(group.end(run), (status, outputs));
    let ended = group.get(run);
    assert!(!ended.suspended);
    // One that has ended stays as it is.
    group.suspend(run, true);
    assert!(!group.get(run).suspended);
    let seen = group.watched(run);
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
    let (run, _, stood) = group.suspended();
    let cancel = v1::CancelRequest { run: run.to_owned() };
    let status = group.ask(async |mut client| Ok(client.cancel(cancel.clone()).await?.into_inner().status));
    assert_eq!(superstep_wire::status_of(status).unwrap(), RunStatus::Cancelled);
    assert_eq!(supersteps(&group.get(run)), supersteps(&stood));
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
    let mut judged = Vec::new();
    until("the patch is judged", || {
        judged = group.mutations("asking", 0);
        !judged.is_empty()
    });
    let [patch] = judged.as_slice() else { panic!("{judged:?}") };
    assert_eq!((patch.requester.as_str(), patch.from_outside, patch.frame), ("more", true, 0));
    let verdicts: Vec<Value> =
        patch.mutations.iter().map(|of| serde_json::from_slice(&of.verdict).unwrap()).collect();
    assert_eq!(verdicts, [json!("Applied"), json!({"Refused": {"Absent": "vertex \"nobody\""}})]);
    let asked: Vec<Value> =
        patch.mutations.iter().map(|of| serde_json::from_slice(&of.mutation).unwrap()).collect();
    assert_eq!(asked[1], json!({"removeVertex": {"name": "nobody"}}));
    assert_ne!(patch.revision, begun.revision);
    // The log has it a moment before the run knows.
    group.comes_to("asking", |found| {
        found.phase() == v1::RunPhase::Paused && found.revision == patch.revision
    });
    assert_eq!(group.mutations("asking", patch.superstep), judged);
    assert_eq!(group.mutations("asking", patch.superstep + 1), []);
    let absent = v1::MutationsRequest { run: "none".to_owned(), from_superstep: 0 };
    let refused = group.refused(async |mut client| client.mutations(absent.clone()).await);
    assert_eq!(refused.code(), tonic::Code::NotFound);
}
