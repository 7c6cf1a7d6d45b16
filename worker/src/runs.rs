//! Runs, for those who start them, look at them and reach into them.

mod answers;
mod forked;
mod recorded;
mod watching;
mod written;

use std::sync::Arc;

use futures::future::BoxFuture;
use superstep_engine::{Patch, Payload, Record};
use superstep_graph::PriorityClass;
use superstep_proto::v1;
use superstep_proto::v1::runs_client::RunsClient;
use superstep_proto::v1::runs_server::Runs;
use superstep_runtime::{RunError, list_runs, read_run};
use superstep_store::{RunName, Store, StoreError};
use superstep_transport::Refusals;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::{Duration, timeout};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::blocking::blocking;
use crate::channels::Channels;
use crate::leader::{Ask, LeaderHandle, ToLeader};
use crate::peer::LeaderAddress;
use crate::provisions::Provisions;
use crate::stale::Stale;
use crate::with_causes;

/// The service in one worker: what only the leader can do is handed on to it.
#[derive(Clone)]
pub(crate) struct RunsService {
    pub(crate) name: String,
    pub(crate) store: Store<Record>,
    pub(crate) provisions: Arc<dyn Provisions>,
    pub(crate) leader: watch::Receiver<Option<LeaderHandle>>,
    pub(crate) leader_is_at: LeaderAddress,
    pub(crate) channels: Channels,
    pub(crate) stale: Stale,
    pub(crate) refusals: Refusals,
    /// How many more may be told at once what is recorded of runs.
    pub(crate) tellings: Arc<Semaphore>,
}

/// How long a run may take to answer; it has none while the store is away.
const PATIENCE: Duration = Duration::from_secs(10);

/// Says of a request that another worker has handed it on: it goes no further.
const HANDED_ON: &str = "superstep-handed-on";

impl RunsService {
    fn leader(&self) -> Option<LeaderHandle> {
        self.leader.borrow().clone()
    }

    /// Hands a request on to the worker that leads.
    async fn hand_on<Q, A>(
        &self,
        request: Request<Q>,
        call: impl FnOnce(RunsClient<Channel>, Request<Q>) -> BoxFuture<'static, Result<Response<A>, Status>>,
    ) -> Result<Response<A>, Status> {
        if request.metadata().contains_key(HANDED_ON) {
            return Err(Status::unavailable("nobody leads at the moment"));
        }
        let client = self.client_of_leader()?;
        let mut request = Request::new(request.into_inner());
        request.metadata_mut().insert(HANDED_ON, tonic::metadata::MetadataValue::from_static("1"));
        call(client, request).await
    }

    /// Has a run led that is recorded.
    fn led(&self, leader: &LeaderHandle, run: &RunName) -> Result<Response<v1::SubmitResponse>, Status> {
        if leader.send(ToLeader::Lead(run.clone())).is_err() {
            return Err(Status::unavailable("nobody leads at the moment"));
        }
        Ok(Response::new(v1::SubmitResponse { run: run.to_string() }))
    }

    /// A way to the worker that leads.
    fn client_of_leader(&self) -> Result<RunsClient<Channel>, Status> {
        let address = self.leader_is_at.borrow().clone();
        let address = address.ok_or_else(|| Status::unavailable("nobody leads at the moment"))?;
        self.channels.runs(&address).map_err(|error| Status::unavailable(with_causes(&error)))
    }

    async fn ask<A>(
        &self,
        leader: &LeaderHandle,
        run: &RunName,
        ask: impl FnOnce(oneshot::Sender<A>) -> Ask,
    ) -> Option<A> {
        let (reply, answer) = oneshot::channel();
        leader.send(ToLeader::Run(run.clone(), ask(reply))).ok()?;
        timeout(PATIENCE, answer).await.ok()?.ok()
    }

    /// What becomes of a request that no term has replied to: it is done if the log has it, for the reply may be lost
    /// with the leader that was asked before, and the run may have ended since.
    async fn in_log(
        &self,
        run: &RunName,
        is_it: impl Fn(&[Record]) -> bool + Send + 'static,
    ) -> Result<(), Status> {
        let (store, name) = (self.store.clone(), run.clone());
        let read = blocking(move || read_run(&store, &name).map_err(|error| status_of(&error)));
        let (_, records) = read.await?;
        if is_it(&records) { Ok(()) } else { Err(self.not_led(run).await) }
    }

    /// Why a run cannot be reached: it is not there, or has ended.
    async fn not_led(&self, run: &RunName) -> Status {
        match self.standing(run).await {
            Ok(found) if found.phase() == v1::RunPhase::Ended => {
                Status::failed_precondition(format!("run {run} has ended"))
            }
            Ok(_) => Status::unavailable(format!("run \"{run}\" is being taken over")),
            Err(status) => status,
        }
    }

    /// Where a run stands that does not go on at the moment.
    async fn waiting(&self, run: &RunName, waits_for: String) -> Result<v1::Run, Status> {
        match self.standing(run).await {
            Ok(found) => Ok(v1::Run { waits_for, ..found }),
            // What it waits for may be the store.
            Err(status) if status.code() == tonic::Code::Unavailable => Ok(v1::Run {
                name: run.to_string(),
                phase: v1::RunPhase::Pending.into(),
                waits_for,
                ..v1::Run::default()
            }),
            Err(status) => Err(status),
        }
    }

