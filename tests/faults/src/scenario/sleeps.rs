//! A leader that is stopped until another one leads, and then goes on.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::{BUSY, Bench, MANY, Scenario, WORKERS};
use crate::report::Report;
use crate::trial::Fault;

/// What a worker says when it begins to lead.
const LEADS: &str = "this worker leads";
/// How long another one may take to lead.
const PATIENCE: Duration = Duration::from_secs(240);

pub(super) fn leader(bench: &Bench) -> Result<Report> {
    let mut report = Report::new(&Scenario::StopLeader.name());
    let (_folder, mut rig) = bench.on_loopback(Scenario::StopLeader as u64)?;
    let (reference, _) = rig.undisturbed(&Scenario::StopLeader.name())?;
    let mut elections = Vec::new();
    let rounds = bench.rounds(20, 1);
    for round in 0..rounds {
        let name = format!("{}-{round}", Scenario::StopLeader.name());
        let outcome = rig.trial(&name, (&reference, round % 2 == 1), |rig, run| {
            let at = rig.group.leader()?;
            // What its workers say to it while it is stopped is there when it wakes.
            rig.moment(run, (2, 50), if round % 4 < 2 { BUSY } else { 0 })?;
            let before = rig.group.said(LEADS)?;
            let begun = Instant::now();
            rig.group.workers[at].stop()?;
            rig.goes_on();
            // Whoever is asked would ask the one that is stopped.
            while rig.group.said(LEADS)? == before {
                if begun.elapsed() > PATIENCE {
                    bail!("nobody else leads after {} s", PATIENCE.as_secs());
                }
                sleep(Duration::from_millis(50));
            }
            elections.push(begun.elapsed());
            // The other one has begun, and may have ended, its first term when this one wakes.
            sleep(rig.random.millis(0, 2_500));
            rig.group.workers[at].go_on()?;
            Ok(Fault { begun, over: Instant::now() })
        })?;
        report.add(outcome);
        rig.group.complete(WORKERS)?;
    }
    let (fenced, refused) = (rig.group.said("fenced")?, rig.group.said("of a term that is over is refused")?);
    report.note(format!("from the stop to another leader: {}", crate::report::spread(&elections)));
    report.note(format!(
        "{fenced} writes refused by the store and {refused} messages by workers, of who was replaced"
    ));
    report.demand(elections.len() == rounds, "the loss of the lease in each round");
    // A leader that has nothing to write as it wakes hears that it was replaced before it does.
    report.demand(fenced > 0 || rounds < MANY, "a write of a leader that was replaced");
    Ok(report)
}
