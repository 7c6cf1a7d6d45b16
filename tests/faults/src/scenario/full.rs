//! A store whose disk is full for a while.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::{Bench, Scenario, WORKERS, environment};
use crate::disk::Disk;
use crate::group::Plan;
use crate::machine;
use crate::report::Report;
use crate::trial::{Fault, Place, Rig};

/// How long the disk stays full.
const FULL: Duration = Duration::from_secs(10);
/// What a worker says of that.
const AWAY: &str = "the store is away";

pub(super) fn disk(bench: &Bench) -> Result<Report> {
    let name = Scenario::FullDisk.name();
    if !machine::is_isolated() {
        return Ok(Report::skipped(&name, "disks cannot be mounted here: that takes root and unshare"));
    }
    let mut report = Report::new(&name);
    let folder = bench.folder()?;
    let objects = folder.path().join("store");
    std::fs::create_dir(&objects)?;
    let disk = Disk::mount(&objects)?;
    report.note(format!("the disk is {}", disk.kind));
    let plan = Plan {
        program: bench.program.clone(),
        folder: folder.path().to_owned(),
        store: format!(
            "file://{}/runs",
            objects.to_str().context("the folder for temporary files is UTF-8")?
        ),
        environment: environment(),
    };
    let place = Place { plan, objects: objects.join("runs"), model: bench.model_on_loopback() };
    let mut rig = Rig::new(&bench.runtime, &bench.ledger, place, bench.random(Scenario::FullDisk as u64))?;
    rig.group.on_loopback(WORKERS)?;
    let (reference, _) = rig.undisturbed(&name)?;
    let (mut told, mut silent, mut waited) = (0, Vec::new(), 0);
    let rounds = bench.rounds(4, 1);
    for round in 0..rounds {
        let before = rig.group.said(AWAY)?;
        let outcome = rig.trial(&format!("{name}-{round}"), (&reference, round % 2 == 1), |rig, run| {
            rig.moment(run, (2, 85), 0)?;
            disk.fill()?;
            let begun = Instant::now();
            rig.goes_on();
            sleep(FULL);
            told += usize::from(rig.group.cluster()?.store_away_seconds.is_some());
            disk.free()?;
            Ok(Fault { begun, over: Instant::now() })
        })?;
        if rig.group.said(AWAY)? == before {
            silent.push(format!("round {round}"));
        }
        waited += usize::from(outcome.stall > FULL / 2);
        report.add(outcome);
        rig.group.demand_alive()?;
    }
    let (away, back) = (rig.group.said(AWAY)?, rig.group.said("the store is back")?);
    report.note(format!(
        "workers said {away} times that the store was away, and {back} times that it was back; the leader itself found \
         it away in {told} of {rounds} rounds, in the others only journals had to wait"
    ));
    report.look("rounds in which nobody said that the store was away", rounds, silent);
    report.demand(waited == rounds, "a run that had to wait in each round");
    Ok(report)
}
