//! `check` names what is wrong, and a store is refused at its door where that can be seen.

use super::{Dice, noise, put};
use std::path::Path;
use tidings::domain::{
    Address, ArticleId, Digests, Edition, Selection, Seq, Slug, Subscription, SubscriptionId, Time, Window,
};
use tidings::store::kv::Range;
use tidings::store::{
    Batch, Became, Budget, Canary, Correction, Counted, Cursor, Finding, LedgerRow, Message, Never, Print, Replay,
    Spent, Store, StoreError, Table, TakenFile, Tally, Wording, check, wait,
};
use uuid::Uuid;

fn filled(folder: &Path) -> Store {
    let store = Store::open(folder).unwrap();
    for n in 0..40 {
        let id = format!("a{n:02}");
        put(&store, &id, None).unwrap();
        if n % 3 == 0 {
            let old = store.article(&ArticleId::parse("id", &id).unwrap()).unwrap();
            put(&store, &id, old.as_ref()).unwrap();
        }
    }
    let mut batch = Batch::default();
    store.move_cursor(&mut batch, "notify", None, Cursor { seq: Seq(3), ..Cursor::default() });
    let article = ArticleId::parse("id", "a01").unwrap();
    let replay = Replay { request: vec![1], article, at: Time::UNIX_EPOCH };
    store.remember_replay(&mut batch, &[9; 32], &replay, Time::UNIX_EPOCH);
    let file = TakenFile { article: ArticleId::parse("id", "a02").unwrap(), digest: vec![2] };
    store.remember_file(&mut batch, &Slug::parse("c", "science").unwrap(), "a02.md", &file);
    let (id, address) = (SubscriptionId(Uuid::from_u128(7)), Address::parse("address", "reader@example.org").unwrap());
    let asked = Subscription::asked(id, address, Selection::all(), Time::UNIX_EPOCH);
    let window = Window { edition: Edition::of(Time::UNIX_EPOCH.date_naive()), at: Time::UNIX_EPOCH };
    let reader = Subscription { digests: Digests { next: Some(window), ..Digests::default() }, ..asked };
    store.write_first_subscription(&mut batch, &reader);
    store.write_spent(&mut batch, Budget::All, None, &Spent { hour: 7, count: 1, unproven: 0 });
    store.write_never(&mut batch, &[7; 32], &Never { at: Time::UNIX_EPOCH });
    store.write_wording(&mut batch, "1", &Wording { text: "I agree.".into() });
    let article = ArticleId::parse("id", "a03").unwrap();
    let correction = Correction {
        article: article.clone(),
        revision: 2,
        print: Print(7),
        note: None,
        of: None,
        asked_at: Time::UNIX_EPOCH,
        place: Seq(1),
        after: None,
        owed: 0,
        ended_at: None,
    };
    store.write_correction(&mut batch, None, &correction);
    store.write_print(&mut batch, &article, 1, Print(6));
    store.write_canary(&mut batch, None, &Canary::default().next(Time::UNIX_EPOCH));
    let mut tally = Tally::default();
    let counted = Counted::of(&Message::Notice { article }, &reader);
    tally.add(&counted, Became::Accepted, Time::UNIX_EPOCH);
    store.write_tally(&mut batch, &tally).unwrap();
    let message = LedgerRow::new(Message::Confirmation { round: 1 }, reader.id, None, Time::UNIX_EPOCH);
    store.write_message(&mut batch, &message);
    wait(store.commit(batch)).unwrap();
    store
}

/// What a check finds after one row was set or taken out behind the repositories' back.
fn after(change: impl FnOnce(&Store, &mut Batch)) -> Vec<Finding> {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path());
    let report = check(&store);
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.articles, report.changes), (40, store.head().0));
    let mut batch = Batch::default();
    change(&store, &mut batch);
    wait(store.commit(batch)).unwrap();
    check(&store).findings
}

fn first_key(store: &Store, table: Table, prefix: &[u8]) -> Vec<u8> {
    store.kv().range(table, Range::prefix(prefix).limit(1)).unwrap().remove(0).0
}

