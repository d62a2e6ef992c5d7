//! How the newsroom looks, and since when: kept, since the files that say so do not tell when one of them was taken away,
//! or replaced by an older one.

use super::kv::Batch;
use super::record::{self, Record, Stored};
use super::{Store, StoreError, Table};
use crate::domain::Time;
use serde::{Deserialize, Serialize};

/// What feeds show beside articles, as it was last served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appearance {
    /// SHA-256 over all that is configured of it.
    pub digest: Vec<u8>,
    /// Since when it is so.
    #[serde(with = "crate::domain::millis")]
    pub since: Time,
}

impl Record for Appearance {
    const KIND: u8 = b'O';
    const SCHEMA: u8 = 1;
}

/// Its one key.
const KEY: &[u8] = b"appearance";

impl Store {
    /// How the newsroom looked when that was last written; none where it never was.
    pub fn appearance(&self) -> Result<Option<Stored<Appearance>>, StoreError> {
        self.stored(Table::Meta, KEY)
    }

    /// Puts how it looks into `batch`, which then requires that it is still written as `old` says.
    pub fn write_appearance(&self, batch: &mut Batch, old: Option<&Stored<Appearance>>, new: &Appearance) {
        record::put_over(batch, Table::Meta, KEY, old, new);
    }
}
