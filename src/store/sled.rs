//! The embedded engine: sled 0.34.7 behind [`Kv`], with what it takes to make it durable.
//!
//! What sled promises and what it does not was measured before this was written; the rules that follow from it:
//! - one thread writes; it takes what waits (at most [`GROUP_BATCHES_MAX`] batches or [`GROUP_BYTES_MAX`]) as one
//!   transaction over all trees, flushes, and then syncs the file `db` itself, since sled's flush is no barrier;
//! - a failed sync ends writing for good: what the disk holds is then unknown, and a retry would hide that;
//! - values beyond [`CHUNK_BYTES`] are cut into pieces, since sled puts large pages into files it never syncs;
//! - `flush_async` and `watch_prefix` are never called (both can stop all writers).

use super::head::{Head, HeadFile};
use super::kv::{Batch, Commit, CommitError, Kv, RANGE_ROWS_MAX, Range, Requirement, Row, Write};
use super::{FORMAT, StoreError, Table};
use crate::domain::Seq;
use crate::telemetry;
use sled::transaction::{
    ConflictableTransactionError, TransactionError, Transactional, TransactionalTree, UnabortableTransactionError,
};
use sled::{IVec, Tree};
use std::fs::File;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

/// Commits that may wait for the writer; more wait outside, in the order they came.
const QUEUE_BATCHES_MAX: usize = 1_024;
/// A transaction holds a lock over the whole engine; this keeps it short.
const GROUP_BATCHES_MAX: usize = 256;
/// As above, for few large batches.
const GROUP_BYTES_MAX: usize = 1 << 20;
/// Two such pages fit sled's limit for what it keeps in its log (128 KiB) with a wide margin.
const CHUNK_BYTES: usize = 4_096;
/// The `HEAD` file is at most this far behind the log.
const HEAD_EVERY: Duration = Duration::from_secs(1);
/// A damaged store can hang at opening; a whole one of ten million articles opens faster.
const OPEN_WAIT: Duration = Duration::from_secs(120);
/// sled's own cache; its page table comes on top (about 160 bytes an article).
const CACHE_BYTES: u64 = 24 << 20;

/// The engine, open.
#[derive(Debug)]
pub(super) struct Sled {
    trees: Trees,
    queue: Mutex<Option<Sender<Job>>>,
    room: Arc<Semaphore>,
    head: watch::Receiver<Seq>,
    writer: Mutex<Option<JoinHandle<()>>>,
    failure: Arc<OnceLock<StoreError>>,
}

#[derive(Debug, Clone)]
struct Trees {
    /// One a [`Table`], in the order of [`Table::ALL`], and the pieces of large values last.
    all: Vec<Tree>,
}

impl Trees {
    fn of(&self, table: Table) -> &Tree {
        &self.all[table as usize]
    }

    fn pieces(&self) -> &Tree {
        &self.all[Table::ALL.len()]
    }
}

struct Job {
    batch: Batch,
    done: oneshot::Sender<Result<Seq, CommitError>>,
    _room: OwnedSemaphorePermit,
}

fn engine(error: impl std::fmt::Display) -> StoreError {
    StoreError::Engine(error.to_string())
}

const FORMAT_KEY: &[u8] = b"format";
const ARTICLES_KEY: &[u8] = b"articles";

