//! A gibibyte of messages to a worker that may have 256 MiB of memory.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::json;
use superstep_proto::v1;

use super::{Bench, Scenario};
use crate::cgroup::{Cgroup, Controller};
use crate::graph::Flood;
use crate::group::{Process, free_port};
use crate::machine::peak_memory;
use crate::report::Report;
use crate::trial::Rig;

const LIMIT: u64 = 256 << 20;
/// How many characters each message has.
const SIZE: usize = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(300);

/// 16 MiB in each of 64 supersteps.
pub(super) fn by_and_by(bench: &Bench) -> Result<Report> {
    flood(bench, Scenario::FloodByAndBy, Flood { senders: 4, takers: 4, times: 64 })
}

/// All in one superstep.
pub(super) fn at_once(bench: &Bench) -> Result<Report> {
    flood(bench, Scenario::FloodAtOnce, Flood { senders: 16, takers: 64, times: 1 })
}

/// What became of the run.
enum Became {
    Ended(Box<v1::Run>),
    /// The worker has ended.
    Died(String),
    Late,
}

fn flood(bench: &Bench, scenario: Scenario, flood: Flood) -> Result<Report> {
    let name = scenario.name();
    let mut report = Report::new(&name);
    let group = match Cgroup::new(Controller::Memory) {
        Ok(group) => Some(group),
        Err(error) => {
            report.note(format!("nothing limits the worker, it is only measured: {error:#}"));
            None
        }
    };
    let (_folder, mut rig) = bench.beside(scenario as u64)?;
    for number in 1..=3 {
        rig.group.add(Process::new(&format!("large-{number}"), free_port()?).labelled("large"))?;
    }
    rig.group.complete(3)?;
    let small = Process::new("small", free_port()?).labelled("small");
    rig.group.add(match &group {
        Some(group) => {
            group.limit_memory(LIMIT)?;
            small.within(group.within())
        }
        None => small,
    })?;
    rig.group.complete(4)?;
    let (at, pid) = (3, rig.group.workers[3].pid().context("it runs")?);
    let idle = peak_memory(pid)?;
    let begun = Instant::now();
    rig.group.submit(&name, &flood.graph(), &json!({"text": "x".repeat(SIZE)}))?;
    let mut peak = idle;
    let became = watch(&mut rig, &name, at, |at| {
        peak = peak.max(peak_memory(at).unwrap_or(0));
    })?;
    let took = begun.elapsed();
    let expected = flood.messages() * SIZE;
    report.note(format!("{} messages of {SIZE} characters, {expected} in all", flood.messages()));
    let mut wrong = Vec::new();
    match became {
        Became::Ended(run) => {
            let outputs = superstep_wire::payload_of(run.outputs)?.value().clone();
            let came = outputs["end"].as_f64().unwrap_or_default();
            if (came - f64::from(u32::try_from(expected)?)).abs() > 0.5 {
                wrong.push(format!("{outputs} came"));
            }
            report.note(format!("the run took {:.1} s", took.as_secs_f64()));
        }
        Became::Died(how) => {
            wrong.push(format!("the worker has ended ({how}) after {:.1} s", took.as_secs_f64()))
        }
        Became::Late => wrong.push(format!("the run has not ended after {} s", PATIENCE.as_secs())),
    }
    report.look("floods that did not come whole", 1, wrong);
    report.note(format!("the worker had {idle} MiB when idle and {peak} MiB at most"));
    let too_much = (peak > LIMIT >> 20).then(|| format!("{peak} MiB"));
    report.look("workers with more than 256 MiB", 1, too_much.into_iter().collect());
    if let Some(group) = &group {
        report.note(format!("its group had {} MiB at most, files among them", group.peak()? >> 20));
        let killed = group.killed()?;
        let killed = (killed > 0).then(|| format!("{killed} times")).into_iter().collect();
        report.look("workers killed because they had too much memory", 1, killed);
    }
    let others = rig.group.workers[..3].iter().filter_map(Process::pid).map(peak_memory);
    let others: Vec<String> = others.map(|peak| Ok(format!("{} MiB", peak?))).collect::<Result<_>>()?;
    report.note(format!("the senders had {} at most", others.join(", ")));
    drop(rig);
    Ok(report)
}

fn watch(rig: &mut Rig, run: &str, at: usize, mut look: impl FnMut(rustix::process::Pid)) -> Result<Became> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(how) = rig.group.workers[at].ended()? {
            return Ok(Became::Died(how.to_string()));
        }
        if let Some(pid) = rig.group.workers[at].pid() {
            look(pid);
        }
        // While it has much to do nobody answers at once.
        let found = rig.group.look(run)?;
        if let Some(run) = found.filter(|run| run.phase() == v1::RunPhase::Ended) {
            return Ok(Became::Ended(Box::new(run)));
        }
        sleep(Duration::from_millis(50));
    }
    Ok(Became::Late)
}
