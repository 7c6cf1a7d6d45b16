//! A worker with a twentieth of a processor.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};

use super::{Bench, Scenario, WORKERS};
use crate::cgroup::{Cgroup, Controller};
use crate::group::{Process, free_port};
use crate::report::{Report, spread};
use crate::trial::Fault;

const PERCENT: u32 = 5;

/// Stops a process for all but a twentieth of the time, where groups cannot be made.
struct Duty {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Duty {
    fn of(pid: Pid) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let stops = Arc::clone(&over);
        let thread = spawn(move || {
            let signal = |signal| kill_process(pid, signal).is_ok();
            while !stops.load(Ordering::Relaxed) && signal(Signal::STOP) {
                sleep(Duration::from_millis(95));
                if !signal(Signal::CONT) {
                    return;
                }
                sleep(Duration::from_millis(u64::from(PERCENT)));
            }
        });
        Self { over, thread: Some(thread) }
    }
}

impl Drop for Duty {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            crate::say("the thread that slows a worker down has panicked");
        }
    }
}

pub(super) fn worker(bench: &Bench) -> Result<Report> {
    let name = Scenario::SlowWorker.name();
    let mut report = Report::new(&name);
    let group = match Cgroup::new(Controller::Cpu) {
        Ok(group) => Some(group),
        Err(error) => {
            report
                .note(format!("it is stopped and let go on by signals, for there are no groups: {error:#}"));
            None
        }
    };
    let (_folder, mut rig) = bench.beside(Scenario::SlowWorker as u64)?;
    // The first that starts leads.
    rig.group.on_loopback(WORKERS - 1)?;
    let slow = Process::new(&format!("worker-{WORKERS}"), free_port()?);
    let slow = match &group {
        Some(group) => slow.within(group.within()),
        None => slow,
    };
    rig.group.add(slow)?;
    rig.group.complete(WORKERS)?;
    let (reference, alone) = rig.undisturbed(&name)?;
    report.note(format!("with a whole processor a run takes {}", spread(&[alone])));
    let _duty = match &group {
        Some(group) => {
            group.limit_cpu(PERCENT)?;
            None
        }
        None => Some(Duty::of(rig.group.workers[WORKERS - 1].pid().context("it runs")?)),
    };
    let mut deaths = Vec::new();
    let rounds = bench.rounds(4, 1);
    for round in 0..rounds {
        let begun = Instant::now();
        let outcome = rig.trial(&format!("{name}-{round}"), (&reference, round % 2 == 1), |_, _| {
            Ok(Fault { begun, over: begun })
        })?;
        if outcome.terms > 1 {
            deaths.push(format!("round {round}: {} terms", outcome.terms));
        }
        report.add(outcome);
    }
    report.look("runs in which the slow worker was taken for dead", rounds, deaths);
    if let Some(group) = &group {
        let throttled = group.throttled()?;
        report.note(format!("it had to wait for its share of the processor {throttled} times"));
        report.demand(throttled > 0, "a wait for the processor");
    }
    drop(rig);
    Ok(report)
}
