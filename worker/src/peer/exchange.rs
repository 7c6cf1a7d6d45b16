//! Messages that come from other workers, taken in as fast as the runs take them.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::Stream;
use prost::Message as _;
use superstep_proto::v1;
use superstep_proto::v1::messages_server::Messages;
use superstep_store::RunName;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::blobs::fetch_whole;
use super::{Peer, ToRun};
use crate::limits::{CREDIT, CREDIT_AFTER, WINDOW};

/// Takes messages for the partitions of this worker.
#[derive(Clone)]
pub(crate) struct Exchange {
    peer: Peer,
}

/// A part of the sender's credit, which he has again when this is dropped.
pub(crate) struct Granted {
    bytes: u64,
    account: Arc<Account>,
}

/// The credit of one sender. What he has again is told him when it is much, or after a moment, if he understands that:
/// telling him of each small batch would cost as much as the batch.
struct Account {
    credit: mpsc::UnboundedSender<Result<v1::Credit, Status>>,
    owed: Mutex<Owed>,
}

/// What the sender has again and was not told.
#[derive(Default)]
struct Owed {
    credit: v1::Credit,
    /// How many batches have come and are not taken in.
    open: usize,
    /// Whether he understands credit that is of several batches. One of an earlier release takes the bytes of any
    /// credit for the size of one batch, and would keep those that it is of for ever.
    together: bool,
}

impl Account {
    fn new(credit: mpsc::UnboundedSender<Result<v1::Credit, Status>>) -> Arc<Self> {
        let account = Self { credit, owed: Mutex::default() };
        let first = v1::Credit { bytes: WINDOW, knows_also: true, takes_opening: true, batches: Vec::new() };
        account.tell(first);
        Arc::new(account)
    }

    /// Hears what the sender says of himself; whether this is nothing but that.
    fn is_opening(&self, batch: &v1::Batch) -> bool {
        if !batch.credit_together {
            return false;
        }
        self.owed().together = true;
        batch.messages.is_empty()
    }

    fn grant(self: &Arc<Self>, bytes: u64) -> Granted {
        self.owed().open += 1;
        Granted { bytes, account: Arc::clone(self) }
    }

    fn give_back(&self, bytes: u64) {
        let mut owed = self.owed();
        owed.open -= 1;
        owed.credit.bytes += bytes;
        owed.credit.batches.push(bytes);
        if !owed.together || owed.credit.bytes >= CREDIT {
            self.tell(std::mem::take(&mut owed.credit));
        }
    }

    /// Tells the sender all that he has again; whether more is still to come.
    fn settle(&self) -> bool {
        let mut owed = self.owed();
        if !owed.credit.batches.is_empty() {
            self.tell(std::mem::take(&mut owed.credit));
        }
        owed.open > 0
    }

    fn owed(&self) -> MutexGuard<'_, Owed> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, credit: v1::Credit) {
        if self.credit.send(Ok(credit)).is_err() {
            tracing::trace!("the sender is gone");
        }
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        self.account.give_back(self.bytes);
    }
}

impl Peer {
    /// Gives messages to the run that they are for.
    pub(super) fn deliver(&self, batch: v1::Batch, granted: Option<Granted>) {
        match batch.run.parse::<RunName>() {
            Ok(run) => self.tell(&run, ToRun::Batch(batch, granted)),
            Err(error) => tracing::warn!(%error, "messages are for no run"),
        }
    }

    /// Fetches those long messages of a batch that are to come whole, and gives it to its run again.
    pub(super) fn fetch(
        &self,
        run: RunName,
        mut batch: v1::Batch,
        granted: Option<Granted>,
        whole: Vec<usize>,
    ) {
        let peer = self.clone();
        tokio::spawn(async move {
            match fetch_whole(&mut batch, &whole, &run, &peer.store).await {
                Ok(()) => peer.tell(&run, ToRun::Batch(batch, granted)),
                Err(error) => peer.tell(&run, ToRun::Unreadable(batch.epoch, crate::with_causes(&error))),
            }
        });
    }
}

