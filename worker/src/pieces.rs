//! Messages between a worker and its leader that are too long to be sent at once, in parts.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use prost::Message;
use superstep_proto::v1;
use superstep_proto::v1::{from_leader, from_worker};
use tokio::sync::mpsc;

use crate::limits::PIECE;

/// Tells a worker something; whether its stream is still there.
pub(crate) fn tell_worker(out: &mpsc::UnboundedSender<v1::FromLeader>, said: from_leader::Said) -> bool {
    tell(out, v1::FromLeader { said: Some(said) }, |piece| v1::FromLeader {
        said: Some(from_leader::Said::Piece(piece)),
    })
}

/// Tells a leader something; whether its stream is still there.
pub(crate) fn tell_leader(out: &mpsc::UnboundedSender<v1::FromWorker>, said: from_worker::Said) -> bool {
    tell(out, v1::FromWorker { said: Some(said) }, |piece| v1::FromWorker {
        said: Some(from_worker::Said::Piece(piece)),
    })
}

fn tell<M: Message>(out: &mpsc::UnboundedSender<M>, whole: M, wrap: impl Fn(v1::Piece) -> M) -> bool {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    if whole.encoded_len() <= PIECE {
        return out.send(whole).is_ok();
    }
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let mut rest = bytes::Bytes::from(whole.encode_to_vec());
    drop(whole);
    while !rest.is_empty() {
        let bytes = rest.split_to(PIECE.min(rest.len()));
        let piece = v1::Piece { number, bytes, more: !rest.is_empty() };
        if out.send(wrap(piece)).is_err() {
            return false;
        }
    }
    true
}

/// The parts of messages of which more is to come.
#[derive(Default)]
pub(crate) struct Pieces(HashMap<u64, Vec<u8>>);

impl Pieces {
    /// Takes a part in; the message, if it was the last.
    ///
    /// # Errors
    /// They are no message together.
    pub(crate) fn take<M: Message + Default>(
        &mut self,
        piece: &v1::Piece,
    ) -> Result<Option<M>, prost::DecodeError> {
        let bytes = self.0.entry(piece.number).or_default();
        bytes.extend_from_slice(&piece.bytes);
        if piece.more {
            return Ok(None);
        }
        let whole = self.0.remove(&piece.number).unwrap_or_default();
        M::decode(whole.as_slice()).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_messages_come_whole_also_when_they_cross() {
        let (out, mut sent) = mpsc::unbounded_channel();
        let reports = |fill: u8, bytes: usize| {
            let failure = v1::report::What::LimitReached(char::from(fill).to_string().repeat(bytes));
            let reports = vec![v1::Report { what: Some(failure) }];
            from_worker::Said::Reports(v1::Reports {
                run: "r".to_owned(),
                epoch: 1,
                reports,
                ..v1::Reports::default()
            })
        };
        let said = [reports(b'a', 3 * PIECE + 5), reports(b'b', 2 * PIECE), reports(b'c', 10)];
        said.iter().for_each(|said| assert!(tell_leader(&out, said.clone())));
        drop(out);
        let mut all = Vec::new();
        while let Ok(message) = sent.try_recv() {
            all.push(message);
        }
        // The parts of the first, and of the second between them.
        let second = all.iter().position(|message| number(message) == Some(first(&all) + 1)).unwrap();
        all[1..=second].rotate_right(1);
        let (mut pieces, mut whole) = (Pieces::default(), Vec::new());
        for message in all {
            if let Some(from_worker::Said::Piece(piece)) = &message.said {
                assert!(piece.bytes.len() <= PIECE);
                whole.extend(pieces.take::<v1::FromWorker>(piece).unwrap().and_then(|whole| whole.said));
            } else {
                whole.extend(message.said);
            }
        }
        assert_eq!(whole.len(), 3);
        assert!(said.iter().all(|said| whole.contains(said)));
        assert!(pieces.0.is_empty());
        let nonsense = v1::Piece { number: 1, bytes: vec![0xff; 9].into(), more: false };
        assert!(pieces.take::<v1::FromWorker>(&nonsense).is_err());
    }

    fn number(message: &v1::FromWorker) -> Option<u64> {
        if let Some(from_worker::Said::Piece(piece)) = &message.said { Some(piece.number) } else { None }
    }

    fn first(all: &[v1::FromWorker]) -> u64 {
        number(&all[0]).unwrap()
    }
}
