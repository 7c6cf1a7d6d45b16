//! The way to one worker.

use std::collections::VecDeque;
use std::time::Duration;

use superstep_engine::Record;
use superstep_proto::v1;
use superstep_proto::v1::from_worker::Said;
use superstep_store::{RunName, Store};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Streaming;

use super::encoded::{Encoded, exchange};
use super::packing::pack;
use super::{Outgoing, ToLink};
use crate::channels::Channels;
use crate::limits::BATCH;
use crate::peer::ToLeader;
use crate::pieces;

/// How long a worker is left alone that could not be reached, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const PAUSE: Duration = Duration::from_secs(1);
/// How long a worker may be out of reach before messages for it go by the leader.
const DETOUR: Duration = Duration::from_secs(2);
/// How long a link that has nothing to do is kept.
const IDLE: Duration = Duration::from_secs(60);

/// A batch that was sent and not acknowledged.
struct UnderWay {
    run: RunName,
    epoch: u64,
    batch: Encoded,
    leader: ToLeader,
}

/// The way to one worker.
pub(super) struct Link {
    channels: Channels,
    store: Store<Record>,
    address: String,
    told: mpsc::UnboundedReceiver<ToLink>,
    /// What the credit has not sufficed for. The first has its turn.
    waiting: VecDeque<Outgoing>,
    under_way: VecDeque<UnderWay>,
}

/// A stream to a worker that takes messages.
struct Open {
    out: mpsc::UnboundedSender<Encoded>,
    credits: Streaming<v1::Credit>,
    /// How many bytes may still be sent. It is negative while more is under way than the worker takes at once.
    credit: i64,
    /// Whether the worker knows messages that have several receivers.
    knows_also: bool,
}

/// Why nothing is sent any more over a stream, or over the link.
enum Stop {
    Broken,
    /// The process ends, or the link was idle.
    Over,
}

impl Link {
    pub(super) fn new(
        channels: Channels,
        store: Store<Record>,
        address: String,
        told: mpsc::UnboundedReceiver<ToLink>,
    ) -> Self {
        Self { channels, store, address, told, waiting: VecDeque::new(), under_way: VecDeque::new() }
    }

    /// Sends what it is told to, until it has had nothing to do for a while and `is_closed`.
    pub(super) async fn work(mut self, is_closed: impl Fn(&mpsc::UnboundedReceiver<ToLink>) -> bool) {
        loop {
            while self.is_idle() {
                match timeout(IDLE, self.told.recv()).await {
                    Ok(Some(told)) => self.take(told),
                    Ok(None) => return,
                    Err(_) if is_closed(&self.told) => return,
                    Err(_) => {}
                }
            }
            let Some(open) = self.reach().await else { return };
            if matches!(self.drive(open, &is_closed).await, Stop::Over) {
                return;
            }
        }
    }

    /// Tries until the worker takes messages; none if the process ends. Meanwhile, after a time, what is to be sent
    /// goes by the leaders of its runs.
    async fn reach(&mut self) -> Option<Open> {
        let (mut pause, mut detours) = (Duration::ZERO, false);
        let detour = sleep(DETOUR);
        tokio::pin!(detour);
        loop {
            let connecting = connect(self.channels.clone(), self.address.clone(), pause);
            tokio::pin!(connecting);
            let connected = loop {
                tokio::select! {
                    connected = &mut connecting => break connected,
                    told = self.told.recv() => {
                        self.take(told?);
                        if detours {
                            self.detour().await;
                        }
                    }
                    () = &mut detour, if !detours => {
                        detours = true;
                        self.detour().await;
                    }
                }
            };
            match connected {
                Ok(open) => return Some(open),
                Err(status) => {
                    let address = &self.address;
                    tracing::debug!(address, %status, "a worker takes no messages at the moment");
                }
            }
            pause = (pause * 2).clamp(FIRST_PAUSE, PAUSE);
        }
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty()
    }

