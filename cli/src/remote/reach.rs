//! Changing runs of a cluster, and listing them.

use std::collections::BTreeSet;
use std::io;
use std::ops::ControlFlow;

use superstep_engine::{Question, QuestionId};
use superstep_proto::v1;
use superstep_proto::v1::runs_client::RunsClient;
use superstep_runtime::RunError;
use superstep_store::RunName;
use superstep_wire::WireError;
use tokio::runtime::{Builder, Runtime};
use tonic::transport::Channel;

use super::Remote;
use crate::answer::Given;
use crate::args::cluster::Trust;
use crate::args::reach::{CancelArgs, PatchArgs, SuspendArgs};
use crate::args::runs::RunsArgs;
use crate::exit::{CommandError, Exit};
use crate::patch::{Verdicts, read};
use crate::runs::{Row, chosen, write};
use crate::{cancel, log, output, shell, suspend};

/// Answers a question of a run: `given` says which of the open ones, and how; none if none is to be answered.
///
/// # Errors
/// Those of `given`; there is no such run, or nobody can be reached.
pub(crate) fn answer(
    asked: &str,
    (url, trust): (&str, &Trust),
    given: impl FnOnce(&RunName, Vec<(QuestionId, Question)>) -> Given,
) -> Result<Exit, CommandError> {
    let name = run_name(asked)?;
    runtime()?.block_on(async {
        let mut remote = Remote::new(url, trust)?;
        let run = remote.get(asked).await?;
        let open: Result<Vec<_>, WireError> = run.questions.into_iter().map(question).collect();
        let open = open.map_err(|source| remote.strange(source))?;
        let Some((id, answer)) = given(&name, open)? else { return Ok(Exit::Success) };
        remote.learn().await;
        let request = v1::AnswerRequest {
            run: asked.to_owned(),
            question: Some(superstep_wire::question(&id)),
            answer: answer.value().to_string().into_bytes().into(),
        };
        remote.ask(async |mut client: RunsClient<Channel>| client.answer(request.clone()).await).await?;
        log::say(&format!("{id} has its answer"));
        Ok(Exit::Success)
    })
}

/// Asks for changes to the graph of a run, and shows what became of them.
///
/// # Errors
/// The files are wrong or for something else, there is no such run, it has ended or knows another patch of that
/// name, or nobody can be reached.
pub(crate) fn patch(args: &PatchArgs, url: &str) -> Result<Exit, CommandError> {
    let name = run_name(&args.run)?;
    let runtime = runtime()?;
    let verdicts = runtime.block_on(async {
        let mut remote = Remote::new(url, &args.connect.trust)?;
        let run = remote.get(&args.run).await?;
        let patches = read(&args.files, &name, &run.graph)?;
        remote.learn().await;
        for patch in &patches {
            let request = v1::PatchRequest {
                run: args.run.clone(),
                name: patch.requester.clone(),
                mutations: serde_json::to_vec(&patch.mutations).map_err(io::Error::from)?.into(),
            };
            remote.ask(async |mut client: RunsClient<Channel>| client.patch(request.clone()).await).await?;
        }
        let mut verdicts = Verdicts::of(&patches);
        if !args.no_wait {
            let watched = v1::WatchRequest { run: args.run.clone(), ..v1::WatchRequest::default() };
            let judged = remote.follow(watched, |seen, _| {
                verdicts.see(seen);
                Ok(if verdicts.are_complete() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            });
            judged.await?;
        }
        Ok::<_, CommandError>(verdicts)
    })?;
    output::write(&verdicts.shown(), args.output, &mut io::stdout().lock())?;
    let at = shell::address(url, args.connect.trust.tls.as_deref());
    verdicts.advise(&name, &format!(" --connect {at}"), true);
    Ok(if verdicts.any_refused() { Exit::RunFailed } else { Exit::Success })
}

/// Lets a run stand still at its next barrier, or go on.
///
/// # Errors
/// There is no such run, or nobody can be reached.
pub(crate) fn suspend(args: &SuspendArgs, url: &str) -> Result<Exit, CommandError> {
    let name = run_name(&args.run)?;
    runtime()?.block_on(async {
        let mut remote = Remote::new(url, &args.connect.trust)?;
        remote.learn().await;
        let request = v1::SuspendRequest { run: args.run.clone(), suspended: !args.off };
        remote.ask(async |mut client: RunsClient<Channel>| client.suspend(request.clone()).await).await?;
        suspend::tell(&name, !args.off);
        Ok(Exit::Success)
    })
}

/// Ends a run, and writes what it had given.
///
/// # Errors
/// There is no such run, or nobody can be reached.
pub(crate) fn cancel(args: &CancelArgs, url: &str) -> Result<Exit, CommandError> {
    let name = run_name(&args.run)?;
    let (status, run) = runtime()?.block_on(async {
        let mut remote = Remote::new(url, &args.connect.trust)?;
        remote.learn().await;
        let request = v1::CancelRequest { run: args.run.clone() };
        let ended = remote.ask(async |mut client: RunsClient<Channel>| client.cancel(request.clone()).await);
        let status = superstep_wire::status_of(ended.await?.into_inner().status);
        let status = status.map_err(|source| remote.strange(source))?;
        let run = remote.get(&args.run).await?;
        let outputs = superstep_wire::payload_of(run.outputs).map_err(|source| remote.strange(source))?;
        Ok::<_, CommandError>((status, outputs))
    })?;
    cancel::tell(&name, &status, &run, args.output)
}

/// Lists the runs, the newest first.
///
/// # Errors
/// Nobody can be reached, or stdout cannot be written to.
pub(crate) fn runs(args: &RunsArgs, url: &str) -> Result<Exit, CommandError> {
    let most = args.limit.unwrap_or(usize::MAX);
    let rows = runtime()?.block_on(async {
        let mut remote = Remote::new(url, &args.connect.trust)?;
        let (mut rows, mut seen, mut after) = (Vec::new(), BTreeSet::new(), String::new());
        loop {
            let request = v1::ListRequest { after, ..v1::ListRequest::default() };
            let page = remote.ask(async |mut client: RunsClient<Channel>| client.list(request.clone()).await);
            let page = page.await?.into_inner();
            after = page.runs.last().map(|run| run.name.clone()).unwrap_or_default();
            // When the last one of a page was removed the list begins again.
            let fresh: Vec<v1::Run> =
                page.runs.into_iter().filter(|run| seen.insert(run.name.clone())).collect();
            let more = page.more && !fresh.is_empty();
            for run in fresh {
                rows.push(Row::of_cluster(run).map_err(|source| remote.strange(source))?);
            }
            if !more || rows.iter().filter(|row| chosen(args, row)).count() >= most {
                return Ok::<_, CommandError>(rows);
            }
        }
    })?;
    write(args, rows)
}

fn question(question: v1::Question) -> Result<(QuestionId, Question), WireError> {
    let ask = superstep_wire::payload_of(question.ask)?;
    Ok((superstep_wire::question_of(question.id)?, Question { ask, state: None }))
}

fn run_name(name: &str) -> Result<RunName, CommandError> {
    Ok(name.parse().map_err(RunError::Store)?)
}

pub(super) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}
