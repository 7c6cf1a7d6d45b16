//! Where workers attend to the leader.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::Stream;
use superstep_proto::v1;
use superstep_proto::v1::coordination_server::Coordination;
use superstep_proto::v1::from_leader::Said;
use superstep_transport::Gate;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{Attendant, Connection, LeaderHandle, ToLeader};
use crate::limits::BEAT;
use crate::pieces::Pieces;

/// What a leader says to a worker.
pub(crate) type FromLeaderStream = Pin<Box<dyn Stream<Item = Result<v1::FromLeader, Status>> + Send>>;

/// Where workers attend to the leader of this process, while there is one. Clones share it.
#[derive(Clone)]
pub(crate) struct Attendance {
    name: Arc<str>,
    leader: watch::Receiver<Option<LeaderHandle>>,
    next: Arc<AtomicU64>,
    /// Whoever is silent for so long is taken for lost.
    lost: Duration,
}

impl Attendance {
    pub(crate) fn new(name: &str, leader: watch::Receiver<Option<LeaderHandle>>, lost: Duration) -> Self {
        Self { name: name.into(), leader, next: Arc::default(), lost }
    }

    /// Lets a worker attend that says `stream`, and that is `allowed` to be who it says.
    ///
    /// # Errors
    /// Nobody leads here, it does not say who it is, or it may not be that.
    pub(crate) async fn admit<S>(
        &self,
        mut stream: S,
        allowed: impl FnOnce(&v1::Register) -> Result<(), Status> + Send,
    ) -> Result<FromLeaderStream, Status>
    where
        S: Stream<Item = Result<v1::FromWorker, Status>> + Send + Unpin + 'static,
    {
        let leader = self.leader.borrow().clone();
        let leader = leader.ok_or_else(|| Status::unavailable("this worker does not lead"))?;
        let first = stream.next().await.transpose()?.and_then(|message| message.said);
        let Some(v1::from_worker::Said::Register(register)) = first else {
            return Err(Status::invalid_argument("a worker registers first"));
        };
        allowed(&register)?;
        let connection = Connection(self.next.fetch_add(1, Ordering::Relaxed));
        let (out, outgoing) = mpsc::unbounded_channel();
        let attendant = Attendant {
            connection,
            name: register.worker,
            incarnation: register.incarnation,
            address: register.address,
            labels: register.labels.into_iter().collect(),
            starts_at_once: register.starts_at_once,
            out,
            leaving: false,
            stale_refused: 0,
        };
        let millis = |duration: Duration| u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
        attendant.say(Said::Registered(v1::Registered {
            leader: self.name.to_string(),
            beat_millis: millis(BEAT),
            lost_after_millis: millis(self.lost),
        }));
        tokio::spawn(listen(leader, attendant, self.lost, stream));
        Ok(Box::pin(UnboundedReceiverStream::new(outgoing).map(Ok)))
    }
}

/// That as a service, for the workers of other processes.
pub(crate) struct AttendanceService {
    attendance: Attendance,
    gate: Gate,
}

impl AttendanceService {
    pub(crate) fn new(attendance: Attendance, gate: Gate) -> Self {
        Self { attendance, gate }
    }
}

#[tonic::async_trait]
impl Coordination for AttendanceService {
    type AttendStream = FromLeaderStream;

    async fn attend(
        &self,
        request: Request<Streaming<v1::FromWorker>>,
    ) -> Result<Response<FromLeaderStream>, Status> {
        let (_, extensions, stream) = request.into_parts();
        let allowed = |register: &v1::Register| self.gate.check_name(&extensions, &register.worker);
        Ok(Response::new(self.attendance.admit(stream, allowed).await?))
    }
}

/// Hands on what a worker says, until it is gone or silent for too long.
async fn listen<S>(leader: LeaderHandle, attendant: Attendant, lost: Duration, mut stream: S)
where
    S: Stream<Item = Result<v1::FromWorker, Status>> + Send + Unpin,
{
    let connection = attendant.connection;
    let out = attendant.clone();
    let tell = |told| leader.send(told).is_ok();
    if !tell(ToLeader::Attached(attendant)) {
        return;
    }
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    let mut pieces = Pieces::default();
    loop {
        tokio::select! {
            message = timeout_at(heard + lost, stream.next()) => {
                let Ok(Some(Ok(message))) = message else { break };
                heard = Instant::now();
                let said = match message.said {
                    Some(v1::from_worker::Said::Piece(piece)) => match pieces.take::<v1::FromWorker>(&piece) {
                        Ok(whole) => whole.and_then(|whole| whole.said),
                        Err(error) => {
                            tracing::error!(%error, "a long message of a worker means nothing");
                            break;
                        }
                    },
                    said => said,
                };
                if let Some(said) = said
                    && !tell(ToLeader::Said(connection, said))
                {
                    return;
                }
            }
            _ = beat.tick() => out.say(Said::Beat(v1::Beat::default())),
            // It hears nothing any more. Over the network what it says ends then, too.
            () = out.out.closed() => break,
        }
    }
    if !tell(ToLeader::Detached(connection)) {
        tracing::trace!("the leader is gone");
    }
}
