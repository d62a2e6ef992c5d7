//! The thread that owns all writing: many callers' batches in one frame of the journal, with one wait for the disk.

use super::checkpoint::Checkpoints;
use super::journal::{Frame, Journal};
use super::memtable::Memtable;
use super::open::Opened;
use super::snapshot::{Begun, Kept};
use super::tables::Tables;
use crate::domain::Seq;
use crate::store::head::{Head, HeadFile};
use crate::store::kv::{Batch, CommitError, Requirement, Write};
use crate::store::numbers::added;
use crate::store::{StoreError, Table};
use crate::telemetry;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};

/// Who came first waits for the whole group; this keeps it short.
const GROUP_BATCHES_MAX: usize = 256;
/// As above, for few large batches.
const GROUP_BYTES_MAX: usize = 1 << 20;
/// What `HEAD` tells survives a power cut if it is older than this; it survives the end of the process at once.
const HEAD_SYNC_EVERY: Duration = Duration::from_secs(1);

/// What the writer is asked to do.
pub(super) enum Job {
    /// Apply a batch.
    Commit { batch: Batch, done: oneshot::Sender<Result<Seq, CommitError>>, _room: OwnedSemaphorePermit },
    /// Keep everything as it is now for a reader.
    Snapshot(Sender<Result<Begun, StoreError>>),
}

struct Waiting {
    batch: Batch,
    done: oneshot::Sender<Result<Seq, CommitError>>,
    _room: OwnedSemaphorePermit,
}

/// The writer's belongings.
pub(super) struct Writer {
    tables: Tables,
    journal: Journal,
    frame: Frame,
    checkpoints: Checkpoints,
    head_file: HeadFile,
    head: Head,
    head_synced: Head,
    head_synced_at: Instant,
    head_out: watch::Sender<Seq>,
    snapshots: Vec<Weak<Kept>>,
    failed: Arc<OnceLock<StoreError>>,
}

impl Writer {
    pub(super) fn new(
        opened: Opened,
        head_out: watch::Sender<Seq>,
        failed: Arc<OnceLock<StoreError>>,
    ) -> std::io::Result<Self> {
        let Opened { target, head, head_file, journal } = opened;
        Ok(Writer {
            tables: target.tables.clone(),
            journal,
            frame: Frame::default(),
            checkpoints: Checkpoints::start(target)?,
            head_file,
            head,
            head_synced: head,
            head_synced_at: Instant::now(),
            head_out,
            snapshots: Vec::new(),
            failed,
        })
    }

    /// Works until all who could ask for something are gone; what they asked before is done.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        let mut next = None;
        loop {
            let job = match next.take() {
                Some(job) => Ok(job),
                None => jobs.recv_timeout(HEAD_SYNC_EVERY),
            };
            match job {
                Ok(Job::Commit { batch, done, _room }) => {
                    let (group, behind) = gather(Waiting { batch, done, _room }, jobs);
                    self.write_group(group);
                    next = behind;
                }
                Ok(Job::Snapshot(tell)) => self.begin_snapshot(&tell),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.head_synced_at.elapsed() >= HEAD_SYNC_EVERY {
                self.sync_head();
            }
        }
        self.settle();
        self.sync_head();
    }

    /// Carries everything into sled, so that the next opening finds it there.
    fn settle(&mut self) {
        let done = match self.failed.get() {
            Some(_) => return,
            None => self.turn().and_then(|()| self.checkpoints.wait()),
        };
        if let Err(error) = done {
            self.fail(error);
        }
    }

    /// Ends a turn of the journal, once sled has the one before.
    fn turn(&mut self) -> Result<(), StoreError> {
        self.checkpoints.wait()?;
        self.checkpoints.begin(self.tables.freeze(), self.head);
        self.journal.turn();
        Ok(())
    }

    fn sync_head(&mut self) {
        self.head_synced_at = Instant::now();
        if self.failed.get().is_some() || self.head_synced == self.head {
            return;
        }
        match self.head_file.sync() {
            Ok(()) => self.head_synced = self.head,
            Err(error) => self.fail(StoreError::Stopped(format!("HEAD could not be written: {error}"))),
        }
    }

    fn fail(&self, error: StoreError) {
        tracing::error!(%error, "the store stops: {error}");
        // The first failure is the one that tells why.
        let _ = self.failed.set(error);
    }

    /// Between two groups everything that was applied is durable: a moment to keep.
    fn begin_snapshot(&mut self, tell: &Sender<Result<Begun, StoreError>>) {
        let begun = match self.failed.get() {
            Some(error) => Err(error.clone()),
            None => {
                let kept = Arc::new(Kept::default());
                self.snapshots.push(Arc::downgrade(&kept));
                Ok(Begun { kept, head: self.head })
            }
        };
        // Who no longer waits has dropped its snapshot as well.
        let _ = tell.send(begun);
    }

    /// Hands the open snapshots what `group` is about to overwrite.
    fn keep_for_snapshots(&mut self, group: &[Waiting]) {
        self.snapshots.retain(|kept| kept.strong_count() > 0);
        for kept in self.snapshots.iter().filter_map(Weak::upgrade) {
            for (table, key, _) in group.iter().flat_map(|job| &job.batch.writes) {
                kept.keep(*table, key, || self.tables.get(*table, key));
            }
        }
    }

