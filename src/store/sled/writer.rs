//! All writing: many callers' batches in one frame of the journal, with one wait for the disk. Whoever finds nobody else
//! writing does it where it is, what comes meanwhile waits for a thread that writes it together.

use super::checkpoint::Checkpoints;
use super::group::Decided;
use super::journal::{Frame, Journal};
use super::open::Opened;
use super::parcel::Parcel;
use super::snapshot::{Begun, Kept};
use super::tables::Tables;
use crate::domain::Seq;
use crate::store::StoreError;
use crate::store::head::{Head, HeadFile};
use crate::store::kv::{CommitError, Meanwhile};
use crate::telemetry;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};

/// Who came first waits for the whole group; this keeps it short.
const GROUP_BATCHES_MAX: usize = 256;
/// As above, for few large batches.
const GROUP_BYTES_MAX: usize = 1 << 20;
/// What `HEAD` tells survives a power cut if it is older than this; it survives the end of the process at once.
const HEAD_SYNC_EVERY: Duration = Duration::from_secs(1);

/// Where several wait for their commits and come back with the next ones, a group waits so long for those who are on their
/// way: fewer frames and syncs for as many commits.
const GATHER: Duration = Duration::from_micros(50);

/// While the disk takes no longer than this for a commit, as a mean, a caller waits for it on its own thread; two changes
/// of thread cost as much.
const SYNC_SHORT: Duration = Duration::from_micros(500);
/// How much a commit counts in that mean.
const SYNC_SHARE: u32 = 8;

/// What the thread is asked to do.
pub(super) enum Job {
    /// Apply a batch.
    Commit { batch: Parcel, done: oneshot::Sender<Result<Seq, CommitError>>, _room: OwnedSemaphorePermit },
    /// End the turn of the journal, if it is full.
    Turn,
    /// Keep everything as it is now for a reader.
    Snapshot(Sender<Result<Begun, StoreError>>),
}

/// Who waits for a batch of a group.
struct Waiting {
    done: oneshot::Sender<Result<Seq, CommitError>>,
    _room: OwnedSemaphorePermit,
}

/// What it takes to write; one at a time has it.
#[derive(Debug)]
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
    /// The head that those who follow it were woken for.
    announced: Seq,
    snapshots: Vec<Weak<Kept>>,
    failed: Arc<OnceLock<StoreError>>,
    /// How long the disk has taken for a commit lately.
    sync: Duration,
    /// Batches of the last group that somebody waited for: as many may come again.
    company: usize,
    is_closed: bool,
}

