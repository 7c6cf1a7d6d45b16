//! Independent pieces of work on the threads of the tensor library.

use std::sync::{Mutex, PoisonError};

use candle_core::utils::barrier_pool;

/// Runs `work` once for every item, on the calling thread and the pool together, and returns when all are done.
///
/// The number of threads is a property of the process: `CANDLE_NUM_THREADS`, else `RAYON_NUM_THREADS`, else the
/// number of physical cores, read at the first use.
pub(crate) fn for_each<T: Send>(items: Vec<T>, work: impl Fn(T) + Sync) {
    let pool = barrier_pool();
    if items.len() < 2 || pool.n_workers() == 0 {
        items.into_iter().for_each(work);
        return;
    }
    let cells: Vec<_> = items.into_iter().map(|item| Mutex::new(Some(item))).collect();
    pool.execute_chunked(cells.len(), |range| {
        for cell in &cells[range] {
            let item = cell.lock().unwrap_or_else(PoisonError::into_inner).take();
            item.into_iter().for_each(&work);
        }
    });
}
