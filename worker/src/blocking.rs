//! Work that waits for a disk, or for a store.

/// Does the work on a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("what reads and writes files does not panic")
}
