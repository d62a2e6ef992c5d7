//! Everything that is kept: the engine's contract, the engine, and the repositories on top of it.
//!
//! The table of all keys. Integers are big-endian; `time` is milliseconds since 1970 with the sign bit turned, so that
//! bytes sort as instants do; `!time` is its complement, so that the newest comes first. An article's id is, if it was
//! minted, a zero and its 16 bytes in the keys of articles, index and due rows; else, and in the ledger, it is its text.
//!
//! | table | key | value |
//! |---|---|---|
//! | [`Table::Meta`] | `identity` | [`Identity`]: instance id, secret of signed links |
//! | | `epoch` | where the store lies, and whether it is in quarantine |
//! | | `cursor/<reader>` | [`Cursor`] of a log reader |
//! | | `touched/` or `touched/<category>` | [`Touched`]: the last change that its feeds show |
//! | | `key/<id>` | [`ApiKey`] |
//! | | `pace/<destination>` | [`Pace`]: how mail to it fares, where it does not fare well |
//! | | `correction/` article's text id `0` revision, u32 | [`Correction`]: what is sent to whom, and how far that is |
//! | | `canary` | [`Canary`]: when a mail to ourselves was last sent, and came back |
//! | | `reports` | [`Reports`]: mailboxes that were reported not to be there, of a day |
//! | | `alarms` | [`Alarms`]: what the watchdog has told |
//! | | `appearance` | [`Appearance`]: how the newsroom looks, and since when |
//! | | `mail/a/` article's text id | [`Numbers`]: what became of the mails about it |
//! | | `mail/d/` date of the window `/` selection | [`Numbers`] of those digests |
//! | | `mail/s/` day `/` selection, `mail/m/` day `/` domain | [`Numbers`] of that day |
//! | [`Table::Log`] | seq, 8 bytes | [`Change`](crate::domain::Change) |
//! | [`Table::Articles`] | article id | [`Article`](crate::domain::Article) |
//! | [`Table::Index`] | `a` `!time` id | empty; every article |
//! | | `p` `!time` id | empty; every public article |
//! | | `c` category `0` `!time` id | empty; public articles of a category |
//! | | `t` tag, `u` author, `l` language, each `0` `!time` id | empty; public articles that bear it |
//! | | `r` `!time` id | empty; retracted at that time, after the public had seen it |
//! | | `x` external id | article id |
//! | | `m` article's text id `0` revision, u32 | [`Print`]: what mails told in that revision |
//! | | `f` category `/` file name | [`TakenFile`] |
//! | | `i` digest of the idempotency key | [`Replay`]: what was answered |
//! | [`Table::Due`] | `a` `time` id | empty; the article is to be published |
//! | | `i` `time` digest | empty; the idempotency key is to be forgotten |
//! | | `m` `time` ledger key | empty; the message is to be sent |
//! | | `w` `time` ledger key | empty; the message is on the wire since then |
//! | | `d` `time` subscription id | empty; its next digest is to be made |
//! | | `e` `time` subscription id | empty; the subscription is to be erased |
//! | | `c` `time` article's text id `0` revision, u32 | empty; the correction is to be made out to more readers |
//! | [`Table::Subscribers`] | `s` subscription id, 16 bytes | [`Subscription`](crate::domain::Subscription) |
//! | | `m` folded address | [`Subscriber`](crate::domain::Subscriber); before, the id of its one subscription |
//! | | `o` subscriber id, 16 bytes | address |
//! | | `b*`, `bd` number of domains, or `bm` number of mailboxes | [`Spent`] of a budget of confirmation mails |
//! | | `n` keyed hash of an address | [`Never`]: it is not asked again |
//! | | `w` version | [`Wording`] of the consent |
//! | [`Table::Ledger`] | see [`ledger`] | one row for each message that is owed or was sent |
//!
//! The engine keeps its format version and its counts in rows of its own, beside these tables. In the store's folder:
//! `sled/`, the engine and its journal; `HEAD`, how far they had come; `LOCK`, held while it is open and naming who
//! holds it.

mod alarms;
mod appearance;
mod articles;
mod canary;
mod check;
mod consents;
mod corrections;
mod decide;
mod dump;
mod epoch;
mod error;
mod files;
mod head;
mod keys;
pub mod kv;
pub mod ledger;
mod log;
mod news;
mod numbers;
mod old_numbers;
mod pace;
mod record;
mod reports;
mod select;
mod sled;
mod subscribers;

