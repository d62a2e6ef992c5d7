//! The journal: what was committed and does not stand in sled yet, in two files that are written in turn.
//!
//! A commit is one frame at the end of the file in use, and one `fdatasync`: no page of a tree is touched, and since
//! the files keep their size, no length either. A full file is closed; once sled holds what it tells, durably
//! ([`super::checkpoint`]), it is written over from its beginning. Every frame bears the number of its turn, so
//! that what lies behind the end of this turn is known to be old.

use super::engine;
use super::memtable::{Memtable, Written};
use crate::store::head::Head;
use crate::store::kv::Meanwhile;
use crate::store::{StoreError, Table};
use bytes::Bytes;
use rustix::fs::{Advice, fadvise};
use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read as _};
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// A turn ends behind this many bytes. Opening after a sudden end reads two turns at most, and twice this is what
/// commits may run ahead of sled.
pub(in crate::store) const JOURNAL_BYTES: u64 = 4 << 20;
/// Length and checksum of a frame.
const PREFIX_BYTES: usize = 8;
/// Behind them: the turn, and the head before and after.
const HEADS_BYTES: usize = 8 + 2 * 24;
/// Marks a write that removes its key, in place of a value's length.
const DELETED: u32 = u32::MAX;

/// One commit, as it is being put together.
#[derive(Debug, Default)]
pub(super) struct Frame(Vec<u8>);

impl Frame {
    /// Begins a new one; the memory of the last is used again.
    pub(super) fn clear(&mut self) {
        self.0.clear();
        self.0.resize(PREFIX_BYTES + HEADS_BYTES, 0);
    }

    /// Adds a write; none removes the key. `generation` has never been used before.
    pub(super) fn push(&mut self, table: Table, key: &[u8], value: Option<&[u8]>, generation: u64) {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(DELETED).to_be_bytes();
        self.0.push(table as u8);
        self.0.extend(generation.to_be_bytes());
        self.0.extend(length(key));
        self.0.extend(value.map_or(DELETED.to_be_bytes(), length));
        self.0.extend(key);
        self.0.extend(value.unwrap_or_default());
    }

    fn seal(&mut self, turn: u64, before: Head, after: Head) -> &[u8] {
        let heads = [turn, before.writes, before.seq, before.articles, after.writes, after.seq, after.articles];
        for (place, number) in self.0[PREFIX_BYTES..].chunks_exact_mut(8).zip(heads) {
            place.copy_from_slice(&number.to_be_bytes());
        }
        let length = u32::try_from(self.0.len() - PREFIX_BYTES).unwrap_or(u32::MAX);
        self.0[..4].copy_from_slice(&length.to_be_bytes());
        let sum = crc32fast::hash(&self.0[PREFIX_BYTES..]);
        self.0[4..PREFIX_BYTES].copy_from_slice(&sum.to_be_bytes());
        &self.0
    }
}

/// The files, open, at the end of the turn in use.
#[derive(Debug)]
pub(super) struct Journal {
    files: [File; 2],
    turn: u64,
    length: u64,
    bytes_max: u64,
}

impl Journal {
    /// Opens the journal below `folder` for a turn behind `last`, and makes its files where there are none.
    pub(super) fn open(folder: &Path, last: u64, bytes_max: u64) -> std::io::Result<Self> {
        let files = [open(&path(folder, 0), bytes_max)?, open(&path(folder, 1), bytes_max)?];
        Ok(Journal { files, turn: last + 1, length: 0, bytes_max })
    }

    /// Writes `frame`, which leads from `before` to `after`, and waits until it is on disk, which is at it while `meanwhile`
    /// is done. That breaks off alone, if it does.
    pub(super) fn append(
        &mut self,
        frame: &mut Frame,
        before: Head,
        after: Head,
        meanwhile: Option<Meanwhile<'_>>,
    ) -> std::io::Result<()> {
        let bytes = frame.seal(self.turn, before, after);
        let file = &self.files[usize::from(self.turn % 2 == 1)];
        let at = self.length;
        file.write_all_at(bytes, at)?;
        self.length += bytes.len() as u64;
        if let Some(meanwhile) = meanwhile {
            // Who says that he does not need them has the kernel begin to write the bytes, and does not wait for that.
            let _ = fadvise(file, at, NonZeroU64::new(bytes.len() as u64), Advice::DontNeed);
            let _ = catch_unwind(AssertUnwindSafe(meanwhile));
        }
        file.sync_data()
    }

    /// Is this turn over?
    pub(super) fn is_full(&self) -> bool {
        self.length >= self.bytes_max
    }

    /// Begins the next turn, in the other file: what stood there must be in sled.
    pub(super) fn turn(&mut self) {
        self.turn += 1;
        self.length = 0;
    }
}