#[test]
fn every_row_that_goes_missing_is_named() {
    let rows: [(Table, &[u8]); 19] = [
        (Table::Index, b"a"),
        (Table::Index, b"p"),
        (Table::Index, b"cscience\0"),
        (Table::Index, b"xfile:a07"),
        (Table::Index, b"i"),
        (Table::Due, b"a"),
        (Table::Due, b"i"),
        (Table::Meta, b"touched/"),
        (Table::Meta, b"touched/science"),
        (Table::Meta, b"identity"),
        (Table::Articles, b"a07"),
        (Table::Due, b"m"),
        (Table::Due, b"d"),
        (Table::Due, b"e"),
        (Table::Due, b"c"),
        (Table::Meta, b"correction/"),
        (Table::Subscribers, b"m"),
        (Table::Subscribers, b"o"),
        (Table::Subscribers, b"s"),
    ];
    for (table, prefix) in rows {
        let findings = after(|store, batch| batch.delete(table, first_key(store, table, prefix)));
        let named = |finding: &Finding| match (table, prefix) {
            // The other row of a pair tells.
            (Table::Index, b"i") => finding.table == Table::Due && finding.what.contains("idempotency"),
            (Table::Due, b"i") => finding.table == Table::Index && finding.what.contains("forgotten"),
            (Table::Subscribers, b"s") => finding.table == Table::Ledger && finding.what.contains("no subscription"),
            (Table::Meta, b"correction/") => finding.what.contains("no correction waits"),
            (Table::Articles, _) => finding.key.ends_with("a07") && finding.what.contains("no such article"),
            (_, _) => finding.table == table && finding.key.as_bytes().starts_with(&prefix[..prefix.len().min(3)]),
        };
        assert!(findings.iter().any(named), "{table:?} {}: {findings:?}", prefix.escape_ascii());
    }
}

#[test]
fn every_row_too_many_and_every_damaged_value_is_named() {
    let time = [7; 8];
    let row = |prefix: &[u8], id: &[u8]| [prefix, &time[..], id].concat();
    type Case = (Table, Vec<u8>, Option<&'static [u8]>, &'static str);
    let cases: [Case; 19] = [
        (Table::Index, row(b"a", b"a01"), Some(b""), "does not stand here"),
        (Table::Index, row(b"p", b"nobody"), Some(b""), "no such article"),
        (Table::Index, row(b"cscience\0", b"a01"), Some(b""), "does not stand here"),
        (Table::Index, b"z".to_vec(), Some(b""), "no known kind"),
        (Table::Due, row(b"a", b"a01"), Some(b""), "does not stand here"),
        (Table::Due, row(b"i", &[8; 32]), Some(b""), "is not there"),
        (Table::Ledger, b"row".to_vec(), Some(b"not a record"), "checksum"),
        (Table::Ledger, b"c".to_vec(), Some(b"short"), "too short"),
        (Table::Due, row(b"m", b"nowhere"), Some(b""), "no message waits"),
        (Table::Due, row(b"d", b"nobody"), Some(b""), "no subscription waits"),
        (Table::Due, row(b"e", &[7; 16]), Some(b""), "no subscription waits"),
        (Table::Due, row(b"c", b"nobody"), Some(b""), "no correction waits"),
        (Table::Meta, b"correction/a".to_vec(), Some(b"short"), "too short"),
        (Table::Meta, b"mail/a/a03".to_vec(), Some(b"short"), "too short"),
        (Table::Index, b"ma03".to_vec(), Some(b"short"), "too short"),
        (Table::Subscribers, b"row".to_vec(), Some(b"short"), "no known kind"),
        (Table::Subscribers, b"mnobody@example.org".to_vec(), Some(b"short"), "too short"),
        (Table::Meta, b"touched/nothing".to_vec(), None, "no such mark"),
        (Table::Meta, b"cursor/notify".to_vec(), None, "the log ends"),
    ];
    for (table, key, value, told) in cases {
        let findings = after(|store, batch| match (value, &key[..]) {
            (Some(value), _) => batch.put(table, key.clone(), value),
            (None, b"cursor/notify") => {
                let (old, beyond) = (store.cursor("notify").unwrap(), Cursor { seq: Seq(9_999), ..Cursor::default() });
                store.move_cursor(batch, "notify", old.as_ref(), beyond);
            }
            (None, _) => {
                let mark = store.kv().get(Table::Meta, b"touched/science").unwrap().unwrap();
                batch.put(table, key.clone(), mark);
            }
        });
        let told = if key.ends_with(b"nothing") { "checksum" } else { told };
        let named = |finding: &Finding| {
            finding.table == table && finding.key == key.escape_ascii().to_string() && finding.what.contains(told)
        };
        assert!(findings.iter().any(named), "{table:?} {}: {findings:?}", key.escape_ascii());
    }
}