pub use alarms::{Alarms, Late};
pub use appearance::Appearance;
pub use articles::{Due, Order, Page, Place, Replay, id_from_key};
pub use canary::Canary;
pub use check::{Finding, Report, check};
pub use consents::{Budget, Never, Spent, Wording};
pub use corrections::{Correction, Print, Revisions};
pub use dump::{DumpError, Summary, export, import};
pub use epoch::Copied;
pub use error::StoreError;
pub use files::TakenFile;
pub use keys::ApiKey;
pub use kv::{Batch, CommitError};
pub use ledger::{Back, Delivery, LedgerKey, LedgerRow, Message, Told};
pub use log::{Cursor, Read, Touched};
pub use numbers::{Became, Counted, Daily, DigestNumbers, Numbers, OTHERS, Tally};
pub use pace::Pace;
pub use record::{Record, Stored};
pub use reports::Reports;
pub use select::{Picked, Picks, Window};

use crate::domain::{Seq, hex};
use kv::Kv;
use serde::{Deserialize, Serialize};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::num::NonZeroU32;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::watch;

/// Version of the layout of keys and values. A store of a higher one is refused.
pub const FORMAT: u32 = 5;

/// The tables, few and fixed: the engine commits over all of them at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// One of each: format, identity, cursors, keys.
    Meta,
    /// The change log.
    Log,
    /// Articles.
    Articles,
    /// Orders and other names of articles.
    Index,
    /// What is to be done at a time.
    Due,
    /// Subscriptions.
    Subscribers,
    /// Messages owed and sent.
    Ledger,
}

impl Table {
    /// All of them, in the order of their numbers.
    pub const ALL: [Table; 7] =
        [Table::Meta, Table::Log, Table::Articles, Table::Index, Table::Due, Table::Subscribers, Table::Ledger];

    /// Its name on disk and in exports.
    pub fn name(self) -> &'static str {
        match self {
            Table::Meta => "meta",
            Table::Log => "log",
            Table::Articles => "articles",
            Table::Index => "index",
            Table::Due => "due",
            Table::Subscribers => "subscribers",
            Table::Ledger => "ledger",
        }
    }
}

/// Who this store is: made once, kept through export and import.
#[derive(Clone, Serialize, Deserialize)]
pub struct Identity {
    /// Random name of this store; part of message ids.
    pub instance: String,
    /// Key of the signatures in confirming and leaving links, 32 bytes.
    pub secret: [u8; 32],
}

impl Record for Identity {
    const KIND: u8 = b'I';
    const SCHEMA: u8 = 1;
}

/// An open store. Reads are direct; every change is a [`Batch`] that is committed.
pub struct Store {
    folder: PathBuf,
    kv: Arc<dyn Kv>,
    identity: Identity,
    head: watch::Receiver<Seq>,
    names: numbers::Names,
    /// Which of its lives it leads; 0 for none: see [`LedgerRow::life`].
    life: AtomicU32,
    /// Held for as long as the store is open; the lock goes with the process, however it ends.
    _lock: File,
}

impl Store {
    /// Is there a store in `folder`, whole or not?
    pub fn is_in(folder: &Path) -> bool {
        [sled::open::ENGINE, sled::open::HEAD].iter().any(|name| folder.join(name).exists())
    }

    /// Opens the store in `folder`; makes a new one where there is nothing at all.
    ///
    /// Errors: [`StoreError`] for a store that is locked, damaged, shorter than acknowledged, or newer.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::open_with(folder, sled::journal::JOURNAL_BYTES)
    }

    /// As [`Store::open`], with a journal that is carried into the engine each time it holds `journal_bytes`.
    pub fn open_with(folder: &Path, journal_bytes: u64) -> Result<Self, StoreError> {
        let lock = lock(folder)?;
        let kv = sled::Sled::open(folder, journal_bytes)?;
        let kv: Arc<dyn Kv> = Arc::new(kv);
        let identity = match kv.get(Table::Meta, b"identity")? {
            Some(raw) => record::decode(Table::Meta, b"identity", &raw)?,
            None if is_empty(&*kv)? => found(&*kv, folder)?,
            None => {
                let what = "its identity is missing".to_owned();
                return Err(StoreError::Damaged { folder: folder.display().to_string(), what });
            }
        };
        let head = kv.head();
        let (names, life) = (numbers::Names::default(), AtomicU32::default());
        let store = Store { folder: folder.to_owned(), kv, identity, head, names, life, _lock: lock };
        store.recall_life()?;
        Ok(store)
    }

    fn life(&self) -> Option<NonZeroU32> {
        NonZeroU32::new(self.life.load(Ordering::Relaxed))
    }

    fn set_life(&self, life: Option<NonZeroU32>) {
        self.life.store(life.map_or(0, NonZeroU32::get), Ordering::Relaxed);
    }

    /// Where it lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The engine, for what works on keys alone: export, import, check.
    pub fn kv(&self) -> &dyn Kv {
        &*self.kv
    }

    /// Commits; when it returns the batch is durable and visible.
    pub async fn commit(&self, batch: Batch) -> Result<Seq, CommitError> {
        self.kv.commit(batch, None).await
    }

    /// Runs a read of more than a few rows where it holds up no other task.
    pub async fn scan<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = Arc::clone(self);
        tokio::task::spawn_blocking(move || read(&store))
            .await
            .unwrap_or_else(|panic| Err(StoreError::Engine(format!("a read broke off: {panic}"))))
    }

    /// Does it take changes? Errors: why not.
    pub fn is_writable(&self) -> Result<(), StoreError> {
        self.kv.failure().map_or(Ok(()), Err)
    }

    /// Writes what is queued and takes no more.
    pub fn close(&self) {
        self.kv.close();
    }

    fn stored<R: Record>(&self, table: Table, key: &[u8]) -> Result<Option<Stored<R>>, StoreError> {
        match self.kv.get(table, key)? {
            None => Ok(None),
            Some(raw) => Ok(Some(Stored { record: record::decode(table, key, &raw)?, raw })),
        }
    }
}

