//! The status of a run, from what its workers say of it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use superstep_api::{GraphRunStatus, PendingQuestion, RunOutput, RunPhase};
use superstep_proto::v1;

use super::proposals::Proposed;
use crate::conditions::{Standing, conditions};
use crate::hexadecimal::hexadecimal;

/// How much of an output or a question is shown.
const PREVIEW: usize = 1_024;
/// How many questions are shown.
const QUESTIONS: usize = 16;

/// A run that no worker has.
pub(super) fn pending(
    before: &GraphRunStatus,
    generation: Option<i64>,
    reason: &'static str,
    message: String,
    at: Timestamp,
) -> GraphRunStatus {
    let standing = Standing::Reconciling { reason, message: message.clone() };
    GraphRunStatus {
        observed_generation: generation,
        conditions: conditions(&before.conditions, generation, &standing, &[], at),
        phase: Some(RunPhase::Pending),
        reason: Some(reason.to_owned()),
        message: Some(message),
        ..before.clone()
    }
}

/// A run that cannot be.
pub(super) fn refused(
    before: &GraphRunStatus,
    generation: Option<i64>,
    reason: &'static str,
    message: String,
    at: Timestamp,
) -> GraphRunStatus {
    let standing = Standing::Stalled { reason, message: message.clone() };
    GraphRunStatus {
        observed_generation: generation,
        conditions: conditions(&before.conditions, generation, &standing, &[], at),
        phase: Some(RunPhase::Failed),
        reason: Some(reason.to_owned()),
        message: Some(message),
        finished_at: before.finished_at.clone().or(Some(Time(at))),
        ..before.clone()
    }
}

/// A run that was cancelled before a worker had it.
pub(super) fn cancelled(before: &GraphRunStatus, generation: Option<i64>, at: Timestamp) -> GraphRunStatus {
    let message = "the run was cancelled before it began".to_owned();
    let refused = refused(before, generation, "Cancelled", message, at);
    GraphRunStatus { phase: Some(RunPhase::Cancelled), ..refused }
}

/// How a run stands, with what is to be told beside that in its message.
pub(super) fn with_notes(status: GraphRunStatus, notes: &[String]) -> GraphRunStatus {
    if notes.is_empty() {
        return status;
    }
    let said: Vec<&str> = status.message.iter().chain(notes).map(String::as_str).collect();
    let message = Some(cut(&said.join("; "), PREVIEW)).filter(|message| !message.is_empty());
    GraphRunStatus { message, ..status }
}

/// Where a run stands, in one word, and why in another.
struct Told {
    phase: RunPhase,
    reason: Option<&'static str>,
    message: String,
}

/// A run as its workers have it. `place` is where its log is.
pub(super) fn of_run(
    before: &GraphRunStatus,
    generation: Option<i64>,
    run: &v1::Run,
    place: &str,
    at: Timestamp,
) -> GraphRunStatus {
    let told = told(run);
    let message = told.message.clone();
    let standing = match told.phase {
        RunPhase::Succeeded => Standing::Ready { reason: "Succeeded", message },
        RunPhase::Failed => Standing::Stalled { reason: told.reason.unwrap_or("Failed"), message },
        RunPhase::Cancelled => Standing::Stalled { reason: "Cancelled", message },
        RunPhase::Pending => Standing::Reconciling { reason: "TakenUp", message },
        RunPhase::Running => Standing::Reconciling { reason: "Running", message },
        RunPhase::Waiting => Standing::Reconciling { reason: "Waiting", message },
        RunPhase::Suspended => Standing::Reconciling { reason: "Suspended", message },
    };
    let ended = matches!(told.phase, RunPhase::Succeeded | RunPhase::Failed | RunPhase::Cancelled);
    let totals = run.totals.unwrap_or_default();
    let usage = totals.usage.unwrap_or_default();
    let started = i64::try_from(run.started_at).ok().filter(|at| *at > 0);
    GraphRunStatus {
        observed_generation: generation,
        conditions: conditions(&before.conditions, generation, &standing, &[], at),
        phase: Some(told.phase),
        reason: told.reason.map(str::to_owned),
        message: Some(told.message).filter(|message| !message.is_empty()),
        superstep: totals.supersteps.checked_sub(1),
        revision: Some(hexadecimal(&run.revision)).filter(|revision| !revision.is_empty()),
        activations: Some(totals.activations),
        calls: Some(usage.calls),
        tokens: Some(usage.prompt_tokens + usage.completion_tokens),
        cost: Some(usage.cost),
        started_at: started.and_then(|at| Timestamp::from_second(at).ok()).map(Time),
        finished_at: if ended { before.finished_at.clone().or(Some(Time(at))) } else { None },
        output: if ended { output(run.outputs.as_ref(), place) } else { None },
        model_servers: before.model_servers.clone(),
        questions: run.questions.iter().take(QUESTIONS).map(question).collect(),
    }
}

