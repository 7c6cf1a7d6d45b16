//! Runs that begin with a part of another one.

use tonic::Code;

use super::*;

/// Three vertices, one after the other, each of which notes that it worked.
fn chain(ledger: &std::path::Path) -> String {
    let vertex = |name: &str| {
        let script = format!(
            "echo '{name} begin' >> {0}; echo '{name} end' >> {0}; echo '\"{name}\"'",
            ledger.display()
        );
        json!({"name": name, "function": {"command": {"argv": ["sh", "-c", script]}}})
    };
    let vertices = ["one", "two", "three"].map(vertex);
    let graph = json!({
        "apiVersion": "superstep.dev/v1alpha1",
        "kind": "AgentGraph",
        "metadata": {"name": "chain"},
        "spec": {
            "entry": ["one"],
            "vertices": vertices,
            "edges": [{"from": "one", "to": "two"}, {"from": "two", "to": "three"}],
        },
    });
    graph.to_string()
}

fn fork(run: &str, of: &str, superstep: u64) -> v1::SubmitRequest {
    v1::SubmitRequest {
        run: run.to_owned(),
        graph: "chain".to_owned(),
        fork_from: Some(v1::ForkFrom { run: of.to_owned(), superstep }),
        ..v1::SubmitRequest::default()
    }
}

#[test]
fn a_fork_goes_on_from_its_superstep_and_is_one_however_often_it_is_asked_for() {
    let mut group = Group::new(&["a", "b"]);
    group.complete(2);
    let ledger = group.folder.path().join("ledger");
    group.submit("first", &[chain(&ledger)], &Value::Null);
    let whole = group.end("first");
    assert_eq!(whole.0, RunStatus::Succeeded);
    let take = |group: &Group, request: v1::SubmitRequest| {
        group.ask(async |mut client| Ok(client.submit(request.clone()).await?.into_inner())).run
    };
    assert_eq!(take(&group, fork("second", "first", 2)), "second");
    assert_eq!(group.end("second"), whole);
    // The reply is lost with the leader.
    group.kill(&group.leader());
    assert_eq!(take(&group, fork("second", "first", 2)), "second");
    assert_eq!(group.end("second"), whole);
    let worked = |name: &str| counts(&ledger).get(name).copied();
    assert_eq!([worked("one"), worked("two"), worked("three")], [Some((1, 1)), Some((1, 1)), Some((2, 2))]);
    // What is not said begins anew, as another run of the same.
    assert_eq!(take(&group, fork("third", "first", 0)), "third");
    assert_eq!(group.end("third"), whole);
    assert_eq!(worked("one"), Some((2, 2)));

    let refused =
        |request: v1::SubmitRequest| group.refused(async |mut client| client.submit(request.clone()).await);
    assert_eq!(refused(fork("second", "first", 1)).code(), Code::AlreadyExists);
    assert_eq!(refused(fork("fourth", "first", 9)).code(), Code::FailedPrecondition);
    assert_eq!(refused(fork("fourth", "nobody", 1)).code(), Code::NotFound);
    let of_other = v1::SubmitRequest { graph: "other".to_owned(), ..fork("fourth", "first", 1) };
    assert_eq!(refused(of_other).code(), Code::InvalidArgument);
    let with_input = v1::SubmitRequest { input: "1".into(), ..fork("fourth", "first", 1) };
    assert_eq!(refused(with_input).code(), Code::InvalidArgument);
}
