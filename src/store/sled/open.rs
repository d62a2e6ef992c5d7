//! Opening: what lies in the folder is looked at before sled is let near it, and held against `HEAD` after.
//!
//! A store that was refused is refused again: sled may have cut off its log by then, `HEAD` is left as it was.

use super::checkpoint::Target;
use super::journal::{self, Journal};
use super::tables::Tables;
use super::{Trees, blocks, engine, message};
use crate::store::head::{Head, HeadFile};
use crate::store::{FORMAT, StoreError, Table};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// A damaged store can hang at opening; a whole one of ten million articles opens faster.
const OPEN_WAIT: Duration = Duration::from_secs(120);
/// How often, and how long each time, sled's lock is waited for.
const LOCK_WAITS: u32 = 100;
const LOCK_WAIT: Duration = Duration::from_millis(10);
/// sled's own cache; its page table comes on top (about 160 bytes an article).
const CACHE_BYTES: u64 = 8 << 20;
/// Length of the parts of sled's file that are given back as wholes. sled holds each against all others once behind an
/// opening, and looks through all of them time and again: at a million articles 512 KiB, its standard, made 11,000 of them.
/// With 2 MiB the file of 100,000 became a tenth longer.
const SEGMENT_BYTES: usize = 1 << 20;
/// The same in stores that were made before this was set.
const SEGMENT_BYTES_BEFORE: usize = 512 << 10;
/// A new store is made here and then renamed, so that one that is there is always whole.
const FOUNDING: &str = ".founding";
/// Key of [`FORMAT`] in the engine's own tree.
const FORMAT_KEY: &[u8] = b"format";
/// Key of the [`Head`] in the engine's own tree: how far all that the journal told has been carried over.
pub(super) const HEAD_KEY: &[u8] = b"head";
/// The engine's folder in the store's.
pub(in crate::store) const ENGINE: &str = "sled";
/// The head file in the store's folder.
pub(in crate::store) const HEAD: &str = "HEAD";

/// An engine that was found to be whole as far as can be seen without reading it all.
pub(super) struct Opened {
    pub(super) target: Target,
    pub(super) head: Head,
    pub(super) head_file: HeadFile,
    pub(super) journal: Journal,
}

/// Opens the engine below `folder`, or makes a new one where there never was any. What its journal tells beyond it is
/// carried over. Turns of the journal will end behind `journal_bytes`.
pub(super) fn open(folder: &Path, journal_bytes: u64) -> Result<Opened, StoreError> {
    let damaged = |what: String| StoreError::Damaged { folder: folder.display().to_string(), what };
    let path = folder.join(ENGINE);
    let recorded = HeadFile::read(&folder.join(HEAD))?;
    match (path.exists(), recorded) {
        // The first write of all is the identity: without more than that nothing can have been lost.
        (false, Some(head)) if head.writes > 1 => {
            return Err(damaged(format!("its folder {ENGINE} is gone; {head} are missing")));
        }
        (false, None) if folder.join(HEAD).exists() => {
            return Err(damaged(format!("its folder {ENGINE} is gone, and its file {HEAD} cannot be read")));
        }
        (false, Some(_) | None) => {
            tracing::info!("a new store is begun in {}: there is none", folder.display());
            found(folder, SEGMENT_BYTES)?;
        }
        (true, None) => {
            let folder = folder.display();
            tracing::warn!(
                "the store {folder} has no readable HEAD file; it is made anew, what it would have told is not known"
            );
        }
        (true, Some(_)) => {}
    }
    if !path.join("db").exists() {
        let lost = recorded.map(|head| format!("; {head} are missing")).unwrap_or_default();
        return Err(damaged(format!("its file {ENGINE}/db is gone{lost}")));
    }
    remove_leftovers(&path).map_err(engine)?;
    let Raw { db, trees, format, head } = guarded(&path, segment_bytes(&path), damaged)?;
    match format {
        None => return Err(damaged("its format version is missing".to_owned())),
        Some(found) if found > FORMAT => {
            return Err(StoreError::Newer { what: format!("the store {}", folder.display()), found, known: FORMAT });
        }
        Some(found) if found < FORMAT => {
            return Err(StoreError::Older { what: format!("the store {}", folder.display()), found, known: FORMAT });
        }
        Some(_) => {}
    }
    let at = head.ok_or_else(|| damaged("its own count is missing or unreadable".to_owned()))?;
    let told = journal::read(&path, at).map_err(|error| damaged(error.to_string()))?;
    let head = told.head.unwrap_or(at);
    if let Some(what) = recorded.and_then(|recorded| recorded.contradicts(head)) {
        return Err(damaged(what));
    }
    let file = Arc::new(File::options().read(true).write(true).open(path.join("db")).map_err(engine)?);
    let target = Target { db, tables: Tables::new(trees), file };
    target.carry(&told.writes, head)?;
    target.file.sync_all().map_err(engine)?;
    ends_at(target.tables.trees(), head).map_err(damaged)?;
    let journal = Journal::open(&path, told.turn, journal_bytes).map_err(engine)?;
    sync_folder(&path).map_err(engine)?;
    let mut head_file = HeadFile::open(&folder.join(HEAD)).map_err(engine)?;
    head_file.write(head).and_then(|()| head_file.sync()).map_err(engine)?;
    sync_folder(folder).map_err(engine)?;
    Ok(Opened { target, head, head_file, journal })
}

