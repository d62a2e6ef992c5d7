//! All messages of some subscriptions, wherever they stand.

use super::{LedgerKey, LedgerRow};
use crate::domain::SubscriptionId;
use crate::store::kv::Range;
use crate::store::record::{self, Stored};
use crate::store::{Store, StoreError, Table};
use std::collections::HashSet;
use uuid::Uuid;

impl Store {
    /// Every message of these subscriptions that stands in the next piece of the ledger behind `after`, and the last key
    /// of that piece; none behind the end. Reads many rows: use [`Store::scan`].
    pub fn messages_of(
        &self,
        ids: &HashSet<SubscriptionId>,
        after: Option<&LedgerKey>,
    ) -> Result<(Vec<Stored<LedgerRow>>, Option<LedgerKey>), StoreError> {
        /// Ranges of one piece: some thousands of rows, some milliseconds.
        const RANGES_MAX: usize = 32;
        let mut range = Range::prefix(*b"");
        if let Some(after) = after {
            range = range.after(after.0.clone());
        }
        let mut found = Vec::new();
        let mut last = None;
        for _ in 0..RANGES_MAX {
            let rows = self.kv.range(Table::Ledger, range.clone())?;
            let Some((end, _)) = rows.last().cloned() else { return Ok((found, None)) };
            for (key, raw) in rows.into_iter().filter(|(key, _)| owner(key).is_some_and(|id| ids.contains(&id))) {
                found.push(Stored { record: record::decode(Table::Ledger, &key, &raw)?, raw });
            }
            last = Some(LedgerKey(end.clone()));
            range = range.after(end);
        }
        Ok((found, last))
    }
}

/// Whose message it is, by its key: an article's id is before the subscription's, everything else behind it.
fn owner(key: &[u8]) -> Option<SubscriptionId> {
    let id = match key.split_first()? {
        (b'a', rest) => rest.get(rest.len().checked_sub(16)?..)?,
        (b'r', rest) => rest.get(rest.len().checked_sub(20)?..)?.get(..16)?,
        (_, rest) => rest.get(..16)?,
    };
    Uuid::from_slice(id).ok().map(SubscriptionId)
}
