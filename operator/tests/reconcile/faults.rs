//! Faults of the API server and of the process, and that nothing comes of them.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::Receiver;

use super::cluster::Room;
use super::control_plane::ControlPlane;
use super::kubelet::Kubelet;
use super::life::{Steps, live};
use super::operator::Operator;
use super::proxy::{Plan, Proxy};

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
    let kubelet = Kubelet::start(client.clone());
    let (proxy, url, mut deaths) = Proxy::start(&plane.url, &plane.identities()).await;
    let mut operator = Operator::start(&url);
    let room = async |name: &str| Room::new(&client, name).await;

    let began = Instant::now();
    let reference = live(&room("reference").await, async |_| {}).await;
    assert!(reference.iter().all(|(_, children)| children.len() >= 10));
    let (first, recreated) = (&reference[0].1, &reference[3].1);
    assert_eq!(first, recreated);
    println!("reference: {} writes, {:.1} s", proxy.writes(), began.elapsed().as_secs_f64());

    for (name, plan) in plans() {
        let (began, writes) = (Instant::now(), proxy.writes());
        proxy.play(plan);
        // Watches that began before know nothing of the plan.
        operator.restart();
        let steps = live(&room(name).await, async |_| {}).await;
        compare(name, &reference, &steps);
        let count = proxy.writes() - writes;
        println!("{name}: {count} writes, {:.1} s", began.elapsed().as_secs_f64());
        assert!(!operator.has_ended(), "{}", operator.log());
    }
    proxy.play(Plan::default());
    operator.restart();

    killed(&proxy, &mut deaths, &mut operator, &room("killed").await, &reference).await;
    stale(&proxy, &mut operator, &room("stale").await, &reference).await;
    let mut other = Operator::start(&url);
    let steps = live(&room("two").await, async |_| {}).await;
    compare("two at once", &reference, &steps);
    assert_eq!(other.terminate(), Some(0), "{}", other.log());
    assert_eq!(operator.terminate(), Some(0), "{}", operator.log());
    drop(kubelet);
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

/// The process is killed after each single write, before it hears of it.
async fn killed(
    proxy: &Proxy,
    deaths: &mut Receiver<()>,
    operator: &mut Operator,
    room: &Room,
    reference: &Steps,
) {
    let next = |proxy: &Proxy| u32::try_from(proxy.writes()).unwrap() + 1;
    proxy.play(Plan { die_after: Some(next(proxy)), ..Plan::default() });
    let mut count = 0;
    let life = live(room, async |_| {});
    let mut life = std::pin::pin!(life);
    let steps = loop {
        tokio::select! {
            steps = &mut life => break steps,
            Some(()) = deaths.recv() => {
                count += 1;
                operator.kill();
                proxy.play(Plan { die_after: Some(next(proxy)), ..Plan::default() });
                operator.restart();
            }
        }
    };
    proxy.play(Plan::default());
    compare("killed", reference, &steps);
    println!("killed: {count} times");
    assert!(count >= 20, "{count}");
}

/// In each step, what is shown is what was there before it, also to a process that starts during it.
async fn stale(proxy: &Proxy, operator: &mut Operator, room: &Room, reference: &Steps) {
    // The view is old for as long as it takes to begin the step and to start again.
    let (turn, mut turns) = tokio::sync::mpsc::channel::<&'static str>(1);
    let shown = proxy.clone();
    let life = live(room, async |step| {
        shown.freeze();
        turn.send(step).await.unwrap();
        // The process lists what is there before the step, and lists it again after it.
        tokio::time::sleep(Duration::from_secs(3)).await;
    });
    let mut life = std::pin::pin!(life);
    let mut thaw = None;
    let steps = loop {
        tokio::select! {
            steps = &mut life => break steps,
            Some(_) = turns.recv() => {
                operator.restart();
                thaw = Some(Box::pin(tokio::time::sleep(Duration::from_secs(6))));
            }
            () = async { thaw.as_mut().unwrap().await }, if thaw.is_some() => {
                // Time travel: it starts once more with the view of before, when the world has gone on.
                operator.restart();
                tokio::time::sleep(Duration::from_secs(2)).await;
                proxy.thaw();
                thaw = None;
            }
        }
    };
    proxy.thaw();
    compare("stale", reference, &steps);
    println!("stale: {} steps", steps.len());
}
