//! The thread that owns all writing: many callers' batches in one transaction, one flush and one sync.

use super::open::{HEAD_KEY, Opened};
use super::snapshot::{Begun, Kept};
use super::{Trees, pieces};
use crate::domain::Seq;
use crate::store::head::{Head, HeadFile};
use crate::store::kv::{Batch, CommitError, Requirement, Write};
use crate::store::{StoreError, Table};
use crate::telemetry;
use sled::Tree;
use sled::transaction::{
    ConflictableTransactionError, TransactionError, Transactional, TransactionalTree, UnabortableTransactionError,
};
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};

/// A transaction holds a lock over the whole engine; this keeps it short.
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
    trees: Trees,
    db: sled::Db,
    file: File,
    head_file: HeadFile,
    head: Head,
    head_synced: Head,
    head_synced_at: Instant,
    head_out: watch::Sender<Seq>,
    snapshots: Vec<Weak<Kept>>,
    failed: Arc<OnceLock<StoreError>>,
}

impl Writer {
    pub(super) fn new(opened: Opened, head_out: watch::Sender<Seq>, failed: Arc<OnceLock<StoreError>>) -> Self {
        let Opened { db, trees, head, head_file, file } = opened;
        Writer {
            trees,
            db,
            file,
            head_file,
            head,
            head_synced: head,
            head_synced_at: Instant::now(),
            head_out,
            snapshots: Vec::new(),
            failed,
        }
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
        self.sync_head();
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
                kept.keep(*table, key, || super::guarded(|| pieces::read(&self.trees, *table, key)));
            }
        }
    }

    /// Applies a group as one transaction, makes it durable, and only then tells anybody.
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

    fn apply(&mut self, group: &[Waiting]) -> Result<(Vec<Result<Seq, CommitError>>, Head), StoreError> {
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
            if head != start {
                trees[Table::ALL.len() + 1].insert(HEAD_KEY, head.to_bytes())?;
            }
            Ok::<_, ConflictableTransactionError<StoreError>>((outcomes, head))
        });
        let (outcomes, head) = applied.map_err(|error| match error {
            TransactionError::Abort(error) => error,
            TransactionError::Storage(error) => StoreError::Stopped(format!("a write failed: {error}")),
        })?;
        if head != start {
            let stopped = |what: &str, error: String| StoreError::Stopped(format!("{what}: {error}"));
            self.db.flush().map_err(|error| stopped("a flush failed", error.to_string()))?;
            self.file.sync_data().map_err(|error| stopped("a sync failed", error.to_string()))?;
            self.head_file.write(head).map_err(|error| stopped("HEAD could not be written", error.to_string()))?;
        }
        Ok((outcomes, head))
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

type Tx<T> = Result<T, UnabortableTransactionError>;

/// The first requirement of `batch` that does not hold.
fn unmet(trees: &[TransactionalTree], batch: &Batch) -> Tx<Option<CommitError>> {
    for (table, key, requirement) in &batch.requires {
        let holds = match requirement {
            Requirement::Absent => trees[*table as usize].get(key)?.is_none(),
            Requirement::Is(value) => pieces::read_in(trees, *table, key)?.as_ref() == Some(value),
        };
        if !holds {
            return Ok(Some(CommitError::Conflict { table: *table, key: key.clone() }));
        }
    }
    Ok(None)
}

fn write(trees: &[TransactionalTree], batch: &Batch, head: &mut Head) -> Tx<()> {
    for (table, key, change) in &batch.writes {
        head.writes += 1;
        let was_there = match change {
            Write::Put(value) => pieces::put_in(trees, *table, key, value, head.writes)?,
            Write::Delete => pieces::delete_in(trees, *table, key)?,
        };
        if *table == Table::Articles {
            match (change, was_there) {
                (Write::Put(_), false) => head.articles += 1,
                // A damaged store may count fewer than it has; `check` tells.
                (Write::Delete, true) => head.articles = head.articles.saturating_sub(1),
                (Write::Put(_), true) | (Write::Delete, false) => {}
            }
        }
    }
    for entry in &batch.appends {
        head.writes += 1;
        head.seq += 1;
        pieces::put_in(trees, Table::Log, &head.seq.to_be_bytes(), entry, head.writes)?;
    }
    Ok(())
}
