//! What a disk can do to a store that was closed cleanly. Either everything is there, or somebody is told:
//! `open` refuses, or `check` finds. Never fewer articles and no word.

use super::{Dice, copy_folder, put};
use crate::harness::is_long;
use std::path::{Path, PathBuf};
use tidings::store::{Store, check};

const ARTICLES: u64 = 2_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    /// One bit anywhere in the file.
    Flip,
    /// One bit in its last 4 KiB.
    FlipAtEnd,
    /// The file ends early.
    Truncated,
    /// 4 KiB of zeros somewhere.
    Zeroed,
    /// The file is gone.
    Gone,
}

const KINDS: [Damage; 5] = [Damage::Flip, Damage::FlipAtEnd, Damage::Truncated, Damage::Zeroed, Damage::Gone];

fn damage(file: &Path, kind: Damage, dice: &mut Dice) {
    let mut bytes = std::fs::read(file).unwrap();
    let length = bytes.len();
    match kind {
        Damage::Flip => bytes[dice.roll(length)] ^= 1 << dice.roll(8),
        Damage::FlipAtEnd => bytes[length - 1 - dice.roll(length.min(4_096))] ^= 1 << dice.roll(8),
        Damage::Truncated => bytes.truncate(dice.roll(length)),
        Damage::Zeroed => {
            let from = dice.roll(length);
            bytes[from..(from + 4_096).min(length)].fill(0);
        }
        Damage::Gone => return std::fs::remove_file(file).unwrap(),
    }
    std::fs::write(file, bytes).unwrap();
}

/// A store of many groups, as threads write it.
fn fill(folder: &Path) {
    let store = Store::open(folder).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let store = &store;
            scope.spawn(move || {
                for n in 0..ARTICLES / 16 {
                    put(store, &format!("t{thread}-{n}"), None).unwrap();
                }
            });
        }
    });
}

/// What became of a damaged store; panics if it says nothing and is not whole.
fn verdict(folder: &Path) -> String {
    let store = match Store::open(folder) {
        Err(error) => {
            // sled may have changed its files at the first try; that must not make the second one succeed.
            assert!(Store::open(folder).is_err(), "refused once, and then not: {error}");
            return format!("refused: {error}");
        }
        Ok(store) => store,
    };
    let report = check(&store);
    match report.findings.first() {
        Some(first) => format!("found: {:?} {} {}", first.table, first.key, first.what),
        None => {
            assert_eq!(report.articles, ARTICLES, "SILENT LOSS");
            "whole".to_owned()
        }
    }
}

#[test]
fn no_damage_takes_articles_away_without_a_word() {
    let original = tempfile::tempdir().unwrap();
    fill(original.path());
    // The second is as a store is after a restart: sled has written its snapshot.
    let reopened = tempfile::tempdir().unwrap();
    copy_folder(original.path(), reopened.path());
    drop(Store::open(reopened.path()).unwrap());
    let rounds = if is_long() { 40 } else { 2 };
    let mut dice = Dice(11);
    let mut seen = Vec::new();
    for (name, from) in [("never reopened", original.path()), ("reopened", reopened.path())] {
        for file in ["sled/db", "sled/conf", "sled/snap", "sled/journal-1", "HEAD"] {
            let Some(file) = find(from, file) else { continue };
            for kind in KINDS {
                for _ in 0..if kind == Damage::Gone { 1 } else { rounds } {
                    let copy = tempfile::tempdir().unwrap();
                    copy_folder(from, copy.path());
                    let roll = dice.0;
                    damage(&copy.path().join(&file), kind, &mut dice);
                    let case = format!("{name}, {} {kind:?} (dice {roll})", file.display());
                    let verdict = std::panic::catch_unwind(|| verdict(copy.path()));
                    let verdict = verdict.unwrap_or_else(|_| panic!("silent loss or a panic: {case}"));
                    seen.push(format!("{case}: {verdict}"));
                }
            }
        }
    }
    let told = seen.join("\n");
    assert!(seen.len() >= 40, "{told}");
    for (case, expected) in [("sled/db Gone", "refused"), ("HEAD Gone", "whole")] {
        assert!(seen.iter().any(|line| line.contains(case) && line.contains(expected)), "{case}: {expected}\n{told}");
    }
    if is_long() {
        tell(&seen);
    }
}

/// The path of a file whose name begins as given; sled's snapshots bear their place in their name.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let name = Path::new(name);
    let within = folder.join(name.parent()?);
    let entries = std::fs::read_dir(within).unwrap().map(|entry| entry.unwrap().file_name());
    let start = name.file_name()?.to_str()?;
    let found = entries.into_iter().find(|entry| entry.to_str().unwrap().starts_with(start))?;
    Some(name.parent()?.join(found))
}

#[expect(clippy::print_stdout, reason = "the long run is read by a person")]
fn tell(seen: &[String]) {
    println!("{}", seen.join("\n"));
}

#[test]
fn a_store_that_is_gone_is_not_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    put(&store, "one", None).unwrap();
    drop(store);
    std::fs::remove_dir_all(folder.path().join("sled")).unwrap();
    let told = Store::open(folder.path()).err().unwrap().to_string();
    assert!(told.contains("its folder sled is gone; ") && told.contains("1 articles are missing"), "{told}");
    assert!(!folder.path().join("sled").exists());
}

#[test]
fn a_store_that_is_gone_is_not_begun_anew_where_nothing_tells_what_it_held() {
    for unreadable in [&b""[..], b"no head at all, and long enough for one, but nobody wrote it"] {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        put(&store, "one", None).unwrap();
        drop(store);
        std::fs::remove_dir_all(folder.path().join("sled")).unwrap();
        std::fs::write(folder.path().join("HEAD"), unreadable).unwrap();
        for _ in 0..2 {
            let told = Store::open(folder.path()).err().unwrap().to_string();
            assert!(told.contains("its folder sled is gone, and its file HEAD cannot be read"), "{told}");
        }
        assert!(!folder.path().join("sled").exists());
        assert_eq!(std::fs::read(folder.path().join("HEAD")).unwrap(), unreadable, "it is left as it is");
    }
}

#[test]
fn an_older_copy_of_the_engines_files_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let old = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    put(&store, "one", None).unwrap();
    drop(store);
    copy_folder(&folder.path().join("sled"), old.path());
    let store = Store::open(folder.path()).unwrap();
    put(&store, "two", None).unwrap();
    drop(store);
    std::fs::remove_dir_all(folder.path().join("sled")).unwrap();
    copy_folder(old.path(), &folder.path().join("sled"));
    let told = Store::open(folder.path()).err().unwrap().to_string();
    assert!(told.contains("2 articles are recorded in HEAD") && told.contains("1 are there"), "{told}");
}
