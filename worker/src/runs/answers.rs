//! What is answered about runs.

use serde_json::Value;
use superstep_engine::{Payload, Question, QuestionId, Record, RunStarted, Totals};
use superstep_proto::v1;
use superstep_runtime::{JudgedPatch, NewRun, RunPhase, RunSummary, fresh_name, read_run};
use superstep_store::{RunName, Store};
use tonic::Status;

use super::status_of;
use crate::leader::Standing;
use crate::provisions::Provisions;
use crate::with_causes;

/// How many runs are listed at once, if nobody says.
const PAGE: usize = 100;

pub(super) fn run_name(name: &str) -> Result<RunName, Status> {
    name.parse().map_err(|error: superstep_store::StoreError| Status::invalid_argument(with_causes(&error)))
}

pub(super) fn json(bytes: &[u8], what: &str) -> Result<Value, Status> {
    serde_json::from_slice(bytes)
        .map_err(|error| Status::invalid_argument(format!("{what} is no JSON: {error}")))
}

/// The name that a request gives its run, or one that no run is likely to have.
pub(super) fn name_for(request: &v1::SubmitRequest) -> Result<RunName, Status> {
    if !request.run.is_empty() {
        return run_name(&request.run);
    }
    let graph = if request.graph.is_empty() { "run" } else { &request.graph };
    fresh_name(graph).map_err(|error| Status::invalid_argument(with_causes(&error)))
}

/// Whether a run that is there is the one that is wanted.
pub(super) fn is_same(started: &RunStarted, wanted: &NewRun) -> bool {
    let same_graphs = started.graphs.len() == wanted.graphs.len()
        && started
            .graphs
            .iter()
            .all(|(name, spec)| wanted.graphs.get(name).is_some_and(|graph| graph.spec() == &**spec));
    started.root == wanted.root && started.input == wanted.input && same_graphs
}

/// Whether a record is this answer, to any question if none is named.
pub(super) fn is_answer(
    question: Option<QuestionId>,
    answer: Payload,
) -> impl Fn(&Record) -> bool + Send + 'static {
    move |record| {
        let Record::Answered { question: of, answer: given } = record else { return false };
        *given == answer && question.as_ref().is_none_or(|question| question == of)
    }
}

/// Whether the records of a run say that it is suspended, or that it is not; one that has ended stays as it is.
pub(super) fn is_so(records: &[Record], suspended: bool) -> bool {
    let last = records
        .iter()
        .rev()
        .find_map(|record| if let Record::RunSuspended(last) = record { Some(*last) } else { None });
    let ended = records.iter().any(|record| matches!(record, Record::Ended(_)));
    ended || last.unwrap_or(false) == suspended
}

/// What became of the mutations of a run.
pub(super) fn judged(
    store: &Store<Record>,
    provisions: &dyn Provisions,
    run: &RunName,
) -> Result<Vec<JudgedPatch>, Status> {
    let (started, records) = read_run(store, run).map_err(|error| status_of(&error))?;
    let programs = provisions
        .not_loaded(run, &started)
        .map_err(|error| Status::failed_precondition(with_causes(&*error)))?;
    superstep_runtime::judged(run, &records, &programs).map_err(|error| status_of(&error))
}

/// Where a run stands that goes on.
pub(super) fn of_standing(run: &RunName, standing: &Standing) -> v1::Run {
    let state = &standing.state;
    let phase = match (state.stands_still, state.paused) {
        (true, _) => v1::RunPhase::Suspended,
        (false, true) => v1::RunPhase::Paused,
        (false, false) => v1::RunPhase::Running,
    };
    v1::Run {
        name: run.to_string(),
        graph: standing.graph.clone(),
        phase: phase.into(),
        status: None,
        totals: Some(superstep_wire::totals(&state.totals)),
        outputs: Some(superstep_wire::payload(&standing.outputs)),
        questions: standing.questions.iter().map(|(id, question)| asked(id, question)).collect(),
        epoch: state.epoch,
        superstep: state.superstep,
        started_at: standing.started_at,
        revision: standing.revision.as_ref().map(superstep_wire::revision).unwrap_or_default(),
        suspended: state.suspended,
        base: standing.base.as_ref().map(superstep_wire::revision).unwrap_or_default(),
        waits_for: standing.waits_for.clone(),
        ..v1::Run::default()
    }
}

