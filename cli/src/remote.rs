//! Runs on a cluster, reached through any of its workers.

use std::time::Duration;

use superstep_proto::v1;
use superstep_proto::v1::runs_client::RunsClient;
use superstep_provision::write_documents;
use superstep_runtime::{RunEnd, Seen};
use superstep_transport::{AddressError, Credentials, CredentialsError, LOOK, MESSAGE, Security, channel};
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
use crate::run::{exit_of, fresh_name};
use crate::signals::Signals;
use crate::watch::{Viewer, write_end};
use crate::{given, log, manifests};

/// How long a request that nobody can answer at the moment is tried again.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why a cluster cannot do what is asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoteError {
    /// The address is none, or does not fit the certificates.
    #[error(transparent)]
    Address(#[from] AddressError),
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
    #[error("the cluster at {url} refuses: {}", .status.message())]
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
            Self::Address(_) | Self::Credentials(_) => true,
            Self::Refused { status, .. } => {
                matches!(status.code(), Code::InvalidArgument | Code::NotFound | Code::AlreadyExists)
            }
            Self::Unreachable { .. } | Self::Strange { .. } => false,
        }
    }
}

/// A cluster.
pub(crate) struct Remote {
    url: String,
    client: RunsClient<Channel>,
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
        let client = RunsClient::new(channel(url, &security, trust.workers_of.as_ref())?);
        let client = client.max_decoding_message_size(MESSAGE).max_encoding_message_size(MESSAGE);
        Ok(Self { url: url.to_owned(), client })
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
        &self,
        ask: impl AsyncFn(RunsClient<Channel>) -> Result<A, Status>,
    ) -> Result<A, RemoteError> {
        let patience = tokio::time::Instant::now() + PATIENCE;
        let mut said = false;
        loop {
            match ask(self.client.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(status) if may_pass(&status) && tokio::time::Instant::now() < patience => {
                    if !std::mem::replace(&mut said, true) {
                        log::say(&format!("nobody answers at {} yet: {}", self.url, status.message()));
                    }
                    tokio::time::sleep(Duration::from_millis(300)).await;
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
        match ask(self.client.clone()).await {
            Ok(answer) => Ok(Some(answer)),
            Err(status) if may_pass(&status) => Ok(None),
            Err(status) => Err(self.error(status)),
        }
    }

    /// Starts a run.
    async fn submit(&self, request: v1::SubmitRequest) -> Result<(), RemoteError> {
        let submit = async |mut client: RunsClient<Channel>| client.submit(request.clone()).await.map(|_| ());
        self.ask(submit).await
    }

    /// How a run has ended.
    async fn end(&self, run: &str) -> Result<Option<RunEnd>, RemoteError> {
        let request = v1::GetRequest { run: run.to_owned() };
        let got = self.ask(async |mut client: RunsClient<Channel>| client.get(request.clone()).await).await?;
        let Some(run) = got.into_inner().run.filter(|run| run.status.is_some()) else { return Ok(None) };
        let end = || -> Result<RunEnd, WireError> {
            Ok(RunEnd {
                status: superstep_wire::status_of(run.status.clone())?,
                outputs: superstep_wire::payload_of(run.outputs.clone())?,
                totals: superstep_wire::totals_of(run.totals),
            })
        };
        end().map(Some).map_err(|source| self.strange(source))
    }

    /// Shows what happens in a run behind `cursor`, to its end. If the stream breaks it is taken up where it was.
    async fn follow(
        &self,
        run: &str,
        mut cursor: Vec<u8>,
        see: &mut impl FnMut(&Seen) -> Result<(), CommandError>,
    ) -> Result<RunEnd, CommandError> {
        loop {
            let request =
                v1::WatchRequest { run: run.to_owned(), cursor: cursor.clone().into(), texts: true };
            let watch = async |mut client: RunsClient<Channel>| client.watch(request.clone()).await;
            let mut events = self.ask(watch).await?.into_inner();
            loop {
                match events.message().await {
                    Ok(Some(event)) => {
                        if !event.cursor.is_empty() {
                            cursor = event.cursor.to_vec();
                        }
                        let seen = superstep_wire::seen_of(event).map_err(|source| self.strange(source))?;
                        see(&seen)?;
                    }
                    Ok(None) => match self.end(run).await? {
                        Some(end) => return Ok(end),
                        None => break,
                    },
                    Err(status) if may_pass(&status) => {
                        tokio::time::sleep(Duration::from_millis(200)).await;
                        break;
                    }
                    Err(status) => return Err(self.error(status).into()),
                }
            }
        }
    }
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
    let reads_stdin = args.files.files.iter().any(|file| file.as_os_str() == "-");
    if reads_stdin && args.input.as_deref() == Some("-") {
        return Err(InputError::StdinTwice.into());
    }
    let manifests = manifests::read(&args.files)?;
    let chosen = manifests.resources.graph(args.graph.as_deref())?;
    let root = chosen.content.document.metadata.name.clone();
    let (input, parameters) = given::of_run(args, &chosen.content.document.spec.graph)?;
    let name = fresh_name(args.run_id.as_deref(), &root)?;
    let request = v1::SubmitRequest {
        run: name.to_string(),
        documents: write_documents(&manifests.resources),
        graph: root,
        input: input.to_string().into_bytes().into(),
        parameters: if parameters.is_null() { Vec::new() } else { parameters.to_string().into_bytes() }
            .into(),
        continue_from: args.continue_from.clone().unwrap_or_default(),
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
        let remote = Remote::new(showing.url, showing.trust)?;
        let mut see = |seen: &Seen| viewer.see(seen);
        tokio::select! {
            end = remote.follow(showing.run, showing.cursor.clone(), &mut see) => end.map(Some),
            () = signals.come() => Ok(None),
        }
    });
    runtime.shutdown_background();
    let Some(end) = end? else {
        let (run, url) = (showing.run, showing.url);
        let tls = showing.trust.tls.as_ref().map(|folder| format!(" --tls {}", folder.display()));
        let at = format!("{url}{}", tls.unwrap_or_default());
        log::say(&format!("the run goes on; look at it again with: superstep watch {run} --connect {at}"));
        return Ok(Exit::Interrupted);
    };
    write_end(&end, showing.format)?;
    let name = showing.run.parse().map_err(superstep_runtime::RunError::Store)?;
    Ok(exit_of(&name, &end.status))
}
