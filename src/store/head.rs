//! The `HEAD` file beside the engine's folder: how far the store was known to be durable.
//!
//! The engine cannot tell a store that lost its end from one that never had it; this file can. Two slots are
//! written in turn, so that a torn write leaves the other.

use super::StoreError;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// How far a store has come; also what the engine keeps in itself, to be held against this file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Head {
    /// Writes ever applied, of any kind: rises with every change, also where the log does not.
    pub(super) writes: u64,
    /// Last place of the log.
    pub(super) seq: u64,
    /// Articles stored.
    pub(super) articles: u64,
}

const MAGIC: &[u8; 8] = b"tidings1";
const HEAD_BYTES: usize = 36;
/// Each slot in a disk sector of its own.
const SLOT_STRIDE: u64 = 512;

impl Head {
    /// With a checksum, as this file and the engine hold it.
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_BYTES);
        bytes.extend(MAGIC);
        for number in [self.writes, self.seq, self.articles] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
        bytes
    }

    /// None if the bytes are not what was written.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (body, crc) = bytes.split_last_chunk::<4>()?;
        if bytes.len() != HEAD_BYTES || crc32fast::hash(body) != u32::from_be_bytes(*crc) || !body.starts_with(MAGIC) {
            return None;
        }
        let number = |at: usize| body.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes);
        Some(Head { writes: number(8)?, seq: number(16)?, articles: number(24)? })
    }

    /// Why a store that stands at `found` cannot be the one that stood here; none if it can.
    pub(super) fn contradicts(self, found: Head) -> Option<String> {
        let behind = found.writes < self.writes || found.seq < self.seq;
        let other = found.writes == self.writes && found != self;
        (behind || other).then(|| {
            format!(
                "{} changes and {} articles are recorded in HEAD (write {}), {} and {} are there (write {})",
                self.seq, self.articles, self.writes, found.seq, found.articles, found.writes
            )
        })
    }
}

impl std::fmt::Display for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} changes and {} articles", self.seq, self.articles)
    }
}

/// The file, open.
#[derive(Debug)]
pub(super) struct HeadFile {
    file: File,
    next_slot: u64,
}

impl HeadFile {
    /// What the file at `path` says; none where there is no file, or nothing readable in it.
    pub(super) fn read(path: &Path) -> Result<Option<Head>, StoreError> {
        match File::open(path) {
            Ok(file) => Ok(slots(&file).into_iter().flatten().max_by_key(|head| head.writes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::Engine(format!("{}: {error}", path.display()))),
        }
    }

    /// Opens the file at `path` to write, and makes it where there is none.
    pub(super) fn open(path: &Path) -> std::io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let writes = slots(&file).map(|slot| slot.map(|head| head.writes));
        // The older slot is the next to be overwritten.
        let next_slot = u64::from(writes[0] > writes[1]);
        Ok(HeadFile { file, next_slot })
    }

    /// Writes `head`. It survives the process at once, the machine after [`HeadFile::sync`].
    pub(super) fn write(&mut self, head: Head) -> std::io::Result<()> {
        self.file.write_all_at(&head.to_bytes(), self.next_slot * SLOT_STRIDE)?;
        self.next_slot = 1 - self.next_slot;
        Ok(())
    }

    /// Waits until what was written is on disk.
    pub(super) fn sync(&self) -> std::io::Result<()> {
        self.file.sync_data()
    }
}

fn slots(file: &File) -> [Option<Head>; 2] {
    [0, 1].map(|slot| {
        let mut bytes = [0_u8; HEAD_BYTES];
        file.read_exact_at(&mut bytes, slot * SLOT_STRIDE).ok()?;
        Head::from_bytes(&bytes)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(writes: u64) -> Head {
        Head { writes, seq: 7, articles: writes * 10 }
    }

    #[test]
    fn a_torn_slot_leaves_the_other_also_where_the_log_did_not_move() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("HEAD");
        assert_eq!(HeadFile::read(&path).unwrap(), None);
        let mut file = HeadFile::open(&path).unwrap();
        file.write(head(1)).unwrap();
        file.write(head(2)).unwrap();
        let mut file = HeadFile::open(&path).unwrap();
        file.write(head(3)).unwrap();
        assert_eq!(HeadFile::read(&path).unwrap(), Some(head(3)));
        let raw = OpenOptions::new().write(true).open(&path).unwrap();
        raw.write_all_at(b"torn", 12).unwrap();
        assert_eq!(HeadFile::read(&path).unwrap(), Some(head(2)), "slot 0 held 3, slot 1 holds 2");
    }

    #[test]
    fn a_store_may_be_ahead_of_its_head_file_but_neither_behind_nor_another() {
        let recorded = Head { writes: 9, seq: 3, articles: 2 };
        for good in [recorded, Head { writes: 10, ..recorded }, Head { writes: 12, seq: 4, articles: 1 }] {
            assert_eq!(recorded.contradicts(good), None);
        }
        let (short, fewer) = (Head { writes: 8, ..recorded }, Head { articles: 1, ..recorded });
        for wrong in [short, fewer, Head { writes: 10, seq: 2, articles: 2 }] {
            assert!(recorded.contradicts(wrong).is_some(), "{wrong:?}");
        }
    }
}
