//! kill -9 at random moments; who was killed is started again.

use std::thread::sleep;
use std::time::Instant;

use anyhow::Result;

use super::{BUSY, Bench, MANY, Scenario, WORKERS};
use crate::report::{Report, spread};
use crate::trial::{Fault, Rig};

/// A worker that does not lead.
pub(super) fn worker(bench: &Bench) -> Result<Report> {
    kills(bench, Scenario::KillWorker, (bench.rounds(20, 2), 3_000), |rig| {
        let leader = rig.group.leader()?;
        let others: Vec<usize> = (0..WORKERS).filter(|at| *at != leader).collect();
        Ok(rig.random.pick(&others))
    })
}

/// The leader.
pub(super) fn leader(bench: &Bench) -> Result<Report> {
    // Within the time of its lease it leads again; after that another one does.
    kills(bench, Scenario::KillLeader, (bench.rounds(20, 1), 12_000), |rig| rig.group.leader())
}

/// So many rounds; whoever is killed is started again after so many milliseconds at most.
fn kills(
    bench: &Bench,
    scenario: Scenario,
    (rounds, longest): (usize, u64),
    victim: impl Fn(&mut Rig) -> Result<usize>,
) -> Result<Report> {
    let mut report = Report::new(&scenario.name());
    let (_folder, mut rig) = bench.on_loopback(scenario as u64)?;
    let (reference, alone) = rig.undisturbed(&scenario.name())?;
    report.note(format!("an undisturbed run takes {}", spread(&[alone])));
    let (mut killed, mut in_flight) = (0, 0);
    for round in 0..rounds {
        let name = format!("{}-{round}", scenario.name());
        let outcome = rig.trial(&name, (&reference, round % 2 == 1), |rig, run| {
            let at = victim(rig)?;
            // Half of the moments are any, and half are such that the loss costs something.
            rig.moment(run, (2, 85), if round % 4 < 2 { BUSY } else { 0 })?;
            let begun = Instant::now();
            rig.group.workers[at].kill()?;
            rig.goes_on();
            killed += 1;
            sleep(rig.random.millis(200, longest));
            rig.group.start(at)?;
            Ok(Fault { begun, over: Instant::now() })
        })?;
        in_flight += usize::from(outcome.cut > 0);
        report.add(outcome);
        rig.group.complete(WORKERS)?;
    }
    report.note(format!(
        "{killed} processes killed, {in_flight} of them with calls under way that were cut off"
    ));
    // Between two supersteps a process has none.
    report.demand(
        killed == rounds && (in_flight > 0 || rounds < MANY),
        "kills of processes with calls under way",
    );
    Ok(report)
}
