//! The `HEAD` file beside the engine's folder: how far the log was known to be durable.
//!
//! The engine cannot tell a store that lost its end from one that never had it; this file can. Two slots are
//! written in turn, so that a torn write leaves the other.

use super::StoreError;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What one slot says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Head {
    /// Last place of the log that was durable when this was written.
    pub(super) seq: u64,
    /// Articles stored then.
    pub(super) articles: u64,
}

const MAGIC: &[u8; 8] = b"tidings1";
const SLOT_BYTES: usize = 28;
/// Each slot in a disk sector of its own.
const SLOT_STRIDE: u64 = 512;

/// The file, open.
#[derive(Debug)]
pub(super) struct HeadFile {
    file: File,
    next_slot: u64,
}

impl HeadFile {
    /// Opens it; the [`Head`] is none where the file is new or holds nothing readable.
    pub(super) fn open(path: &Path) -> Result<(Self, Option<Head>), StoreError> {
        let failed = |error: std::io::Error| StoreError::Engine(format!("{}: {error}", path.display()));
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
        let slots = [read(&file, 0), read(&file, 1)];
        let newest = slots.iter().flatten().copied().max_by_key(|head| head.seq);
        // The older slot is the next to be overwritten.
        let next_slot = u64::from(slots[0].is_some() && slots[0] == newest);
        Ok((HeadFile { file, next_slot }, newest))
    }

    /// Writes `head` and waits until it is on disk.
    pub(super) fn write(&mut self, head: Head) -> std::io::Result<()> {
        let mut slot = Vec::with_capacity(SLOT_BYTES);
        slot.extend(MAGIC);
        slot.extend(head.seq.to_be_bytes());
        slot.extend(head.articles.to_be_bytes());
        slot.extend(crc32fast::hash(&slot).to_be_bytes());
        self.file.write_all_at(&slot, self.next_slot * SLOT_STRIDE)?;
        self.file.sync_data()?;
        self.next_slot = 1 - self.next_slot;
        Ok(())
    }
}

fn read(file: &File, slot: u64) -> Option<Head> {
    let mut bytes = [0_u8; SLOT_BYTES];
    file.read_exact_at(&mut bytes, slot * SLOT_STRIDE).ok()?;
    let (body, crc) = bytes.split_last_chunk::<4>()?;
    if crc32fast::hash(body) != u32::from_be_bytes(*crc) || !body.starts_with(MAGIC) {
        return None;
    }
    let number = |at: usize| body.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes);
    Some(Head { seq: number(8)?, articles: number(16)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_slot_leaves_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("HEAD");
        let (mut file, head) = HeadFile::open(&path).unwrap();
        assert_eq!(head, None);
        for seq in 1..=3 {
            file.write(Head { seq, articles: seq * 10 }).unwrap();
        }
        let (_, head) = HeadFile::open(&path).unwrap();
        assert_eq!(head, Some(Head { seq: 3, articles: 30 }));
        let raw = OpenOptions::new().write(true).open(&path).unwrap();
        raw.write_all_at(b"torn", 12).unwrap();
        let (_, head) = HeadFile::open(&path).unwrap();
        assert_eq!(head, Some(Head { seq: 2, articles: 20 }), "slot 0 held 3, slot 1 holds 2");
    }
}
