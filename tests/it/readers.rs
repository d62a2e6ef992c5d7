//! A feed reader that people use, newsboat: it subscribes, polls, and keeps each article once.

use crate::harness::{Newsroom, id, needed};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Where Debian's package puts it.
const PROGRAM: &str = "/usr/bin/newsboat";

/// newsboat with files of its own.
struct Newsboat {
    folder: TempDir,
}

impl Newsboat {
    /// Subscribed to `addresses`; none where it is not installed, which `scripts/test` sees to.
    fn subscribed(addresses: &[String]) -> Option<Self> {
        needed(Path::new(PROGRAM).exists().then_some(()), PROGRAM)?;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("urls"), addresses.join("\n") + "\n").unwrap();
        std::fs::write(folder.path().join("config"), "download-retries 1\nreload-threads 1\n").unwrap();
        Some(Newsboat { folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn reload(&self) {
        let mut command = Command::new(PROGRAM);
        for (option, name) in [("-u", "urls"), ("-c", "cache.db"), ("-C", "config")] {
            command.arg(option).arg(self.path(name));
        }
        // Its own files lie in a home, which is not the tester's.
        let output = command.args(["-x", "reload"]).env("HOME", self.folder.path()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// Guid, title and read mark of each article that it keeps, by guid.
    fn kept(&self) -> Vec<(String, String, bool)> {
        let query = "import json, sqlite3, sys; rows = sqlite3.connect(sys.argv[1]).execute(\
            'select guid, title, unread from rss_item order by guid'); print(json.dumps([list(row) for row in rows]))";
        let output = Command::new("python3").arg("-c").arg(query).arg(self.path("cache.db")).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let rows: Vec<(String, String, u8)> = serde_json::from_slice(&output.stdout).unwrap();
        rows.into_iter().map(|(guid, title, unread)| (guid, title, unread == 1)).collect()
    }

    /// As a person who has read everything.
    fn read_all(&self) {
        let query = "import sqlite3, sys; base = sqlite3.connect(sys.argv[1]); \
            base.execute('update rss_item set unread = 0'); base.commit()";
        let output = Command::new("python3").arg("-c").arg(query).arg(self.path("cache.db")).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

fn not_modified(newsroom: &Newsroom) -> u32 {
    let metrics = newsroom.get_admin("/metrics").expect(200).text();
    let line = "tidings_http_requests_total{route=\"feed\",status=\"304\"} ";
    metrics.lines().find_map(|found| found.strip_prefix(line)).map_or(0, |count| count.parse().unwrap())
}

#[test]
fn newsboat_keeps_each_article_once_whatever_is_done_to_it() {
    let newsroom = Newsroom::start();
    let one = newsroom.publish_titled("One");
    newsroom.publish_titled("Two");
    let addresses = ["rss.xml", "economy/atom.xml"].map(|file| format!("{}{file}", newsroom.base_url()));
    let Some(reader) = Newsboat::subscribed(&addresses) else { return };
    let titles = |reader: &Newsboat| reader.kept().into_iter().map(|(_, title, _)| title).collect::<Vec<_>>();
    reader.reload();
    let first = reader.kept();
    assert_eq!(titles(&reader), ["One", "Two"], "in two feeds, and kept once");
    assert!(first.iter().any(|(guid, ..)| *guid == format!("urn:uuid:{one}")));

    // It keeps validators from its second visit on.
    reader.reload();
    let before = not_modified(&newsroom);
    reader.reload();
    assert_eq!((reader.kept(), not_modified(&newsroom) - before), (first, 2), "nothing new costs nothing");

    // Read, edited, moved to another category: the same article, and not unread again.
    reader.read_all();
    let edit = json!({ "title": "One, mended", "categories": ["economy", "science"] });
    newsroom.api("PUT", &format!("/articles/{one}"), &[], &edit.to_string()).expect(200);
    reader.reload();
    let kept = reader.kept();
    assert_eq!(titles(&reader), ["One, mended", "Two"]);
    assert!(kept.iter().all(|(_, _, is_unread)| !is_unread), "{kept:?}");

    let three = id(&newsroom.publish(json!({ "title": "Three", "categories": ["economy"] })));
    reader.reload();
    assert_eq!(titles(&reader), ["One, mended", "Two", "Three"]);
    newsroom.api("DELETE", &format!("/articles/{three}"), &[], "").expect(200);
    reader.reload();
    let shown = newsroom.titles("/rss.xml");
    assert_eq!(shown, ["Two", "One, mended"], "withdrawn from the feed; newsboat keeps what it has fetched");
}
