//! When one takes, renews and gives up a lease: the rules of client-go's leader election, but that time in which the lease
//! could not be looked at does not count against its holder.
//!
//! A lease that somebody deletes, or empties, was not given back: its holder has it no more when he looks the next time,
//! and takes it anew at once; whoever has seen that he had it leaves him the time for that which a lease lasts. One who
//! has just come has seen nothing, and takes what nobody has, as with client-go: the holder learns of it when he looks, and
//! one that cannot look gives up before the lease would have run out.

use std::time::{Duration, Instant};

use crate::lease::Lease;

/// How fast a lease changes hands.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Who has not renewed it for so long may lose it, by the clock of whoever looks.
    pub lasts: Duration,
    /// A holder that could not renew it for so long does not count on having it.
    pub gives_up: Duration,
    /// How often everybody looks, and the holder renews.
    pub looks: Duration,
}

impl Pace {
    /// As it is for a lease in a cluster, whose API server has many to keep: another leads within a quarter of a minute of
    /// a death.
    #[must_use]
    pub fn of_cluster() -> Self {
        Self {
            lasts: Duration::from_secs(10),
            gives_up: Duration::from_secs(7),
            looks: Duration::from_secs(2),
        }
    }
}

impl Default for Pace {
    /// Another leads within ten seconds of a death.
    fn default() -> Self {
        Self {
            lasts: Duration::from_secs(6),
            gives_up: Duration::from_secs(4),
            looks: Duration::from_millis(500),
        }
    }
}

/// Where one stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has the lease.
    Leads,
    /// Another one has it, as far as is known.
    Follows(String),
    /// Nobody has it.
    Vacant,
}

/// What one knows of a lease. Time is its own monotonic clock; what others wrote of time means nothing.
#[derive(Debug)]
pub struct Election {
    me: String,
    pace: Pace,
    seen: Option<Lease>,
    /// The lease as it was when somebody had it, if it was taken away from him since.
    taken_away: Option<Lease>,
    /// From when on it counts that what is seen did not change.
    since: Instant,
    /// When the lease was looked at last.
    looked: Instant,
    renewed: Option<Instant>,
    taken_from: Option<String>,
}

impl Election {
    /// The election as `me` sees it.
    #[must_use]
    pub fn new(me: impl Into<String>, pace: Pace, now: Instant) -> Self {
        Self {
            me: me.into(),
            pace,
            seen: None,
            taken_away: None,
            since: now,
            looked: now,
            renewed: None,
            taken_from: None,
        }
    }

    /// What to write in place of what was read, if anything: to have the lease, or to keep it.
    pub fn look(&mut self, read: Option<Lease>, now: Instant) -> Option<Lease> {
        // After a pause, such as while whoever keeps the lease was away, the holder has its whole time to renew it.
        let has_paused = now.duration_since(self.looked) >= self.pace.gives_up;
        self.looked = now;
        if read != self.seen {
            self.taken_away = self.taken_away_by(read.as_ref());
            self.seen = read;
            self.since = now;
        }
        if has_paused {
            self.since = now;
        }
        let renewals = self.seen.as_ref().map_or(0, |lease| lease.renewals) + 1;
        let free = match self.holder() {
            None => true,
            Some(holder) => holder == self.me || now.duration_since(self.since) >= self.pace.lasts,
        };
        free.then(|| Lease { holder: Some(self.me.clone()), renewals })
    }

    /// What was seen to be somebody's, if what is read instead is nobody's and he has not given it back: that counts on.
    fn taken_away_by(&self, read: Option<&Lease>) -> Option<Lease> {
        let had = self.seen.as_ref().filter(|seen| seen.holder.is_some()).or(self.taken_away.as_ref())?;
        let is_taken_away = read.is_none_or(|read| read.holder.is_none() && read.renewals <= had.renewals);
        is_taken_away.then(|| had.clone())
    }

    /// Who has the lease, or had it before it was taken away from him.
    fn holder(&self) -> Option<&str> {
        let lease = self.taken_away.as_ref().or(self.seen.as_ref())?;
        lease.holder.as_deref()
    }

    /// What was to be written was written, or was not because the lease had changed.
    pub fn wrote(&mut self, lease: Lease, written: bool, now: Instant) {
        if written {
            if self.holder() != Some(&self.me) {
                self.taken_from = self.holder().map(str::to_owned);
            }
            self.seen = Some(lease);
            self.taken_away = None;
            self.since = now;
            self.renewed = Some(now);
        }
    }