impl Sled {
    /// Opens the engine below `folder`, holds it against the `HEAD` file, and starts the writer.
    pub(super) fn open(folder: &Path) -> Result<Self, StoreError> {
        let damaged = |what: String| StoreError::Damaged { folder: folder.display().to_string(), what };
        let (head_file, recorded) = HeadFile::open(&folder.join("HEAD"))?;
        let path = folder.join("sled");
        if let (Some(head), false) = (recorded, path.join("db").exists()) {
            let what = format!("its files are gone; {} changes and {} articles are missing", head.seq, head.articles);
            return Err(damaged(what));
        }
        let is_new = !path.exists();
        let db = open_guarded(&path).map_err(damaged)?;
        let mut all = Vec::with_capacity(Table::ALL.len() + 1);
        for name in Table::ALL.iter().map(|table| table.name()).chain(["pieces"]) {
            all.push(db.open_tree(name).map_err(engine)?);
        }
        let trees = Trees { all };
        check_format(&trees, folder)?;
        let found = found_head(&trees).map_err(damaged)?;
        if let Some(recorded) = recorded {
            let told = format!("{} changes and {} articles are recorded", recorded.seq, recorded.articles);
            if found.seq < recorded.seq || (found.seq == recorded.seq && found.articles != recorded.articles) {
                return Err(damaged(format!(
                    "{told}, {} changes and {} articles are there",
                    found.seq, found.articles
                )));
            }
        }
        db.flush().map_err(engine)?;
        let file = sync_all(folder, &path, is_new).map_err(engine)?;
        let (head_out, head) = watch::channel(Seq(found.seq));
        let (queue, jobs) = channel();
        let failure = Arc::default();
        let writer = Writer {
            trees: trees.clone(),
            db,
            file,
            head_file,
            head: found,
            head_written: recorded,
            head_out,
            failed: Arc::clone(&failure),
        };
        let writer =
            std::thread::Builder::new().name("store-writer".into()).spawn(move || writer.run(&jobs)).map_err(engine)?;
        Ok(Sled {
            trees,
            queue: Mutex::new(Some(queue)),
            room: Arc::new(Semaphore::new(QUEUE_BATCHES_MAX)),
            head,
            writer: Mutex::new(Some(writer)),
            failure,
        })
    }
}

/// Opens sled on a thread of its own: on a damaged store it may panic or hang.
fn open_guarded(path: &Path) -> Result<sled::Db, String> {
    let (tell, opened) = channel();
    let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES);
    let opening = std::thread::Builder::new().name("store-open".into()).spawn(move || {
        // Nobody listens any more when this took longer than the wait.
        let _ = tell.send(config.open().map_err(|error| error.to_string()));
    });
    opening.map_err(|error| error.to_string())?;
    match opened.recv_timeout(OPEN_WAIT) {
        Ok(result) => result,
        Err(RecvTimeoutError::Disconnected) => Err("its files cannot be read".to_owned()),
        Err(RecvTimeoutError::Timeout) => Err(format!("it did not open within {} s", OPEN_WAIT.as_secs())),
    }
}

fn check_format(trees: &Trees, folder: &Path) -> Result<(), StoreError> {
    let meta = trees.of(Table::Meta);
    let Some(value) = meta.get(FORMAT_KEY).map_err(engine)? else {
        if trees.all.iter().any(|tree| !tree.is_empty()) {
            let what = "its format version is missing".to_owned();
            return Err(StoreError::Damaged { folder: folder.display().to_string(), what });
        }
        meta.insert(FORMAT_KEY, &FORMAT.to_be_bytes()).map_err(engine)?;
        return Ok(());
    };
    let found = value.as_ref().try_into().map_or(u32::MAX, u32::from_be_bytes);
    if found > FORMAT {
        return Err(StoreError::Newer { what: format!("the store {}", folder.display()), found, known: FORMAT });
    }
    Ok(())
}

/// How far the log goes and how many articles are counted.
fn found_head(trees: &Trees) -> Result<Head, String> {
    let number = |bytes: &[u8]| bytes.try_into().map(u64::from_be_bytes).map_err(|_| "a number is cut off".to_owned());
    let last = trees.of(Table::Log).last().map_err(|error| error.to_string())?;
    let counted = trees.of(Table::Meta).get(ARTICLES_KEY).map_err(|error| error.to_string())?;
    Ok(Head {
        seq: last.map_or(Ok(0), |(key, _)| number(&key))?,
        articles: counted.map_or(Ok(0), |value| number(&value))?,
    })
}

