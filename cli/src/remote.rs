//! Runs on a cluster, reached through any of its workers.

mod follow;
mod pods;
mod reach;
mod records;
mod tries;

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::Duration;

use superstep_proto::v1;
use superstep_proto::v1::runs_client::RunsClient;
use superstep_provision::write_documents;
use superstep_runtime::RunEnd;
use superstep_transport::{
    AddressError, Credentials, CredentialsError, LOOK, MESSAGE, Name, Security, channel,
};
use superstep_wire::WireError;
use tokio::runtime::Runtime;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::args::cluster::Trust;
use crate::args::runs::RunArgs;
use crate::exit::{CommandError, Exit};
use crate::input::InputError;
use crate::output::OutputFormat;
use crate::progress::Shown;
use crate::run::{exit_of, name_of_new};
use crate::signals::Signals;
use crate::watch::{Viewer, write_end};
use crate::{given, log, manifests, shell};

use pods::{NoPods, Pods};
pub(crate) use reach::{answer, cancel, patch, runs, suspend};
pub(crate) use records::records;
use tries::Tries;

/// How long a worker may take to say who the others are.
const LEARN: Duration = Duration::from_secs(2);
/// How long a request that nobody can answer at the moment is tried again.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a cluster cannot do what is asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoteError {
    /// The address is none, or does not fit the certificates.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// It names no graph.
    #[error(transparent)]
    Pods(#[from] NoPods),
    /// There are no certificates.
    #[error("no certificates can be shown")]
    Credentials(#[from] CredentialsError),
    /// Nobody answers there.
    #[error("no worker can be reached at {url}: {why}")]
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        why: String,
    },
    /// The cluster refuses.
    #[error("the cluster at {url} refuses: {}", said(.status))]
    Refused {
        /// Where.
        url: String,
        /// What it says.
        status: Status,
    },
    /// It says what means nothing to this version.
    #[error("the cluster at {url} says what this version does not understand")]
    Strange {
        /// Where.
        url: String,
        /// What.
        source: WireError,
    },
}

impl RemoteError {
    /// Whether what was asked for is wrong, and not the cluster.
    pub(crate) fn is_invalid(&self) -> bool {
        match self {
            Self::Address(_) | Self::Pods(_) | Self::Credentials(_) => true,
            Self::Refused { status, .. } => {
                matches!(
                    status.code(),
                    Code::InvalidArgument | Code::NotFound | Code::AlreadyExists | Code::FailedPrecondition
                )
            }
            Self::Unreachable { .. } | Self::Strange { .. } => false,
        }
    }
}

/// A worker of a cluster.
struct Place {
    url: String,
    client: RunsClient<Channel>,
}

impl Place {
    fn new(url: &str, security: &Security, workers_of: Option<&Name>) -> Result<Self, RemoteError> {
        let channel = match Pods::at(url) {
            Some(pods) => pods?.channel(),
            None => channel(url, security, workers_of)?,
        };
        let client = RunsClient::new(channel);
        let client = client.max_decoding_message_size(MESSAGE).max_encoding_message_size(MESSAGE);
        Ok(Self { url: url.to_owned(), client })
    }
}

/// A cluster.
pub(crate) struct Remote {
    /// The worker that was named.
    url: String,
    security: Security,
    workers_of: Option<Name>,
    /// The workers that are known, the one that is asked first.
    places: VecDeque<Place>,
}

impl Remote {
    /// The cluster of the worker at `url`, to be used inside a runtime.
    ///
    /// # Errors
    /// It is no address, or the certificates that it wants are not there.
    pub(crate) fn new(url: &str, trust: &Trust) -> Result<Self, RemoteError> {
        let security = match &trust.tls {
            Some(folder) => Security::Mutual(Credentials::open(folder, LOOK)?),
            None => Security::Plaintext,
        };
        let workers_of = trust.workers_of.clone();
        let places = VecDeque::from([Place::new(url, &security, workers_of.as_ref())?]);
        Ok(Self { url: url.to_owned(), security, workers_of, places })
    }

    /// The worker that is asked.
    fn place(&self) -> &Place {
        self.places.front().expect("the worker that was named is never forgotten")
    }

    /// Asks another worker from here on, if one is known.
    fn turn(&mut self) {
        self.places.rotate_left(1);
    }

