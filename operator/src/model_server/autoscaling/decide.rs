//! From what replicas tell to how many there are to be: values in, values out.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use superstep_api::Autoscaling;

/// So much more or less than the target is not acted upon, in parts of it.
const TOLERANCE: f64 = 0.1;
/// How many times as many as are ready there may be after one step up.
const STEP: u32 = 2;

/// What the document says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    min: u32,
    max: u32,
    /// Requests that a replica is to have.
    concurrency: f64,
    /// Of those, the ones that may wait.
    queue: Option<f64>,
    down_after: Duration,
    idle_after: Duration,
}

/// A server at one look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    /// How many replicas it was last decided to have.
    pub(super) current: u32,
    /// How many are ready.
    pub(super) ready: u32,
    /// How many load.
    pub(super) loading: u32,
    /// How many of those that are ready have told their load.
    pub(super) told: u32,
    /// How many requests these work on.
    pub(super) running: f64,
    /// How many wait for them.
    pub(super) waiting: f64,
    /// Whether a run is in progress that may ask it; only looked at where there may be no replicas.
    pub(super) is_asked: bool,
}

/// What was asked for lately.
#[derive(Clone, Debug)]
pub(crate) struct History {
    /// Since when it is known.
    since: Instant,
    /// When somebody asked last, or may have.
    busy: Instant,
    /// Numbers that were asked for, each less than the one before, with the last time that they were.
    asked: VecDeque<(Instant, u32)>,
}

/// How many there are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) replicas: u32,
    /// Whether there would be more without `maxReplicas`.
    pub(super) is_limited: bool,
}

impl Bounds {
    pub(super) fn of(autoscaling: &Autoscaling) -> Self {
        let target = autoscaling.target;
        Self {
            min: autoscaling.min_replicas,
            max: autoscaling.max_replicas.get(),
            concurrency: f64::from(target.concurrency.get()),
            queue: target.queue.map(|queue| f64::from(queue.get())),
            down_after: autoscaling.scale_down_after(),
            idle_after: autoscaling.idle_after(),
        }
    }

    /// How many replicas so many requests ask for.
    fn replicas(&self, requests: f64, waiting: f64) -> u32 {
        let by_queue = self.queue.map_or(0.0, |queue| waiting / queue);
        // A number that is too large becomes the largest, and the limit comes after that.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it saturates, and is none below 0"
        )]
        let replicas = (requests / self.concurrency).max(by_queue).ceil() as u32;
        replicas
    }
}

impl History {
    /// Nothing is known of what was before `now`, so that nothing goes for want of demand until its time has passed.
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, busy: now, asked: VecDeque::new() }
    }

    fn note(&mut self, now: Instant, asked: u32, within: Duration) {
        while self.asked.back().is_some_and(|(_, before)| *before <= asked) {
            self.asked.pop_back();
        }
        self.asked.push_back((now, asked));
        while self.asked.front().is_some_and(|(at, _)| now.duration_since(*at) > within) {
            self.asked.pop_front();
        }
    }

    /// The most that was asked for lately.
    fn most(&self) -> u32 {
        self.asked.front().map_or(0, |(_, asked)| *asked)
    }
}

/// How many replicas there are to be.
///
/// The requests are those of all replicas together, so that the answer does not depend on how many there are already: what
/// loads counts as capacity that comes. Up it goes at once, to [`STEP`] times as many as are ready; down to the most that
/// was asked for within `down_after`, and not while one loads. What a replica does not tell is taken for its target on the way
/// down, and for nothing on the way up.
pub(super) fn decide(bounds: &Bounds, sight: &Sight, history: &mut History, now: Instant) -> Decision {
    let current = sight.current;
    let requests = sight.running + sight.waiting;
    let silent = sight.ready.saturating_sub(sight.told);
    if requests > 0.0 || silent > 0 || sight.is_asked {
        history.busy = now;
    }
    let floor = floor(bounds, sight, history, now);
    let asked = asked(bounds, sight, silent);
    history.note(now, asked, bounds.down_after);
    let most = history.most();
    let limited = |replicas: u32| Decision { replicas, is_limited: most > bounds.max };
    let wanted = asked.clamp(floor, bounds.max.max(floor));
    if wanted > current {
        let step = sight.ready.saturating_mul(STEP).max(current).max(1);
        return limited(wanted.min(step).max(floor));
    }
    // More than the document allows are none that anybody waits for.
    let highest = current.min(bounds.max.max(floor));
    if sight.loading > 0 {
        return limited(highest);
    }
    if floor == 0 {
        return limited(0);
    }
    if now.duration_since(history.since) < bounds.down_after {
        return limited(highest);
    }
    limited(most.clamp(floor, highest.max(floor)))
}

