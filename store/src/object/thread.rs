//! The thread on which a store talks to its objects, so that callers may block wherever they are.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, mpsc},
    thread,
};

use tokio::{runtime, sync::mpsc as queue};

use crate::StoreError;

/// Requests of a shared folder that may be under way at once; each has a thread.
const BLOCKING: usize = 16;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The way to the thread. It ends with its last clone, and what is under way then ends with it.
#[derive(Clone, Debug)]
pub(super) struct ObjectThread {
    tasks: Arc<queue::UnboundedSender<Task>>,
}

impl ObjectThread {
    pub(super) fn start() -> io::Result<Self> {
        let runtime =
            runtime::Builder::new_current_thread().enable_all().max_blocking_threads(BLOCKING).build()?;
        let (tasks, mut inbox) = queue::unbounded_channel::<Task>();
        let serve = async move {
            while let Some(task) = inbox.recv().await {
                // Nobody joins a task: it tells how it ended through what it was given.
                drop(tokio::spawn(task));
            }
        };
        thread::Builder::new().name("superstep-objects".into()).spawn(move || runtime.block_on(serve))?;
        Ok(Self { tasks: Arc::new(tasks) })
    }

    /// Runs `task` beside the others.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Result<(), StoreError> {
        self.tasks.send(Box::pin(task)).map_err(|_| StoreError::CommitterGone)
    }

    /// Runs `task` and blocks until it has ended.
    pub(super) fn wait<T: Send + 'static>(
        &self,
        task: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (outcome, told) = mpsc::channel();
        self.spawn(async move {
            // The receiver waits below, and is gone only when this thread is.
            drop(outcome.send(task.await));
        })?;
        told.recv().map_err(|_| StoreError::CommitterGone)?
    }
}
