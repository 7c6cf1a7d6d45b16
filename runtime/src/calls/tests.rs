use serde_json::json;
use superstep_engine::Usage;

use super::*;

/// The ordinals of calls as they were asked for, without an outcome, and as they ended.
type Told = Vec<(u32, Option<CallOutcome>)>;

/// A runner that decides by `decide` and keeps what it was told.
pub(crate) fn runner(
    decide: impl Fn(u32, &CallRequest) -> CallDecision + Send + 'static,
) -> (Calls, tokio::task::JoinHandle<Told>) {
    let (sender, mut events) = mpsc::unbounded_channel();
    let told = tokio::spawn(async move {
        let mut told = Vec::new();
        while let Some(event) = events.recv().await {
            match event {
                CallEvent::Asked { ordinal, request, reply, activation, subject: _ } => {
                    assert_eq!(activation, Caller(7));
                    told.push((ordinal, None));
                    reply.send(decide(ordinal, &request)).unwrap();
                }
                CallEvent::Ended { ordinal, outcome, reply, .. } => {
                    told.push((ordinal, Some(outcome)));
                    reply.send(()).unwrap();
                }
            }
        }
        told
    });
    (Calls::new(Caller(7), sender), told)
}

pub(crate) fn perform_all(ordinal: u32, _: &CallRequest) -> CallDecision {
    CallDecision::Perform { idempotency_key: format!("key-{ordinal}") }
}

fn request(target: &str) -> CallRequest {
    CallRequest { target: target.to_owned(), digest: [0; 16], repeatable: true, reserve: Usage::default() }
}

fn outcome(text: &str) -> CallOutcome {
    CallOutcome { answer: Ok(Payload::from(json!(text))), usage: Usage { calls: 1, ..Usage::default() } }
}

#[tokio::test]
async fn the_intent_comes_before_the_call_and_the_outcome_before_its_use() {
    let (calls, told) = runner(perform_all);
    let answer = calls
        .perform(request("a"), |ticket| async move {
            assert_eq!(ticket, CallTicket { idempotency_key: "key-0".to_owned(), ordinal: 0 });
            outcome("done")
        })
        .await;
    assert_eq!(answer.unwrap().value(), &json!("done"));
    drop(calls);
    assert_eq!(told.await.unwrap(), [(0, None), (0, Some(outcome("done")))]);
}

#[tokio::test]
async fn a_completed_call_is_not_made_again() {
    let (calls, _told) = runner(|_, _| CallDecision::Reuse(outcome("old")));
    let answer = calls.perform(request("a"), |_| async { panic!("made again") }).await;
    assert_eq!(answer.unwrap().value(), &json!("old"));
}

#[tokio::test]
async fn a_refused_call_is_not_made() {
    let (calls, _told) = runner(|_, _| CallDecision::Refused(Failure::permanent("no budget")));
    let answer = calls.perform(request("a"), |_| async { panic!("made") }).await;
    assert_eq!(answer, Err(Failure::permanent("no budget")));
}

#[tokio::test]
async fn calls_are_numbered_in_the_order_they_were_made_in() {
    let (calls, told) = runner(perform_all);
    let first = calls.perform(request("a"), |ticket| async move { outcome(&ticket.idempotency_key) });
    let second = calls.perform(request("b"), |ticket| async move { outcome(&ticket.idempotency_key) });
    let (second, first) = tokio::join!(second, first);
    assert_eq!(first.unwrap().value(), &json!("key-0"));
    assert_eq!(second.unwrap().value(), &json!("key-1"));
    drop(calls);
    assert_eq!(told.await.unwrap().len(), 4);
}

#[tokio::test]
async fn an_outcome_that_never_becomes_durable_is_not_used() {
    let (sender, mut events) = mpsc::unbounded_channel();
    let calls = Calls::new(Caller(1), sender);
    let runner = tokio::spawn(async move {
        let Some(CallEvent::Asked { reply, .. }) = events.recv().await else { panic!("no call") };
        reply.send(CallDecision::Perform { idempotency_key: String::new() }).unwrap();
        let ended = events.recv().await;
        drop(ended);
    });
    let answer = calls.perform(request("a"), |_| async { outcome("done") }).await;
    assert!(answer.unwrap_err().class.is_retryable());
    runner.await.unwrap();
}
