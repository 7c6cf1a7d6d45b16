//! Partitions of the network, both ways and one way.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use superstep_engine::{Home, Homes};
use superstep_witness::{Random, messages};
use tempfile::TempDir;

use super::{BUSY, Bench, Scenario, WORKERS, environment};
use crate::gateway::Gateway;
use crate::group::{Plan, Process};
use crate::machine;
use crate::network::{Network, address, gateway, within};
use crate::report::Report;
use crate::trial::{Fault, Place, Rig};

/// The port of each worker, on a machine of its own.
const PORT: u16 = 7101;
/// The machine of the store.
const STORE: usize = WORKERS + 1;

/// How long the store is away from all.
const AWAY: Duration = Duration::from_secs(60);

/// Which way packets are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Both,
    There,
    Back,
}

/// Workers and a store, each on a machine of its own. They are dropped in this order.
struct Lab {
    rig: Rig,
    _gateway: Option<Gateway>,
    network: Network,
    _folder: TempDir,
}

impl Lab {
    fn new(bench: &Bench, salt: u64) -> Result<Self> {
        let network = Network::new(STORE)?;
        let folder = bench.folder()?;
        let mut objects = folder.path().join("store");
        let mut store =
            format!("file://{}", objects.to_str().context("the folder for temporary files is UTF-8")?);
        let mut environment = environment();
        let listen: SocketAddr = format!("{}:7070", address(STORE)).parse()?;
        let start = |program| Gateway::start(program, &within(STORE), listen, &folder.path().join("s3"));
        let s3 = bench.versitygw.as_deref().map(start).transpose()?;
        if let Some(s3) = &s3 {
            (store, objects) = (Gateway::url(), s3.objects());
            environment.extend(s3.environment());
        }
        let plan =
            Plan { program: bench.program.clone(), folder: folder.path().to_owned(), store, environment };
        let model = format!("http://{}:{}/v1", gateway(STORE), bench.model.port());
        let place = Place { plan, objects, model };
        let mut rig = Rig::new(&bench.runtime, &bench.ledger, place, bench.random(salt))?;
        for machine in 1..=WORKERS {
            let listen = format!("{}:{PORT}", address(machine)).parse()?;
            let process = Process::new(&format!("worker-{machine}"), listen);
            rig.group.add(process.within(within(machine)))?;
        }
        rig.group.complete(WORKERS)?;
        Ok(Self { rig, _gateway: s3, network, _folder: folder })
    }
}

/// The leader from all others.
pub(super) fn leader(bench: &Bench) -> Result<Report> {
    cuts(bench, Scenario::CutLeader, |rig, _| {
        let leader = rig.group.leader()?;
        Ok((0..WORKERS).filter(|at| *at != leader).map(|other| (leader + 1, other + 1)).collect())
    })
}

/// Two workers that do not lead from each other, of which one has messages for the other.
pub(super) fn workers(bench: &Bench) -> Result<Report> {
    let home = |number| Home { name: format!("worker-{number}"), labels: BTreeSet::new() };
    let homes = Homes::new((1..=WORKERS).map(home).collect(), BTreeMap::new());
    let machine = |vertex: &str| homes.of(&vertex.into()).0 as usize + 1;
    let ways: Vec<(usize, usize)> = messages()
        .iter()
        .map(|(from, to)| (machine(from), machine(to)))
        .filter(|(from, to)| from != to)
        .collect();
    cuts(bench, Scenario::CutWorkers, |rig, _| {
        let leader = rig.group.leader()? + 1;
        let between: Vec<_> =
            ways.iter().copied().filter(|(from, to)| *from != leader && *to != leader).collect();
        Ok(vec![rig.random.pick(&between)])
    })
}

/// A worker from the store, in the second half of the rounds the leader.
pub(super) fn store(bench: &Bench) -> Result<Report> {
    if bench.versitygw.is_none() {
        return Ok(Report::skipped(&Scenario::CutStore.name(), "there is no S3 server to be cut off"));
    }
    cuts(bench, Scenario::CutStore, |rig, of_leader| {
        let leader = rig.group.leader()?;
        let others: Vec<usize> = (0..WORKERS).filter(|at| *at != leader).collect();
        Ok(vec![(if of_leader { leader } else { rig.random.pick(&others) } + 1, STORE)])
    })
}

