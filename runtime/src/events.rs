//! What a run tells while it is driven, for those who listen: bounded, so that nobody who listens slowly
//! holds the run up.

mod mailbox;

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};

use futures::Stream;
use superstep_engine::{ActivationId, Notice};

pub(crate) use mailbox::Told;
use mailbox::{Mailbox, Wants};

/// Something that a run tells while it is driven.
#[derive(Clone, Debug, PartialEq)]
pub enum RunEvent {
    /// Something has happened.
    Notice(Notice),
    /// A model has written on. Nothing of it is durable.
    Text {
        /// For which activation.
        activation: ActivationId,
        /// What came, which may be several of the model's pieces.
        text: String,
    },
    /// Whoever listens was too slow, and this is lost to him at this place. Texts go first; notices are lost
    /// only where thousands of them wait.
    Missed {
        /// Notices that were not kept.
        notices: u64,
        /// Bytes of texts that were not kept.
        bytes: u64,
    },
}

/// The events of a run from when they were asked for, in order; it ends when the run is not driven any more.
///
/// It holds a bounded number of events for whoever reads slowly, see [`RunEvent::Missed`], and never holds
/// the run up. Dropping it ends the listening.
#[derive(Debug)]
pub struct RunEvents(Arc<Mailbox>);

impl Stream for RunEvents {
    type Item = RunEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<RunEvent>> {
        loop {
            return Poll::Ready(match futures::ready!(self.0.poll(cx)) {
                Some(Told::Event(event)) => Some(event),
                Some(Told::Durable(_)) => continue,
                None => None,
            });
        }
    }
}

/// Those who listen to one run. It costs next to nothing while nobody does. When it is dropped, nothing more is told.
#[derive(Debug, Default)]
pub struct Hub {
    anybody: AtomicBool,
    /// How many records of the log are durable.
    durable: AtomicU64,
    listeners: Mutex<Listeners>,
}

#[derive(Debug, Default)]
struct Listeners {
    mailboxes: Vec<Weak<Mailbox>>,
    closed: bool,
}

impl Hub {
    /// Everything that is told from now on.
    pub fn events(&self) -> RunEvents {
        RunEvents(self.listen(Wants::Everything))
    }

    /// The texts of models, and how many records are durable, from now on.
    pub(crate) fn texts(&self) -> Texts {
        let mailbox = self.listen(Wants::Texts);
        mailbox.durable(self.durable.load(Ordering::Acquire));
        Texts(mailbox)
    }

    fn listen(&self, wants: Wants) -> Arc<Mailbox> {
        let mailbox = Arc::new(Mailbox::new(wants));
        let mut listeners = self.lock();
        if listeners.closed {
            mailbox.close();
        } else {
            listeners.mailboxes.push(Arc::downgrade(&mailbox));
            self.anybody.store(true, Ordering::Release);
        }
        mailbox
    }

    /// Whether somebody listens, or has until lately.
    pub fn has_listeners(&self) -> bool {
        self.anybody.load(Ordering::Acquire)
    }

    pub(crate) fn notice(&self, notice: &Notice) {
        self.tell(|mailbox| mailbox.notice(notice));
    }

    /// A model has written on.
    pub fn text(&self, activation: &ActivationId, text: &str) {
        self.tell(|mailbox| mailbox.text(activation, text));
    }

    /// So many bytes of texts were dropped on their way here.
    pub fn missed(&self, bytes: u64) {
        self.tell(|mailbox| mailbox.missed(bytes));
    }

    /// So many records of the log are durable.
    pub(crate) fn durable(&self, next: u64) {
        self.durable.store(next, Ordering::Release);
        self.tell(|mailbox| mailbox.durable(next));
    }

    fn tell(&self, tell: impl Fn(&Mailbox)) {
        if !self.anybody.load(Ordering::Acquire) {
            return;
        }
        let mut listeners = self.lock();
        listeners.mailboxes.retain(|mailbox| mailbox.upgrade().map(|mailbox| tell(&mailbox)).is_some());
        if listeners.mailboxes.is_empty() {
            self.anybody.store(false, Ordering::Release);
        }
    }

    /// Nothing more is told.
    pub(crate) fn close(&self) {
        let mut listeners = self.lock();
        listeners.closed = true;
        let mailboxes = std::mem::take(&mut listeners.mailboxes);
        mailboxes.iter().filter_map(Weak::upgrade).for_each(|mailbox| mailbox.close());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Listeners> {
        // No step under the lock can panic half-way.
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.close();
    }
}

/// The texts of a run's models, and the growth of its log.
#[derive(Debug)]
pub(crate) struct Texts(Arc<Mailbox>);

impl Texts {
    /// What comes next; none when the run is not driven any more.
    pub(crate) async fn next(&self) -> Option<Told> {
        std::future::poll_fn(|cx| self.0.poll(cx)).await
    }
}

#[cfg(test)]
mod tests;
