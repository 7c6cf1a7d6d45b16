//! Faults of the API server and of the process, and that nothing comes of them.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::Receiver;

use super::cluster::Room;
use super::control_plane::ControlPlane;
use super::kubelet::Kubelet;
use super::life::{Between, Steps, live};
use super::operator::Operator;
use super::proxy::{Plan, Proxy};
use super::workers::{Places, can_be_named};
use super::{run_life, workers};

/// What is the same each time must be the same.
fn compare(what: &str, reference: &Steps, steps: &Steps) {
    assert_eq!(reference.len(), steps.len());
    for ((step, expected), (_, found)) in reference.iter().zip(steps) {
        let names = |of: &std::collections::BTreeMap<String, _>| of.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(expected), names(found), "{what}, after {step}");
        for (name, expected) in expected {
            assert_eq!(expected, &found[name], "{what}, after {step}: {name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_is_the_same_whatever_happens() {
    let Some(plane) = ControlPlane::start().await else { return };
    let client = plane.client().await;
    let _kubelet = Kubelet::start(client.clone());
    let mut stage = Stage::new(&plane, Operator::start).await;
    let life =
        async |name: &'static str, between| Box::pin(live(&Room::new(&client, name).await, &between)).await;
    let reference = stage.reference(&life).await;
    assert!(reference.iter().all(|(_, children)| children.len() >= 10));
    let (first, recreated) = (&reference[0].1, &reference[3].1);
    assert_eq!(first, recreated);
    stage.disturb(&reference, &life, Operator::start).await;
}

/// Runs and patches are handed to a worker, which is a task of the test: what becomes of them is the same, and the worker
/// has had each run once.
#[tokio::test(flavor = "multi_thread")]
async fn what_becomes_of_runs_is_the_same_whatever_happens() {
    let Some(plane) = ControlPlane::start().await else { return };
    if !can_be_named() {
        return;
    }
    let client = plane.client().await;
    let _kubelet = Kubelet::start(client.clone());
    let places = Places::new(&client).await;
    let start = |url: &str| Operator::start_among(url, &places.hosts(), &[workers::OWN_NAMESPACE]);
    let mut stage = Stage::new(&plane, start).await;
    let life = async |name: &'static str, between| {
        let room = Room::new(&client, &workers::namespace(name)).await;
        let worker = places.worker(name).await;
        Box::pin(run_life::live(&room, &worker, &between)).await
    };
    let reference = stage.reference(&life).await;
    let (step, left) = reference.last().unwrap();
    assert_eq!((*step, &left["runs"]), ("end", &run_life::had()));
    stage.disturb(&reference, &life, start).await;
}

/// Where lives are lived: an operator behind a proxy.
struct Stage {
    proxy: Proxy,
    url: String,
    deaths: Receiver<()>,
    operator: Operator,
}

impl Stage {
    async fn new(plane: &ControlPlane, start: impl Fn(&str) -> Operator) -> Self {
        let (proxy, url, deaths) = Proxy::start(&plane.url, &plane.identities()).await;
        let operator = start(&url);
        Self { proxy, url, deaths, operator }
    }

    /// What comes of an undisturbed life.
    async fn reference(&self, life: &impl AsyncFn(&'static str, Between) -> Steps) -> Steps {
        let began = Instant::now();
        let reference = life("reference", Between::Nothing).await;
        println!("reference: {} writes, {:.1} s", self.proxy.writes(), began.elapsed().as_secs_f64());
        reference
    }

    /// The same comes of it whatever happens.
    async fn disturb(
        &mut self,
        reference: &Steps,
        life: &impl AsyncFn(&'static str, Between) -> Steps,
        start: impl Fn(&str) -> Operator,
    ) {
        for (name, plan) in plans() {
            let (began, writes) = (Instant::now(), self.proxy.writes());
            self.proxy.play(plan);
            // Watches that began before know nothing of the plan.
            self.operator.restart();
            let steps = life(name, Between::Nothing).await;
            compare(name, reference, &steps);
            let count = self.proxy.writes() - writes;
            println!("{name}: {count} writes, {:.1} s", began.elapsed().as_secs_f64());
            assert!(!self.operator.has_ended(), "{}", self.operator.log());
        }
        self.proxy.play(Plan::default());
        self.operator.restart();
        compare("killed", reference, &self.killed(life).await);
        compare("stale", reference, &self.stale(life).await);
        let mut other = start(&self.url);
        compare("two at once", reference, &life("two", Between::Nothing).await);
        assert_eq!(other.terminate(), Some(0), "{}", other.log());
        assert_eq!(self.operator.terminate(), Some(0), "{}", self.operator.log());
    }

    /// The process is killed after each single write, before it hears of it.
    async fn killed(&mut self, life: &impl AsyncFn(&'static str, Between) -> Steps) -> Steps {
        let next = |proxy: &Proxy| u32::try_from(proxy.writes()).unwrap() + 1;
        self.proxy.play(Plan { die_after: Some(next(&self.proxy)), ..Plan::default() });
        let (mut count, began) = (0, Instant::now());
        let mut life = std::pin::pin!(life("killed", Between::Nothing));
        let steps = loop {
            tokio::select! {
                steps = &mut life => break steps,
                Some(()) = self.deaths.recv() => {
                    count += 1;
                    self.operator.kill();
                    self.proxy.play(Plan { die_after: Some(next(&self.proxy)), ..Plan::default() });
                    self.operator.restart();
                }
            }
        };
        self.proxy.play(Plan::default());
        println!("killed: {count} times, {:.1} s", began.elapsed().as_secs_f64());
        assert!(count >= 20, "{count}");
        steps
    }

    /// In each step, what is shown is what was there before it, also to a process that starts during it.
    async fn stale(&mut self, life: &impl AsyncFn(&'static str, Between) -> Steps) -> Steps {
        // The view is old for as long as it takes to begin the step and to start again.
        let (turn, mut turns) = tokio::sync::mpsc::channel::<&'static str>(1);
        let began = Instant::now();
        let mut life = std::pin::pin!(life("stale", Between::Stale(self.proxy.clone(), turn)));
        let mut thaw = None;
        let steps = loop {
            tokio::select! {
                steps = &mut life => break steps,
                Some(_) = turns.recv() => {
                    self.operator.restart();
                    thaw = Some(Box::pin(tokio::time::sleep(Duration::from_secs(6))));
                }
                () = async { thaw.as_mut().unwrap().await }, if thaw.is_some() => {
                    // Time travel: it starts once more with the view of before, when the world has gone on.
                    self.operator.restart();
                    tokio::time::sleep(Duration::from_secs(2)).await;
                    self.proxy.thaw();
                    thaw = None;
                }
            }
        };
        self.proxy.thaw();
        println!("stale: {} steps, {:.1} s", steps.len(), began.elapsed().as_secs_f64());
        steps
    }
}

fn plans() -> Vec<(&'static str, Plan)> {
    let refused = |codes: &[u16]| Plan { refuse_once: codes.to_vec(), ..Plan::default() };
    let second = Duration::from_secs(1);
    vec![
        ("conflicts", refused(&[409])),
        ("throttled", refused(&[429])),
        ("failing", refused(&[500, 503])),
        ("done-and-failed", Plan { fail_after: Some(500), ..Plan::default() }),
        ("expired", Plan { expire: Some(second), ..Plan::default() }),
        ("coalesced", Plan { coalesce: Some(second), ..Plan::default() }),
    ]
}
