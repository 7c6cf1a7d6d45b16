//! What is asked of runs, and asked again because nobody knows whether it was done.

use superstep_leases::Leases as _;
use tonic::Code;

use super::*;

pub(super) fn asking() -> String {
    let graph = json!({
        "apiVersion": "superstep.dev/v1alpha1",
        "kind": "AgentGraph",
        "metadata": {"name": "asking"},
        "spec": {
            "entry": ["one", "two"],
            "vertices": [
                {"name": "one", "human": {"prompt": "One?", "schema": {"type": "integer"}}},
                {"name": "two", "human": {"prompt": "Two?"}},
                {"name": "both", "join": {"mode": "All"}, "function": {"cel": "[from.one, from.two]"}},
            ],
            "edges": [{"from": "one", "to": "both"}, {"from": "two", "to": "both"}],
        },
    });
    graph.to_string()
}

fn answer(question: Option<&v1::Question>, answer: &Value) -> v1::AnswerRequest {
    let question = question.and_then(|question| question.id.clone());
    v1::AnswerRequest { run: "asking".to_owned(), question, answer: answer.to_string().into_bytes().into() }
}

impl Group {
    fn answers(&self, question: Option<&v1::Question>, given: &Value) {
        let request = answer(question, given);
        self.ask(async |mut client| Ok(client.answer(request.clone()).await?.into_inner()));
    }

    fn does_not_answer(&self, question: Option<&v1::Question>, given: &Value) -> String {
        let request = answer(question, given);
        let refused = self.refused(async |mut client| client.answer(request.clone()).await);
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
        refused.message().to_owned()
    }

    fn questions(&self, count: usize) -> Vec<v1::Question> {
        let mut questions = Vec::new();
        until("there are as many questions", || {
            questions = self.get("asking").questions;
            questions.len() == count
        });
        questions
    }
}

#[test]
fn an_answer_that_is_sent_again_is_taken_once_whoever_leads_and_when_the_run_has_ended() {
    let mut group = Group::new(&["a", "b", "c"]);
    group.complete(3);
    group.submit("asking", &[asking()], &Value::Null);
    let questions = group.questions(2);
    let [one, two] = questions.as_slice() else { panic!("{questions:?}") };
    let several = group.does_not_answer(None, &json!(1));
    assert!(several.contains("several questions are open"), "{several}");
    assert!(several.contains("one@0") && several.contains("two@0"), "{several}");
    assert!(group.does_not_answer(Some(one), &json!("x")).contains("integer"));
    group.answers(Some(one), &json!(1));
    // The reply is lost with the leader.
    group.kill(&group.leader());
    group.answers(Some(one), &json!(1));
    group.answers(Some(one), &json!(1));
    assert!(group.does_not_answer(Some(one), &json!(2)).contains("one@0 asks nothing"));
    assert_eq!(group.questions(1), std::slice::from_ref(two));
    group.answers(None, &json!("2"));
    assert_eq!(group.end("asking"), (RunStatus::Succeeded, json!({"both": [1, "2"]})));
    group.answers(Some(one), &json!(1));
    group.answers(Some(two), &json!("2"));
    group.answers(None, &json!("2"));
    assert!(group.does_not_answer(Some(two), &json!("3")).contains("run asking has ended"));
    let run = "asking".parse().unwrap();
    let records = group.store.read_only(&run).unwrap().records;
    assert_eq!(records.iter().filter(|record| matches!(record, Record::Answered { .. })).count(), 2);
}

#[test]
fn a_patch_and_a_cancellation_that_are_sent_again_are_taken_once() {
    let mut group = Group::new(&["a", "b"]);
    group.complete(2);
    group.submit("asking", &[asking()], &Value::Null);
    group.questions(2);
    let patch = |name: &str, vertex: &str| v1::PatchRequest {
        run: "asking".to_owned(),
        name: name.to_owned(),
        mutations: json!([{"addVertex": {"name": vertex, "function": {"cel": "1"}}}])
            .to_string()
            .into_bytes()
            .into(),
    };
    let take = |group: &Group, patch: v1::PatchRequest| {
        group.ask(async |mut client| Ok(client.patch(patch.clone()).await?.into_inner()));
    };
    take(&group, patch("more", "extra"));
    take(&group, patch("more", "extra"));
    group.kill(&group.leader());
    take(&group, patch("more", "extra"));
    let other = patch("more", "other");
    let refused = group.refused(async |mut client| client.patch(other.clone()).await);
    assert!(refused.message().contains("with other mutations"), "{refused}");
    let cancel = v1::CancelRequest { run: "asking".to_owned() };
    for _ in 0..2 {
        let status =
            group.ask(async |mut client| Ok(client.cancel(cancel.clone()).await?.into_inner().status));
        assert_eq!(superstep_wire::status_of(status).unwrap(), RunStatus::Cancelled);
    }
    take(&group, patch("more", "extra"));
    let late = patch("late", "late");
    let refused = group.refused(async |mut client| client.patch(late.clone()).await);
    assert!(refused.message().contains("run asking has ended"), "{refused}");
    let records = group.store.read_only(&"asking".parse().unwrap()).unwrap().records;
    assert_eq!(records.iter().filter(|record| matches!(record, Record::Patched(_))).count(), 1);
}

#[test]
fn a_worker_that_leaves_tells_the_others() {
    let mut group = Group::new(&["a", "b"]);
    group.complete(2);
    let members = MemberFolder::new(group.folder.path().join("members")).unwrap();
    let names = |group: &Group| {
        let members = group.client.block_on(members.members()).unwrap();
        members.into_iter().map(|member| member.name).collect::<Vec<_>>()
    };
    assert_eq!(names(&group), ["a", "b"]);
    group.drain("b");
    assert_eq!(names(&group), ["a"]);
    group.drain("a");
    assert_eq!(names(&group), [""; 0]);
    // Whoever comes leads at once.
    let lease = FileLease::new(group.folder.path().join("election/leader"));
    assert_eq!(group.client.block_on(lease.read()).unwrap().unwrap().holder, None);
}