fn path(folder: &Path, number: u8) -> PathBuf {
    folder.join(format!("journal-{number}"))
}

/// Blocks that were never written cost a second wait when they first are, so the file is filled with zeros once.
fn open(path: &Path, bytes: u64) -> std::io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    let found = file.metadata()?.len();
    // Batches of many large values made it longer.
    if found > 2 * bytes {
        file.set_len(2 * bytes)?;
    }
    let zeros = [0; 64 << 10];
    let mut at = found;
    while at < bytes {
        let piece = usize::try_from(bytes - at).unwrap_or(zeros.len()).min(zeros.len());
        file.write_all_at(&zeros[..piece], at)?;
        at += piece as u64;
    }
    file.sync_all()?;
    Ok(file)
}

/// What the files tell beyond what sled holds.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The last turn of which anything is there.
    pub(super) turn: u64,
    /// What sled has to take in to stand at `head`.
    pub(super) writes: Memtable,
    /// Where that leads; none if sled has it all.
    pub(super) head: Option<Head>,
}

/// Reads the journal below `folder`, for a sled that stands at `at`.
///
/// Frames that were not written whole end it: they were acknowledged to nobody. So does damage; what it hides is known
/// from `HEAD`. Errors: a gap between sled and the first frame that it has not got.
pub(super) fn read(folder: &Path, at: Head) -> Result<Told, StoreError> {
    let mut turns = Vec::new();
    for number in [0, 1] {
        match File::open(path(folder, number)) {
            Ok(file) => turns.push(Frames::new(file).map_err(engine)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(engine(error)),
        }
    }
    turns.sort_by_key(|frames| frames.next.as_ref().map(|first| first.turn));
    let (mut told, mut stands) = (Told::default(), at);
    for mut frames in turns {
        while let Some(frame) = frames.take().map_err(engine)? {
            told.turn = frame.turn;
            if frame.after.writes <= at.writes {
                continue;
            }
            if frame.before != stands {
                let (found, expected) = (frame.before.writes, stands.writes);
                return Err(engine(format!("its journal goes on at write {found}, expected {expected}")));
            }
            for write in writes(&frame.body) {
                told.writes.insert(write.ok_or_else(|| engine("its journal has an unknown write"))?);
            }
            stands = frame.after;
            told.head = Some(stands);
        }
    }
    Ok(told)
}

struct Sealed {
    turn: u64,
    before: Head,
    after: Head,
    body: Vec<u8>,
}

/// The frames of one file's turn, one at a time: a file read whole would have the allocator keep as much for good.
struct Frames {
    file: BufReader<File>,
    /// Bytes of the file that have not been read.
    left: u64,
    next: Option<Sealed>,
}

impl Frames {
    fn new(file: File) -> std::io::Result<Self> {
        let left = file.metadata()?.len();
        let mut frames = Frames { file: BufReader::new(file), left, next: None };
        frames.next = frames.read()?;
        Ok(frames)
    }

    fn take(&mut self) -> std::io::Result<Option<Sealed>> {
        let Some(frame) = self.next.take() else { return Ok(None) };
        self.next = self.read()?.filter(|next| next.turn == frame.turn && next.before == frame.after);
        Ok(Some(frame))
    }

    /// The frame at this place, if a whole one begins here.
    fn read(&mut self) -> std::io::Result<Option<Sealed>> {
        let Some(left) = self.left.checked_sub(PREFIX_BYTES as u64) else { return Ok(None) };
        let mut prefix = [0; PREFIX_BYTES];
        self.file.read_exact(&mut prefix)?;
        let [a, b, c, d, sum @ ..] = prefix;
        let length = u32::from_be_bytes([a, b, c, d]);
        let Some(left) = left.checked_sub(length.into()).filter(|_| length as usize >= HEADS_BYTES) else {
            return Ok(None);
        };
        let mut body = vec![0; length as usize];
        self.file.read_exact(&mut body)?;
        self.left = left;
        if crc32fast::hash(&body) != u32::from_be_bytes(sum) {
            return Ok(None);
        }
        let heads: Vec<u8> = body.drain(..HEADS_BYTES).collect();
        let mut numbers = heads.chunks_exact(8).filter_map(|number| number.try_into().ok().map(u64::from_be_bytes));
        let mut read = || {
            let turn = numbers.next()?;
            let mut head = || Some(Head { writes: numbers.next()?, seq: numbers.next()?, articles: numbers.next()? });
            Some((turn, head()?, head()?))
        };
        Ok(read().map(|(turn, before, after)| Sealed { turn, before, after, body }))
    }
}

/// The writes of a frame; none for what this version does not know.
fn writes(mut body: &[u8]) -> impl Iterator<Item = Option<Written>> {
    std::iter::from_fn(move || {
        if body.is_empty() {
            return None;
        }
        let Some((write, rest)) = write(body) else {
            body = &[];
            return Some(None);
        };
        body = rest;
        Some(Some(write))
    })
}

fn write(body: &[u8]) -> Option<(Written, &[u8])> {
    let (table, rest) = body.split_first()?;
    let table = *Table::ALL.get(usize::from(*table))?;
    let (generation, rest) = rest.split_first_chunk::<8>()?;
    let (key_length, rest) = rest.split_first_chunk::<4>()?;
    let (value_length, rest) = rest.split_first_chunk::<4>()?;
    let (key, rest) = rest.split_at_checked(u32::from_be_bytes(*key_length) as usize)?;
    let (value, rest) = match u32::from_be_bytes(*value_length) {
        DELETED => (None, rest),
        length => {
            let (value, rest) = rest.split_at_checked(length as usize)?;
            (Some(Bytes::copy_from_slice(value)), rest)
        }
    };
    Some(((table, Bytes::copy_from_slice(key), value, u64::from_be_bytes(*generation)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(writes: u64) -> Head {
        Head { writes, seq: 0, articles: 0 }
    }

    /// Appends the commits from `from` to `to`, each of which sets the key `k` to its number.
    fn append(journal: &mut Journal, from: u64, to: u64) {
        let mut frame = Frame::default();
        for number in from..to {
            frame.clear();
            frame.push(Table::Meta, b"k", Some(&number.to_be_bytes()), number);
            journal.append(&mut frame, head(number), head(number + 1), None).unwrap();
        }
    }

    fn told(folder: &Path, at: u64) -> (u64, Option<u64>, Option<u64>) {
        let told = read(folder, head(at)).unwrap();
        let value = told.writes.look(Table::Meta, b"k", |value| value.map(<[u8]>::to_vec)).flatten();
        let value = value.map(|value| u64::from_be_bytes(value.as_slice().try_into().unwrap()));
        (told.turn, told.head.map(|head| head.writes), value)
    }

    #[test]
    fn what_sled_has_not_got_is_told_over_both_turns_and_nothing_older() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(told(folder.path(), 0), (0, None, None));
        let mut journal = Journal::open(folder.path(), 0, 100).unwrap();
        append(&mut journal, 0, 5);
        assert_eq!(told(folder.path(), 0), (1, Some(5), Some(4)));
        assert_eq!(told(folder.path(), 3), (1, Some(5), Some(4)));
        assert_eq!(told(folder.path(), 5), (1, None, None), "sled has it all");
        journal.turn();
        append(&mut journal, 5, 8);
        assert_eq!(told(folder.path(), 0), (2, Some(8), Some(7)));
        journal.turn();
        append(&mut journal, 8, 9);
        assert_eq!(told(folder.path(), 5), (3, Some(9), Some(8)), "what is left of the first turn is not read");
        let mut journal = Journal::open(folder.path(), 3, 100).unwrap();
        append(&mut journal, 9, 10);
        assert_eq!(told(folder.path(), 9), (4, Some(10), Some(9)));
        let gap = read(folder.path(), head(2)).unwrap_err().to_string();
        assert!(gap.contains("its journal goes on at write 8, expected 2"), "{gap}");
    }

    #[test]
    fn what_is_done_meanwhile_may_break_off_and_the_frame_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(folder.path(), 0, 100).unwrap();
        let (mut frame, mut is_done) = (Frame::default(), false);
        let outcomes: [Meanwhile<'_>; 2] = [Box::new(|| is_done = true), Box::new(|| panic!("alone"))];
        for (number, meanwhile) in (0_u64..).zip(outcomes) {
            frame.clear();
            frame.push(Table::Meta, b"k", Some(&number.to_be_bytes()), number);
            journal.append(&mut frame, head(number), head(number + 1), Some(meanwhile)).unwrap();
        }
        assert!(is_done);
        append(&mut journal, 2, 3);
        assert_eq!(told(folder.path(), 0), (1, Some(3), Some(2)));
    }

    #[test]
    fn a_frame_that_is_not_whole_ends_the_journal_wherever_it_was_cut_or_changed() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(folder.path(), 0, 100).unwrap();
        append(&mut journal, 0, 2);
        let first = journal.length / 2;
        let path = path(folder.path(), 1);
        let whole = std::fs::read(&path).unwrap();
        for at in first..journal.length {
            let at = usize::try_from(at).unwrap();
            let mut changed = whole.clone();
            changed[at] ^= 1;
            std::fs::write(&path, &changed).unwrap();
            assert_eq!(told(folder.path(), 0), (1, Some(1), Some(0)), "byte {at}");
            std::fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(told(folder.path(), 0), (1, Some(1), Some(0)), "cut at {at}");
        }
    }
}