#[test]
fn a_row_too_many_is_named_where_another_of_its_kind_is_missing() {
    let row = |prefix: &[u8], id: &[u8]| [prefix, &[7; 8], id].concat();
    let cases: [(Table, &[u8], Vec<u8>); 8] = [
        (Table::Index, b"a", row(b"a", b"a01")),
        (Table::Index, b"p", row(b"p", b"nobody")),
        (Table::Index, b"cscience\0", row(b"cscience\0", b"a01")),
        (Table::Due, b"a", row(b"a", b"a01")),
        (Table::Due, b"m", row(b"m", b"nowhere")),
        (Table::Due, b"d", row(b"d", b"nobody")),
        (Table::Due, b"e", row(b"e", &[7; 16])),
        (Table::Due, b"c", row(b"c", b"nobody")),
    ];
    for (table, prefix, extra) in cases {
        let mut missing = Vec::new();
        let findings = after(|store, batch| {
            missing = first_key(store, table, prefix);
            batch.delete(table, missing.clone());
            batch.put(table, extra.clone(), b"");
        });
        for (key, told) in [(&missing, "missing"), (&extra, "an extra row")] {
            let key = key.escape_ascii().to_string();
            let named = |it: &Finding| it.table == table && it.key == key && it.what.contains(told);
            assert!(findings.iter().any(named), "{table:?} {key} is {told}: {findings:?}");
        }
    }
}

#[test]
fn a_name_too_many_is_named_where_another_is_missing_or_leads_elsewhere() {
    for is_missing in [true, false] {
        let findings = after(|store, batch| {
            put(store, "b07", None).unwrap();
            // The article goes with its rows, and its name stays.
            let rows = store.kv().range(Table::Index, Range::prefix(*b"")).unwrap().into_iter().map(|(key, _)| key);
            rows.filter(|key| key.ends_with(b"b07") && key[0] != b'x').for_each(|key| batch.delete(Table::Index, key));
            batch.delete(Table::Articles, *b"b07");
            match is_missing {
                true => batch.delete(Table::Index, *b"xfile:a07"),
                false => batch.put(Table::Index, *b"xfile:a07", *b"short"),
            }
        });
        for (key, told) in
            [("xfile:a07", if is_missing { "missing" } else { "too short" }), ("xfile:b07", "an extra row")]
        {
            let named = |it: &Finding| it.table == Table::Index && it.key == key && it.what.contains(told);
            assert!(findings.iter().any(named), "{key} is {told}: {findings:?}");
        }
    }
}

#[test]
fn one_flipped_bit_in_any_record_is_found() {
    let mut dice = Dice(3);
    for (table, prefix) in [
        (Table::Articles, &b"a01"[..]),
        (Table::Log, b"\0"),
        (Table::Index, b"xfile:a01"),
        (Table::Index, b"i"),
        (Table::Meta, b"cursor/"),
        (Table::Meta, b"identity"),
        (Table::Index, b"fscience/"),
        (Table::Subscribers, b"s"),
        (Table::Subscribers, b"m"),
        (Table::Subscribers, b"o"),
        (Table::Subscribers, b"b"),
        (Table::Subscribers, b"n"),
        (Table::Subscribers, b"w"),
        (Table::Ledger, b"c"),
    ] {
        let mut flipped = Vec::new();
        let findings = after(|store, batch| {
            flipped = first_key(store, table, prefix);
            let mut value = store.kv().get(table, &flipped).unwrap().unwrap();
            let at = dice.roll(value.len());
            value[at] ^= 1 << dice.roll(8);
            batch.put(table, flipped.clone(), value);
        });
        let named = |finding: &Finding| finding.table == table && finding.key == flipped.escape_ascii().to_string();
        assert!(findings.iter().any(named), "{table:?} {findings:?}");
    }
}

