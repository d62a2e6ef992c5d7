//! Dates of feeds whose definitions change: a reader that asks by date gets every change, whatever the files' own dates.

use crate::harness::{Newsroom, eventually};
use chrono::{DateTime, Utc};
use std::fs::File;
use std::time::{Duration, SystemTime};

const FEED: &str = "/economy/rss.xml";

/// Defines `economy` by a file that was last changed long ago, as one from a backup or a package is.
fn define(newsroom: &Newsroom, title: &str) {
    newsroom.write("feeds/economy.toml", &format!("title = \"{title}\"\nlimit = 200\n"));
    let file = File::options().write(true).open(newsroom.path("feeds/economy.toml")).expect("it is there");
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)).expect("our own file");
}

/// The date of the feed, once its second is over, as it is told and as it is.
fn dated(newsroom: &Newsroom) -> (String, DateTime<Utc>) {
    let text = eventually("the second to be over", || {
        newsroom.get(FEED, &[]).expect(200).header("last-modified").map(str::to_owned)
    });
    let date = DateTime::parse_from_rfc2822(&text).expect("a date").to_utc();
    (text, date)
}

#[test]
fn a_feed_is_as_new_as_its_definition_whatever_that_files_date() {
    let mut newsroom = Newsroom::start();
    newsroom.publish_titled("One");
    newsroom.write("feeds/sports.toml", "title = \"Sports\"\n");
    let reload = |newsroom: &Newsroom, status: u16| {
        newsroom.daemon().signal("HUP");
        eventually("the reload", || (newsroom.get("/sports/rss.xml", &[]).status == status).then_some(()));
    };
    reload(&newsroom, 200);
    let first = dated(&newsroom);
    newsroom.get(FEED, &[("If-Modified-Since", &first.0)]).expect(304);

    define(&newsroom, "Money");
    newsroom.remove("feeds/sports.toml");
    reload(&newsroom, 404);
    let changed = newsroom.get(FEED, &[("If-Modified-Since", &first.0)]).expect(200);
    assert!(changed.text().contains("Money"));
    let second = dated(&newsroom);
    assert!(second.1 > first.1, "{second:?} {first:?}");
    newsroom.get(FEED, &[("If-Modified-Since", &second.0)]).expect(304);

    newsroom.stop();
    newsroom.run();
    assert_eq!(dated(&newsroom), second, "a start changes nothing");
    newsroom.stop();
    define(&newsroom, "Wealth");
    newsroom.run();
    let changed = newsroom.get(FEED, &[("If-Modified-Since", &second.0)]).expect(200);
    assert!(changed.text().contains("Wealth"));
    assert!(dated(&newsroom).1 > second.1, "what changed while it was down");
}