fn told(run: &v1::Run) -> Told {
    let plain = |phase| Told { phase, reason: None, message: run.waits_for.clone() };
    match run.phase() {
        v1::RunPhase::Ended => ended(run.status.as_ref()),
        v1::RunPhase::Paused if waits_for_proposals(run) => Told {
            phase: RunPhase::Waiting,
            reason: Some("Proposed"),
            message:
                "everything in flight waits until somebody decides on what it proposes: superstep approve"
                    .to_owned(),
        },
        v1::RunPhase::Paused => Told {
            phase: RunPhase::Waiting,
            reason: Some("Question"),
            message: "everything in flight waits for answers: superstep answer".to_owned(),
        },
        v1::RunPhase::Suspended => Told { reason: Some("OperatingMode"), ..plain(RunPhase::Suspended) },
        v1::RunPhase::Running if run.waits_for.is_empty() => plain(RunPhase::Running),
        v1::RunPhase::Running => Told { reason: Some("Held"), ..plain(RunPhase::Running) },
        v1::RunPhase::Pending | v1::RunPhase::Unspecified => {
            Told { reason: Some("TakenUp"), ..plain(RunPhase::Pending) }
        }
    }
}

/// Whether all that it waits for are decisions on proposals.
fn waits_for_proposals(run: &v1::Run) -> bool {
    !run.questions.is_empty() && run.questions.iter().all(|question| Proposed::of(question).is_some())
}

fn ended(status: Option<&v1::RunStatus>) -> Told {
    use v1::run_status::Status;

    match status.and_then(|status| status.status.as_ref()) {
        Some(Status::Succeeded(_)) => Told {
            phase: RunPhase::Succeeded,
            reason: None,
            message: "the run has come to its end".to_owned(),
        },
        Some(Status::Failed(failed)) => {
            let vertex = failed.activation.as_ref().map(|activation| activation.vertex.as_str());
            let why = failed.failure.as_ref().map(|failure| failure.message.as_str());
            let message =
                format!("vertex {:?} failed: {}", vertex.unwrap_or_default(), why.unwrap_or_default());
            Told { phase: RunPhase::Failed, reason: Some("VertexFailed"), message }
        }
        Some(Status::LimitReached(limit)) => {
            let message = format!("limits.{limit} is reached; what there is of the output is partial");
            Told { phase: RunPhase::Failed, reason: Some("LimitReached"), message }
        }
        Some(Status::Cancelled(_)) => Told {
            phase: RunPhase::Cancelled,
            reason: Some("Cancelled"),
            message: "the run was cancelled".to_owned(),
        },
        None => Told {
            phase: RunPhase::Failed,
            reason: Some("Unknown"),
            message: "the workers did not say how the run ended".to_owned(),
        },
    }
}

/// What a run came to, as much of it as a status has.
fn output(payload: Option<&v1::Payload>, place: &str) -> Option<RunOutput> {
    use v1::payload::Form;

    let uri = Some(place.to_owned()).filter(|place| !place.is_empty());
    match payload?.form.as_ref()? {
        Form::Json(json) => Some(RunOutput {
            preview: cut(&String::from_utf8_lossy(json), PREVIEW),
            digest: blake3::hash(json).to_hex().to_string(),
            bytes: json.len() as u64,
            uri,
        }),
        Form::Blob(blob) => Some(RunOutput {
            preview: String::new(),
            digest: hexadecimal(&blob.hash),
            bytes: blob.bytes,
            uri,
        }),
    }
}

fn question(question: &v1::Question) -> PendingQuestion {
    use v1::payload::Form;

    let ask = question.ask.as_ref().and_then(|ask| ask.form.as_ref());
    let prompt = match ask {
        Some(Form::Json(json)) => prompt(json),
        Some(Form::Blob(_)) | None => String::new(),
    };
    let id = question.id.clone().unwrap_or_default();
    let vertex = id.activation.as_ref().map(|activation| activation.vertex.clone()).unwrap_or_default();
    PendingQuestion { id: question_name(&id), vertex, prompt }
}

/// What a person reads: the text of the question, or all of it as it stands.
fn prompt(json: &[u8]) -> String {
    let value = serde_json::from_slice::<serde_json::Value>(json).ok();
    let text = value.as_ref().and_then(|value| value.get("prompt")?.as_str());
    cut(text.unwrap_or(&String::from_utf8_lossy(json)), PREVIEW)
}

/// A question as `superstep answer` names it.
pub(super) fn question_name(id: &v1::QuestionId) -> String {
    let activation = id.activation.clone().unwrap_or_default();
    let mut name = if activation.frame == 0 { String::new() } else { format!("{}/", activation.frame) };
    name.push_str(&format!("{}@{}", activation.vertex, activation.superstep));
    if activation.incarnation > 0 {
        name.push_str(&format!(".{}", activation.incarnation));
    }
    if let Some(element) = activation.element {
        name.push_str(&format!("[{element}]"));
    }
    if id.number > 0 {
        name.push_str(&format!("?{}", id.number));
    }
    name
}