/// Makes an empty engine with segments of this length, whole or not at all.
fn found(folder: &Path, segment_bytes: usize) -> Result<(), StoreError> {
    let path = folder.join(FOUNDING);
    match std::fs::remove_dir_all(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(engine(error)),
        Ok(()) | Err(_) => {}
    }
    {
        let Raw { db, trees, .. } = guarded(&path, segment_bytes, StoreError::Engine)?;
        trees.own().insert(HEAD_KEY, Head::default().to_bytes()).map_err(engine)?;
        trees.own().insert(FORMAT_KEY, &FORMAT.to_be_bytes()).map_err(engine)?;
        db.flush().map_err(engine)?;
    }
    sync_tree(&path).map_err(engine)?;
    std::fs::rename(&path, folder.join(ENGINE)).map_err(engine)?;
    sync_folder(folder).map_err(engine)?;
    match folder.canonicalize().map_err(engine)?.parent() {
        Some(parent) => sync_folder(parent).map_err(engine),
        None => Ok(()),
    }
}

/// Makes a folder and all that lies in it durable.
pub(in crate::store) fn sync_tree(path: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        } else {
            File::open(entry.path())?.sync_all()?;
        }
    }
    sync_folder(path)
}

/// Makes the names in a folder durable.
pub(in crate::store) fn sync_folder(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}