    /// Writes a group to the journal, and tells nobody before that is durable.
    fn write_group(&mut self, group: Vec<Waiting>) {
        let started = Instant::now();
        let size = group.len();
        self.keep_for_snapshots(&group);
        let outcome = match self.failed.get() {
            Some(error) => Err(error.clone()),
            None => catch_unwind(AssertUnwindSafe(|| self.apply(&group)))
                .unwrap_or_else(|_| Err(StoreError::Stopped("a write broke off: its files are damaged".into()))),
        };
        match outcome {
            Ok(outcomes) => {
                // Whoever is told reads the new head from then on; those who follow it wake behind them, or they
                // would have the cores first.
                let head = Seq(self.head.seq);
                let mut is_new = false;
                self.head_out.send_if_modified(|seq| {
                    is_new = std::mem::replace(seq, head) != head;
                    false
                });
                for (job, outcome) in group.into_iter().zip(outcomes) {
                    // Who no longer waits has still been served.
                    let _ = job.done.send(outcome);
                }
                self.head_out.send_if_modified(|_| is_new);
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

    fn apply(&mut self, group: &[Waiting]) -> Result<Vec<Result<Seq, CommitError>>, StoreError> {
        let mut decided = Decided { tables: &self.tables, writes: Memtable::default(), head: self.head };
        let mut outcomes = Vec::with_capacity(group.len());
        self.frame.clear();
        for job in group {
            outcomes.push(match decided.unmet(&job.batch)? {
                Some(conflict) => Err(conflict),
                None => {
                    decided.take(&job.batch, &mut self.frame)?;
                    Ok(Seq(decided.head.seq))
                }
            });
        }
        let Decided { writes, head, .. } = decided;
        if head != self.head {
            let stopped = |what: &str, error: std::io::Error| StoreError::Stopped(format!("{what}: {error}"));
            let appended = self.journal.append(&mut self.frame, self.head, head);
            appended.map_err(|error| stopped("the journal could not be written", error))?;
            self.head_file.write(head).map_err(|error| stopped("HEAD could not be written", error))?;
            self.head = head;
            self.tables.show(writes);
            if self.journal.is_full() {
                self.turn()?;
            }
        }
        Ok(outcomes)
    }
}

/// What waits behind `first`, up to a group's limits, and the job behind it that ends the group.
fn gather(first: Waiting, jobs: &Receiver<Job>) -> (Vec<Waiting>, Option<Job>) {
    let mut bytes = first.batch.bytes();
    let mut group = vec![first];
    while group.len() < GROUP_BATCHES_MAX && bytes < GROUP_BYTES_MAX {
        match jobs.try_recv() {
            Ok(Job::Commit { batch, done, _room }) => {
                bytes += batch.bytes();
                group.push(Waiting { batch, done, _room });
            }
            Ok(other @ Job::Snapshot(_)) => return (group, Some(other)),
            Err(_) => break,
        }
    }
    (group, None)
}

/// A group while it is looked at: what its batches so far come to.
struct Decided<'a> {
    tables: &'a Tables,
    writes: Memtable,
    head: Head,
}

impl Decided<'_> {
    /// A value of which a piece is missing is as good as none: it stops whoever needs it, and nobody else.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.writes.get(table, key).map_or_else(|| self.tables.get(table, key), Ok) {
            Err(StoreError::Record { .. }) => Ok(None),
            found => found,
        }
    }

    fn contains(&self, table: Table, key: &[u8]) -> Result<bool, StoreError> {
        self.writes.get(table, key).map_or_else(|| self.tables.contains(table, key), |value| Ok(value.is_some()))
    }

    /// The first requirement of `batch` that does not hold.
    fn unmet(&self, batch: &Batch) -> Result<Option<CommitError>, StoreError> {
        for (table, key, requirement) in &batch.requires {
            let holds = match requirement {
                Requirement::Absent => !self.contains(*table, key)?,
                Requirement::Is(value) => self.get(*table, key)?.as_ref() == Some(value),
            };
            if !holds {
                return Ok(Some(CommitError::Conflict { table: *table, key: key.clone() }));
            }
        }
        Ok(None)
    }

    fn take(&mut self, batch: &Batch, frame: &mut Frame) -> Result<(), StoreError> {
        for (table, key, change) in &batch.writes {
            let sum;
            let value = match change {
                Write::Put(value) => Some(value.as_slice()),
                Write::Delete => None,
                Write::Add(numbers) => match added(*table, key, self.get(*table, key)?.as_deref(), *numbers) {
                    Some(new) => {
                        sum = new;
                        Some(sum.as_slice())
                    }
                    None => continue,
                },
            };
            if *table == Table::Articles {
                match (value, self.contains(*table, key)?) {
                    (Some(_), false) => self.head.articles += 1,
                    // A damaged store may count fewer than it has; `check` tells.
                    (None, true) => self.head.articles = self.head.articles.saturating_sub(1),
                    (Some(_), true) | (None, false) => {}
                }
            }
            self.write(*table, key.clone(), value, frame);
        }
        for entry in &batch.appends {
            self.head.seq += 1;
            self.write(Table::Log, self.head.seq.to_be_bytes().to_vec(), Some(entry), frame);
        }
        Ok(())
    }

    fn write(&mut self, table: Table, key: Vec<u8>, value: Option<&[u8]>, frame: &mut Frame) {
        self.head.writes += 1;
        frame.push(table, &key, value, self.head.writes);
        self.writes.insert(table, key, value.map(<[u8]>::to_vec), self.head.writes);
    }
}
