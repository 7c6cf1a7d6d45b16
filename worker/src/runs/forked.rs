//! Runs that begin with a part of another one.

use std::time::SystemTime;

use superstep_engine::Fork;
use superstep_proto::v1;
use superstep_runtime::{Origin, RunError, fork, read_run};
use superstep_store::{RunName, StoreError};
use tokio::runtime::Handle;
use tonic::Status;

use super::{RunsService, answers, status_of};
use crate::blocking::blocking;
use crate::with_causes;

impl RunsService {
    /// Makes a run of what another one had committed before a superstep. If it is `again` asked for, it may be there.
    ///
    /// # Errors
    /// The request says more than a fork may, there is no such run or superstep, or the store fails.
    pub(super) async fn fork(
        &self,
        name: RunName,
        again: bool,
        (request, from): (&v1::SubmitRequest, &v1::ForkFrom),
    ) -> Result<(), Status> {
        let of = answers::run_name(&from.run)?;
        if !(request.documents.is_empty()
            && request.input.is_empty()
            && request.parameters.is_empty()
            && request.continue_from.is_empty())
        {
            let what =
                "a fork has the documents, the input and the parameters of its run, and continues no other";
            return Err(Status::invalid_argument(what));
        }
        let started_at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let plan = Fork {
            run: name.to_string(),
            superstep: from.superstep,
            mutations: Vec::new(),
            started_at: started_at.map_or(0, |since| since.as_secs()),
        };
        let (service, graph, runtime) = (self.clone(), request.graph.clone(), Handle::current());
        blocking(move || service.fork_now((of, graph, name), again, &plan, &runtime)).await
    }

    fn fork_now(
        &self,
        (of, graph, name): (RunName, String, RunName),
        again: bool,
        plan: &Fork,
        runtime: &Handle,
    ) -> Result<(), Status> {
        let (started, records) = read_run(&self.store, &of).map_err(|error| status_of(&error))?;
        if !graph.is_empty() && started.root != graph {
            let of_other = format!("run \"{of}\" is of graph \"{}\", not of \"{graph}\"", started.root);
            return Err(Status::invalid_argument(of_other));
        }
        let programs = self
            .provisions
            .not_loaded(&of, &started)
            .map_err(|error| Status::failed_precondition(with_causes(&*error)))?;
        match runtime.block_on(fork(&self.store, (&of, records.as_slice()), &programs, &self.name, plan)) {
            Ok(_) => Ok(()),
            Err(RunError::Store(StoreError::Exists { .. })) if again => {
                let (_, there) = read_run(&self.store, &name).map_err(|error| status_of(&error))?;
                let wanted = Origin::Forked { run: of.to_string(), superstep: plan.superstep };
                if Origin::of(&there) == Some(wanted) {
                    Ok(())
                } else {
                    Err(Status::already_exists(format!("there is a run \"{name}\" already")))
                }
            }
            Err(error) => Err(status_of(&error)),
        }
    }
}