    /// Where a run stands by its log.
    async fn standing(&self, run: &RunName) -> Result<v1::Run, Status> {
        let (store, provisions, run) = (self.store.clone(), Arc::clone(&self.provisions), run.clone());
        blocking(move || answers::of_log(&store, &*provisions, &run)).await
    }
}

#[tonic::async_trait]
impl Runs for RunsService {
    type WatchStream = watching::Events;
    type RecordsStream = recorded::Recorded;

    async fn submit(
        &self,
        request: Request<v1::SubmitRequest>,
    ) -> Result<Response<v1::SubmitResponse>, Status> {
        let Some(leader) = self.leader() else {
            return self
                .hand_on(request, |mut client, request| Box::pin(async move { client.submit(request).await }))
                .await;
        };
        let request = request.into_inner();
        let name = answers::name_for(&request)?;
        let again = request.run == name.as_str();
        if let Some(from) = &request.fork_from {
            self.fork(name.clone(), again, (&request, from)).await?;
            return self.led(&leader, &name);
        }
        let new = self.provisions.new_run(name.clone(), request).await;
        let new = new.map_err(|error| Status::invalid_argument(with_causes(&*error)))?;
        let wanted = new.clone();
        let (reply, begun) = oneshot::channel();
        if leader.send(ToLeader::Begin(Box::new(new), reply)).is_err() {
            return Err(Status::unavailable("nobody leads at the moment"));
        }
        let begun = begun.await.map_err(|_| Status::unavailable("nobody leads at the moment"))?;
        match begun {
            Ok(()) => {}
            Err(RunError::Store(StoreError::Exists { .. })) if again => {
                let (store, run) = (self.store.clone(), name.clone());
                let (started, _) =
                    blocking(move || read_run(&store, &run).map_err(|error| status_of(&error))).await?;
                if !answers::is_same(&started, &wanted) {
                    return Err(Status::already_exists(format!("there is a run \"{name}\" already")));
                }
                // Whoever recorded it may be gone.
                return self.led(&leader, &name);
            }
            Err(error) => return Err(status_of(&error)),
        }
        Ok(Response::new(v1::SubmitResponse { run: name.to_string() }))
    }

    async fn get(&self, request: Request<v1::GetRequest>) -> Result<Response<v1::GetResponse>, Status> {
        let Some(leader) = self.leader() else {
            return self
                .hand_on(request, |mut client, request| Box::pin(async move { client.get(request).await }))
                .await;
        };
        let run = answers::run_name(&request.into_inner().run)?;
        let run = match self.ask(&leader, &run, Ask::State).await {
            Some(Ok(standing)) => answers::of_standing(&run, &standing),
            Some(Err(waits_for)) => self.waiting(&run, waits_for).await?,
            None => self.standing(&run).await?,
        };
        Ok(Response::new(v1::GetResponse { run: Some(run) }))
    }

