//! Messages so old that nobody asks for them any more.

use super::{Delivery, LedgerKey, LedgerRow};
use crate::domain::Time;
use crate::store::kv::Range;
use crate::store::record::{self, Stored};
use crate::store::{Store, StoreError, Table};

/// Messages of one piece.
const PIECE_ROWS_MAX: usize = 200;
/// Reads of one piece; most are of the one row that tells of an article or a subscription that nothing of it is old.
const PIECE_READS_MAX: usize = 400;
/// Greater than all that comes behind a group's beginning in a key.
const BEHIND_ALL: [u8; 32] = [u8::MAX; 32];

impl Store {
    /// The messages behind `after` that are over and came to be owed before `before`, some hundred at most, and up to where
    /// has been looked; none behind the end. Only notices, corrections, digests and tests: the others are as few as
    /// subscriptions and prove what was asked and answered, so they stay as long as those. Reads many rows: use
    /// [`Store::scan`].
    pub fn messages_before(
        &self,
        before: Time,
        after: Option<&LedgerKey>,
    ) -> Result<(Vec<Stored<LedgerRow>>, Option<LedgerKey>), StoreError> {
        let mut last = after.cloned();
        let mut old = Vec::new();
        let mut rows_max = 1;
        for _ in 0..PIECE_READS_MAX {
            let range = Range::prefix(*b"").limit(rows_max.min(PIECE_ROWS_MAX - old.len()));
            let range = last.iter().fold(range, |range, last| range.after(last.0.clone()));
            let rows = self.kv.range(Table::Ledger, range)?;
            if rows.is_empty() {
                return Ok((old, None));
            }
            rows_max = PIECE_ROWS_MAX;
            for (key, raw) in rows {
                let group = &key[..group_len(&key)];
                let row = record::decode::<LedgerRow>(Table::Ledger, &key, &raw);
                let is_young = row.as_ref().is_ok_and(|row| row.created_at >= before);
                if group.len() == 1 || is_young {
                    last = Some(LedgerKey([group, &BEHIND_ALL].concat()));
                    rows_max = 1;
                    break;
                }
                last = Some(LedgerKey(key));
                // One that is damaged is `check`'s business.
                old.extend(row.ok().filter(is_over).map(|record| Stored { record, raw }));
            }
            if old.len() >= PIECE_ROWS_MAX {
                break;
            }
        }
        Ok((old, last))
    }
}

/// How much of a key the keys begin with that are looked at together: of messages that came to be owed in the order of their
/// keys, or all at once. Only the first letter of those that stay.
fn group_len(key: &[u8]) -> usize {
    let len = match key.first() {
        Some(b'a' | b'r') => key.iter().position(|byte| *byte == 0).map_or(key.len(), |at| at + 1),
        Some(b'd') => 17,
        Some(b't') => key.len(),
        Some(_) | None => 1,
    };
    len.min(key.len())
}

fn is_over(row: &LedgerRow) -> bool {
    match row.state {
        Delivery::Sent { .. } | Delivery::Failed { .. } | Delivery::Recalled { .. } => true,
        Delivery::Pending { .. } | Delivery::OnWire { .. } => false,
    }
}