/// Works until all who could ask for something are gone; what they asked before is done.
pub(super) fn run(writer: &Mutex<Writer>, jobs: &Receiver<Job>, waiting: &AtomicUsize) {
    let lock = || writer.lock().unwrap_or_else(PoisonError::into_inner);
    let mut next = None;
    loop {
        let job = match next.take() {
            Some(job) => Ok(job),
            None => jobs.recv_timeout(HEAD_SYNC_EVERY),
        };
        let mut writer = lock();
        match job {
            Ok(Job::Commit { batch, done, _room }) => {
                if writer.company > 1 && !batch.is_patient {
                    std::thread::sleep(GATHER);
                }
                let (group, behind) = gather((batch, Waiting { done, _room }), jobs);
                let size = group.len();
                writer.write_group(group);
                waiting.fetch_sub(size, Ordering::Release);
                next = behind;
            }
            Ok(Job::Turn) => writer.turn_if_full(),
            Ok(Job::Snapshot(tell)) => writer.begin_snapshot(&tell),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if writer.head_synced_at.elapsed() >= HEAD_SYNC_EVERY {
            writer.sync_head();
        }
    }
    lock().close();
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
            checkpoints: Checkpoints::start(target, Arc::clone(&failed))?,
            head_file,
            head,
            head_synced: head,
            head_synced_at: Instant::now(),
            announced: Seq(head.seq),
            head_out,
            snapshots: Vec::new(),
            failed,
            sync: Duration::ZERO,
            company: 0,
            is_closed: false,
        })
    }

    /// Would a caller be kept waiting for a moment only, and nobody else with it?
    pub(super) fn is_quick(&self) -> bool {
        self.sync <= SYNC_SHORT && !self.journal.is_full() && self.company <= 1
    }

    /// Is there something for the thread to do, though nobody asked for it?
    pub(super) fn is_turn_over(&self) -> bool {
        self.journal.is_full()
    }

    /// Carries everything into sled, so that the next opening finds it there. Nothing is written from then on.
    fn close(&mut self) {
        self.settle();
        self.sync_head();
        self.is_closed = true;
    }

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

    fn turn_if_full(&mut self) {
        if self.journal.is_full()
            && self.failed.get().is_none()
            && let Err(error) = self.turn()
        {
            self.fail(error);
        }
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
        fail(&self.failed, error);
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
    fn keep_for_snapshots(&mut self, group: &[Parcel]) {
        self.snapshots.retain(|kept| kept.strong_count() > 0);
        for kept in self.snapshots.iter().filter_map(Weak::upgrade) {
            for (table, key, _) in group.iter().flat_map(|batch| &batch.writes) {
                kept.keep(*table, key, || self.tables.get(*table, key));
            }
        }
    }

    /// Writes a group and tells those who wait for it.
    fn write_group(&mut self, group: Vec<(Parcel, Waiting)>) {
        let (batches, waiting): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        let outcomes = self.write(batches, None);
        for (waiting, outcome) in waiting.into_iter().zip(outcomes) {
            // Who no longer waits has still been served.
            let _ = waiting.done.send(outcome);
        }
        self.announce();
        self.turn_if_full();
    }

    /// Writes a group to the journal: when this returns, it is durable. Those who follow the head are told of it by
    /// [`Writer::announce`], behind those who wait for the outcomes, or they would have the cores first. `meanwhile` is done
    /// while the disk is at it, if it comes to that.
    pub(super) fn write(
        &mut self,
        group: Vec<Parcel>,
        meanwhile: Option<Meanwhile<'_>>,
    ) -> Vec<Result<Seq, CommitError>> {
        let (started, size) = (Instant::now(), group.len());
        self.company = group.iter().filter(|batch| !batch.is_patient).count();
        self.keep_for_snapshots(&group);
        let outcome = match self.failed.get() {
            Some(error) => Err(error.clone()),
            None if self.is_closed => Err(StoreError::closing()),
            None => catch_unwind(AssertUnwindSafe(|| self.apply(group, meanwhile)))
                .unwrap_or_else(|_| Err(StoreError::Stopped("a write broke off: its files are damaged".into()))),
        };
        let outcomes = outcome.unwrap_or_else(|error| {
            if self.failed.get().is_none() && !self.is_closed {
                self.fail(error.clone());
            }
            (0..size).map(|_| Err(error.clone().into())).collect()
        });
        metrics::histogram!(telemetry::STORE_COMMIT_SECONDS).record(started.elapsed().as_secs_f64());
        metrics::histogram!(telemetry::STORE_GROUP_SIZE).record(size as f64);
        outcomes
    }

    /// Wakes those who follow the head, if it has moved.
    pub(super) fn announce(&mut self) {
        let head = Seq(self.head.seq);
        self.head_out.send_if_modified(|_| std::mem::replace(&mut self.announced, head) != head);
    }

    fn apply(
        &mut self,
        group: Vec<Parcel>,
        meanwhile: Option<Meanwhile<'_>>,
    ) -> Result<Vec<Result<Seq, CommitError>>, StoreError> {
        let mut decided = Decided::new(&self.tables, self.head, group.len());
        let mut outcomes = Vec::with_capacity(group.len());
        self.frame.clear();
        for batch in group {
            outcomes.push(match decided.unmet(&batch)? {
                Some(conflict) => Err(conflict),
                None => {
                    decided.take(batch, &mut self.frame)?;
                    Ok(Seq(decided.head.seq))
                }
            });
        }
        let Decided { writes, head, .. } = decided;
        if head != self.head {
            let stopped = |what: &str, error: std::io::Error| StoreError::Stopped(format!("{what}: {error}"));
            let began = Instant::now();
            let appended = self.journal.append(&mut self.frame, self.head, head, meanwhile);
            self.sync = (self.sync * (SYNC_SHARE - 1) + began.elapsed()) / SYNC_SHARE;
            appended.map_err(|error| stopped("the journal could not be written", error))?;
            self.head_file.write(head).map_err(|error| stopped("HEAD could not be written", error))?;
            self.head = head;
            self.tables.show(writes);
            // Read by whoever looks from then on; who waits to be woken is, by `announce`.
            self.head_out.send_if_modified(|seq| {
                *seq = Seq(head.seq);
                false
            });
        }
        Ok(outcomes)
    }
}

/// Whatever was at fault: from here on nothing is taken, and a restart may help.
pub(super) fn fail(failed: &OnceLock<StoreError>, error: StoreError) {
    let error = match error {
        StoreError::Engine(what) => StoreError::Stopped(what),
        other => other,
    };
    // The first failure is the one that tells why.
    if failed.set(error.clone()).is_ok() {
        tracing::error!(%error, "the store stops: {error}");
    }
}

/// `first` and what waits behind it, up to a group's limits; and the job behind it that ends the group.
fn gather(first: (Parcel, Waiting), jobs: &Receiver<Job>) -> (Vec<(Parcel, Waiting)>, Option<Job>) {
    let mut bytes = first.0.bytes;
    let mut group = vec![first];
    while group.len() < GROUP_BATCHES_MAX && bytes < GROUP_BYTES_MAX {
        match jobs.try_recv() {
            Ok(Job::Commit { batch, done, _room }) => {
                bytes += batch.bytes;
                group.push((batch, Waiting { done, _room }));
            }
            Ok(other @ (Job::Turn | Job::Snapshot(_))) => return (group, Some(other)),
            Err(_) => break,
        }
    }
    (group, None)
}