/// Makes the files and, for a new store, their names durable. Returns the file that each commit syncs.
fn sync_all(folder: &Path, path: &Path, is_new: bool) -> std::io::Result<File> {
    let file = File::options().read(true).write(true).open(path.join("db"))?;
    file.sync_all()?;
    if is_new {
        for name in ["conf", "blobs", "."] {
            File::open(path.join(name))?.sync_all()?;
        }
        File::open(folder)?.sync_all()?;
        if let Some(parent) = folder.canonicalize()?.parent() {
            File::open(parent)?.sync_all()?;
        }
    }
    Ok(file)
}

impl Kv for Sled {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let tree = self.trees.of(table);
        loop {
            let Some(stored) = tree.get(key).map_err(engine)? else { return Ok(None) };
            match assemble(table, key, &stored, |piece| self.trees.pieces().get(piece).map_err(engine))? {
                Some(value) => return Ok(Some(value)),
                // The pieces went while they were read: the value was replaced, so there is a newer one to read.
                None if tree.get(key).map_err(engine)?.as_ref() != Some(&stored) => {}
                None => {
                    let key = super::record::readable(key);
                    return Err(StoreError::Record { table, key, what: "a piece of it is missing".into() });
                }
            }
        }
    }

    fn range(&self, table: Table, range: Range) -> Result<Vec<Row>, StoreError> {
        let limit = range.limit.min(RANGE_ROWS_MAX);
        let tree = self.trees.of(table);
        let found = tree.range((range.from, range.to));
        let keys: Vec<(IVec, IVec)> = if range.reverse {
            found.rev().take(limit).collect::<Result<_, _>>().map_err(engine)?
        } else {
            found.take(limit).collect::<Result<_, _>>().map_err(engine)?
        };
        let mut rows = Vec::with_capacity(keys.len());
        for (key, stored) in keys {
            let value = match stored.split_first() {
                Some((&WHOLE, value)) => Some(value.to_vec()),
                // A value in pieces is read by its key, which knows what to do when it changes meanwhile.
                Some(_) | None => self.get(table, &key)?,
            };
            rows.extend(value.map(|value| (key.to_vec(), value)));
        }
        Ok(rows)
    }

    fn commit(&self, batch: Batch) -> Commit<'_> {
        let room = Arc::clone(&self.room);
        Box::pin(async move {
            let closing = || CommitError::Store(StoreError::Stopped("it is closing".into()));
            let room = room.acquire_owned().await.map_err(|_| closing())?;
            let (done, result) = oneshot::channel();
            {
                let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
                let queue = queue.as_ref().ok_or_else(closing)?;
                queue.send(Job { batch, done, _room: room }).map_err(|_| closing())?;
            }
            result.await.unwrap_or_else(|_| Err(StoreError::Stopped("its writer broke off".into()).into()))
        })
    }

    fn head(&self) -> watch::Receiver<Seq> {
        self.head.clone()
    }

    fn failure(&self) -> Option<StoreError> {
        self.failure.get().cloned()
    }

    fn close(&self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(writer) = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // A panic of the writer has been told to everyone who waited on it.
            let _ = writer.join();
        }
    }
}

impl Drop for Sled {
    fn drop(&mut self) {
        self.close();
    }
}

/// First byte of a value that stands here whole.
const WHOLE: u8 = 0;
/// First byte of a value in pieces: generation (u32) and number of pieces (u16) follow. The generation rises with
/// each overwrite, so that a reader never mixes the pieces of two values.
const PIECES: u8 = 1;

fn pieces_head(stored: &[u8]) -> Option<(u32, u16)> {
    match stored {
        [PIECES, a, b, c, d, e, f] => Some((u32::from_be_bytes([*a, *b, *c, *d]), u16::from_be_bytes([*e, *f]))),
        _ => None,
    }
}

fn piece_key(table: Table, key: &[u8], generation: u32, piece: u16) -> Vec<u8> {
    let mut out = vec![table as u8];
    out.extend(key);
    out.extend(generation.to_be_bytes());
    out.extend(piece.to_be_bytes());
    out
}