/// The fewest that there may be.
fn floor(bounds: &Bounds, sight: &Sight, history: &History, now: Instant) -> u32 {
    if bounds.min > 0 {
        return bounds.min;
    }
    let is_idle = sight.current == 0 || now.duration_since(history.busy) >= bounds.idle_after;
    u32::from(sight.is_asked || !is_idle)
}

/// How many are asked for, without bounds.
fn asked(bounds: &Bounds, sight: &Sight, silent: u32) -> u32 {
    let current = sight.current;
    let (requests, waiting) = (sight.running + sight.waiting, sight.waiting);
    let up = bounds.replicas(requests, waiting);
    let down = bounds.replicas(requests + f64::from(silent) * bounds.concurrency, waiting);
    let capacity = f64::from(current) * bounds.concurrency;
    let is_near = current > 0 && (requests - capacity).abs() <= TOLERANCE * capacity;
    if up > current && !(is_near && bounds.replicas(0.0, waiting) <= current) {
        up
    } else if down < current && !is_near {
        down
    } else {
        current
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const LOOK: Duration = Duration::from_secs(5);

    fn bounds(autoscaling: Value) -> Bounds {
        Bounds::of(&serde_json::from_value(autoscaling).unwrap())
    }

    /// A server whose replicas come when a test says so.
    struct Server {
        bounds: Bounds,
        sight: Sight,
        history: History,
        now: Instant,
    }

    impl Server {
        fn new(autoscaling: Value, current: u32) -> Self {
            let now = Instant::now();
            let sight = Sight {
                current,
                ready: current,
                loading: 0,
                told: current,
                running: 0.0,
                waiting: 0.0,
                is_asked: false,
            };
            Self { bounds: bounds(autoscaling), sight, history: History::new(now), now }
        }

        /// Asks it so much.
        fn load(&mut self, running: f64, waiting: f64) -> &mut Self {
            (self.sight.running, self.sight.waiting) = (running, waiting);
            self
        }

        /// One look; those that are asked for begin to load.
        fn look(&mut self) -> u32 {
            self.now += LOOK;
            let decision = decide(&self.bounds, &self.sight, &mut self.history, self.now);
            self.sight.current = decision.replicas;
            self.sight.ready = self.sight.ready.min(decision.replicas);
            self.sight.told = self.sight.told.min(self.sight.ready);
            self.sight.loading = decision.replicas - self.sight.ready;
            decision.replicas
        }

        /// Those that load are ready.
        fn loaded(&mut self) -> &mut Self {
            self.sight.ready = self.sight.current;
            (self.sight.told, self.sight.loading) = (self.sight.ready, 0);
            self
        }

        /// How many there are after so long.
        fn after(&mut self, time: Duration) -> u32 {
            let end = self.now + time;
            while self.now + LOOK <= end {
                self.look();
            }
            self.sight.current
        }
    }

    fn four() -> Value {
        json!({"maxReplicas": 4, "target": {"concurrency": 8}})
    }

    #[test]
    fn a_burst_asks_for_the_same_number_again() {
        let mut server = Server::new(json!({"maxReplicas": 20}), 1);
        assert_eq!(server.load(8.0, 40.0).look(), 2);
        // What loads is no reason for more, however often one looks.
        assert_eq!(server.after(Duration::from_secs(600)), 2);
        assert_eq!(server.loaded().look(), 4);
        assert_eq!(server.loaded().look(), 6);
        assert_eq!(server.loaded().after(Duration::from_secs(600)), 6);
    }

    #[test]
    fn there_are_no_more_than_the_document_allows() {
        let mut server = Server::new(four(), 3);
        server.now += LOOK;
        server.load(24.0, 400.0);
        let decision = decide(&server.bounds, &server.sight, &mut server.history, server.now);
        assert_eq!(decision, Decision { replicas: 4, is_limited: true });
        let mut lowered = Server::new(four(), 9);
        assert_eq!(lowered.load(72.0, 0.0).look(), 4);
        let mut raised = Server::new(json!({"minReplicas": 3, "maxReplicas": 4}), 1);
        assert_eq!(raised.look(), 3);
    }

    #[test]
    fn a_tenth_more_or_less_is_none() {
        let mut server = Server::new(four(), 2);
        assert_eq!(server.load(16.0, 1.0).look(), 2);
        assert_eq!(server.load(16.0, 2.0).look(), 3);
        let mut server = Server::new(json!({"maxReplicas": 20}), 10);
        assert_eq!(server.load(72.0, 0.0).after(Duration::from_secs(900)), 10);
        assert_eq!(server.load(71.0, 0.0).after(Duration::from_secs(900)), 9);
    }

    #[test]
    fn a_queue_is_reason_enough() {
        let of = |target: Value| json!({"maxReplicas": 4, "target": target});
        let mut server = Server::new(of(json!({"concurrency": 64})), 1);
        assert_eq!(server.load(8.0, 6.0).look(), 1);
        let mut server = Server::new(of(json!({"concurrency": 64, "queue": 4})), 1);
        assert_eq!(server.load(8.0, 6.0).look(), 2);
        // A full house is near its target, and its queue is not.
        let mut server = Server::new(of(json!({"concurrency": 16, "queue": 2})), 1);
        assert_eq!(server.load(8.0, 8.0).look(), 2);
    }

    #[test]
    fn it_goes_down_to_the_most_that_was_asked_for_lately() {
        let mut server = Server::new(json!({"maxReplicas": 4, "scaleDownAfter": "1m"}), 4);
        server.load(32.0, 0.0).after(Duration::from_secs(120));
        server.load(8.0, 0.0);
        assert_eq!(server.after(Duration::from_secs(30)), 4);
        server.load(16.0, 0.0).look();
        server.load(8.0, 0.0);
        // The four of a minute ago count no more, the two of half a minute ago do.
        assert_eq!(server.after(Duration::from_secs(40)), 2);
        assert_eq!(server.after(Duration::from_secs(40)), 1);
    }

    #[test]
    fn who_has_just_begun_to_look_takes_nothing_away() {
        let mut server = Server::new(json!({"maxReplicas": 4, "scaleDownAfter": "1m"}), 4);
        assert_eq!(server.after(Duration::from_secs(55)), 4);
        assert_eq!(server.after(Duration::from_secs(10)), 1);
    }

    #[test]
    fn nothing_goes_while_one_loads() {
        let mut server = Server::new(json!({"minReplicas": 0, "maxReplicas": 4, "scaleDownAfter": "10s"}), 2);
        (server.sight.ready, server.sight.told, server.sight.loading) = (1, 1, 1);
        server.now += Duration::from_secs(3_600);
        let decision = decide(&server.bounds, &server.sight, &mut server.history, server.now);
        assert_eq!(decision.replicas, 2);
        assert_eq!(server.loaded().look(), 0);
    }

    #[test]
    fn who_does_not_tell_his_load_is_busy() {
        let zero = || json!({"minReplicas": 0, "maxReplicas": 4, "scaleDownAfter": "10s"});
        let mut server = Server::new(zero(), 3);
        server.sight.told = 1;
        server.now += Duration::from_secs(3_600);
        let decision = decide(&server.bounds, &server.sight, &mut server.history, server.now);
        assert_eq!(decision.replicas, 2);
        // The last one does not go on a guess.
        let mut server = Server::new(zero(), 1);
        server.sight.told = 0;
        assert_eq!(server.after(Duration::from_secs(900)), 1);
    }

    #[test]
    fn a_run_wakes_it_and_holds_one() {
        let mut server = Server::new(json!({"minReplicas": 0, "maxReplicas": 4}), 0);
        assert_eq!(server.after(Duration::from_secs(60)), 0);
        server.sight.is_asked = true;
        assert_eq!(server.look(), 1);
        assert_eq!(server.after(Duration::from_secs(900)), 1);
        assert_eq!(server.loaded().after(Duration::from_secs(7_200)), 1);
    }

    #[test]
    fn nobody_asks_and_the_last_goes() {
        let zero = || json!({"minReplicas": 0, "maxReplicas": 4, "idleAfter": "2m"});
        let mut server = Server::new(zero(), 1);
        server.load(1.0, 0.0).after(Duration::from_secs(600));
        server.load(0.0, 0.0);
        assert_eq!(server.after(Duration::from_secs(115)), 1);
        assert_eq!(server.after(Duration::from_secs(10)), 0);
        // What cannot start is not held for those who do not ask.
        let mut broken = Server::new(zero(), 1);
        (broken.sight.ready, broken.sight.told) = (0, 0);
        assert_eq!(broken.after(Duration::from_secs(115)), 1);
        broken.sight.loading = 0;
        broken.now += LOOK;
        let decision = decide(&broken.bounds, &broken.sight, &mut broken.history, broken.now);
        assert_eq!(decision.replicas, 0);
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let mut history = History::new(Instant::now());
        let start = Instant::now();
        for second in 0..10_000 {
            let asked = u32::try_from(second % 7).unwrap();
            history.note(start + Duration::from_secs(second), asked, Duration::from_secs(3_600));
        }
        assert!(history.asked.len() <= 7, "{:?}", history.asked);
        assert_eq!(history.most(), 6);
    }
}
