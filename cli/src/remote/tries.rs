//! How long one who gets no answer tries again, and how fast.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long the first pause is; each is twice as long as the one before.
const FIRST: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(3);

/// Tries of which none has been answered so far.
pub(super) struct Tries {
    during: Duration,
    until: Instant,
    pause: Duration,
    told: bool,
    /// Whether the user was told that somebody answers again.
    told_again: bool,
}

impl Tries {
    /// As many as can be made in this time.
    pub(super) fn during(during: Duration) -> Self {
        Self { during, until: Instant::now() + during, pause: FIRST, told: false, told_again: false }
    }

    /// One was answered: the time begins anew.
    pub(super) fn begin_anew(&mut self) {
        *self = Self::during(self.during);
    }

    /// Somebody answers; whether the user is to be told, who was told that nobody does.
    pub(super) fn comes_back(&mut self) -> bool {
        self.told && !std::mem::replace(&mut self.told_again, true)
    }

    /// Waits before the next try, and tells the user at the first one; whether there is another.
    pub(super) async fn pause(&mut self, tell: impl FnOnce()) -> bool {
        if Instant::now() >= self.until {
            return false;
        }
        if !std::mem::replace(&mut self.told, true) {
            tell();
        }
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_and_end() {
        let mut tries = Tries::during(Duration::from_secs(20));
        let (begun, mut told, mut pauses) = (Instant::now(), 0, 0);
        while tries.pause(|| told += 1).await {
            pauses += 1;
        }
        assert_eq!((told, pauses), (1, 11));
        assert!(begun.elapsed() >= Duration::from_secs(20), "{:?}", begun.elapsed());
        assert!(tries.comes_back());
        assert!(!tries.comes_back());
        tries.begin_anew();
        assert!(!tries.comes_back());
        assert!(tries.pause(|| told += 1).await);
        assert_eq!(told, 2);
    }
}