/// The value whose first part is `stored`; none if a piece of it is missing.
fn assemble(
    table: Table,
    key: &[u8],
    stored: &[u8],
    mut piece: impl FnMut(Vec<u8>) -> Result<Option<IVec>, StoreError>,
) -> Result<Option<Vec<u8>>, StoreError> {
    if let Some((&WHOLE, value)) = stored.split_first() {
        return Ok(Some(value.to_vec()));
    }
    let Some((generation, pieces)) = pieces_head(stored) else { return Ok(None) };
    let mut value = Vec::with_capacity(usize::from(pieces) * CHUNK_BYTES);
    for number in 0..pieces {
        match piece(piece_key(table, key, generation, number))? {
            Some(bytes) => value.extend_from_slice(&bytes),
            None => return Ok(None),
        }
    }
    Ok(Some(value))
}

/// The thread that owns all writing.
struct Writer {
    trees: Trees,
    db: sled::Db,
    file: File,
    head_file: HeadFile,
    head: Head,
    head_written: Option<Head>,
    head_out: watch::Sender<Seq>,
    failed: Arc<OnceLock<StoreError>>,
}

type Tx<T> = Result<T, UnabortableTransactionError>;

impl Writer {
    fn run(mut self, jobs: &Receiver<Job>) {
        let mut head_at = Instant::now();
        loop {
            match jobs.recv_timeout(HEAD_EVERY) {
                Ok(first) => self.write_group(gather(first, jobs)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if head_at.elapsed() >= HEAD_EVERY {
                self.record_head();
                head_at = Instant::now();
            }
        }
        self.record_head();
    }

    fn record_head(&mut self) {
        if self.failed.get().is_some() || self.head_written == Some(self.head) {
            return;
        }
        match self.head_file.write(self.head) {
            Ok(()) => self.head_written = Some(self.head),
            Err(error) => self.fail(StoreError::Stopped(format!("HEAD could not be written: {error}"))),
        }
    }

    fn fail(&self, error: StoreError) {
        tracing::error!(%error, "the store stops: {error}");
        // The first failure is the one that tells why.
        let _ = self.failed.set(error);
    }

    /// Applies a group as one transaction, makes it durable, and only then tells anybody.
    fn write_group(&mut self, group: Vec<Job>) {
        let started = Instant::now();
        let size = group.len();
        let outcome = match self.failed.get() {
            Some(error) => Err(error.clone()),
            None => self.apply(&group),
        };
        match outcome {
            Ok((outcomes, head)) => {
                self.head = head;
                self.head_out.send_if_modified(|seq| std::mem::replace(seq, Seq(head.seq)) != Seq(head.seq));
                for (job, outcome) in group.into_iter().zip(outcomes) {
                    // Who no longer waits has still been served.
                    let _ = job.done.send(outcome);
                }
            }
            Err(error) => {
                if self.failed.get().is_none() {
                    self.fail(error.clone());
                }
                for job in group {
                    let _ = job.done.send(Err(error.clone().into()));
                }
            }
        }
        metrics::histogram!(telemetry::STORE_COMMIT_SECONDS).record(started.elapsed().as_secs_f64());
        metrics::histogram!(telemetry::STORE_GROUP_SIZE).record(size as f64);
    }

    fn apply(&self, group: &[Job]) -> Result<(Vec<Result<Seq, CommitError>>, Head), StoreError> {
        let start = self.head;
        let trees: &[Tree] = &self.trees.all;
        let applied = trees.transaction(|trees| {
            // sled may run this more than once; everything it decides starts afresh here.
            let mut head = start;
            let mut outcomes = Vec::with_capacity(group.len());
            for job in group {
                outcomes.push(match unmet(trees, &job.batch)? {
                    Some(conflict) => Err(conflict),
                    None => {
                        write(trees, &job.batch, &mut head)?;
                        Ok(Seq(head.seq))
                    }
                });
            }
            if head.articles != start.articles {
                trees[Table::Meta as usize].insert(ARTICLES_KEY, &head.articles.to_be_bytes())?;
            }
            Ok::<_, ConflictableTransactionError<StoreError>>((outcomes, head))
        });
        let applied = applied.map_err(|error| match error {
            TransactionError::Abort(error) => error,
            TransactionError::Storage(error) => StoreError::Stopped(format!("a write failed: {error}")),
        })?;
        self.db.flush().map_err(|error| StoreError::Stopped(format!("a flush failed: {error}")))?;
        self.file.sync_data().map_err(|error| StoreError::Stopped(format!("a sync failed: {error}")))?;
        Ok(applied)
    }
}

/// What waits behind `first`, up to a group's limits.
fn gather(first: Job, jobs: &Receiver<Job>) -> Vec<Job> {
    let mut bytes = first.batch.bytes();
    let mut group = vec![first];
    while group.len() < GROUP_BATCHES_MAX && bytes < GROUP_BYTES_MAX {
        let Ok(next) = jobs.try_recv() else { break };
        bytes += next.batch.bytes();
        group.push(next);
    }
    group
}

/// The first requirement of `batch` that does not hold.
fn unmet(trees: &[TransactionalTree], batch: &Batch) -> Tx<Option<CommitError>> {
    for (table, key, requirement) in &batch.requires {
        let stored = trees[*table as usize].get(key)?;
        let holds = match (requirement, stored) {
            (Requirement::Absent, stored) => stored.is_none(),
            (Requirement::Is(_), None) => false,
            (Requirement::Is(value), Some(stored)) => whole(trees, *table, key, &stored)?.as_ref() == Some(value),
        };
        if !holds {
            return Ok(Some(CommitError::Conflict { table: *table, key: key.clone() }));
        }
    }
    Ok(None)
}

fn whole(trees: &[TransactionalTree], table: Table, key: &[u8], stored: &[u8]) -> Tx<Option<Vec<u8>>> {
    let mut failed = None;
    let value = assemble(table, key, stored, |piece| {
        trees[Table::ALL.len()].get(piece).map_err(|error| {
            let told = engine("a piece could not be read");
            failed = Some(error);
            told
        })
    });
    match failed {
        Some(error) => Err(error),
        None => Ok(value.ok().flatten()),
    }
}

fn write(trees: &[TransactionalTree], batch: &Batch, head: &mut Head) -> Tx<()> {
    for (table, key, change) in &batch.writes {
        let tree = &trees[*table as usize];
        let pieces = &trees[Table::ALL.len()];
        let old = match change {
            Write::Delete => tree.remove(key.as_slice())?,
            Write::Put(value) if value.len() <= CHUNK_BYTES => {
                let mut stored = Vec::with_capacity(value.len() + 1);
                stored.push(WHOLE);
                stored.extend(value);
                tree.insert(key.as_slice(), stored)?
            }
            Write::Put(value) => {
                let generation =
                    tree.get(key)?.as_deref().and_then(pieces_head).map_or(0, |(old, _)| old.wrapping_add(1));
                let count = value.len().div_ceil(CHUNK_BYTES);
                for (number, piece) in (0_u16..).zip(value.chunks(CHUNK_BYTES)) {
                    pieces.insert(piece_key(*table, key, generation, number), piece)?;
                }
                let mut stored = vec![PIECES];
                stored.extend(generation.to_be_bytes());
                stored.extend(u16::try_from(count).unwrap_or(u16::MAX).to_be_bytes());
                tree.insert(key.as_slice(), stored)?
            }
        };
        if let Some((generation, count)) = old.as_deref().and_then(pieces_head) {
            for number in 0..count {
                pieces.remove(piece_key(*table, key, generation, number))?;
            }
        }
        if *table == Table::Articles {
            match (change, old) {
                (Write::Put(_), None) => head.articles += 1,
                (Write::Delete, Some(_)) => head.articles -= 1,
                (Write::Put(_), Some(_)) | (Write::Delete, None) => {}
            }
        }
    }
    for entry in &batch.appends {
        head.seq += 1;
        let mut stored = Vec::with_capacity(entry.len() + 1);
        stored.push(WHOLE);
        stored.extend(entry);
        trees[Table::Log as usize].insert(&head.seq.to_be_bytes(), stored)?;
    }
    Ok(())
}
