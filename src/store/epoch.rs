//! Is this store where it was? One that was restored from an export, or from a copy of its folder, still owes what the
//! original has sent meanwhile. So it is in quarantine, and nothing leaves it, until a person has released it.

use super::kv::Batch;
use super::record::{self, Record, Stored};
use super::sled::open::ENGINE;
use super::{Store, StoreError, Table};
use crate::domain::{Seq, Time};
use serde::{Deserialize, Serialize};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::UNIX_EPOCH;

/// Its one key.
pub(super) const KEY: &[u8] = b"epoch";
/// The engine's file, which it makes once and never again.
const FILE: &str = "db";

/// Which of its lives the store leads, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Epoch {
    /// Counts the releases.
    number: u32,
    place: Place,
    /// In quarantine, since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held: Option<Copied>,
    /// What the original owed at its end, and this one does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dropped: Option<Copied>,
}

/// The moment at which a copy was found to be one: what was owed by then is the original's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// When.
    pub at: Time,
    /// How far its log went.
    pub head: Seq,
}

impl Record for Epoch {
    const KIND: u8 = b'E';
    const SCHEMA: u8 = 1;
}

/// What a file keeps when it is renamed and a copy of it does not have: its inode, and the moment it was made, where the
/// file system tells that. A copy of a whole file system has both; nothing here tells it from the original.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    inode: u64,
    /// Nanoseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    made_ns: Option<u64>,
}

impl Place {
    fn of(folder: &Path) -> Result<Self, StoreError> {
        let file = folder.join(ENGINE).join(FILE);
        let about = file.metadata().map_err(|error| StoreError::Engine(format!("{}: {error}", file.display())))?;
        let made = about.created().ok().and_then(|made| made.duration_since(UNIX_EPOCH).ok());
        Ok(Place { inode: about.ino(), made_ns: made.and_then(|made| u64::try_from(made.as_nanos()).ok()) })
    }
}

/// Puts the first epoch of a new store into `batch`.
pub(super) fn begin(batch: &mut Batch, folder: &Path) -> Result<(), StoreError> {
    let first = Epoch { number: 1, place: Place::of(folder)?, held: None, dropped: None };
    batch.put(Table::Meta, KEY, record::encode(KEY, &first));
    Ok(())
}

impl Store {
    /// Since when the store is in quarantine; none if it is free.
    ///
    /// Errors: the store's.
    pub fn quarantined_since(&self) -> Result<Option<Time>, StoreError> {
        Ok(self.epoch()?.and_then(|epoch| epoch.record.held).map(|held| held.at))
    }

    /// What a copy has been told not to send, since its original did; none if there is nothing such.
    ///
    /// Errors: the store's.
    pub fn dropped(&self) -> Result<Option<Copied>, StoreError> {
        Ok(self.epoch()?.and_then(|epoch| epoch.record.dropped))
    }

    /// Looks where the store lies; one that lies elsewhere than it did is in quarantine from `now` on.
    ///
    /// Errors: the store's.
    pub async fn take_place(&self, now: Time) -> Result<(), StoreError> {
        let place = Place::of(self.folder())?;
        let old = self.epoch()?;
        let found = Copied { at: now, head: self.head() };
        let new = match old.as_ref().map(|old| &old.record) {
            Some(old) if old.place == place => return Ok(()),
            Some(old) => Epoch { place, held: Some(old.held.unwrap_or(found)), ..*old },
            // Every store gets one when it is made, so nobody knows where this one comes from.
            None => Epoch { number: 1, place, held: Some(found), dropped: None },
        };
        let mut batch = Batch::default();
        self.write_epoch(&mut batch, old.as_ref(), &new);
        // Only whoever holds the store's lock writes it, and only at the start: nobody else can have been first.
        self.commit(batch).await?;
        Ok(())
    }

    /// Ends the quarantine, if there is one, with `batch`; what was owed when it began is dropped or not.
    ///
    /// Errors: the store's.
    pub fn release(&self, batch: &mut Batch, is_dropped: bool) -> Result<(), StoreError> {
        if let Some(old) = self.epoch()?.filter(|epoch| epoch.record.held.is_some()) {
            let dropped = if is_dropped { old.record.held } else { old.record.dropped };
            let new = Epoch { number: old.record.number + 1, held: None, dropped, ..old.record.clone() };
            self.write_epoch(batch, Some(&old), &new);
        }
        Ok(())
    }

    fn epoch(&self) -> Result<Option<Stored<Epoch>>, StoreError> {
        self.stored(Table::Meta, KEY)
    }

    fn write_epoch(&self, batch: &mut Batch, old: Option<&Stored<Epoch>>, new: &Epoch) {
        record::put_over(batch, Table::Meta, KEY, old, new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{export, import, wait};
    use chrono::Duration;

    fn open(folder: &Path, now: Time) -> (Store, Option<Time>) {
        let store = Store::open(folder).unwrap();
        wait(store.take_place(now)).unwrap();
        let since = store.quarantined_since().unwrap();
        (store, since)
    }

    #[test]
    fn a_copy_and_an_import_are_in_quarantine_and_what_was_moved_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let (day_1, day_2) = (Time::UNIX_EPOCH, Time::UNIX_EPOCH + Duration::days(1));
        let (store, since) = open(&at("original"), day_1);
        assert_eq!(since, None, "new");
        let mut exported = Vec::new();
        export(&store, &mut exported).unwrap();
        drop(store);
        assert_eq!(open(&at("original"), day_1).1, None, "opened again");

        std::fs::create_dir_all(at("copy/sled")).unwrap();
        for file in ["HEAD", "sled/db", "sled/conf"] {
            std::fs::copy(at("original").join(file), at("copy").join(file)).unwrap();
        }
        assert_eq!(std::fs::read_dir(at("original/sled/blobs")).unwrap().count(), 0, "the copy would lack them");
        std::fs::create_dir(at("copy/sled/blobs")).unwrap();
        assert_eq!(open(&at("copy"), day_2).1, Some(day_2));
        assert_eq!(open(&at("copy"), day_2 + Duration::days(1)).1, Some(day_2), "it stays so");
        assert_eq!(open(&at("original"), day_2).1, None, "which the original knows nothing of");

        std::fs::rename(at("original"), at("moved")).unwrap();
        assert_eq!(open(&at("moved"), day_2).1, None);

        import(&at("imported"), &mut exported.as_slice()).unwrap();
        let (store, since) = open(&at("imported"), day_2);
        assert_eq!(since, Some(day_2));
        let mut batch = Batch::default();
        store.release(&mut batch, true).unwrap();
        wait(store.commit(batch)).unwrap();
        assert_eq!(store.quarantined_since().unwrap(), None);
        drop(store);
        assert_eq!(open(&at("imported"), day_2).1, None, "released for good");
    }
}
