//! How mail to a destination fares: what has to outlive a restart, so that a provider that wants peace gets it.

use super::kv::Batch;
use super::record::{self, Record};
use super::{Store, StoreError, Table};
use crate::domain::Time;
use serde::{Deserialize, Serialize};

/// Of one destination, or of the plan for a new sending domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pace {
    /// Transient refusals in a row.
    #[serde(default)]
    pub refusals: u32,
    /// It is left in peace until then.
    #[serde(default)]
    pub not_before: Option<Time>,
    /// All turns before that are taken.
    #[serde(default)]
    pub next_turn: Option<Time>,
    /// Turns that are taken of the day of `next_turn`, where turns are counted by day.
    #[serde(default)]
    pub day_turns: u64,
    /// Messages refused for good in a row.
    #[serde(default)]
    pub rejections: u32,
}

impl Record for Pace {
    const KIND: u8 = b'W';
    const SCHEMA: u8 = 1;
}

fn key(name: &str) -> Vec<u8> {
    [b"pace/", name.as_bytes()].concat()
}

impl Store {
    /// How it fares; as with nobody ever seen where nothing is stored.
    pub fn pace(&self, name: &str) -> Result<Pace, StoreError> {
        Ok(self.stored(Table::Meta, &key(name))?.map(|stored| stored.record).unwrap_or_default())
    }

    /// Puts how it fares into `batch`; nothing is kept of one that fares well.
    pub fn write_pace(&self, batch: &mut Batch, name: &str, pace: &Pace) {
        let key = key(name);
        if *pace == Pace::default() {
            batch.delete(Table::Meta, key);
        } else {
            let value = record::encode(&key, pace);
            batch.put(Table::Meta, key, value);
        }
    }
}
