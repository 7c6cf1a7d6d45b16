//! Who is told when what he asked for is durable.

use superstep_engine::{QuestionId, Record};
use tokio::sync::oneshot;

use super::{AnswerError, PatchError};

/// Something that waits to be judged.
#[derive(Debug)]
pub(super) struct Offered<T, E> {
    pub(super) what: T,
    /// Told whether it was taken.
    pub(super) reply: oneshot::Sender<Result<(), E>>,
}

/// What waits to be recorded, with whoever waits for that.
#[derive(Debug)]
pub(super) enum Expected {
    Answer(QuestionId, oneshot::Sender<Result<(), AnswerError>>),
    Patch(String, oneshot::Sender<Result<(), PatchError>>),
    /// That the run stands still, or goes on.
    Suspension(bool, oneshot::Sender<()>),
}

impl Expected {
    fn is_recorded_by(&self, record: &Record) -> bool {
        match (self, record) {
            (Self::Answer(expected, _), Record::Answered { question, .. }) => expected == question,
            (Self::Patch(expected, _), Record::Patched(patch)) => *expected == patch.requester,
            (Self::Suspension(expected, _), Record::RunSuspended(suspended)) => expected == suspended,
            (Self::Answer(..) | Self::Patch(..) | Self::Suspension(..), _) => false,
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Patch(one, _), Self::Patch(two, _)) => one == two,
            (Self::Answer(one, _), Self::Answer(two, _)) => one == two,
            (Self::Suspension(one, _), Self::Suspension(two, _)) => one == two,
            (Self::Patch(..) | Self::Answer(..) | Self::Suspension(..), _) => false,
        }
    }

    fn acknowledge(self) {
        let heard = match self {
            Self::Answer(_, reply) => reply.send(Ok(())).is_ok(),
            Self::Patch(_, reply) => reply.send(Ok(())).is_ok(),
            Self::Suspension(_, reply) => reply.send(()).is_ok(),
        };
        if !heard {
            tracing::trace!("nobody waits for what becomes of a request");
        }
    }
}

/// Holds every acknowledgement back until the log has what it acknowledges. Those that are still held when it
/// is dropped are never given. `T` marks an append.
#[derive(Debug)]
pub(super) struct Acknowledgements<T> {
    expected: Vec<Expected>,
    appending: Vec<(T, Expected)>,
}

impl<T: Copy + PartialEq> Acknowledgements<T> {
    pub(super) fn new() -> Self {
        Self { expected: Vec::new(), appending: Vec::new() }
    }

    /// A record of it will be appended.
    pub(super) fn expect(&mut self, expected: Expected) {
        self.expected.push(expected);
    }

    /// Acknowledges what the run knows: now, or together with the same that is on its way to the log, the last one if
    /// there are several.
    pub(super) fn known(&mut self, again: Expected) {
        if let Some((token, _)) = self.appending.iter().rfind(|(_, other)| other.is_same(&again)) {
            self.appending.push((*token, again));
        } else if self.expected.iter().any(|other| other.is_same(&again)) {
            self.expected.push(again);
        } else {
            again.acknowledge();
        }
    }

    /// These records are on their way to the log.
    pub(super) fn appending(&mut self, token: T, records: &[Record]) {
        if self.expected.is_empty() {
            return;
        }
        let recorded = |expected: &mut Expected| records.iter().any(|record| expected.is_recorded_by(record));
        self.appending.extend(self.expected.extract_if(.., recorded).map(|expected| (token, expected)));
    }

    /// They are durable.
    pub(super) fn durable(&mut self, token: T) {
        let durable = self.appending.extract_if(.., |(of, _)| *of == token);
        durable.for_each(|(_, expected)| expected.acknowledge());
    }
}

#[cfg(test)]
mod tests {
    use superstep_engine::Patch;
    use superstep_graph::PriorityClass;

    use super::*;

    fn record(name: &str) -> Record {
        let (class, requester) = (PriorityClass::Person, name.to_owned());
        Record::Patched(Patch { class, requester, mutations: Vec::new() })
    }

    fn patch(name: &str) -> (Expected, oneshot::Receiver<Result<(), PatchError>>) {
        let (reply, taken) = oneshot::channel();
        (Expected::Patch(name.to_owned(), reply), taken)
    }

    #[test]
    fn nothing_is_acknowledged_before_it_is_durable() {
        let mut acknowledgements = Acknowledgements::new();
        let (first, mut first_taken) = patch("a");
        let (second, mut second_taken) = patch("b");
        acknowledgements.expect(first);
        acknowledgements.expect(second);
        acknowledgements.appending(1, &[record("a")]);
        acknowledgements.durable(0);
        assert!(first_taken.try_recv().is_err() && second_taken.try_recv().is_err());
        acknowledgements.appending(2, &[record("b")]);
        acknowledgements.durable(1);
        assert_eq!(first_taken.try_recv(), Ok(Ok(())));
        assert!(second_taken.try_recv().is_err());
        acknowledgements.durable(2);
        assert_eq!(second_taken.try_recv(), Ok(Ok(())));
    }

    #[test]
    fn who_asks_for_the_same_again_waits_for_the_same_record() {
        let mut acknowledgements = Acknowledgements::new();
        let (first, _) = patch("a");
        let (second, mut second_taken) = patch("a");
        let (third, mut third_taken) = patch("a");
        acknowledgements.expect(first);
        acknowledgements.known(second);
        acknowledgements.appending(1, &[record("a")]);
        acknowledgements.known(third);
        assert!(second_taken.try_recv().is_err() && third_taken.try_recv().is_err());
        acknowledgements.durable(1);
        assert_eq!((second_taken.try_recv(), third_taken.try_recv()), (Ok(Ok(())), Ok(Ok(()))));
        let (fourth, mut fourth_taken) = patch("a");
        acknowledgements.known(fourth);
        assert_eq!(fourth_taken.try_recv(), Ok(Ok(())), "it is durable");
    }
}
