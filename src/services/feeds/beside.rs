//! Work of one build that is spread over threads.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::LazyLock;
use std::thread::{available_parallelism, scope};

/// What nobody has asked for lately is on the disk, and a disk is faster with some reads at a time.
const THREADS_MIN: usize = 4;

/// Threads for one build. Asked for once: the answer takes a look at several files.
static THREADS: LazyLock<usize> = LazyLock::new(|| available_parallelism().map_or(1, NonZero::get).max(THREADS_MIN));

/// What `make` makes of shares of `all`, side by side, put together in their order. No thread is begun for fewer than
/// `share_min`. The caller's thread works with `own`, each other with what `fork` makes of it.
///
/// Errors: the first of `make`.
pub(super) fn beside<T: Sync, S: Send, R: Send, E: Send>(
    all: &[T],
    share_min: usize,
    own: &mut S,
    fork: impl Fn(&S) -> S,
    make: impl Fn(&[T], &mut S) -> Result<Vec<R>, E> + Sync,
) -> Result<Vec<R>, E> {
    let threads = THREADS.min(all.len() / share_min).max(1);
    let mut shares = all.chunks(all.len().div_ceil(threads).max(1));
    let first = shares.next().unwrap_or_default();
    scope(|scope| {
        let begin = |share| {
            let (mut state, make) = (fork(own), &make);
            scope.spawn(move || make(share, &mut state))
        };
        let others: Vec<_> = shares.map(begin).collect();
        let mut made = make(first, own)?;
        for other in others {
            // A panic over there is one here.
            made.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic))?);
        }
        Ok(made)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_side_by_side_stands_in_its_order_and_the_first_error_is_told() {
        for count in 0..50_u32 {
            let all: Vec<u32> = (0..count).collect();
            let mut seen = 0;
            let make = |share: &[u32], seen: &mut usize| {
                *seen += share.len();
                share.iter().map(|number| if *number == 40 { Err(*number) } else { Ok(number * 2) }).collect()
            };
            let made: Result<Vec<u32>, u32> = beside(&all, 8, &mut seen, |_| 0, make);
            match made {
                Ok(made) => assert_eq!(made, all.iter().map(|number| number * 2).collect::<Vec<_>>()),
                Err(number) => assert!(number == 40 && count > 40),
            }
            assert!(seen <= all.len() && (count >= 16 || seen == all.len()), "{seen} of {count}");
        }
    }
}