/// All workers from the store, for a minute.
pub(super) fn store_from_all(bench: &Bench) -> Result<Report> {
    if bench.versitygw.is_none() {
        return Ok(Report::skipped(&Scenario::StoreAway.name(), "there is no S3 server to be cut off"));
    }
    cuts(bench, Scenario::StoreAway, |_, _| Ok((1..=WORKERS).map(|worker| (worker, STORE)).collect()))
}

/// How long a cut lasts.
fn lasting(bench: &Bench, scenario: Scenario, random: &mut Random) -> Duration {
    match (bench.short, scenario == Scenario::StoreAway) {
        (true, _) => random.millis(5_000, 8_000),
        (false, false) => random.millis(5_000, 30_000),
        (false, true) => AWAY,
    }
}

/// `sides` says what is cut in a round, as pairs of machines; it is told whether that is in the second half.
fn cuts(
    bench: &Bench,
    scenario: Scenario,
    sides: impl Fn(&mut Rig, bool) -> Result<Vec<(usize, usize)>>,
) -> Result<Report> {
    let name = scenario.name();
    if !machine::is_isolated() {
        return Ok(Report::skipped(&name, "networks cannot be made here: that takes root and unshare"));
    }
    let mut report = Report::new(&name);
    let mut lab = Lab::new(bench, scenario as u64)?;
    let (reference, _) = lab.rig.undisturbed(&name)?;
    let is_away = scenario == Scenario::StoreAway;
    let rounds = bench.rounds(if is_away { 3 } else { 6 }, 1);
    let (mut silent, mut unsaid) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let way = [Way::Both, Way::There, Way::Back][round % 3];
        let before = lab.network.lost()?;
        let network = &mut lab.network;
        let (mut lasted, mut said) = (Duration::ZERO, String::new());
        let outcome =
            lab.rig.trial(&format!("{name}-{round}"), (&reference, round % 2 == 1), |rig, run| {
                let pairs = sides(rig, round >= rounds / 2)?;
                rig.moment(run, (2, 60), if round % 2 == 0 { BUSY } else { 0 })?;
                let begun = Instant::now();
                for (one, other) in pairs {
                    if way != Way::Back {
                        network.cut(one, other)?;
                    }
                    if way != Way::There {
                        network.cut(other, one)?;
                    }
                }
                rig.goes_on();
                lasted = lasting(bench, scenario, &mut rig.random);
                sleep(lasted);
                if is_away {
                    said = rig.group.look(run)?.map(|run| run.waits_for).unwrap_or_default();
                }
                network.heal()?;
                Ok(Fault { begun, over: Instant::now() })
            })?;
        let lost = lab.network.lost()? - before;
        let seconds = |time: Option<Duration>| {
            time.map_or("none".to_owned(), |time| format!("{:.1} s", time.as_secs_f64()))
        };
        report.note(format!(
            "{way:?} for {:.1} s: {lost} packets lost, {:.1} s without an answer or a commit, the next commit {} after \
             the end of the fault, {} terms",
            lasted.as_secs_f64(),
            outcome.stall.as_secs_f64(),
            seconds(outcome.healed),
            outcome.terms
        ));
        if lost == 0 {
            silent.push(format!("round {round}"));
        }
        // A request that is not answered is given up after a quarter of a minute, and the store is away after two.
        if is_away && !bench.short && !said.contains("store") {
            unsaid.push(format!("round {round}: {said:?}"));
        }
        report.add(outcome);
        lab.rig.group.complete(WORKERS)?;
    }
    report.demand(silent.is_empty(), "packets lost in each round");
    report.demand(
        unsaid.is_empty(),
        &format!("a run that said in each round that it waits for the store: {unsaid:?}"),
    );
    let refused = lab.rig.group.said("of a term that is over is refused")?;
    report.note(format!("{refused} messages refused, of who was replaced"));
    Ok(report)
}
