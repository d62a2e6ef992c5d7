//! The feeds that are held in memory, by address, within a budget of bytes: those that nobody has asked for the longest
//! go first, and are built anew when somebody asks.

use super::Feed;
use super::live::Live;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// Feeds on the shelf, with or without bytes. Each costs about a kilobyte beside its bytes.
pub(super) const FEEDS_MAX: usize = 20_000;

/// What goes is more than what is needed, so that one sorting serves many additions: an eighth of each limit.
const SLACK: usize = 8;

/// The bytes that all feeds hold together.
#[derive(Debug, Default)]
pub(super) struct Account(AtomicUsize);

/// Bytes that are on the account for as long as this lives.
#[derive(Debug)]
pub(super) struct Held {
    account: Arc<Account>,
    bytes: usize,
}

impl Account {
    pub(super) fn hold(self: &Arc<Self>, bytes: usize) -> Held {
        self.0.fetch_add(bytes, Ordering::Relaxed);
        Held { account: Arc::clone(self), bytes }
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.account.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The shelf.
pub(super) struct Shelf {
    feeds: RwLock<HashMap<Box<str>, Arc<Feed>>>,
    pub(super) account: Arc<Account>,
    bytes_max: usize,
}

impl Shelf {
    pub(super) fn new(bytes_max: usize) -> Self {
        Shelf { feeds: RwLock::default(), account: Arc::default(), bytes_max }
    }

    pub(super) fn get(&self, address: &str) -> Option<Arc<Feed>> {
        self.feeds.read().unwrap_or_else(PoisonError::into_inner).get(address).cloned()
    }

    /// The feed at `address`; `make` makes it where there is none.
    pub(super) fn get_or_put(&self, address: &str, make: impl FnOnce() -> Feed) -> Arc<Feed> {
        let mut feeds = self.feeds.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(feed) = feeds.get(address) {
            return Arc::clone(feed);
        }
        let feed = Arc::new(make());
        feeds.insert(address.into(), Arc::clone(&feed));
        feed
    }

    /// Is more on it than may be?
    pub(super) fn is_full(&self) -> bool {
        let count = self.feeds.read().unwrap_or_else(PoisonError::into_inner).len();
        count > FEEDS_MAX || self.account.bytes() > self.bytes_max
    }

    /// Takes down what was not asked for the longest, until there is room again. `live` stops following it.
    pub(super) fn make_room(&self, live: &mut Live) {
        let mut feeds = self.feeds.write().unwrap_or_else(PoisonError::into_inner);
        let mut by_use: Vec<(u64, Box<str>)> =
            feeds.iter().map(|(address, feed)| (feed.last_asked(), address.clone())).collect();
        by_use.sort_unstable();
        // The one that was asked for last is being served just now.
        by_use.pop();
        let (count_max, bytes_max) = (FEEDS_MAX - FEEDS_MAX / SLACK, self.bytes_max - self.bytes_max / SLACK);
        for (_, address) in by_use {
            if feeds.len() <= count_max && self.account.bytes() <= bytes_max {
                return;
            }
            if let Some(feed) = feeds.remove(&address) {
                feed.take_down();
                live.leave(&feed.name.selection);
            }
        }
    }

    /// Keeps those that `is_kept` says.
    pub(super) fn retain(&self, live: &mut Live, is_kept: impl Fn(&Feed) -> bool) {
        self.feeds.write().unwrap_or_else(PoisonError::into_inner).retain(|_, feed| {
            let kept = is_kept(feed);
            if !kept {
                feed.take_down();
                live.leave(&feed.name.selection);
            }
            kept
        });
    }
}
