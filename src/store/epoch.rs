//! Is this store where it was? One that was restored from an export, or from a copy of its folder, still owes what the
//! original has sent meanwhile. So it is in quarantine, and nothing leaves it, until a person has released it.

use super::kv::Batch;
use super::record::{self, Record, Stored};
use super::sled::open::ENGINE;
use super::{LedgerRow, Store, StoreError, Table};
use crate::domain::{Seq, Time};
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::UNIX_EPOCH;

/// Its one key.
pub(super) const KEY: &[u8] = b"epoch";
/// The engine's file, which it makes once and never again.
const FILE: &str = "db";
/// One that it writes once and never again.
const WRITTEN_ONCE: &str = "conf";

/// Which of its lives the store leads, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Epoch {
    /// Counts the releases.
    number: u32,
    place: Place,
    /// A random number of this life, which what comes to be owed in it bears; none in the life of a store that was never a
    /// copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    life: Option<NonZeroU32>,
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

/// What a file keeps when its folder is renamed and a copy of it does not have: its inode, and the moment it was made,
/// where the file system tells that. What is written back over a file keeps both, but not the moment of its last change,
/// which nothing but the system can set. A copy of a whole file system has all of it; nothing here tells it from the
/// original.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    inode: u64,
    /// Nanoseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    made_ns: Option<u64>,
    /// When what is written once was written, or its owner or mode was changed (ctime). Unknown of stores that were made
    /// before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    written_ns: Option<i64>,
}

impl Place {
    fn of(folder: &Path) -> Result<Self, StoreError> {
        let about = |name: &str| {
            let file = folder.join(ENGINE).join(name);
            file.metadata().map_err(|error| StoreError::Engine(format!("{}: {error}", file.display())))
        };
        let (file, once) = (about(FILE)?, about(WRITTEN_ONCE)?);
        let made = file.created().ok().and_then(|made| made.duration_since(UNIX_EPOCH).ok());
        let made_ns = made.and_then(|made| u64::try_from(made.as_nanos()).ok());
        let written_ns = once.ctime().checked_mul(1_000_000_000).and_then(|ns| ns.checked_add(once.ctime_nsec()));
        Ok(Place { inode: file.ino(), made_ns, written_ns })
    }

    /// Is it the one that `self` was, as far as that is known?
    fn is_still(&self, now: &Place) -> bool {
        let is_written_anew = self.written_ns.is_some() && self.written_ns != now.written_ns;
        self.inode == now.inode && self.made_ns == now.made_ns && !is_written_anew
    }
}

/// Puts the first epoch of a new store into `batch`.
pub(super) fn begin(batch: &mut Batch, folder: &Path) -> Result<(), StoreError> {
    let first = Epoch { number: 1, place: Place::of(folder)?, life: None, held: None, dropped: None };
    batch.put(Table::Meta, KEY, record::encode(KEY, &first));
    Ok(())
}

fn new_life() -> Result<NonZeroU32, StoreError> {
    let mut random = [0; 4];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| StoreError::Engine("no randomness".into()))?;
    Ok(NonZeroU32::new(u32::from_ne_bytes(random)).unwrap_or(NonZeroU32::MIN))
}

impl Store {
    /// Reads which of its lives it leads.
    pub(super) fn recall_life(&self) -> Result<(), StoreError> {
        self.set_life(self.epoch()?.and_then(|epoch| epoch.record.life));
        Ok(())
    }

    /// Did `row` come to be owed in this life of the store, and not before it was found to be a copy?
    pub fn is_own(&self, row: &LedgerRow) -> bool {
        row.life == self.life()
    }

    /// Since when the store is in quarantine; none if it is free.
    ///
    /// Errors: the store's.
    pub fn quarantined_since(&self) -> Result<Option<Time>, StoreError> {
        Ok(self.quarantined()?.map(|held| held.at))
    }

    /// The same, with how far the log went then.
    ///
    /// Errors: the store's.
    pub fn quarantined(&self) -> Result<Option<Copied>, StoreError> {
        Ok(self.epoch()?.and_then(|epoch| epoch.record.held))
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
            Some(old) if old.place.is_still(&place) => Epoch { place, ..old.clone() },
            Some(old) => Epoch { place, life: Some(new_life()?), held: Some(old.held.unwrap_or(found)), ..*old },
            // Every store gets one when it is made, so nobody knows where this one comes from.
            None => Epoch { number: 1, place, life: Some(new_life()?), held: Some(found), dropped: None },
        };
        let mut batch = Batch::default();
        self.write_epoch(&mut batch, old.as_ref(), &new);
        // Only whoever holds the store's lock writes it, and only at the start: nobody else can have been first.
        self.commit(batch).await?;
        self.set_life(new.life);
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
        // A backup that is written back over the files themselves.
        let inode = |name: &str| at(name).metadata().unwrap().ino();
        let before = inode("moved/sled/db");
        for file in ["HEAD", "sled/db", "sled/conf"] {
            let bytes = std::fs::read(at("moved").join(file)).unwrap();
            std::fs::write(at("moved").join(file), bytes).unwrap();
        }
        assert_eq!(inode("moved/sled/db"), before);
        assert_eq!(open(&at("moved"), day_2).1, Some(day_2));

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