    /// Learns which other workers there are, in case that this one goes away. What is learned may be of no use: they
    /// need not be reachable from here.
    async fn learn(&mut self) {
        let mut client = self.place().client.clone();
        let cluster = tokio::time::timeout(LEARN, client.cluster(v1::ClusterRequest {})).await;
        let Ok(Ok(cluster)) = cluster else { return };
        let workers = cluster.into_inner().workers;
        let is_there = |url: &str| workers.iter().any(|worker| worker.address == url);
        let (named, asked) = (self.url.clone(), self.place().url.clone());
        self.places.retain(|place| place.url == named || place.url == asked || is_there(&place.url));
        for worker in &workers {
            if self.places.iter().any(|place| place.url == worker.address) {
                continue;
            }
            match Place::new(&worker.address, &self.security, self.workers_of.as_ref()) {
                Ok(place) => self.places.push_back(place),
                Err(error) => tracing::debug!(%error, "a worker cannot be reached from here"),
            }
        }
    }

    fn error(&self, status: Status) -> RemoteError {
        let url = self.url.clone();
        if may_pass(&status) {
            RemoteError::Unreachable { url, why: status.message().to_owned() }
        } else {
            RemoteError::Refused { url, status }
        }
    }

    fn strange(&self, source: WireError) -> RemoteError {
        RemoteError::Strange { url: self.url.clone(), source }
    }

    /// Asks until somebody can answer, for a while.
    pub(crate) async fn ask<A>(
        &mut self,
        ask: impl AsyncFn(RunsClient<Channel>) -> Result<A, Status>,
    ) -> Result<A, RemoteError> {
        self.ask_for(&mut Tries::during(PATIENCE), ask).await
    }

    /// Asks one worker after the other until one can answer, as often as `tries` lets.
    async fn ask_for<A>(
        &mut self,
        tries: &mut Tries,
        ask: impl AsyncFn(RunsClient<Channel>) -> Result<A, Status>,
    ) -> Result<A, RemoteError> {
        loop {
            match ask(self.place().client.clone()).await {
                Ok(answer) => {
                    if tries.comes_back() {
                        log::say(&format!("the worker at {} answers", self.place().url));
                    }
                    return Ok(answer);
                }
                Err(status) if may_pass(&status) => {
                    let why = status.message().to_owned();
                    let url = self.place().url.clone();
                    if !tries.pause(|| log::say(&format!("nobody answers at {url} yet: {why}"))).await {
                        return Err(self.error(status));
                    }
                    self.turn();
                }
                Err(status) => return Err(self.error(status)),
            }
        }
    }

    /// Asks once; none if nobody can answer at the moment.
    pub(crate) async fn look<A>(
        &self,
        ask: impl AsyncFn(RunsClient<Channel>) -> Result<A, Status>,
    ) -> Result<Option<A>, RemoteError> {
        match ask(self.place().client.clone()).await {
            Ok(answer) => Ok(Some(answer)),
            Err(status) if may_pass(&status) => Ok(None),
            Err(status) => Err(self.error(status)),
        }
    }

    /// Starts a run.
    async fn submit(&mut self, request: v1::SubmitRequest) -> Result<(), RemoteError> {
        let submit = async |mut client: RunsClient<Channel>| client.submit(request.clone()).await.map(|_| ());
        self.ask(submit).await
    }

    /// Where a run stands.
    async fn get(&mut self, run: &str) -> Result<v1::Run, RemoteError> {
        let request = v1::GetRequest { run: run.to_owned() };
        let got = self.ask(async |mut client: RunsClient<Channel>| client.get(request.clone()).await).await?;
        let missing = WireError::Missing { what: "a run" };
        got.into_inner().run.ok_or_else(|| self.strange(missing))
    }

    /// How a run has ended.
    async fn end(&mut self, run: &str) -> Result<Option<RunEnd>, RemoteError> {
        let run = self.get(run).await?;
        if run.status.is_none() {
            return Ok(None);
        }
        let end = || -> Result<RunEnd, WireError> {
            Ok(RunEnd {
                status: superstep_wire::status_of(run.status.clone())?,
                outputs: superstep_wire::payload_of(run.outputs.clone())?,
                totals: superstep_wire::totals_of(run.totals),
            })
        };
        end().map(Some).map_err(|source| self.strange(source))
    }
}

