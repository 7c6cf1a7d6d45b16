//! Guesses at the next tokens of a sequence, looked up in what it has read and written.
//!
//! What an answer quotes from its prompt, or repeats of itself, stands there already: where the last tokens have
//! stood before, what followed them then is a fair guess at what follows now (Yang et al., arXiv:2304.04487). The
//! network is run over the guess in the pass that it makes anyway, and says for each token whether it would have
//! chosen it; those up to the first wrong one cost no pass of their own. The output is the same with and without, as far
//! as the kernels treat one row and several alike.

/// So many of the last tokens must have stood before, tried from the longest.
const CONTEXTS: [usize; 3] = [5, 3, 2];
/// Tokens of a first guess.
const FIRST: usize = 2;
/// The longest pause after guesses that were all wrong, in tokens.
const LONGEST_PAUSE: usize = 64;

/// How far one sequence guesses, learned from how it went.
#[derive(Debug)]
pub(crate) struct Guesser {
    /// The most tokens of a guess; none if there is no guessing.
    most: usize,
    /// Tokens of the next guess.
    len: usize,
    /// Passes until the next guess.
    rest: usize,
    /// The pause after the next guess that is all wrong.
    pause: usize,
}

impl Guesser {
    /// Guesses of at most `most` tokens.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, len: FIRST.min(most), rest: 0, pause: 1 }
    }

    /// What may follow `tokens`, at most `room` tokens; often nothing.
    pub(crate) fn guess<'a>(&self, tokens: &'a [u32], room: usize) -> &'a [u32] {
        let len = self.len.min(room);
        if len == 0 || self.rest > 0 {
            return &[];
        }
        let found = CONTEXTS.into_iter().find_map(|context| followers(tokens, context));
        found.map_or(&[], |following| &following[..len.min(following.len())])
    }

    /// Notes that of a guess of `guessed` tokens the first `right` were right.
    pub(crate) fn learn(&mut self, guessed: usize, right: usize) {
        if guessed == 0 {
            self.rest = self.rest.saturating_sub(1);
        } else if right == 0 {
            self.len = FIRST.min(self.most);
            self.rest = self.pause;
            self.pause = (2 * self.pause).min(LONGEST_PAUSE);
        } else {
            self.pause = 1;
            let len = if right == guessed { 2 * self.len } else { right + 1 };
            self.len = len.min(self.most);
        }
    }
}

/// What followed the last `context` tokens when they stood before, the latest time.
fn followers(tokens: &[u32], context: usize) -> Option<&[u32]> {
    let last = tokens.len().checked_sub(context)?;
    let end = &tokens[last..];
    // The last token of all is no beginning of what follows, hence one less.
    let before = &tokens[..tokens.len().checked_sub(1)?];
    let at = before.windows(context).rposition(|window| window == end)?;
    Some(&tokens[at + context..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_followed_the_same_tokens_last_is_guessed() {
        let guesser = Guesser { len: 3, ..Guesser::new(8) };
        let table: [(&[u32], usize, &[u32]); 9] = [
            (&[], 8, &[]),
            (&[1], 8, &[]),
            (&[1, 2, 3], 8, &[]),
            (&[1, 2, 3, 4, 5, 1, 2], 8, &[3, 4, 5]),
            (&[1, 2, 3, 4, 5, 1, 2], 1, &[3]),
            (&[1, 2, 3, 4, 5, 1, 2], 0, &[]),
            // The latest place counts, and what is repeated goes on.
            (&[1, 2, 7, 7, 1, 2, 9, 8, 1, 2], 8, &[9, 8, 1]),
            (&[6, 6, 6], 8, &[6]),
            // Of two places the one with more in common.
            (&[4, 1, 2, 5, 5, 3, 1, 2, 6, 4, 1, 2], 8, &[5, 5, 3]),
        ];
        for (tokens, room, guessed) in table {
            assert_eq!(guesser.guess(tokens, room), guessed, "{tokens:?}");
        }
        assert_eq!(Guesser::new(0).guess(&[1, 2, 3, 1, 2], 8), [0_u32; 0]);
    }

    #[test]
    fn right_guesses_grow_and_wrong_ones_pause() {
        let tokens = [1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2];
        let mut guesser = Guesser::new(6);
        let mut guessed = |learned: (usize, usize)| {
            guesser.learn(learned.0, learned.1);
            guesser.guess(&tokens, 100).len()
        };
        assert_eq!(guessed((2, 2)), 4);
        assert_eq!(guessed((4, 4)), 6);
        assert_eq!(guessed((6, 1)), 2);
        // All wrong: no guess for one pass, then for two, and so on, up to a limit.
        assert_eq!([guessed((2, 0)), guessed((0, 0))], [0, 2]);
        assert_eq!([guessed((2, 0)), guessed((0, 0)), guessed((0, 0))], [0, 0, 2]);
        for _ in 0..20 {
            guessed((2, 0));
        }
        let passes = (1..).find(|_| guessed((0, 0)) > 0);
        assert_eq!(passes, Some(LONGEST_PAUSE));
        assert_eq!(guessed((2, 1)), 2);
        assert_eq!([guessed((2, 0)), guessed((0, 0))], [0, 2]);
    }
}
