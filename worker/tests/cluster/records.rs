//! What is recorded of a run, told by any worker.

use tonic::Code;

use super::*;

/// A graph that gives back what it is given.
fn echo() -> String {
    let graph = json!({
        "apiVersion": "superstep.dev/v1alpha1",
        "kind": "AgentGraph",
        "metadata": {"name": "echo"},
        "spec": {"entry": ["echo"], "vertices": [{"name": "echo", "function": {"cel": "input"}}]},
    });
    graph.to_string()
}

impl Group {
    /// What a worker tells of a run.
    fn told(&self, at: usize, run: &str) -> Result<Vec<v1::RecordsResponse>, tonic::Status> {
        let request = v1::RecordsRequest { run: run.to_owned() };
        self.ask_at(at, async |mut client| {
            let mut messages = client.records(request.clone()).await?.into_inner();
            let mut all = Vec::new();
            while let Some(message) = messages.message().await? {
                all.push(message);
            }
            Ok(all)
        })
    }
}

#[test]
fn every_worker_tells_all_that_is_recorded_in_messages_that_are_not_long() {
    let group = Group::new(&["a", "b", "c"]);
    group.complete(3);
    let long = json!("x".repeat(3 << 20));
    group.submit("echo", &[echo()], &long);
    assert_eq!(group.end("echo"), (RunStatus::Succeeded, json!({"echo": long})));
    let stored = group.store.read_only(&"echo".parse().unwrap()).unwrap().records;
    let format = <Record as superstep_store::Record>::FORMAT;
    for at in 0..3 {
        let messages = group.told(at, "echo").unwrap();
        assert!(messages.len() > 6, "input and output: {}", messages.len());
        for message in &messages {
            assert!(message.records.iter().map(bytes::Bytes::len).sum::<usize>() <= 1 << 20);
        }
        assert_eq!(superstep_wire::records_of(messages, format).unwrap(), stored);
        assert_eq!(group.told(at, "none").unwrap_err().code(), Code::NotFound);
        assert_eq!(group.told(at, "../none").unwrap_err().code(), Code::InvalidArgument);
    }
}

#[test]
fn records_are_told_to_few_at_once_and_the_others_hear_where_to_ask() {
    let group = Group::new(&["a", "b"]);
    group.complete(2);
    // More than is under way to one who does not read.
    group.submit("echo", &[echo()], &json!("x".repeat(8 << 20)));
    group.end("echo");
    let unread: Vec<_> = (0..4)
        .map(|_| {
            let mut client = group.runs(0);
            let request = v1::RecordsRequest { run: "echo".to_owned() };
            group.client.block_on(async { client.records(request).await.unwrap().into_inner() })
        })
        .collect();
    let refused = group.told(0, "echo").unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().contains("ask another worker"), "{refused}");
    assert!(!group.told(1, "echo").unwrap().is_empty());
    drop(unread);
    assert!(!group.told(0, "echo").unwrap().is_empty());
}
