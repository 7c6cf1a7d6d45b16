//! How long each superstep takes, as a vertex sees it that is activated in every one.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures::future::{BoxFuture, FutureExt as _};
use superstep_engine::{Failure, Payload, RunStarted};
use superstep_proto::v1;
use superstep_runtime::{NewRun, Programs};
use superstep_store::RunName;
use superstep_worker::{Loader, Provisions, ProvisionsError};

use crate::graphs::TICK;

/// Loads what runs need, and has the program [`TICK`].
pub(crate) struct Ticking {
    loader: Loader,
    ticks: Arc<Ticks>,
}

impl Ticking {
    pub(crate) fn new(loader: Loader, folder: &Path) -> Self {
        Self { loader, ticks: Arc::new(Ticks { path: file(folder), last: Mutex::default() }) }
    }
}

impl Provisions for Ticking {
    fn programs<'a>(
        &'a self,
        run: &'a RunName,
        started: &'a RunStarted,
    ) -> BoxFuture<'a, Result<Arc<Programs>, ProvisionsError>> {
        async move {
            let mut programs = self.loader.programs(run, started).await?;
            let ticks = Arc::clone(&self.ticks);
            let own = Arc::get_mut(&mut programs).ok_or("the programs are shared already")?;
            own.register_fn(TICK, move |_| match ticks.tick() {
                Ok(()) => Ok(Payload::null()),
                Err(error) => Err(Failure::permanent(error.to_string())),
            });
            Ok(programs)
        }
        .boxed()
    }

    fn not_loaded(&self, run: &RunName, started: &RunStarted) -> Result<Arc<Programs>, ProvisionsError> {
        self.loader.not_loaded(run, started)
    }

    fn new_run(
        &self,
        name: RunName,
        request: v1::SubmitRequest,
    ) -> BoxFuture<'_, Result<NewRun, ProvisionsError>> {
        self.loader.new_run(name, request)
    }
}

/// The microseconds between two activations, written to a file as they pass.
struct Ticks {
    path: PathBuf,
    last: Mutex<Option<(Instant, File)>>,
}

impl Ticks {
    fn tick(&self) -> io::Result<()> {
        let now = Instant::now();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *last {
            Some((before, file)) => {
                let gap = u32::try_from(now.duration_since(*before).as_micros()).unwrap_or(u32::MAX);
                file.write_all(&gap.to_le_bytes())?;
                *before = now;
            }
            none => {
                let file = OpenOptions::new().create(true).append(true).open(&self.path)?;
                *none = Some((now, file));
            }
        }
        Ok(())
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("ticks")
}

/// The median of what the workers of a group in a folder have written down, in microseconds; none if that is nothing.
pub(crate) fn median(folder: &Path) -> io::Result<Option<f64>> {
    let bytes = match std::fs::read(file(folder)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes?,
    };
    let mut gaps: Vec<u32> =
        bytes.chunks_exact(4).filter_map(|gap| Some(u32::from_le_bytes(gap.try_into().ok()?))).collect();
    gaps.sort_unstable();
    Ok(gaps.get(gaps.len() / 2).copied().map(f64::from))
}
