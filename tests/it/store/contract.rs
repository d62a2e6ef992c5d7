//! What every engine promises (see `store::kv`), as tests that take a way to open a store and nothing else.

use super::adding::of_many_who_add_to_one_sum_none_has_to_try_twice;
use super::model::a_store_does_what_a_map_does;
use super::noise;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use tidings::domain::{ArticleId, Change, ChangeKind, Labels, Seq, Time};
use tidings::store::kv::{RANGE_ROWS_MAX, Range, VALUE_BYTES_MAX};
use tidings::store::{Batch, CommitError, Store, StoreError, Table, wait};

/// Opens the store in a folder, a new one if there is none.
pub(super) type Open = fn(&Path) -> Store;

/// Holds an engine to the contract; another engine is one more line.
macro_rules! contract {
    ($engine:ident, $open:expr; $($promise:ident)*) => {
        mod $engine {
            $(#[test] fn $promise() {
                let folder = tempfile::tempdir().unwrap();
                super::$promise(folder.path(), $open);
            })*
        }
    };
}

contract! { sled, |folder| tidings::store::Store::open(folder).unwrap();
    a_batch_is_applied_whole_or_not_at_all
    of_many_who_want_one_key_one_gets_it
    of_many_who_add_to_one_sum_none_has_to_try_twice
    nothing_is_lost_between_a_read_and_a_write_that_requires_it
    a_large_value_is_never_torn
    a_value_beyond_the_limit_is_refused
    the_log_has_no_gaps_and_the_head_never_runs_ahead
    closing_writes_what_was_asked_for_and_takes_no_more
    a_snapshot_stays_as_it_was
    a_store_does_what_a_map_does
}

// Each commit is a turn of the journal, so that everything is on its way into sled all the time.
contract! { sled_with_a_short_journal, |folder| tidings::store::Store::open_with(folder, 1).unwrap();
    a_batch_is_applied_whole_or_not_at_all
    of_many_who_want_one_key_one_gets_it
    nothing_is_lost_between_a_read_and_a_write_that_requires_it
    a_large_value_is_never_torn
    the_log_has_no_gaps_and_the_head_never_runs_ahead
    closing_writes_what_was_asked_for_and_takes_no_more
    a_snapshot_stays_as_it_was
    a_store_does_what_a_map_does
}

fn change(name: &str) -> Change {
    let article = ArticleId::parse("id", name).unwrap();
    let labels = Labels::default();
    Change { kind: ChangeKind::Published, article, revision: 1, at: Time::UNIX_EPOCH, labels, before: None }
}

pub(super) fn put(key: &[u8], value: &[u8]) -> Batch {
    let mut batch = Batch::default();
    batch.put(Table::Ledger, key, value);
    batch
}

fn a_batch_is_applied_whole_or_not_at_all(folder: &Path, open: Open) {
    let store = open(folder);
    wait(store.commit(put(b"there", b"1"))).unwrap();
    let wrong: [fn(&mut Batch); 3] = [
        |batch| batch.require_absent(Table::Ledger, *b"there"),
        |batch| batch.require_is(Table::Ledger, *b"there", *b"2"),
        |batch| batch.require_is(Table::Ledger, *b"not there", *b"1"),
    ];
    for require in wrong {
        let mut batch = put(b"new", b"1");
        batch.delete(Table::Ledger, *b"there");
        store.log(&mut batch, &change("a"));
        batch.require_is(Table::Ledger, *b"there", *b"1");
        require(&mut batch);
        assert!(matches!(wait(store.commit(batch)), Err(CommitError::Conflict { table: Table::Ledger, .. })));
    }
    let store = reopen(store, folder, open);
    assert_eq!(store.kv().get(Table::Ledger, b"there").unwrap().as_deref(), Some(&b"1"[..]));
    assert_eq!(store.kv().get(Table::Ledger, b"new").unwrap(), None);
    assert_eq!(store.head(), Seq(0));
    let mut batch = put(b"new", b"1");
    batch.require_is(Table::Ledger, *b"there", *b"1");
    batch.delete(Table::Ledger, *b"there");
    store.log(&mut batch, &change("a"));
    assert_eq!(wait(store.commit(batch)).unwrap(), Seq(1));
    let store = reopen(store, folder, open);
    assert_eq!(store.kv().get(Table::Ledger, b"there").unwrap(), None);
    assert_eq!(store.since(Seq(0), 10).unwrap().changes, [(Seq(1), change("a"))]);
}

fn reopen(store: Store, folder: &Path, open: Open) -> Store {
    drop(store);
    open(folder)
}