/// What a cluster says that refuses.
fn said(status: &Status) -> &str {
    if status.code() == Code::Unimplemented {
        return "its workers are of a version that cannot tell that";
    }
    status.message()
}

/// Whether the same again may be answered.
fn may_pass(status: &Status) -> bool {
    // A connection that breaks in the middle is unknown.
    matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled)
}

/// Runs a graph on a cluster, and shows what happens until it ends.
///
/// # Errors
/// The files or the input are wrong, or the cluster cannot be reached or refuses.
pub(crate) fn run(args: &RunArgs, url: &str) -> Result<Exit, CommandError> {
    #[cfg(feature = "otlp")]
    if args.trace.otlp.is_some() || args.trace.trace_content {
        return Err(CommandError::TraceElsewhere);
    }
    let reads_stdin = args.files.files.iter().any(|file| file.as_os_str() == "-");
    if reads_stdin && args.input.as_deref() == Some("-") {
        return Err(InputError::StdinTwice.into());
    }
    let manifests = manifests::read(&args.files)?;
    let chosen = manifests.resources.graph(args.graph.as_deref())?;
    let root = chosen.content.document.metadata.name.clone();
    let (input, parameters) = given::of_run(args, &chosen.content.document.spec.graph)?;
    let name = name_of_new(args.run_id.as_deref(), &root)?;
    let request = v1::SubmitRequest {
        run: name.to_string(),
        documents: write_documents(&manifests.resources),
        graph: root,
        input: input.to_string().into_bytes().into(),
        parameters: if parameters.is_null() { Vec::new() } else { parameters.to_string().into_bytes() }
            .into(),
        continue_from: args.continue_from.clone().unwrap_or_default(),
        fork_from: None,
    };
    let runtime = Runtime::new()?;
    let signals = Signals::watch(&runtime)?;
    let shown = Shown::new(args.progress, None);
    if shown.is_some() {
        log::say_as_it_is(&format!("run {name} at {url}"));
    }
    let viewer = Viewer::of(shown);
    let trust = &args.connect.trust;
    let begun = runtime.block_on(async { Remote::new(url, trust)?.submit(request).await });
    begun?;
    let shown = Showing { url, trust, run: name.as_str(), cursor: Vec::new(), format: Some(args.output) };
    show(&shown, &viewer, (runtime, signals))
}

/// What of a run is shown.
pub(crate) struct Showing<'a> {
    /// A worker of its cluster.
    pub(crate) url: &'a str,
    /// Who this command is to it.
    pub(crate) trust: &'a Trust,
    /// The run.
    pub(crate) run: &'a str,
    /// Where to begin.
    pub(crate) cursor: Vec<u8>,
    /// How the result is written; none for events as lines.
    pub(crate) format: Option<OutputFormat>,
}

/// Shows what happens in a run until it ends, and ends as it did. An interruption ends the showing, not the run.
///
/// # Errors
/// The cluster cannot be reached or refuses, or stdout cannot be written to.
pub(crate) fn show(
    showing: &Showing<'_>,
    viewer: &Viewer,
    (runtime, mut signals): (Runtime, Signals),
) -> Result<Exit, CommandError> {
    let end = runtime.block_on(async {
        let mut remote = Remote::new(showing.url, showing.trust)?;
        let watched = v1::WatchRequest {
            run: showing.run.to_owned(),
            cursor: showing.cursor.clone().into(),
            texts: viewer.wants_texts(),
            ..v1::WatchRequest::default()
        };
        let following = remote.follow(watched, |seen, cursor| {
            viewer.see(seen, cursor)?;
            Ok(ControlFlow::Continue(()))
        });
        tokio::select! {
            end = following => end,
            () = signals.come() => Ok(None),
        }
    });
    runtime.shutdown_background();
    let Some(end) = end? else {
        let (run, url) = (showing.run, showing.url);
        let at = shell::address(url, showing.trust.tls.as_deref());
        log::say(&format!("the run goes on; look at it again with: superstep watch {run} --connect {at}"));
        return Ok(Exit::Interrupted);
    };
    write_end(&end, showing.format)?;
    let name = showing.run.parse().map_err(superstep_runtime::RunError::Store)?;
    Ok(exit_of(&name, &end.status))
}
