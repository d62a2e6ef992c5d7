//! Ends without warning: a child writes and prints what was acknowledged, is killed, and all of it has to be there.
//!
//! The child is this test binary again, started for one test with a folder in its environment. `scripts/powercut`
//! drives the same child and the same comparison over a file system that is cut off.

use super::{Dice, article, put};
use crate::harness::is_long;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tidings::domain::{ArticleId, State};
use tidings::store::{Store, check};

const WRITE: &str = "TIDINGS_CRASH_WRITE";
const VERIFY: &str = "TIDINGS_CRASH_VERIFY";
const ACKS: &str = "TIDINGS_CRASH_ACKS";

#[expect(clippy::disallowed_methods, reason = "how a test speaks to its child")]
fn told(name: &str) -> Option<PathBuf> {
    std::env::var(name).ok().map(PathBuf::from)
}

/// Not a test by itself: writes into the store it is given until it is killed.
#[test]
fn child_that_writes() {
    let Some(folder) = told(WRITE) else { return };
    // Short turns, so that the end comes at any point of carrying them into sled as well.
    let store = Store::open_with(&folder, 64 << 10).unwrap();
    let run = store.head().0;
    let said = |text: String| {
        // One write each, so that no line is cut: an acknowledgement counts once the parent can read it.
        std::io::stdout().lock().write_all(text.as_bytes()).and_then(|()| std::io::stdout().flush()).unwrap();
    };
    said("\nready\n".to_owned());
    std::thread::scope(|scope| {
        for thread in 0..6_u64 {
            let (store, said) = (&store, &said);
            scope.spawn(move || {
                let mut dice = Dice(run * 6 + thread);
                let mut own = 0;
                loop {
                    let name = match dice.roll(3) {
                        0 if own > 0 => format!("r{run}-t{thread}-{}", dice.roll(own)),
                        _ => {
                            own += 1;
                            format!("r{run}-t{thread}-{}", own - 1)
                        }
                    };
                    let old = store.article(&ArticleId::parse("id", &name).unwrap()).unwrap();
                    match put(store, &name, old.as_ref()) {
                        Ok(new) => said(format!("ack {name} {}\n", new.revision)),
                        // The file system is gone; the parent ends this process.
                        Err(_) => return,
                    }
                }
            });
        }
    });
    loop {
        std::thread::park();
    }
}

/// Not a test by itself: compares a store with the acknowledgements in a file.
#[test]
fn verifier_of_a_cut() {
    let (Some(folder), Some(acks)) = (told(VERIFY), told(ACKS)) else { return };
    let acks = std::fs::read_to_string(acks).unwrap();
    verify(&folder, acks.lines());
}

/// Every acknowledged revision is there with all its rows, every text is what was written, and nothing is amiss.
fn verify<'a>(folder: &Path, acks: impl Iterator<Item = &'a str>) -> u64 {
    let mut newest: HashMap<&str, u32> = HashMap::new();
    for ack in acks {
        // A line that was cut off by the kill was never read whole by anybody.
        let Some((name, revision)) = ack.strip_prefix("ack ").and_then(|ack| ack.split_once(' ')) else { continue };
        let Ok(revision) = revision.parse::<u32>() else { continue };
        let known = newest.entry(name).or_default();
        *known = revision.max(*known);
    }
    let store = Store::open(folder).unwrap();
    for (name, revision) in &newest {
        let stored = store.article(&ArticleId::parse("id", name).unwrap()).unwrap();
        let stored = stored.unwrap_or_else(|| panic!("LOST: {name}, acknowledged at revision {revision}")).record;
        let found = stored.revision;
        assert!(found == *revision || found == revision + 1, "{name}: {found}, acknowledged {revision}");
        assert!(stored == article(name, found), "{name} holds another text");
        assert!(stored.state != State::Scheduled || found == 1);
    }
    let report = check(&store);
    assert!(report.is_clean(), "{:?}", report.findings);
    assert!(report.articles >= newest.len() as u64);
    report.articles
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut dice = Dice(u64::from(std::process::id()));
    let mut acks: Vec<String> = Vec::new();
    for cycle in 0..if is_long() { 300 } else { 10 } {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::crash::child_that_writes", "--nocapture"])
            .env(WRITE, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child = child.unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.by_ref().any(|line| line == "ready"), "the child of cycle {cycle} did not open its store");
        let owner = child.id();
        let locked = Store::open(folder.path()).err().unwrap().to_string();
        assert!(locked.contains(&format!("in use by tidings, process {owner};")), "{locked}");
        let before = acks.len();
        // Now and then it is killed at once, mostly in the middle of its work.
        let wanted = dice.roll(900);
        acks.extend(lines.by_ref().take(wanted));
        wait_a_moment(&mut dice);
        child.kill().unwrap();
        child.wait().unwrap();
        acks.extend(lines);
        assert!(acks.len() >= before + wanted);
        verify(folder.path(), acks.iter().map(String::as_str));
        if acks.len() > 20_000 {
            // The comparison goes over all of them each time.
            std::fs::remove_dir_all(folder.path()).unwrap();
            acks.clear();
        }
    }
}

/// Less than one group takes, so that the kill comes at any point of it.
fn wait_a_moment(dice: &mut Dice) {
    let until = std::time::Instant::now() + Duration::from_micros(dice.roll(3_000) as u64);
    while std::time::Instant::now() < until {
        std::hint::spin_loop();
    }
}