/// Every other one in no hurry.
fn in_turn_patiently(n: u8, batch: Batch) -> Batch {
    if n.is_multiple_of(2) { batch.patiently() } else { batch }
}

/// Runs `task` for 0 to 63 at once.
fn at_once(task: impl Fn(u8) + Sync) {
    let start = Barrier::new(64);
    std::thread::scope(|scope| {
        for n in 0..64 {
            let (start, task) = (&start, &task);
            scope.spawn(move || {
                start.wait();
                task(n);
            });
        }
    });
}

fn of_many_who_want_one_key_one_gets_it(folder: &Path, open: Open) {
    let store = open(folder);
    let won = std::sync::Mutex::new(Vec::new());
    at_once(|n| {
        let mut batch = put(b"key", &[n]);
        batch.require_absent(Table::Ledger, *b"key");
        match wait(store.commit(in_turn_patiently(n, batch))) {
            // Visible as soon as it is said to be done.
            Ok(_) => won.lock().unwrap().push((n, store.kv().get(Table::Ledger, b"key").unwrap().unwrap())),
            Err(CommitError::Conflict { .. }) => {}
            Err(CommitError::Store(error)) => panic!("{error}"),
        }
    });
    let won = won.into_inner().unwrap();
    assert_eq!(won.len(), 1);
    assert_eq!(won[0].1, [won[0].0]);
}

fn nothing_is_lost_between_a_read_and_a_write_that_requires_it(folder: &Path, open: Open) {
    let store = open(folder);
    // A value that is whole at first and in pieces soon, so that both are compared.
    wait(store.commit(put(b"count", &[0; 4_000]))).unwrap();
    at_once(|n| {
        loop {
            let old = store.kv().get(Table::Ledger, b"count").unwrap().unwrap();
            let mut batch = put(b"count", &vec![0; old.len() + 10]);
            batch.require_is(Table::Ledger, *b"count", old);
            if wait(store.commit(in_turn_patiently(n, batch))).is_ok() {
                return;
            }
        }
    });
    assert_eq!(store.kv().get(Table::Ledger, b"count").unwrap().unwrap().len(), 4_640);
}

fn a_large_value_is_never_torn(folder: &Path, open: Open) {
    let store = open(folder);
    let sizes = [1, 2 << 20, 4_096, 4_097, 300_000, 17, 1 << 20, 0, 100_000, 100_000, 2 << 20, 5_000];
    // The first byte tells the rest.
    let values: Vec<_> = (0..96_u8).map(|n| [&[n], &*noise(n, sizes[usize::from(n) % sizes.len()])].concat()).collect();
    let value = |n: usize| values[n].as_slice();
    wait(store.commit(put(b"key", value(0)))).unwrap();
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for reverse in [false, true] {
            let (store, is_done) = (&store, &is_done);
            scope.spawn(move || {
                while !is_done.load(Ordering::Relaxed) {
                    let mut range = Range::prefix(*b"key");
                    range.reverse = reverse;
                    let by_range = store.kv().range(Table::Ledger, range).unwrap().remove(0).1;
                    let by_key = store.kv().get(Table::Ledger, b"key").unwrap().unwrap();
                    for read in [by_range, by_key] {
                        let n = usize::from(read[0]);
                        assert!(read == value(n), "{} bytes that begin with {n}", read.len());
                    }
                }
            });
        }
        for n in 0..96 {
            wait(store.commit(put(b"key", value(n)))).unwrap();
        }
        is_done.store(true, Ordering::Relaxed);
    });
    let store = reopen(store, folder, open);
    assert!(store.kv().get(Table::Ledger, b"key").unwrap().unwrap() == value(95));
    assert_eq!(store.kv().snapshot().unwrap().faults().unwrap(), [], "no piece of an old value is left");
}

fn a_value_beyond_the_limit_is_refused(folder: &Path, open: Open) {
    let store = open(folder);
    let told = wait(store.commit(put(b"key", &vec![0; VALUE_BYTES_MAX + 1]))).unwrap_err().to_string();
    assert!(told.contains("key") && told.contains("8388609 bytes, expected at most 8388608"), "{told}");
    wait(store.commit(put(b"key", &vec![0; VALUE_BYTES_MAX]))).unwrap();
}

