//! Work on partitions, by as many threads as there are cores for it.

/// Less work than this, in vertices and edges, is done by the caller: a thread costs more to start.
const ALONE: usize = 50_000;

/// Calls `work` with each item and its index. Items are independent, so that the result is the same with any
/// number of threads. A panic in `work` is passed on when all have ended.
pub(crate) fn each<T: Send>(
    threads: usize,
    load: usize,
    items: &mut [T],
    work: impl Fn(usize, &mut T) + Sync,
) {
    let threads = if load < ALONE { 1 } else { threads.min(items.len()).max(1) };
    if threads == 1 {
        for (index, item) in items.iter_mut().enumerate() {
            work(index, item);
        }
        return;
    }
    let share = items.len().div_ceil(threads);
    let work = &work;
    std::thread::scope(|scope| {
        for (number, chunk) in items.chunks_mut(share).enumerate() {
            scope.spawn(move || {
                for (index, item) in chunk.iter_mut().enumerate() {
                    work(number * share + index, item);
                }
            });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_worked_on_once_with_its_index() {
        for threads in [1, 2, 3, 8] {
            for load in [0, ALONE] {
                let mut items = vec![10; 5];
                each(threads, load, &mut items, |index, item| *item += index);
                assert_eq!(items, [10, 11, 12, 13, 14]);
            }
        }
    }
}
