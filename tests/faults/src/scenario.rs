//! The faults, each a scenario of several runs.

mod cuts;
mod flood;
mod full;
mod kills;
mod sleeps;
mod slow;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use superstep_witness::{Ledger, Random};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::group::Plan;
use crate::report::Report;
use crate::trial::{Place, Rig};

/// How many workers are in a group.
pub(crate) const WORKERS: usize = 4;
/// So many calls are under way only while each worker has some.
pub(crate) const BUSY: usize = 12;

/// A scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// kill -9 of a worker that does not lead.
    KillWorker,
    /// kill -9 of the leader.
    KillLeader,
    /// SIGSTOP of the leader past its lease, then SIGCONT.
    StopLeader,
    /// A partition between the leader and all other workers.
    CutLeader,
    /// A partition between two workers that do not lead.
    CutWorkers,
    /// A partition between a worker and the store.
    CutStore,
    /// A store whose disk is full for a while.
    FullDisk,
    /// A worker with a twentieth of a processor.
    SlowWorker,
    /// 1 GiB of messages to a worker with 256 MiB, over 64 supersteps.
    FloodByAndBy,
    /// The same in one superstep.
    FloodAtOnce,
    /// A partition between all workers and the store, for a minute.
    StoreAway,
}

/// What scenarios are played with.
pub(crate) struct Bench {
    pub(crate) program: PathBuf,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) ledger: Ledger,
    /// Where the model server listens.
    pub(crate) model: SocketAddr,
    /// An S3 server.
    pub(crate) versitygw: Option<PathBuf>,
    pub(crate) seed: u64,
    /// How many rounds; as many as the scenario is worth if none.
    pub(crate) rounds: Option<usize>,
    /// Whether time is short.
    pub(crate) short: bool,
    /// Whether folders stay.
    pub(crate) keep: bool,
}

/// So many rounds hit every moment there is, and a few may not.
pub(crate) const MANY: usize = 10;

impl Bench {
    /// How many rounds a scenario has.
    pub(crate) fn rounds(&self, full: usize, short: usize) -> usize {
        self.rounds.unwrap_or(if self.short { short } else { full })
    }

    pub(crate) fn random(&self, salt: u64) -> Random {
        Random::new(self.seed.wrapping_mul(1_000).wrapping_add(salt))
    }

    /// A folder for a group.
    pub(crate) fn folder(&self) -> Result<TempDir> {
        let mut folder = tempfile::tempdir()?;
        if self.keep {
            folder.disable_cleanup(true);
            crate::say(&format!("the folder of the group is {}", folder.path().display()));
        }
        Ok(folder)
    }

    /// Where the model server is for a worker on loopback.
    pub(crate) fn model_on_loopback(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.model.port())
    }

    /// A group on loopback that shares a folder, with its workers.
    pub(crate) fn on_loopback(&self, salt: u64) -> Result<(TempDir, Rig)> {
        let (folder, mut rig) = self.beside(salt)?;
        rig.group.on_loopback(WORKERS)?;
        Ok((folder, rig))
    }

    /// A group that shares a folder, without workers.
    pub(crate) fn beside(&self, salt: u64) -> Result<(TempDir, Rig)> {
        let folder = self.folder()?;
        let objects = folder.path().join("store");
        let plan = Plan {
            program: self.program.clone(),
            folder: folder.path().to_owned(),
            store: format!("file://{}", objects.to_str().context("the folder for temporary files is UTF-8")?),
            environment: environment(),
        };
        let place = Place { plan, objects, model: self.model_on_loopback() };
        let rig = Rig::new(&self.runtime, &self.ledger, place, self.random(salt))?;
        Ok((folder, rig))
    }
}

/// Who is fenced says so at a low level.
pub(crate) fn environment() -> Vec<(String, String)> {
    vec![("RUST_LOG".to_owned(), "info,superstep_store=debug".to_owned())]
}

impl Scenario {
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Whether a short run plays it.
    pub(crate) fn is_short(self) -> bool {
        match self {
            Self::KillWorker | Self::KillLeader | Self::StopLeader | Self::CutLeader => true,
            Self::CutWorkers
            | Self::CutStore
            | Self::StoreAway
            | Self::FullDisk
            | Self::SlowWorker
            | Self::FloodByAndBy
            | Self::FloodAtOnce => false,
        }
    }

    pub(crate) fn play(self, bench: &Bench) -> Report {
        let begun = Instant::now();
        let played = match self {
            Self::KillWorker => kills::worker(bench),
            Self::KillLeader => kills::leader(bench),
            Self::StopLeader => sleeps::leader(bench),
            Self::CutLeader => cuts::leader(bench),
            Self::CutWorkers => cuts::workers(bench),
            Self::CutStore => cuts::store(bench),
            Self::StoreAway => cuts::store_from_all(bench),
            Self::FullDisk => full::disk(bench),
            Self::SlowWorker => slow::worker(bench),
            Self::FloodByAndBy => flood::by_and_by(bench),
            Self::FloodAtOnce => flood::at_once(bench),
        };
        let mut report = played.unwrap_or_else(|error| {
            let mut report = Report::new(&self.name());
            report.demand(false, &format!("its end: {error:#}"));
            report
        });
        if !report.is_skipped() {
            report.note(format!("the scenario took {:.0} s", begun.elapsed().as_secs_f64()));
        }
        report
    }
}