fn the_log_has_no_gaps_and_the_head_never_runs_ahead(folder: &Path, open: Open) {
    let store = open(folder);
    let mut head = store.head_watch();
    assert_eq!(*head.borrow_and_update(), Seq(0));
    std::thread::scope(|scope| {
        let store = &store;
        scope.spawn(move || {
            let (mut at, mut told) = (Seq(0), Seq(0));
            while at < Seq(64 * 20) {
                wait(head.changed()).unwrap();
                let seen = *head.borrow_and_update();
                // It may stand behind `at`: the log was read on while the head moved.
                // The same again where it was read already while those who waited for it were told.
                assert!(seen >= told, "the head only moves forward");
                told = seen;
                while at < seen {
                    let read = store.since(at, 50).unwrap();
                    assert!(!read.truncated && !read.changes.is_empty(), "what the head tells is there");
                    for (seq, _) in read.changes {
                        assert_eq!(seq, at.next());
                        at = seq;
                    }
                }
            }
        });
        at_once(|task| {
            let mut last = Seq(0);
            for n in 0..20 {
                let mut batch = Batch::default();
                store.log(&mut batch, &change(&format!("{task}-{n}")));
                let seq = wait(store.commit(batch)).unwrap();
                assert!(seq > last && store.head() >= seq);
                last = seq;
            }
        });
    });
    let store = reopen(store, folder, open);
    assert_eq!(store.head(), Seq(64 * 20));
    let mut of_task: BTreeMap<String, u32> = BTreeMap::new();
    let mut at = Seq(0);
    while at < store.head() {
        for (seq, change) in store.since(at, RANGE_ROWS_MAX).unwrap().changes {
            assert_eq!(seq, at.next());
            at = seq;
            let (task, n) = change.article.as_str().split_once('-').unwrap();
            let expected = of_task.entry(task.to_owned()).or_default();
            assert_eq!(n.parse::<u32>().unwrap(), *expected, "a task's changes stay in its order");
            *expected += 1;
        }
    }
}

fn closing_writes_what_was_asked_for_and_takes_no_more(folder: &Path, open: Open) {
    let store = open(folder);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let asked = runtime.block_on(async {
        // Polled once: the batch is with the writer, and nobody waits for it yet.
        let mut asked: Vec<_> = (0..500_u32).map(|n| Box::pin(store.commit(put(&n.to_be_bytes(), b"x")))).collect();
        for commit in &mut asked {
            tokio::select! { biased; done = commit => { done.unwrap(); }, () = std::future::ready(()) => {} }
        }
        asked.len()
    });
    store.close();
    assert!(matches!(wait(store.commit(put(b"late", b"x"))), Err(CommitError::Store(StoreError::Stopped(_)))));
    assert!(matches!(store.kv().snapshot().err(), Some(StoreError::Stopped(_))));
    store.close();
    let store = reopen(store, folder, open);
    let late = store.kv().get(Table::Ledger, b"late").unwrap();
    let there = (0..500_u32).filter(|n| store.kv().get(Table::Ledger, &n.to_be_bytes()).unwrap().is_some()).count();
    assert_eq!((there, late), (asked, None), "a future that is dropped does not take its batch back");
}

fn a_snapshot_stays_as_it_was(folder: &Path, open: Open) {
    let store = open(folder);
    for n in 0..700_u32 {
        wait(store.commit(put(&n.to_be_bytes(), &noise(1, if n % 100 == 0 { 9_000 } else { 1 })))).unwrap();
    }
    let rows = |snapshot: &dyn tidings::store::kv::Snapshot| {
        let mut rows = Vec::new();
        let read = snapshot.each(Table::Ledger, |key, value| -> Result<(), StoreError> {
            rows.push((key.to_vec(), value?));
            Ok(())
        });
        read.unwrap();
        rows
    };
    let first = store.kv().snapshot().unwrap();
    let before = rows(&*first);
    for n in (0..1_400_u32).step_by(2) {
        let mut batch = if n % 4 == 0 { put(&n.to_be_bytes(), &noise(2, 6_000)) } else { Batch::default() };
        if n % 4 != 0 {
            batch.delete(Table::Ledger, n.to_be_bytes());
        }
        store.log(&mut batch, &change("a"));
        wait(store.commit(batch)).unwrap();
    }
    assert!(rows(&*first) == before);
    assert_eq!(first.get(Table::Ledger, &2_u32.to_be_bytes()).unwrap(), Some(noise(1, 1)));
    assert_eq!(first.get(Table::Ledger, &1_200_u32.to_be_bytes()).unwrap(), None);
    assert_eq!((first.head(), first.get(Table::Log, &1_u64.to_be_bytes()).unwrap()), (Seq(0), None));
    assert_eq!(first.rows(Table::Log, None).unwrap().len(), 0);
    let second = store.kv().snapshot().unwrap();
    assert_eq!((second.head(), rows(&*second).len()), (Seq(700), 700));
}