    /// Who had the lease before and let it run out, if nobody gave it back.
    #[must_use]
    pub fn taken_from(&self) -> Option<&str> {
        self.taken_from.as_deref()
    }

    /// What to write to let the lease go; none if it is not held.
    pub fn release(&mut self) -> Option<(Option<Lease>, Lease)> {
        let held = self.seen.as_ref().filter(|lease| lease.holder.as_deref() == Some(&self.me))?;
        let next = Lease { holder: None, renewals: held.renewals + 1 };
        Some((Some(held.clone()), next))
    }

    /// Where it stands.
    #[must_use]
    pub fn standing(&self, now: Instant) -> Standing {
        match self.holder() {
            None => Standing::Vacant,
            Some(holder) if holder == self.me => {
                let renewed = self.renewed.is_some_and(|at| now.duration_since(at) < self.pace.gives_up);
                if renewed && self.taken_away.is_none() { Standing::Leads } else { Standing::Vacant }
            }
            Some(holder) => Standing::Follows(holder.to_owned()),
        }
    }

    /// How often to look.
    #[must_use]
    pub fn pace(&self) -> Pace {
        self.pace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// One look of `who` at the lease, which it changes if it may.
    fn look(who: &mut Election, lease: &mut Option<Lease>, now: Instant) -> Standing {
        if let Some(next) = who.look(lease.clone(), now) {
            *lease = Some(next.clone());
            who.wrote(next, true, now);
        }
        who.standing(now)
    }

    #[test]
    fn a_lease_changes_hands_only_after_it_was_seen_unchanged_for_its_time() {
        let start = Instant::now();
        let mut lease = None;
        let mut one = Election::new("one", Pace::default(), start);
        assert_eq!(look(&mut one, &mut lease, start), Standing::Leads);
        // The other one has just started: it knows nothing of the time before.
        let later = start + 60 * SECOND;
        let mut two = Election::new("two", Pace::default(), later);
        assert_eq!(look(&mut two, &mut lease, later), Standing::Follows("one".to_owned()));
        for second in 1..6 {
            let now = later + second * SECOND;
            assert_eq!(look(&mut two, &mut lease, now), Standing::Follows("one".to_owned()));
        }
        assert_eq!(look(&mut two, &mut lease, later + 6 * SECOND), Standing::Leads);
        assert_eq!(look(&mut two, &mut lease, later + 7 * SECOND), Standing::Leads);
        assert_eq!(two.taken_from(), Some("one"));
        // The first one wakes, and sees it.
        assert_eq!(one.standing(later + 6 * SECOND), Standing::Vacant);
        assert_eq!(look(&mut one, &mut lease, later + 7 * SECOND), Standing::Follows("two".to_owned()));
    }

    #[test]
    fn time_in_which_nobody_could_look_does_not_count_against_the_holder() {
        let start = Instant::now();
        let mut lease = None;
        let mut one = Election::new("one", Pace::default(), start);
        let mut two = Election::new("two", Pace::default(), start);
        look(&mut one, &mut lease, start);
        look(&mut two, &mut lease, start);
        // Whoever keeps the lease is away for a minute, and the other one looks first when it is back.
        let back = start + 60 * SECOND;
        assert_eq!(one.standing(back), Standing::Vacant);
        assert_eq!(look(&mut two, &mut lease, back), Standing::Follows("one".to_owned()));
        assert_eq!(look(&mut one, &mut lease, back + SECOND), Standing::Leads);
        // If he is gone, it is taken after its time.
        for second in 1..7 {
            look(&mut two, &mut lease, back + second * SECOND);
        }
        assert_eq!(look(&mut two, &mut lease, back + 7 * SECOND), Standing::Leads);
    }

    #[test]
    fn who_renews_keeps_it() {
        let start = Instant::now();
        let mut lease = None;
        let mut one = Election::new("one", Pace::default(), start);
        let mut two = Election::new("two", Pace::default(), start);
        for second in 0..60 {
            let now = start + second * SECOND;
            assert_eq!(look(&mut one, &mut lease, now), Standing::Leads);
            assert_eq!(look(&mut two, &mut lease, now), Standing::Follows("one".to_owned()));
        }
    }

    #[test]
    fn what_is_given_back_is_taken_at_once() {
        let start = Instant::now();
        let mut lease = None;
        let mut one = Election::new("one", Pace::default(), start);
        let mut two = Election::new("two", Pace::default(), start);
        look(&mut one, &mut lease, start);
        look(&mut two, &mut lease, start);
        assert!(two.release().is_none());
        let (seen, next) = one.release().unwrap();
        assert_eq!(seen, lease);
        lease = Some(next);
        assert_eq!(look(&mut two, &mut lease, start + SECOND), Standing::Leads);
        assert_eq!(two.taken_from(), None);
    }

    /// Three who look in turn, one of whom has the lease, and what nobody has at the end.
    fn group(start: Instant) -> ([Election; 3], Option<Lease>) {
        let mut lease = None;
        let mut all = ["one", "two", "three"].map(|name| Election::new(name, Pace::default(), start));
        let standings = all.each_mut().map(|one| look(one, &mut lease, start));
        assert_eq!(standings[0], Standing::Leads);
        (all, lease)
    }

    #[test]
    fn who_had_a_lease_that_was_taken_away_takes_it_anew_and_nobody_else_has_it_meanwhile() {
        // It is deleted, or emptied, or made anew and empty a while after it was deleted.
        let emptied = Some(Lease { holder: None, renewals: 0 });
        for states in [vec![None], vec![emptied.clone()], vec![None, emptied]] {
            let start = Instant::now();
            let ([mut one, mut two, mut three], mut lease) = group(start);
            for (second, state) in (1..).zip(&states) {
                let now = start + second * SECOND;
                lease.clone_from(state);
                for other in [&mut two, &mut three] {
                    assert_eq!(
                        look(other, &mut lease, now),
                        Standing::Follows("one".to_owned()),
                        "{states:?}"
                    );
                }
                assert_eq!(lease, *state, "nobody writes it");
            }
            let back = start + 3 * SECOND;
            // Before he looks he counts on what he has renewed.
            assert_eq!(one.standing(back), Standing::Leads);
            assert_eq!(look(&mut one, &mut lease, back), Standing::Leads);
            assert_eq!(lease.as_ref().and_then(|lease| lease.holder.as_deref()), Some("one"));
            for second in 4..30 {
                let now = start + second * SECOND;
                assert_eq!(look(&mut two, &mut lease, now), Standing::Follows("one".to_owned()));
                assert_eq!(look(&mut three, &mut lease, now), Standing::Follows("one".to_owned()));
                assert_eq!(look(&mut one, &mut lease, now), Standing::Leads);
            }
            assert_eq!(one.taken_from(), None);
        }
    }

    #[test]
    fn a_lease_that_was_taken_away_from_one_who_is_gone_is_another_ones_after_its_time() {
        let start = Instant::now();
        let ([_, mut two, _], _) = group(start);
        let mut lease = None;
        for second in 1..7 {
            let now = start + second * SECOND;
            assert_eq!(look(&mut two, &mut lease, now), Standing::Follows("one".to_owned()));
        }
        assert_eq!(look(&mut two, &mut lease, start + 7 * SECOND), Standing::Leads);
        assert_eq!(two.taken_from(), Some("one"));
    }

    #[test]
    fn who_cannot_take_anew_what_was_taken_away_does_not_count_on_it() {
        let start = Instant::now();
        let ([mut one, ..], _) = group(start);
        let next = one.look(None, start + SECOND).unwrap();
        assert_eq!(next, Lease { holder: Some("one".to_owned()), renewals: 1 });
        assert_eq!(one.standing(start + SECOND), Standing::Vacant);
        // Somebody else was faster, who had seen nothing.
        one.wrote(next, false, start + SECOND);
        assert_eq!(one.standing(start + SECOND), Standing::Vacant);
        assert!(one.release().is_none());
        let mut lease = Some(Lease { holder: Some("four".to_owned()), renewals: 1 });
        assert_eq!(look(&mut one, &mut lease, start + 2 * SECOND), Standing::Follows("four".to_owned()));
    }

    #[test]
    fn one_who_cannot_renew_does_not_count_on_it() {
        let start = Instant::now();
        let mut lease = None;
        let mut one = Election::new("one", Pace::default(), start);
        look(&mut one, &mut lease, start);
        assert_eq!(one.standing(start + 3 * SECOND), Standing::Leads);
        assert_eq!(one.standing(start + 4 * SECOND), Standing::Vacant);
    }
}
