//! Work that is done side by side, as much of it at once as a small machine stands.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// What `act` gives of each item, in the order of the items, of which `most` are in work at once.
pub(crate) fn beside<T: Sync, R: Send>(most: usize, items: &[T], act: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done: Mutex<BTreeMap<usize, R>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..most {
            scope.spawn(|| {
                while let Some((number, item)) = {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    items.get(number).map(|item| (number, item))
                } {
                    let result = act(item);
                    done.lock().unwrap_or_else(PoisonError::into_inner).insert(number, result);
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[test]
    fn results_stand_in_the_order_of_items_and_no_more_is_done_at_once() {
        let (now, peak, ended) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let together = Barrier::new(3);
        let items: Vec<usize> = (0..12).collect();
        let doubled = beside(3, &items, |item| {
            peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // Three are in work before one of them ends, and the first of them ends last.
            together.wait();
            while ended.load(Ordering::SeqCst) < item - item % 3 + (2 - item % 3) {
                thread::yield_now();
            }
            now.fetch_sub(1, Ordering::SeqCst);
            ended.fetch_add(1, Ordering::SeqCst);
            item * 2
        });
        assert_eq!(doubled, items.iter().map(|item| item * 2).collect::<Vec<_>>());
        assert_eq!(peak.into_inner(), 3);
    }
}
