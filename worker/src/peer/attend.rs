//! Attending to the leader: what it assigns and commands reaches the runs, and what they say reaches it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use superstep_engine::Record;
use superstep_proto::v1;
use superstep_proto::v1::from_leader::Said as LeaderSaid;
use superstep_proto::v1::from_worker::Said;
use superstep_store::RunName;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep, timeout_at};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::{ReceiverStream, UnboundedReceiverStream};

use super::{Assigned, Peer, TextsToLeader, ToLeader, ToRun};
use crate::channels::Channels;
use crate::discovery::Discovery;
use crate::leader::{Attendance, FromLeaderStream};
use crate::limits::{BEAT, LOST, TEXTS};
use crate::pieces::{Pieces, tell_leader};

/// How long a worker that wants to leave looks for somebody to leave to: longer than a lease lasts.
const ALONE: Duration = Duration::from_secs(15);
/// How long a leader may take to let a worker attend.
const REACHED: Duration = Duration::from_secs(2);

/// Where the leader is, as far as is known.
pub(crate) type LeaderAddress = watch::Receiver<Option<Arc<str>>>;

/// A worker that attends to whoever leads.
pub(crate) struct Attending {
    pub(crate) peer: Peer,
    pub(crate) channels: Channels,
    /// The leader of this process, while there is one, and where others would reach it.
    pub(crate) attendance: Attendance,
    pub(crate) here: Arc<str>,
    /// Who else there is.
    pub(crate) discovery: Arc<dyn Discovery>,
    pub(crate) register: v1::Register,
    pub(crate) leader: LeaderAddress,
    /// Whether the worker is to stop.
    pub(crate) leaving: watch::Receiver<bool>,
}

/// Attends to whoever leads, until the leader dismisses the worker.
pub(crate) async fn attend(mut attending: Attending) {
    let mut attended = Instant::now();
    loop {
        // Nobody is left who could take over what the worker has.
        let leaving = *attending.leaving.borrow();
        if leaving && (attended.elapsed() > ALONE || attending.is_alone().await) {
            return;
        }
        let address = attending.leader.borrow_and_update().clone();
        let Some(address) = address else {
            tokio::select! {
                changed = attending.leader.changed() => if changed.is_err() { return },
                () = sleep(BEAT) => {}
            }
            continue;
        };
        match attending.attend_to(&address).await {
            Ok(true) => return,
            Ok(false) => {
                tracing::info!(%address, "the leader is lost");
                attended = Instant::now();
            }
            Err(status) => tracing::debug!(%address, %status, "the leader cannot be attended to"),
        }
        sleep(Duration::from_millis(100)).await;
    }
}

impl Attending {
    /// Whether there is no other worker, as far as is known.
    async fn is_alone(&self) -> bool {
        match self.discovery.has_others(&self.register.worker).await {
            Ok(others) => !others,
            Err(error) => {
                let why = crate::with_causes(&error);
                tracing::warn!(%why, "whether there are other workers is not known");
                false
            }
        }
    }