impl Exchange {
    pub(crate) fn new(peer: Peer) -> Self {
        Self { peer }
    }
}

#[tonic::async_trait]
impl Messages for Exchange {
    type ExchangeStream = Pin<Box<dyn Stream<Item = Result<v1::Credit, Status>> + Send>>;

    async fn exchange(
        &self,
        request: Request<Streaming<v1::Batch>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let (credit, credits) = mpsc::unbounded_channel();
        tokio::spawn(take_in(self.peer.clone(), request.into_inner(), Account::new(credit)));
        Ok(Response::new(Box::pin(UnboundedReceiverStream::new(credits))))
    }
}

/// Takes in what one sender sends, until he is gone.
async fn take_in(peer: Peer, mut batches: Streaming<v1::Batch>, account: Arc<Account>) {
    // When he is told what he has again; none while all is told.
    let mut due: Option<Instant> = None;
    loop {
        tokio::select! {
            batch = batches.next() => match batch {
                Some(Ok(batch)) if account.is_opening(&batch) => {}
                Some(Ok(batch)) => {
                    let granted = account.grant(batch.encoded_len() as u64);
                    due.get_or_insert_with(|| Instant::now() + CREDIT_AFTER);
                    peer.deliver(batch, Some(granted));
                }
                Some(Err(status)) => {
                    tracing::debug!(%status, "a stream of messages has ended");
                    return;
                }
                None => return,
            },
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                due = account.settle().then(|| Instant::now() + CREDIT_AFTER);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Told = mpsc::UnboundedReceiver<Result<v1::Credit, Status>>;

    fn next(told: &mut Told) -> Option<v1::Credit> {
        told.try_recv().ok().map(|credit| credit.expect("it is credit"))
    }

    /// An account, of which the first credit was told.
    fn account() -> (Arc<Account>, Told) {
        let (credit, mut told) = mpsc::unbounded_channel();
        let account = Account::new(credit);
        let first = next(&mut told).expect("the first credit is told at once");
        assert_eq!((first.bytes, first.batches.len()), (WINDOW, 0));
        assert!(first.knows_also && first.takes_opening);
        (account, told)
    }

    fn credit(bytes: u64, batches: &[u64]) -> Option<v1::Credit> {
        Some(v1::Credit { bytes, batches: batches.to_vec(), ..v1::Credit::default() })
    }

    #[test]
    fn credit_of_small_batches_comes_together_and_of_much_at_once() {
        let (account, mut told) = account();
        let opening = v1::Batch { credit_together: true, ..v1::Batch::default() };
        assert!(account.is_opening(&opening));
        let (one, two) = (account.grant(10), account.grant(20));
        drop(two);
        assert_eq!(next(&mut told), None);
        // One is still to come.
        assert!(account.settle());
        assert_eq!(next(&mut told), credit(20, &[20]));
        drop(one);
        drop(account.grant(CREDIT));
        assert_eq!(next(&mut told), credit(10 + CREDIT, &[10, CREDIT]));
        assert!(!account.settle());
        assert_eq!(next(&mut told), None);
    }

    #[test]
    fn one_who_does_not_say_that_he_understands_more_hears_of_each_batch_by_itself() {
        let (account, mut told) = account();
        let batch = v1::Batch { run: "run".to_owned(), ..v1::Batch::default() };
        assert!(!account.is_opening(&batch));
        let (one, two) = (account.grant(10), account.grant(20));
        drop(two);
        drop(one);
        assert_eq!(next(&mut told), credit(20, &[20]));
        assert_eq!(next(&mut told), credit(10, &[10]));
        assert!(!account.settle());
        assert_eq!(next(&mut told), None);
    }

    #[test]
    fn what_has_messages_is_a_batch_whatever_else_it_says() {
        let (account, _told) = account();
        let messages = vec![v1::Message::default()];
        let batch = v1::Batch { messages, credit_together: true, ..v1::Batch::default() };
        assert!(!account.is_opening(&batch));
        assert!(account.owed().together);
    }
}