/// sled takes a snapshot that was never finished for its newest one and then does not open; it is only a shortcut.
fn remove_leftovers(path: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            tracing::warn!("the unfinished snapshot {name} of an earlier run is removed");
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// sled, open, and what it says of itself.
struct Raw {
    db: sled::Db,
    trees: Trees,
    format: Option<u32>,
    head: Option<Head>,
}

/// Is it the disk's fault, and not that of what lies on it?
fn is_of_disk(error: &sled::Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let kinds = [FileTooLarge, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull];
    matches!(error, sled::Error::Io(error) if kinds.contains(&error.kind()))
}

/// Opens sled on a thread of its own: on a damaged store it may panic (which it also tells on stderr) or hang. Errors: what
/// `damaged` makes of the reason, unless the disk is at fault.
fn guarded(path: &Path, segment_bytes: usize, damaged: impl Fn(String) -> StoreError) -> Result<Raw, StoreError> {
    let (tell, opened) = channel();
    // Without sled's own thread, which panics at a damaged page, and for which closing then waits without end. What it
    // does, flushing and moving pages out of half dead segments, is done where a turn is carried.
    let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
    let config = config.segment_size(segment_bytes);
    let opening = std::thread::Builder::new().name("store-open".into()).spawn(move || {
        // Nobody listens any more when this took longer than the wait.
        let _ = tell.send(raw(&config).map_err(|error| (is_of_disk(&error), message(error))));
    });
    opening.map_err(engine)?;
    match opened.recv_timeout(OPEN_WAIT) {
        Ok(Ok(raw)) => Ok(raw),
        Ok(Err((true, why))) => Err(engine(format!("{}: {why}", path.display()))),
        Ok(Err((false, why))) => Err(damaged(why)),
        Err(RecvTimeoutError::Disconnected) => Err(damaged(format!("its files in {ENGINE} cannot be read"))),
        Err(RecvTimeoutError::Timeout) => Err(damaged(format!("it did not open within {} s", OPEN_WAIT.as_secs()))),
    }
}

/// The length of segments that the store at `path` was made with, which cannot be changed: sled wrote it down, and
/// refuses what does not fit.
fn segment_bytes(path: &Path) -> usize {
    let written = std::fs::read(path.join("conf")).unwrap_or_default();
    let before = format!("segment_size: {SEGMENT_BYTES_BEFORE}\n");
    if written.starts_with(before.as_bytes()) { SEGMENT_BYTES_BEFORE } else { SEGMENT_BYTES }
}

fn raw(config: &sled::Config) -> sled::Result<Raw> {
    let db = unlocked(config)?;
    let mut all = Vec::with_capacity(Table::ALL.len() + 2);
    for name in Table::ALL.iter().map(|table| table.name()).chain(["pieces", "engine"]) {
        all.push(db.open_tree(name)?);
    }
    let trees = Trees { all };
    let format = trees.own().get(FORMAT_KEY)?.and_then(|value| value.as_ref().try_into().ok().map(u32::from_be_bytes));
    let head = trees.own().get(HEAD_KEY)?.as_deref().and_then(Head::from_bytes);
    Ok(Raw { db, trees, format, head })
}

/// The store's own lock is held by now, so whoever still has sled's is on the way out: a process that is ending, or one
/// that was forked off it a moment ago and has not let go of its files yet.
fn unlocked(config: &sled::Config) -> sled::Result<sled::Db> {
    let mut waits = 0;
    loop {
        match config.open() {
            Err(sled::Error::Io(error))
                if error.to_string().contains("could not acquire lock") && waits < LOCK_WAITS =>
            {
                waits += 1;
                std::thread::sleep(LOCK_WAIT);
            }
            opened => return opened,
        }
    }
}

/// Does the log end where `head` says? Errors: where it ends.
fn ends_at(trees: &Trees, head: Head) -> Result<(), String> {
    let last = blocks::last_key(trees, Table::Log).map_err(|error| error.to_string())?;
    match last.map_or(Some(0), |key| key.try_into().ok().map(u64::from_be_bytes)) {
        Some(last) if last == head.seq => Ok(()),
        Some(last) => Err(format!("its log ends at {last}, not at {}", head.seq)),
        None => Err("the last place of its log is unreadable".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{SEGMENT_BYTES_BEFORE, found};
    use crate::store::Table;
    use crate::store::kv::{Batch, Kv as _};
    use crate::store::sled::Sled;

    #[tokio::test]
    async fn a_store_with_shorter_segments_opens() {
        let folder = tempfile::tempdir().unwrap();
        found(folder.path(), SEGMENT_BYTES_BEFORE).unwrap();
        for round in 0..2_u8 {
            let engine = Sled::open(folder.path(), 1 << 20).unwrap();
            let mut batch = Batch::default();
            batch.put(Table::Meta, [round], vec![round; 3]);
            engine.commit(batch, None).await.unwrap();
            assert_eq!(engine.get(Table::Meta, &[0]).unwrap().as_deref(), Some(&[0; 3][..]));
            engine.close();
        }
    }

    /// One of sled's own would panic at a damaged page, and closing would wait for it without end.
    #[test]
    fn sled_has_no_thread_that_flushes() {
        let folder = tempfile::tempdir().unwrap();
        let _engine = Sled::open(folder.path(), 1 << 20).unwrap();
        let threads = std::fs::read_dir("/proc/self/task").unwrap();
        let names: Vec<_> =
            threads.filter_map(|thread| std::fs::read_to_string(thread.unwrap().path().join("comm")).ok()).collect();
        assert!(names.iter().any(|name| name.starts_with("sled-")), "{names:?}");
        assert!(!names.iter().any(|name| name.contains("flusher")), "{names:?}");
    }
}
