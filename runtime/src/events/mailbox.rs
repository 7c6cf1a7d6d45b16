//! The bounded buffer of one who listens.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use superstep_engine::{ActivationId, Notice};

use super::RunEvent;

/// What all that waits may weigh: a notice weighs 1, a text 1 and another for each 64 bytes.
pub(super) const ROOM: usize = 8_192;
const BYTES_PER_WEIGHT: usize = 64;
/// A text that waits grows up to this many bytes; what comes then is another text.
const LONGEST_TEXT: usize = 16 << 10;

/// What is told.
#[expect(clippy::large_enum_variant, reason = "nearly all that is told are events")]
#[derive(Debug, PartialEq)]
pub(crate) enum Told {
    /// An event.
    Event(RunEvent),
    /// So many records of the log are durable.
    Durable(u64),
}

/// What somebody listens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wants {
    Everything,
    /// Texts, and how far the log has come.
    Texts,
}

#[derive(Debug)]
pub(super) struct Mailbox {
    wants: Wants,
    content: Mutex<Content>,
}

#[derive(Debug)]
struct Content {
    waiting: VecDeque<Told>,
    room: usize,
    /// How many texts wait.
    texts: usize,
    closed: bool,
    waker: Option<Waker>,
}

impl Mailbox {
    pub(super) fn new(wants: Wants) -> Self {
        let waiting = VecDeque::new();
        let content = Content { waiting, room: ROOM, texts: 0, closed: false, waker: None };
        Self { wants, content: Mutex::new(content) }
    }

    pub(super) fn notice(&self, notice: &Notice) {
        if self.wants == Wants::Everything {
            self.change(|content| content.notice(notice));
        }
    }

    pub(super) fn text(&self, activation: &ActivationId, text: &str) {
        if !text.is_empty() {
            self.change(|content| content.text(activation, text));
        }
    }

    pub(super) fn missed(&self, bytes: u64) {
        if bytes > 0 {
            self.change(|content| content.miss(0, bytes));
        }
    }

    pub(super) fn durable(&self, next: u64) {
        if self.wants == Wants::Texts {
            self.change(|content| match content.waiting.back_mut() {
                Some(Told::Durable(before)) => *before = next.max(*before),
                Some(Told::Event(_)) | None => content.waiting.push_back(Told::Durable(next)),
            });
        }
    }

    pub(super) fn close(&self) {
        self.change(|content| content.closed = true);
    }

    /// What comes next; none after the end.
    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<Option<Told>> {
        let mut content = self.lock();
        match content.waiting.pop_front() {
            Some(told) => {
                content.room += weight(&told);
                content.texts -= usize::from(is_text(&told));
                Poll::Ready(Some(told))
            }
            None if content.closed => Poll::Ready(None),
            None => {
                content.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn change(&self, change: impl FnOnce(&mut Content)) {
        let mut content = self.lock();
        change(&mut content);
        let waker = content.waker.take();
        drop(content);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        // No step under the lock can panic half-way.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn notice(&mut self, notice: &Notice) {
        if self.room == 0 && self.texts > 0 {
            self.drop_texts();
        }
        if self.room == 0 {
            return self.miss(1, 0);
        }
        self.room -= 1;
        self.waiting.push_back(Told::Event(RunEvent::Notice(notice.clone())));
    }

    fn text(&mut self, activation: &ActivationId, text: &str) {
        if let Some(Told::Event(RunEvent::Text { activation: of, text: before })) = self.waiting.back_mut()
            && of == activation
            && before.len() + text.len() <= LONGEST_TEXT
        {
            let more = (before.len() + text.len()) / BYTES_PER_WEIGHT - before.len() / BYTES_PER_WEIGHT;
            if more <= self.room {
                self.room -= more;
                return before.push_str(text);
            }
        }
        let told = Told::Event(RunEvent::Text { activation: activation.clone(), text: text.to_owned() });
        match self.room.checked_sub(weight(&told)) {
            Some(room) => {
                self.room = room;
                self.texts += 1;
                self.waiting.push_back(told);
            }
            None => self.miss(0, text.len() as u64),
        }
    }

    /// Notes at the end what is not kept.
    fn miss(&mut self, more_notices: u64, more_bytes: u64) {
        if let Some(Told::Event(RunEvent::Missed { notices, bytes })) = self.waiting.back_mut() {
            *notices += more_notices;
            *bytes += more_bytes;
        } else {
            let missed = RunEvent::Missed { notices: more_notices, bytes: more_bytes };
            self.waiting.push_back(Told::Event(missed));
        }
    }

    /// Makes room: of all that waits, texts are wanted least.
    fn drop_texts(&mut self) {
        self.texts = 0;
        for told in std::mem::take(&mut self.waiting) {
            match told {
                Told::Event(RunEvent::Text { ref text, .. }) => {
                    self.room += weight(&told);
                    self.miss(0, text.len() as u64);
                }
                Told::Event(RunEvent::Missed { notices, bytes }) => self.miss(notices, bytes),
                kept @ (Told::Event(RunEvent::Notice(_)) | Told::Durable(_)) => self.waiting.push_back(kept),
            }
        }
    }
}

fn is_text(told: &Told) -> bool {
    matches!(told, Told::Event(RunEvent::Text { .. }))
}

fn weight(told: &Told) -> usize {
    match told {
        Told::Event(RunEvent::Notice(_)) => 1,
        Told::Event(RunEvent::Text { text, .. }) => 1 + text.len() / BYTES_PER_WEIGHT,
        // There is at most one beside each that weighs something.
        Told::Event(RunEvent::Missed { .. }) | Told::Durable(_) => 0,
    }
}