    fn take(&mut self, told: ToLink) {
        match told {
            ToLink::Send(outgoing) => self.waiting.push_back(outgoing),
            ToLink::Forget(run, epoch) => self.forget(&run, epoch),
        }
    }

    fn forget(&mut self, run: &RunName, epoch: u64) {
        self.waiting.retain(|outgoing| outgoing.run != *run || outgoing.epoch >= epoch);
        self.under_way.retain(|sent| sent.run != *run || sent.epoch >= epoch);
    }

    /// Sends until the stream breaks, or the link ends.
    async fn drive(
        &mut self,
        mut open: Open,
        is_closed: &impl Fn(&mpsc::UnboundedReceiver<ToLink>) -> bool,
    ) -> Stop {
        if !open.knows_also {
            self.take_apart();
        }
        // What was under way when the last stream broke may be lost; what was not is dropped as a repetition.
        for sent in &self.under_way {
            if open.out.send(sent.batch.clone()).is_err() {
                return Stop::Broken;
            }
            open.credit -= sent.batch.size();
        }
        loop {
            // A batch that is larger than all the credit there is goes alone.
            while open.credit > 0 && !self.waiting.is_empty() {
                let Some(sent) = self.pack(open.knows_also).await else { break };
                if open.out.send(sent.batch.clone()).is_err() {
                    self.under_way.push_back(sent);
                    return Stop::Broken;
                }
                open.credit -= sent.batch.size();
                self.under_way.push_back(sent);
            }
            tokio::select! {
                told = self.told.recv() => match told {
                    Some(told) => self.take(told),
                    None => return Stop::Over,
                },
                credit = open.credits.message() => match credit {
                    Ok(Some(credit)) => {
                        open.credit = open.credit.saturating_add(signed(credit.bytes));
                        self.credited(credit);
                    }
                    Ok(None) | Err(_) => return Stop::Broken,
                },
                () = sleep(IDLE), if self.is_idle() => if is_closed(&self.told) { return Stop::Over },
                // The store may be back that a long payload is to be kept in.
                () = sleep(PAUSE), if open.credit > 0 && !self.waiting.is_empty() => {}
            }
        }
    }

    /// The next batch that is to be sent; none if there is none, or it cannot be packed at the moment. Each that waits has
    /// its turn, so that much of one run does not hold up the others.
    async fn pack(&mut self, together: bool) -> Option<UnderWay> {
        while let Some(outgoing) = self.waiting.front_mut() {
            match pack(outgoing, together, &self.store).await {
                Ok(Some(batch)) => {
                    let (run, epoch) = (outgoing.run.clone(), outgoing.epoch);
                    let (batch, leader) = (Encoded::from(&batch), outgoing.leader.clone());
                    self.waiting.rotate_left(1);
                    return Some(UnderWay { run, epoch, batch, leader });
                }
                Ok(None) => {
                    self.waiting.pop_front();
                }
                Err(error) => {
                    let why = crate::with_causes(&error);
                    tracing::warn!(address = self.address, %why, "a long payload cannot be kept; it is again");
                    return None;
                }
            }
        }
        None
    }

    /// Gives everything that waits to the leaders of its runs, who reach the worker, or have lost it too.
    async fn detour(&mut self) {
        let mut relayed = 0_usize;
        while let Some(sent) = self.under_way.pop_front() {
            relay(sent);
            relayed += 1;
        }
        while let Some(sent) = self.pack(false).await {
            relay(sent);
            relayed += 1;
        }
        if relayed > 0 {
            tracing::info!(address = self.address, relayed, "messages go by the leader");
        }
    }

    /// Gives each receiver a message of its own in what is under way: the worker that is there by now is of an earlier
    /// release than the one that it was meant for.
    fn take_apart(&mut self) {
        let sent = std::mem::take(&mut self.under_way);
        self.under_way = sent.into_iter().flat_map(apart).collect();
    }

    /// Batches were taken in. A worker of an earlier release gives credit for each alone, and names none.
    fn credited(&mut self, credit: v1::Credit) {
        if credit.batches.is_empty() {
            self.acknowledged(signed(credit.bytes));
        }
        credit.batches.into_iter().for_each(|bytes| self.acknowledged(signed(bytes)));
    }