fn is_empty(kv: &dyn Kv) -> Result<bool, StoreError> {
    for table in Table::ALL {
        if !kv.range(table, kv::Range::prefix(*b"").limit(1))?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Gives a new store its identity, and its place.
fn found(kv: &dyn Kv, folder: &Path) -> Result<Identity, StoreError> {
    let mut random = [0_u8; 48];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| StoreError::Engine("no randomness".into()))?;
    let (secret, name) = random.split_at(32);
    let instance = hex(name);
    let mut identity = Identity { instance, secret: [0; 32] };
    identity.secret.copy_from_slice(secret);
    let mut batch = Batch::default();
    batch.require_absent(Table::Meta, *b"identity");
    batch.put(Table::Meta, *b"identity", record::encode(b"identity", &identity));
    epoch::begin(&mut batch, folder)?;
    wait(kv.commit(batch, None))?;
    Ok(identity)
}

/// Waits for a commit where there is no runtime: at opening, and in the command line's direct work.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(done) => return done,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

/// Takes the folder's lock and writes into it who holds it.
fn lock(folder: &Path) -> Result<File, StoreError> {
    let failed = |error: std::io::Error| StoreError::Engine(format!("{}: {error}", folder.display()));
    // Subscribers' addresses and the secret of their links will lie in it.
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let path = folder.join("LOCK");
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            let mut owner = String::new();
            file.read_to_string(&mut owner).map_err(failed)?;
            let owner = if owner.trim().is_empty() { "another process".to_owned() } else { owner.trim().to_owned() };
            return Err(StoreError::Locked { folder: folder.display().to_string(), owner });
        }
        Err(std::fs::TryLockError::Error(error)) => return Err(failed(error)),
    }
    file.set_len(0).map_err(failed)?;
    writeln!(file, "tidings, process {}", std::process::id()).map_err(failed)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Article, ArticleId, Content, Slug, Term, Time};

    #[test]
    fn an_article_is_there_after_closing_and_opening_again_whatever_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let mut noise = String::new();
        let mut x = 1_u64;
        for _ in 0..20_000 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            noise.push(char::from(33 + u8::try_from(x >> 58).unwrap()));
        }
        let categories = vec![Slug::parse("c", "science").unwrap()];
        let content = Content { categories, title: noise, ..Content::default() };
        let article = Article::published(ArticleId::mint(), Time::UNIX_EPOCH, content);
        let store = Store::open(folder.path()).unwrap();
        let mut batch = Batch::default();
        store.write_article(&mut batch, None, &article);
        wait(store.commit(batch)).unwrap();
        drop(store);
        let store = Store::open(folder.path()).unwrap();
        let stored = store.article(&article.id).unwrap().unwrap();
        assert_eq!(stored.record, article);
        let page =
            store.articles(Order::Term(&Term::Category(article.content.categories[0].clone())), None, 10).unwrap();
        assert_eq!(page.articles, std::slice::from_ref(&article));
        let mut again = Batch::default();
        store.write_article(&mut again, None, &article);
        assert!(matches!(wait(store.commit(again)), Err(CommitError::Conflict { .. })), "it is already there");
        let mut edited = article.clone();
        edited.revision = 2;
        edited.content.title = "short".into();
        let mut edit = Batch::default();
        store.write_article(&mut edit, Some(&stored), &edited);
        wait(store.commit(edit.clone())).unwrap();
        assert!(matches!(wait(store.commit(edit)), Err(CommitError::Conflict { .. })), "its base is gone");
        assert_eq!(store.article(&article.id).unwrap().unwrap().record.content.title, "short");
    }
}