    async fn list(&self, request: Request<v1::ListRequest>) -> Result<Response<v1::ListResponse>, Status> {
        let request = request.into_inner();
        let store = self.store.clone();
        let runs = blocking(move || list_runs(&store).map_err(|error| status_of(&error))).await?;
        Ok(Response::new(answers::page(runs, &request)?))
    }

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let request = request.into_inner();
        let run = answers::run_name(&request.run)?;
        let events = watching::watch(self, run, request).await?;
        Ok(Response::new(events))
    }

    async fn answer(
        &self,
        request: Request<v1::AnswerRequest>,
    ) -> Result<Response<v1::AnswerResponse>, Status> {
        let Some(leader) = self.leader() else {
            return self
                .hand_on(request, |mut client, request| Box::pin(async move { client.answer(request).await }))
                .await;
        };
        let request = request.into_inner();
        let run = answers::run_name(&request.run)?;
        let question = request.question.map(|question| superstep_wire::question_of(Some(question)));
        let question = question.transpose().map_err(|error| Status::invalid_argument(with_causes(&error)))?;
        let answer = Payload::from(answers::json(&request.answer, "the answer")?);
        let (asked, given) = (question.clone(), answer.clone());
        match self.ask(&leader, &run, |reply| Ask::Answer(asked, given, reply)).await {
            Some(Ok(())) => {}
            Some(Err(source)) => return Err(status_of(&RunError::Answer { run, source })),
            None => {
                let is_it = answers::is_answer(question, answer);
                self.in_log(&run, move |records| records.iter().any(&is_it)).await?;
            }
        }
        Ok(Response::new(v1::AnswerResponse {}))
    }

    async fn cancel(
        &self,
        request: Request<v1::CancelRequest>,
    ) -> Result<Response<v1::CancelResponse>, Status> {
        let Some(leader) = self.leader() else {
            return self
                .hand_on(request, |mut client, request| Box::pin(async move { client.cancel(request).await }))
                .await;
        };
        let run = answers::run_name(&request.into_inner().run)?;
        let status = match self.ask(&leader, &run, Ask::Cancel).await {
            Some(status) => superstep_wire::status(&status),
            None => match self.standing(&run).await?.status {
                Some(status) => status,
                None => return Err(self.not_led(&run).await),
            },
        };
        Ok(Response::new(v1::CancelResponse { status: Some(status) }))
    }

    async fn patch(&self, request: Request<v1::PatchRequest>) -> Result<Response<v1::PatchResponse>, Status> {
        let Some(leader) = self.leader() else {
            return self
                .hand_on(request, |mut client, request| Box::pin(async move { client.patch(request).await }))
                .await;
        };
        let request = request.into_inner();
        let run = answers::run_name(&request.run)?;
        let mutations = serde_json::from_slice(&request.mutations)
            .map_err(|error| Status::invalid_argument(format!("the mutations cannot be read: {error}")))?;
        let patch = Patch { class: PriorityClass::Person, requester: request.name, mutations };
        let asked = patch.clone();
        match self.ask(&leader, &run, |reply| Ask::Patch(asked, reply)).await {
            Some(Ok(())) => {}
            Some(Err(source)) => return Err(status_of(&RunError::Patch { run, source })),
            None => {
                let is_it =
                    move |record: &Record| matches!(record, Record::Patched(other) if *other == patch);
                self.in_log(&run, move |records| records.iter().any(&is_it)).await?;
            }
        }
        Ok(Response::new(v1::PatchResponse {}))
    }

    async fn suspend(
        &self,
        request: Request<v1::SuspendRequest>,
    ) -> Result<Response<v1::SuspendResponse>, Status> {
        let Some(leader) = self.leader() else {
            return self
                .hand_on(request, |mut client, request| {
                    Box::pin(async move { client.suspend(request).await })
                })
                .await;
        };
        let v1::SuspendRequest { run, suspended } = request.into_inner();
        let run = answers::run_name(&run)?;
        if self.ask(&leader, &run, |reply| Ask::Suspend(suspended, reply)).await.is_none() {
            self.in_log(&run, move |records| answers::is_so(records, suspended)).await?;
        }
        Ok(Response::new(v1::SuspendResponse {}))
    }

    async fn mutations(
        &self,
        request: Request<v1::MutationsRequest>,
    ) -> Result<Response<v1::MutationsResponse>, Status> {
        let v1::MutationsRequest { run, from_superstep } = request.into_inner();
        let run = answers::run_name(&run)?;
        let (store, provisions) = (self.store.clone(), Arc::clone(&self.provisions));
        let mut judged = blocking(move || answers::judged(&store, &*provisions, &run)).await?;
        judged.retain(|judged| judged.superstep >= from_superstep);
        let patches = judged.iter().map(superstep_wire::judged).collect();
        Ok(Response::new(v1::MutationsResponse { patches }))
    }

    async fn records(
        &self,
        request: Request<v1::RecordsRequest>,
    ) -> Result<Response<Self::RecordsStream>, Status> {
        let run = answers::run_name(&request.into_inner().run)?;
        Ok(Response::new(recorded::records(self, run).await?))
    }

    async fn cluster(
        &self,
        request: Request<v1::ClusterRequest>,
    ) -> Result<Response<v1::ClusterResponse>, Status> {
        let Some(leader) = self.leader() else {
            return self
                .hand_on(request, |mut client, request| {
                    Box::pin(async move { client.cluster(request).await })
                })
                .await;
        };
        let (reply, workers) = oneshot::channel();
        if leader.send(ToLeader::Cluster(reply)).is_err() {
            return Err(Status::unavailable("nobody leads at the moment"));
        }
        let workers = workers.await.map_err(|_| Status::unavailable("nobody leads at the moment"))?;
        let away = self.store.away_since().map(|since| since.elapsed().as_secs());
        Ok(Response::new(v1::ClusterResponse {
            leader: self.name.clone(),
            workers,
            store_away_seconds: away,
            stale_refused: self.stale.refused(),
            callers_refused: self.refusals.total(),
        }))
    }
}

/// What an error is to those outside.
pub(crate) fn status_of(error: &RunError) -> Status {
    let text = with_causes(error);
    match error {
        RunError::Store(StoreError::NotFound { .. }) => Status::not_found(text),
        RunError::Store(StoreError::Exists { .. }) => Status::already_exists(text),
        RunError::Store(error) if crate::leader::may_pass(error) => Status::unavailable(text),
        RunError::Store(_)
        | RunError::Append { .. }
        | RunError::Empty { .. }
        | RunError::Replay { .. }
        | RunError::Fork { .. }
        | RunError::Compacted { .. }
        | RunError::Recreated { .. }
        | RunError::Compact { .. }
        | RunError::NotEnded { .. }
        | RunError::Answer { .. }
        | RunError::Patch { .. }
        | RunError::Over { .. }
        | RunError::Unreachable { .. }
        | RunError::Control { .. }
        | RunError::Graph { .. }
        | RunError::NoGraph(_)
        | RunError::Program { .. } => Status::failed_precondition(text),
    }
}
