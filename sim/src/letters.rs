//! Every message has exactly one status.

use std::collections::BTreeMap;

use superstep_engine::{ActivationId, FrameId, Notice};
use superstep_graph::{Port, VertexName};

/// The activation that sends: a vertex starts at most one in a superstep.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sender {
    frame: FrameId,
    vertex: VertexName,
    superstep: u64,
}

impl Sender {
    pub(crate) fn of(activation: &ActivationId) -> Self {
        Self { frame: activation.frame, vertex: activation.vertex.clone(), superstep: activation.superstep }
    }
}

/// The name of a message: sender, port and receiver. Its number among those of one name, and whether it was sent without
/// an edge, no status tells, so that as many must have a status as were sent.
type Name = (Sender, Port, VertexName);

/// The messages of a run, and how many statuses each name has.
#[derive(Debug, Default)]
pub(crate) struct Letters {
    /// By name: how many were sent, and how many have a status.
    all: BTreeMap<Name, (u64, u64)>,
}

impl Letters {
    /// Notes that a message was sent.
    pub(crate) fn send(&mut self, sender: &Sender, port: &str, to: &VertexName) {
        self.all.entry((sender.clone(), Port::from(port), to.clone())).or_default().0 += 1;
    }

    /// Notes a status, if the notice tells one.
    pub(crate) fn settle(&mut self, notice: &Notice) {
        let Notice::Settled { frame, from, port, to, sent, .. } = notice else { return };
        let sender = Sender { frame: *frame, vertex: from.clone(), superstep: *sent };
        self.all.entry((sender, port.clone(), to.clone())).or_default().1 += 1;
    }

    /// The first message that has no status, or several, or that nobody sent.
    pub(crate) fn astray(&self) -> Option<String> {
        let ((sender, port, to), (sent, settled)) =
            self.all.iter().find(|(_, (sent, settled))| sent != settled)?;
        let Sender { frame, vertex, superstep } = sender;
        Some(format!(
            "from {vertex} of frame {} in superstep {superstep} to {to} on port {port} {sent} messages were sent, and {settled} have a status",
            frame.0
        ))
    }
}

#[cfg(test)]
mod tests {
    use superstep_engine::MessageStatus;

    use super::*;

    fn settled(to: &str, sent: u64) -> Notice {
        let (frame, from, port) = (FrameId::ROOT, "a".into(), Port::default());
        Notice::Settled { frame, from, port, to: to.into(), sent, taken: None, status: MessageStatus::Late }
    }

    /// Two messages of one activation, and what their statuses are said to be.
    fn astray(statuses: &[Notice]) -> Option<String> {
        let sender = Sender { frame: FrameId::ROOT, vertex: "a".into(), superstep: 3 };
        let mut letters = Letters::default();
        letters.send(&sender, Port::DEFAULT, &"b".into());
        letters.send(&sender, Port::DEFAULT, &"c".into());
        statuses.iter().for_each(|notice| letters.settle(notice));
        letters.astray()
    }

    #[test]
    fn statuses_that_are_as_many_as_messages_are_not_enough() {
        assert_eq!(astray(&[settled("c", 3), settled("b", 3)]), None);
        assert!(astray(&[settled("b", 3), settled("b", 3)]).is_some());
        assert!(astray(&[settled("b", 3), settled("c", 2)]).is_some());
        assert!(astray(&[settled("b", 3), settled("d", 3)]).is_some());
        assert!(astray(&[settled("b", 3)]).is_some());
    }
}
