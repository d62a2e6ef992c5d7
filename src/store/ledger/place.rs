//! Where a list of messages goes on, as text that goes out and comes back.

use super::LedgerKey;
use crate::domain::Time;
use crate::store::articles::{Place, time_from_key, time_key};

impl Place {
    /// Behind the message of `key` in an order by `at`.
    pub fn of_message(at: Time, key: &LedgerKey) -> Self {
        Place::of([&time_key(at)[..], key.as_bytes()].concat())
    }

    /// What [`Place::of_message`] was made of; none if it is too short for that.
    pub fn message(&self) -> Option<(Time, LedgerKey)> {
        let (at, key) = self.bytes().split_at_checked(8)?;
        Some((time_from_key(at)?, LedgerKey(key.to_vec())))
    }
}