    /// Attends to one leader; whether it has dismissed the worker.
    async fn attend_to(&mut self, address: &Arc<str>) -> Result<bool, tonic::Status> {
        let (out, outgoing) = mpsc::unbounded_channel();
        let (texts, written) = mpsc::channel(TEXTS);
        tell(&out, Said::Register(self.register.clone()));
        let outgoing = UnboundedReceiverStream::new(outgoing).merge(ReceiverStream::new(written));
        let attended = timeout_at(Instant::now() + REACHED, self.reach(address, outgoing));
        let Ok(attended) = attended.await else { return Err(tonic::Status::deadline_exceeded("no answer")) };
        let stream = attended?;
        let (peer, pieces) = (self.peer.clone(), Pieces::default());
        let mut session = Session { peer, out, texts, stream, assigned: HashMap::new(), pieces };
        let (mut beat, mut lost) = (beats(BEAT), LOST);
        let mut heard = Instant::now();
        let mut told = false;
        loop {
            if *self.leaving.borrow() && !told {
                tell(&session.out, Said::Leaving(v1::Leaving {}));
                told = true;
            }
            tokio::select! {
                message = timeout_at(heard + lost, session.stream.next()) => {
                    let Ok(message) = message else { return Ok(false) };
                    let message = message.transpose()?;
                    let Some(said) = message.and_then(|message| message.said) else { return Ok(false) };
                    heard = Instant::now();
                    if let LeaderSaid::Registered(registered) = &said {
                        beat = beats(millis(registered.beat_millis, BEAT));
                        lost = millis(registered.lost_after_millis, LOST);
                    }
                    if session.take(said) {
                        return Ok(true);
                    }
                }
                _ = beat.tick() => {
                    let stale_refused = self.peer.counts.stale.refused();
                    tell(&session.out, Said::Beat(v1::Beat { stale_refused }));
                }
                Ok(()) = self.leaving.changed(), if !told => {}
                Ok(()) = self.leader.changed() => {
                    // Another leads: what this one has assigned goes on until the other takes it over.
                    let now = self.leader.borrow_and_update().clone();
                    if now.is_some_and(|now| now != *address) {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// Attends to the leader at `address`, with what the worker says to it; what it says. The leader of the own process
    /// is not reached over the network.
    async fn reach(
        &self,
        address: &Arc<str>,
        said: impl Stream<Item = v1::FromWorker> + Send + Unpin + 'static,
    ) -> Result<FromLeaderStream, tonic::Status> {
        if *address == self.here {
            return self.attendance.admit(said.map(Ok), |_| Ok(())).await;
        }
        let client = self.channels.coordination(address);
        let mut client = client.map_err(|error| tonic::Status::invalid_argument(error.to_string()))?;
        Ok(Box::pin(client.attend(said).await?.into_inner()))
    }
}

/// How often a worker says that it lives.
fn beats(every: Duration) -> Interval {
    let mut beats = interval(every);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beats
}

/// What a leader expects, if it says so.
fn millis(expected: u32, otherwise: Duration) -> Duration {
    if expected == 0 { otherwise } else { Duration::from_millis(expected.into()) }
}

/// What one leader has said.
struct Session {
    peer: Peer,
    out: ToLeader,
    texts: TextsToLeader,
    stream: FromLeaderStream,
    /// Assignments whose records have not all come.
    assigned: HashMap<String, Assigned>,
    pieces: Pieces,
}

impl Session {
    /// Takes in what the leader says; whether it dismisses the worker.
    fn take(&mut self, said: LeaderSaid) -> bool {
        match said {
            LeaderSaid::Registered(_) | LeaderSaid::Beat(_) => {}
            LeaderSaid::Assign(assign) => {
                let (leader, texts) = (self.out.clone(), self.texts.clone());
                let assigned = Assigned { records: Vec::new(), leader, texts, assign };
                let run = assigned.assign.run.clone();
                self.assigned.insert(run.clone(), assigned);
                self.hand_on(&run);
            }
            LeaderSaid::Records(records) => self.records(records),
            LeaderSaid::Commands(commands) => self.tell(&commands.run.clone(), ToRun::Commands(commands)),
            LeaderSaid::Release(release) => {
                self.assigned.remove(&release.run);
                self.tell(&release.run, ToRun::Release(release.epoch));
            }
            LeaderSaid::Relayed(batch) => self.peer.deliver(batch, None),
            LeaderSaid::Piece(piece) => match self.pieces.take::<v1::FromLeader>(&piece) {
                Ok(whole) => {
                    if let Some(said) = whole.and_then(|whole| whole.said) {
                        return self.take(said);
                    }
                }
                Err(error) => tracing::error!(%error, "a long message of the leader means nothing"),
            },
            LeaderSaid::Listen(listen) => self.tell(&listen.run, ToRun::Listen(listen.texts)),
            LeaderSaid::Dismissed(_) => return true,
        }
        false
    }

    fn records(&mut self, records: v1::Records) {
        let Some(assigned) = self.assigned.get_mut(&records.run) else { return };
        if assigned.assign.epoch != records.epoch {
            return;
        }
        let decoded: Result<Vec<Record>, _> =
            records.records.iter().map(|record| postcard::from_bytes(record)).collect();
        match decoded {
            Ok(decoded) => {
                assigned.records.extend(decoded);
                self.hand_on(&records.run);
            }
            Err(error) => {
                let (run, epoch) = (records.run, records.epoch);
                let why = format!("a record cannot be decoded: {error}");
                tell(&self.out, Said::Gone(v1::Gone { run, epoch, why }));
            }
        }
    }

    /// Gives a run its partition, if all records have come.
    fn hand_on(&mut self, run: &str) {
        let complete = |assigned: &&Assigned| assigned.records.len() as u64 >= assigned.assign.records;
        if self.assigned.get(run).filter(complete).is_none() {
            return;
        }
        if let Some(assigned) = self.assigned.remove(run) {
            self.tell(run, ToRun::Assign(Box::new(assigned)));
        }
    }

    fn tell(&self, run: &str, what: ToRun) {
        match run.parse::<RunName>() {
            Ok(run) => self.peer.tell(&run, what),
            Err(error) => tracing::warn!(%error, "the leader names no run"),
        }
    }
}

fn tell(out: &ToLeader, said: Said) {
    if !tell_leader(out, said) {
        tracing::debug!("the stream to the leader has ended");
    }
}
