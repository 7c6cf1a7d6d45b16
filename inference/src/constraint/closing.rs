//! A short way from where a grammar stands to the end of an instance.

use llguidance::Matcher;
use llguidance::toktrie::TokTrie;

/// Bytes in the order in which they are tried: what ends something before what begins or continues it.
const ENDS_FIRST: &[u8] = b"\"}],:0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ [-_.{\\";
/// How long a way may be, in rounds, each tried after the shorter ones have failed.
const LIMITS: [usize; 4] = [32, 128, 512, 4096];
/// Bytes that one round may try before it gives up.
const TRIES: usize = 20_000;

/// Tokens that lead from the state of `matcher` to the end of an instance, few but not always the fewest.
///
/// The matcher is unchanged afterwards. Nothing is returned if no way was found within fixed limits, which only
/// happens to schemas whose every instance is very long or infinite.
pub(super) fn shortest(matcher: &mut Matcher, trie: &TokTrie) -> Option<Vec<u32>> {
    LIMITS.into_iter().find_map(|limit| {
        let mut search = Search { matcher, trie, limit, tries: TRIES, bytes: Vec::new() };
        search.run().then(|| trie.greedy_tokenize(&search.bytes))
    })
}

struct Search<'a> {
    matcher: &'a mut Matcher,
    trie: &'a TokTrie,
    limit: usize,
    tries: usize,
    bytes: Vec<u8>,
}

impl Search<'_> {
    /// Depth first without recursion: `pending` holds for every byte taken the place in the order to go on from.
    fn run(&mut self) -> bool {
        let mut pending = vec![0_usize];
        let found = loop {
            if self.at_end() {
                break true;
            }
            let Some(from) = pending.last().copied() else { break false };
            if self.tries == 0 {
                break false;
            }
            match self.advance(from) {
                Some(next) => {
                    if let Some(last) = pending.last_mut() {
                        *last = next + 1;
                    }
                    pending.push(0);
                }
                None => {
                    pending.pop();
                    if self.bytes.pop().is_some() && self.matcher.rollback(1).is_err() {
                        break false;
                    }
                }
            }
        };
        let taken = self.bytes.len();
        self.matcher.rollback(taken).is_ok() && found
    }

    fn at_end(&mut self) -> bool {
        !self.matcher.is_error() && self.matcher.is_accepting().unwrap_or(false)
    }

    /// Takes the first byte at or behind `from` in the order that the grammar allows.
    fn advance(&mut self, from: usize) -> Option<usize> {
        if self.bytes.len() >= self.limit || self.matcher.is_stopped() {
            return None;
        }
        for place in from..ENDS_FIRST.len() + 256 {
            let byte = byte_at(place);
            let Some(token) = self.trie.token_id(&[byte]) else { continue };
            self.tries = self.tries.saturating_sub(1);
            if self.matcher.try_consume_tokens(&[token]).is_ok_and(|taken| taken == 1) {
                self.bytes.push(byte);
                return Some(place);
            }
        }
        None
    }
}

fn byte_at(place: usize) -> u8 {
    match ENDS_FIRST.get(place) {
        Some(byte) => *byte,
        None => u8::try_from(place - ENDS_FIRST.len()).unwrap_or(u8::MAX),
    }
}
