//! When the process is to end.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Tells everybody that the process is to end.
#[derive(Clone, Debug)]
pub(crate) struct Shutdown(watch::Receiver<bool>);

/// Lets the process end.
#[derive(Clone, Debug)]
pub(crate) struct Ending(watch::Sender<bool>);

impl Shutdown {
    /// A process that goes on until it is ended.
    pub(crate) fn new() -> (Ending, Self) {
        let (sender, receiver) = watch::channel(false);
        (Ending(sender), Self(receiver))
    }

    /// Waits until the process is to end.
    pub(crate) async fn asked(mut self) {
        // A sender that is gone is an end too.
        drop(self.0.wait_for(|ends| *ends).await);
    }
}

impl Ending {
    /// Ends it.
    pub(crate) fn end(&self) {
        self.0.send_replace(true);
    }
}

/// Waits for the signal of a kubelet or of a keyboard, and names it.
///
/// # Errors
/// Signals cannot be waited for.
pub(crate) async fn signalled() -> std::io::Result<&'static str> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}