    /// Credit that comes back for a batch says that the oldest one of its size was taken in.
    fn acknowledged(&mut self, bytes: i64) {
        if let Some(at) = self.under_way.iter().position(|sent| sent.batch.size() == bytes) {
            self.under_way.remove(at);
        }
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

async fn connect(channels: Channels, address: String, pause: Duration) -> Result<Open, tonic::Status> {
    sleep(pause).await;
    let channel = channels.to(&address);
    let channel = channel.map_err(|error| tonic::Status::invalid_argument(error.to_string()))?;
    let (out, outgoing) = mpsc::unbounded_channel();
    let mut credits = exchange(channel, UnboundedReceiverStream::new(outgoing)).await?;
    let first = credits.message().await?;
    let first = first.ok_or_else(|| tonic::Status::unavailable("the stream has ended"))?;
    if let Some(opening) = opening(&first)
        && out.send(opening).is_err()
    {
        return Err(tonic::Status::unavailable("the stream has ended"));
    }
    Ok(Open { out, credits, credit: signed(first.bytes), knows_also: first.knows_also })
}

/// What goes before all batches to a worker that takes it. One of an earlier release would take it for a batch.
fn opening(first: &v1::Credit) -> Option<Encoded> {
    let opening = v1::Batch { credit_together: true, ..v1::Batch::default() };
    first.takes_opening.then(|| Encoded::from(&opening))
}

/// A batch as those in which each message has one receiver.
fn apart(sent: UnderWay) -> impl Iterator<Item = UnderWay> {
    let UnderWay { run, epoch, batch, leader } = sent;
    let batch = v1::Batch::from(&batch);
    let batches = if batch.messages.iter().all(|message| message.also.is_empty()) {
        vec![batch]
    } else {
        superstep_wire::apart(batch, BATCH)
    };
    batches.into_iter().map(move |batch| {
        let (run, leader) = (run.clone(), leader.clone());
        UnderWay { run, epoch, batch: Encoded::from(&batch), leader }
    })
}

/// The leader may be of an earlier release, and so may the worker.
fn relay(sent: UnderWay) {
    for UnderWay { batch, leader, .. } in apart(sent) {
        if !pieces::tell_leader(&leader, Said::Relayed(v1::Batch::from(&batch))) {
            // Another leader has the run, or will have it, and goes on from the log.
            tracing::debug!("nobody hands messages on");
        }
    }
}

#[cfg(test)]
mod tests {
    use superstep_engine::{FrameId, MessageKey, Payload, Routed, Target};
    use superstep_graph::Port;
    use superstep_transport::Security;

    use super::*;

    /// A batch of one message to one vertex, and of one to three others, and who would hand it on.
    fn sent() -> (UnderWay, mpsc::UnboundedReceiver<v1::FromWorker>) {
        let message = |ordinal, to, also: &[u32]| v1::Message {
            ordinal,
            to,
            payload: Some(v1::Payload { form: Some(v1::payload::Form::Json("1".into())) }),
            also: also.to_vec(),
            ..v1::Message::default()
        };
        let batch = v1::Batch {
            run: "r".to_owned(),
            epoch: 3,
            superstep: 5,
            partition: 1,
            messages: vec![message(1, 0, &[]), message(2, 0, &[1, 2])],
            names: ["a", "b", "c"].map(str::to_owned).to_vec(),
            credit_together: false,
        };
        let (leader, inbox) = mpsc::unbounded_channel();
        let run = "r".parse().unwrap();
        (UnderWay { run, epoch: 3, batch: Encoded::from(&batch), leader }, inbox)
    }

    /// So many messages of a run, each of about 60 KB.
    fn outgoing(run: &str, count: u32) -> Outgoing {
        let message = |ordinal| {
            let key = MessageKey {
                from: "a".into(),
                incarnation: 0,
                superstep: 0,
                direct: false,
                port: Port::default(),
                ordinal,
            };
            let payload = Payload::from(serde_json::Value::from("x".repeat(60_000)));
            let (to, trail, orphan, passive, via) = (Target::Absent("b".into()), None, false, false, None);
            Routed { frame: FrameId::ROOT, to, key, payload, trail, orphan, passive, via }
        };
        let (leader, _inbox) = mpsc::unbounded_channel();
        let (run, messages) = (run.parse().unwrap(), (0..count).map(message).collect());
        Outgoing { run, epoch: 1, superstep: 1, partition: 1, messages, leader, contexts: None }
    }

    #[tokio::test]
    async fn much_of_one_run_does_not_hold_up_the_others() {
        let (_tell, told) = mpsc::unbounded_channel();
        let address = "http://127.0.0.1:1".to_owned();
        let mut link = Link::new(Channels::new(Security::Plaintext), Store::memory(), address, told);
        for (run, count) in [("wide", 60), ("small", 1), ("other", 20)] {
            link.take(ToLink::Send(outgoing(run, count)));
        }
        let (mut order, mut messages) = (Vec::new(), 0);
        while let Some(sent) = link.pack(true).await {
            order.push(sent.run.to_string());
            messages += superstep_wire::messages_of(v1::Batch::from(&sent.batch)).unwrap().len();
        }
        // What is all sent is let go at its next turn.
        assert_eq!(order, ["wide", "small", "other", "wide", "other", "wide", "wide"]);
        assert!(link.is_idle() && messages == 81, "{messages}");
    }

    fn receivers(batches: &[v1::Batch]) -> Vec<(u32, u32)> {
        let messages = batches.iter().flat_map(|batch| &batch.messages);
        let each = messages.map(|message| {
            assert!(message.also.is_empty());
            (message.ordinal, message.to)
        });
        each.collect()
    }

    #[test]
    fn who_takes_it_is_told_that_credit_of_several_batches_is_understood_and_nobody_else() {
        let earlier = v1::Credit { bytes: 1, knows_also: true, ..v1::Credit::default() };
        assert!(opening(&earlier).is_none());
        let told = opening(&v1::Credit { takes_opening: true, ..earlier }).unwrap();
        assert_eq!(
            v1::Batch::from(&told),
            v1::Batch { credit_together: true, ..v1::Batch::default() },
            "a receiver takes what has no messages for no batch"
        );
    }

    const ALL: [(u32, u32); 4] = [(1, 0), (2, 0), (2, 1), (2, 2)];

    #[test]
    fn what_is_under_way_is_taken_apart_once_for_who_knows_of_one_receiver_only() {
        let (sent, _inbox) = sent();
        let (together, whole) = (sent.batch.size(), v1::Batch::from(&sent.batch));
        let once: Vec<UnderWay> = apart(sent).collect();
        let batches: Vec<v1::Batch> = once.iter().map(|sent| v1::Batch::from(&sent.batch)).collect();
        assert_eq!(receivers(&batches), ALL);
        assert!(once.iter().map(|sent| sent.batch.size()).sum::<i64>() > together);
        for batch in &batches {
            let fence =
                |batch: &v1::Batch| (batch.run.clone(), batch.epoch, batch.superstep, batch.partition);
            assert_eq!(fence(batch), fence(&whole));
        }
        let sizes: Vec<i64> = once.iter().map(|sent| sent.batch.size()).collect();
        let twice: Vec<i64> = once.into_iter().flat_map(apart).map(|sent| sent.batch.size()).collect();
        assert_eq!(twice, sizes);
    }

    #[test]
    fn a_leader_hands_on_messages_of_one_receiver_each() {
        let (sent, mut inbox) = sent();
        relay(sent);
        let mut batches = Vec::new();
        while let Ok(message) = inbox.try_recv() {
            let Some(Said::Relayed(batch)) = message.said else { panic!("something else was said") };
            batches.push(batch);
        }
        assert_eq!(receivers(&batches), ALL);
    }
}