/// As much of a text as so many bytes have.
pub(super) fn cut(text: &str, most: usize) -> String {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use superstep_proto::v1::run_status::Status;

    use super::*;

    fn said(run: &v1::Run) -> GraphRunStatus {
        of_run(&GraphRunStatus::default(), Some(1), run, "s3://runs/a", Timestamp::UNIX_EPOCH)
    }

    fn run(phase: v1::RunPhase) -> v1::Run {
        v1::Run { phase: phase.into(), ..v1::Run::default() }
    }

    #[test]
    fn what_is_to_be_told_beside_the_standing_is_in_the_message_which_stays_short() {
        let running = v1::Run { phase: v1::RunPhase::Running.into(), ..v1::Run::default() };
        assert_eq!(with_notes(said(&running), &[]), said(&running));
        let told = with_notes(said(&running), &["a".to_owned(), "b".to_owned()]);
        assert_eq!(told.message.as_deref(), Some("a; b"));
        let held = v1::Run { waits_for: "the store".to_owned(), ..running };
        let told = with_notes(said(&held), &["n".repeat(2_000)]);
        let message = told.message.unwrap();
        assert!(message.starts_with("the store; n") && message.len() == PREVIEW, "{message}");
    }

    #[test]
    fn what_has_ended_says_how_and_with_what() {
        let json = format!("{{\"a\":\"{}\"}}", "é".repeat(1_000));
        let form = v1::payload::Form::Json(json.clone().into_bytes().into());
        let failure = v1::Failure { class: 3, message: "no".to_owned() };
        let activation = v1::ActivationId { vertex: "plan".to_owned(), ..v1::ActivationId::default() };
        let failed = v1::run_status::Failed { activation: Some(activation), failure: Some(failure) };
        let ends = [
            (Status::Succeeded(v1::run_status::Succeeded {}), RunPhase::Succeeded, "True", ""),
            (Status::Failed(failed), RunPhase::Failed, "False", "VertexFailed"),
            (Status::LimitReached("tokens".to_owned()), RunPhase::Failed, "False", "LimitReached"),
            (Status::Cancelled(v1::run_status::Cancelled {}), RunPhase::Cancelled, "False", "Cancelled"),
        ];
        for (status, phase, ready, reason) in ends {
            let status = said(&v1::Run {
                status: Some(v1::RunStatus { status: Some(status) }),
                outputs: Some(v1::Payload { form: Some(form.clone()) }),
                ..run(v1::RunPhase::Ended)
            });
            assert_eq!(status.phase, Some(phase));
            assert_eq!(status.conditions[0].status, ready);
            assert_eq!(status.reason.unwrap_or_default(), reason);
            assert_eq!(status.finished_at, Some(Time(Timestamp::UNIX_EPOCH)));
            let output = status.output.unwrap();
            assert_eq!((output.bytes, output.uri.as_deref()), (json.len() as u64, Some("s3://runs/a")));
            assert!(output.preview.len() <= PREVIEW && json.starts_with(&output.preview));
        }
    }

    #[test]
    fn what_goes_on_has_no_output_and_no_end() {
        for (phase, expected) in [
            (v1::RunPhase::Pending, RunPhase::Pending),
            (v1::RunPhase::Running, RunPhase::Running),
            (v1::RunPhase::Paused, RunPhase::Waiting),
            (v1::RunPhase::Suspended, RunPhase::Suspended),
        ] {
            let status = said(&run(phase));
            assert_eq!((status.phase, &status.output, &status.finished_at), (Some(expected), &None, &None));
            assert!(status.conditions.iter().any(|condition| condition.type_ == "Reconciling"));
        }
    }

    #[test]
    fn a_question_has_the_name_that_answers_use() {
        let activation = v1::ActivationId {
            frame: 2,
            vertex: "ask".to_owned(),
            incarnation: 1,
            superstep: 7,
            element: Some(3),
        };
        let id = v1::QuestionId { activation: Some(activation), number: 4 };
        assert_eq!(question_name(&id), "2/ask@7.1[3]?4");
        let ask = v1::payload::Form::Json(r#"{"prompt":"Refund?"}"#.into());
        let question = v1::Question { id: Some(id), ask: Some(v1::Payload { form: Some(ask) }) };
        let status = said(&v1::Run { questions: vec![question; 20], ..run(v1::RunPhase::Paused) });
        assert_eq!(status.questions.len(), QUESTIONS);
        assert_eq!(
            (status.questions[0].vertex.as_str(), status.questions[0].prompt.as_str()),
            ("ask", "Refund?")
        );
    }
}
