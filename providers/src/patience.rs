//! How long a server is waited for that may be about to start.

use std::time::{Duration, Instant};

use crate::fault::Fault;

/// The pause after the first time that nobody was there; it doubles.
const FIRST: Duration = Duration::from_millis(250);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(5);

/// Waits, one request after another, for somebody who hears it.
#[derive(Debug)]
pub(crate) struct Patience {
    until: Instant,
    pause: Duration,
}

impl Patience {
    /// From `now` on, for so long.
    pub(crate) fn new(within: Duration, now: Instant) -> Self {
        Self { until: now + within, pause: FIRST }
    }

    /// How long to wait before the same request is sent again; none if it is not. Only what nobody has heard is sent
    /// again, so that nothing is done twice.
    pub(crate) fn again(&mut self, fault: &Fault, now: Instant) -> Option<Duration> {
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST);
        (fault.unheard && now + pause <= self.until).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::FaultKind;

    #[test]
    fn only_what_nobody_has_heard_is_sent_again_and_not_for_ever() {
        let start = Instant::now();
        let lost = Fault::new(FaultKind::Connection, "reset");
        let unheard = Fault { unheard: true, ..lost.clone() };
        let mut patience = Patience::new(Duration::from_secs(60), start);
        assert_eq!(patience.again(&lost, start), None);
        let mut patience = Patience::new(Duration::from_secs(60), start);
        let (mut now, mut pauses) = (start, Vec::new());
        while let Some(pause) = patience.again(&unheard, now) {
            pauses.push(pause.as_millis());
            now += pause;
        }
        assert_eq!(pauses[..6], [250, 500, 1_000, 2_000, 4_000, 5_000]);
        assert!(now - start <= Duration::from_secs(60) && now - start > Duration::from_secs(54));
        assert_eq!(Patience::new(Duration::ZERO, start).again(&unheard, start), None);
    }
}
