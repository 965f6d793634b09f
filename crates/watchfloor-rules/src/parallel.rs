//! Work over many items on all processors.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Applies `work` to each item, on all processors, and returns what it gave in the order of the
/// items. Items are taken one by one, so one that takes long does not hold up others.
///
/// # Panics
/// If `work` panics.
pub fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let take_turns = || {
        let mut done = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(place) else {
                return done;
            };
            done.push((place, work(item)));
        }
    };
    let mut done: Vec<(usize, R)> = std::thread::scope(|scope| {
        let others = 1..processors.min(items.len());
        let others: Vec<_> = others.map(|_| scope.spawn(take_turns)).collect();
        let mut done = take_turns();
        for other in others {
            match other.join() {
                Ok(more) => done.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_unstable_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order() {
        let items: Vec<usize> = (0..1000).collect();
        let doubled = in_parallel(&items, |item| item * 2);
        assert!(
            doubled
                .iter()
                .enumerate()
                .all(|(place, one)| *one == place * 2)
        );
        assert!(in_parallel(&[] as &[usize], |item| *item).is_empty());
    }
}