#[test]
fn a_check_of_a_busy_store_gives_no_false_alarm() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path());
    let is_done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (store, is_done) = (&store, &is_done);
            scope.spawn(move || {
                let mut dice = Dice(thread);
                while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
                    let id = format!("t{thread}-{}", dice.roll(200));
                    let old = store.article(&ArticleId::parse("id", &id).unwrap()).unwrap();
                    put(store, &id, old.as_ref()).unwrap();
                }
            });
        }
        for _ in 0..12 {
            let report = check(&store);
            assert!(report.is_clean(), "{:?}", report.findings);
        }
        is_done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

/// The engine of a store that is closed, with segments as the store makes them. Its threads may be on their way out.
fn engine(folder: &Path) -> sled::Db {
    loop {
        match sled::Config::new().path(folder.join("sled")).segment_size(1 << 20).open() {
            Err(error) if error.to_string().contains("could not acquire lock") => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

#[test]
fn a_store_of_a_newer_format_is_refused_by_its_number() {
    let folder = tempfile::tempdir().unwrap();
    drop(filled(folder.path()));
    let db = engine(folder.path());
    db.open_tree("engine").unwrap().insert(b"format", &7_u32.to_be_bytes()).unwrap();
    db.flush().unwrap();
    drop(db);
    let error = Store::open(folder.path()).err().unwrap();
    assert!(matches!(error, StoreError::Newer { found: 7, known: tidings::store::FORMAT, .. }), "{error}");
}

#[test]
fn a_store_without_its_identity_gets_no_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path());
    let mut batch = Batch::default();
    batch.delete(Table::Meta, *b"identity");
    wait(store.commit(batch)).unwrap();
    drop(store);
    let told = Store::open(folder.path()).err().unwrap().to_string();
    assert!(told.contains("its identity is missing"), "{told}");
}

#[test]
fn a_snapshot_file_that_was_never_finished_is_no_hindrance() {
    let folder = tempfile::tempdir().unwrap();
    let instance = filled(folder.path()).identity().instance.clone();
    let leftover = folder.path().join("sled/snap.FFFFFFFFFFFFFFFF.generating");
    std::fs::write(&leftover, b"half a snapshot").unwrap();
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.identity().instance, instance);
    assert!(check(&store).is_clean() && !leftover.exists());
}

#[test]
fn a_founding_that_broke_off_is_begun_again() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join(".founding/blobs")).unwrap();
    std::fs::write(folder.path().join(".founding/db"), b"").unwrap();
    assert!(check(&filled(folder.path())).is_clean());
}

#[test]
fn a_value_with_a_missing_piece_stops_whoever_needs_it_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let large = noise(7, 20_000);
    let mut batch = Batch::default();
    batch.put(Table::Ledger, *b"large", large.clone());
    wait(store.commit(batch)).unwrap();
    drop(store);
    let db = engine(folder.path());
    let pieces = db.open_tree("pieces").unwrap();
    pieces.pop_min().unwrap().expect("a value of this size stands in pieces");
    db.flush().unwrap();
    drop((pieces, db));
    let store = Store::open(folder.path()).unwrap();
    let told = store.kv().get(Table::Ledger, b"large").unwrap_err().to_string();
    assert!(told.contains("a piece of it is missing"), "{told}");
    let mut needs_it = Batch::default();
    needs_it.require_is(Table::Ledger, *b"large", large);
    needs_it.put(Table::Ledger, *b"other", *b"1");
    let conflict = wait(store.commit(needs_it)).unwrap_err();
    assert!(matches!(conflict, tidings::store::CommitError::Conflict { .. }), "{conflict}");
    store.is_writable().unwrap();
    let mut anew = Batch::default();
    anew.put(Table::Ledger, *b"large", *b"small");
    wait(store.commit(anew)).unwrap();
    assert_eq!(store.kv().get(Table::Ledger, b"large").unwrap().as_deref(), Some(&b"small"[..]));
}