fn asked(id: &QuestionId, question: &Question) -> v1::Question {
    v1::Question { id: Some(superstep_wire::question(id)), ask: Some(superstep_wire::payload(&question.ask)) }
}

/// Where a run stands by its log.
pub(super) fn of_log(
    store: &Store<Record>,
    provisions: &dyn Provisions,
    run: &RunName,
) -> Result<v1::Run, Status> {
    let (started, records) = read_run(store, run).map_err(|error| status_of(&error))?;
    let programs = provisions
        .not_loaded(run, &started)
        .map_err(|error| Status::failed_precondition(with_causes(&*error)))?;
    let standing =
        superstep_runtime::standing(run, &records, &programs).map_err(|error| status_of(&error))?;
    let ended = records
        .iter()
        .find_map(|record| if let Record::Ended(status) = record { Some(status) } else { None });
    let epoch = records.iter().filter(|record| matches!(record, Record::EpochTaken { .. })).count();
    let questions = if ended.is_some() { &[] } else { standing.questions.as_slice() };
    let phase = match (ended, standing.stands_still) {
        (Some(_), _) => v1::RunPhase::Ended,
        (None, true) => v1::RunPhase::Suspended,
        (None, false) => v1::RunPhase::Pending,
    };
    Ok(v1::Run {
        name: run.to_string(),
        graph: started.root.clone(),
        phase: phase.into(),
        status: ended.map(superstep_wire::status),
        totals: Some(superstep_wire::totals(&standing.totals)),
        outputs: Some(superstep_wire::payload(&standing.outputs)),
        questions: questions.iter().map(|(id, question)| asked(id, question)).collect(),
        epoch: epoch as u64,
        superstep: standing.totals.supersteps,
        started_at: started.started_at,
        revision: standing.revision.as_ref().map(superstep_wire::revision).unwrap_or_default(),
        suspended: standing.suspended && ended.is_none(),
        ..v1::Run::default()
    })
}

/// A page of the runs that are kept. One that begins behind a run that is gone cannot be told: nothing says where that was.
pub(super) fn page(mut runs: Vec<RunSummary>, request: &v1::ListRequest) -> Result<v1::ListResponse, Status> {
    runs.retain(|run| request.graph.is_empty() || run.graph == request.graph);
    let behind = match runs.iter().position(|run| run.name.as_str() == request.after) {
        Some(at) => at + 1,
        None if request.after.is_empty() => 0,
        None => {
            let gone = format!("there is no run {:?} behind which others could be listed", request.after);
            return Err(Status::not_found(gone));
        }
    };
    let limit = if request.limit == 0 { PAGE } else { request.limit as usize };
    let more = runs.len() > behind + limit;
    let runs = runs.into_iter().skip(behind).take(limit).map(listed).collect();
    Ok(v1::ListResponse { runs, more })
}

fn listed(run: RunSummary) -> v1::Run {
    let totals = Totals { supersteps: run.supersteps, usage: run.usage, ..Totals::default() };
    let (phase, status, waits_for) = match run.phase {
        RunPhase::Unfinished => (v1::RunPhase::Running, None, String::new()),
        RunPhase::Ended(status) => {
            (v1::RunPhase::Ended, Some(superstep_wire::status(&status)), String::new())
        }
        RunPhase::Unreadable(why) => (v1::RunPhase::Unspecified, None, why),
    };
    v1::Run {
        name: run.name.to_string(),
        graph: run.graph,
        phase: phase.into(),
        status,
        totals: Some(superstep_wire::totals(&totals)),
        started_at: run.started_at,
        waits_for,
        origin: run.origin.as_ref().map(ToString::to_string).unwrap_or_default(),
        bytes: run.bytes,
        ..v1::Run::default()
    }
}
