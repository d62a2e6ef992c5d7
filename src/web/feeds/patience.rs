//! Patience with a client that polls in a loop: one that keeps fetching the same bytes whole, as if there were no `304`,
//! is asked to wait (RFC 6585 §4). Who asks conditionally, or gets something new each time, is never counted.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Whole answers with the same bytes that one client gets in a window. An office behind one address, where each reader
/// forgets its tags at every start, stays below it; a loop without a pause is above it within a second.
const REPEATS_MAX: u32 = 60;
/// The window, in seconds; as long has the client to wait at most.
const WINDOW_S: i64 = 600;
/// Clients, each with a feed, that are counted at a time. A flood of addresses displaces the oldest windows, and costs
/// no more memory than this: about 2 MB.
const COUNTED_MAX: usize = 16_384;

/// Who has fetched what how often.
#[derive(Debug, Default)]
pub(in crate::web) struct Patience(Mutex<HashMap<(IpAddr, u64), Count>>);

#[derive(Debug, Clone, Copy)]
struct Count {
    /// The bytes, by a hash of their tag.
    bytes: u64,
    since_s: i64,
    times: u32,
}

impl Patience {
    /// Counts a whole answer with `bytes` of `feed` (both as hashes) to `client` at `now_s`, in seconds since 1970.
    ///
    /// Errors: the client has had the same often enough; the seconds that it has to wait.
    pub(super) fn count(&self, client: IpAddr, feed: u64, bytes: u64, now_s: i64) -> Result<(), i64> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= COUNTED_MAX && !counts.contains_key(&(client, feed)) {
            make_room(&mut counts, now_s);
        }
        let begun = Count { bytes, since_s: now_s, times: 0 };
        let count = counts.entry((client, feed)).or_insert(begun);
        if count.bytes != bytes || !(0..WINDOW_S).contains(&(now_s - count.since_s)) {
            *count = begun;
        }
        if count.times >= REPEATS_MAX {
            return Err(count.since_s + WINDOW_S - now_s);
        }
        count.times += 1;
        Ok(())
    }
}

/// Takes out the windows that are over, and if that is not enough the older half.
fn make_room(counts: &mut HashMap<(IpAddr, u64), Count>, now_s: i64) {
    counts.retain(|_, count| (0..WINDOW_S).contains(&(now_s - count.since_s)));
    if counts.len() >= COUNTED_MAX {
        let mut begun: Vec<i64> = counts.values().map(|count| count.since_s).collect();
        let middle = begun.len() / 2;
        let (_, median, _) = begun.select_nth_unstable(middle);
        let median = *median;
        counts.retain(|_, count| count.since_s > median);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn a_loop_is_stopped_until_its_window_is_over_or_there_is_something_new() {
        let patience = Patience::default();
        for n in 0..60 {
            assert_eq!(patience.count(CLIENT, 1, 7, 1_000 + n), Ok(()));
        }
        assert_eq!(patience.count(CLIENT, 1, 7, 1_060), Err(540));
        assert_eq!(patience.count(CLIENT, 2, 7, 1_060), Ok(()), "another feed");
        assert_eq!(patience.count(IpAddr::V6(std::net::Ipv6Addr::LOCALHOST), 1, 7, 1_060), Ok(()), "another client");
        assert_eq!(patience.count(CLIENT, 1, 8, 1_060), Ok(()), "new bytes");
        for n in 0..59 {
            assert_eq!(patience.count(CLIENT, 1, 8, 1_061 + n), Ok(()));
        }
        assert_eq!(patience.count(CLIENT, 1, 8, 1_659), Err(1));
        assert_eq!(patience.count(CLIENT, 1, 8, 1_660), Ok(()), "another window");
    }

    #[test]
    fn a_flood_of_addresses_costs_no_more_than_the_table() {
        let patience = Patience::default();
        for n in 0..100_000_u32 {
            let client = IpAddr::V4(n.into());
            assert_eq!(patience.count(client, 1, 7, i64::from(n / 1_000)), Ok(()));
        }
        // All at one moment: there is no older half, so everybody begins anew.
        for n in 0..100_000_u32 {
            assert_eq!(patience.count(IpAddr::V4(n.into()), 2, 7, 200), Ok(()));
        }
        assert!(patience.0.lock().unwrap().len() <= COUNTED_MAX);
    }
}
