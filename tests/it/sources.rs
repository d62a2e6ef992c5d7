//! Articles by folder: files that come, change, move, go, and files with mistakes.

use crate::harness::{Newsroom, Setup, eventually, id};
use std::os::unix::ffi::OsStrExt as _;
use std::time::{Duration, Instant};

const FEED: &str = "/science/atom.xml";

fn titled(title: &str) -> String {
    format!("title = \"{title}\"\ndate = \"18.12.2020 15:03\"")
}

#[test]
fn files_that_lie_in_the_folder_are_published_before_the_daemon_says_it_is_up() {
    let mut newsroom = Newsroom::prepare(Setup::default());
    newsroom.file("one.md", &titled("One"), "Text of *one*.");
    newsroom.file("two.md", &titled("Two"), "");
    newsroom.run();
    let feed = newsroom.feed(FEED);
    assert_eq!(feed.entries.len(), 2);
    let one = feed.entries.iter().find(|entry| entry.title.as_ref().is_some_and(|title| title.content == "One"));
    let one = one.expect("it is there");
    assert_eq!(one.published.expect("dated").to_rfc3339(), "2020-12-18T12:03:00+00:00", "Moscow is three hours ahead");
    let html = one.content.as_ref().and_then(|content| content.body.clone()).expect("full text");
    assert!(html.contains("<p>Text of <em>one</em>.</p>"), "{html}");
    assert!(newsroom.daemon().announced()[0].contains("article files: 2 new or changed, 0 left out"));
}

#[test]
fn the_same_file_is_the_same_article_by_its_folder_and_by_the_command_line() {
    let newsroom = Newsroom::start();
    let front = "title = \"Whole\"\ndate = 2020-12-18T15:03:00\nsummary = \"In short.\"\nurl = \"https://cms.example/s/1\"\n\
        authors = [\"Ann\"]\ntags = [\"a\", \"b\"]\nlanguage = \"en\"\ncategories = [\"economy\"]\n\
        source = { title = \"Other\", feed = \"https://other.example/feed\" }\n\
        [[media]]\nurl = \"https://cms.example/a.png\"\nwidth = 0x280\n[comments]\nurl = \"https://cms.example/#c\"\ncount = 3";
    newsroom.file("whole.md", front, "Text of *one* with [a link](b).");
    newsroom.shows(FEED, &["Whole"]);
    let path = newsroom.path("articles/science/whole.md").display().to_string();
    newsroom.cli(&["article", "add", &path, "--category", "science"]).good();
    let all = newsroom.api("GET", "/articles", &[], "").json();
    let articles = all["articles"].as_array().expect("a list");
    let same = articles.iter().map(|article| {
        let mut article = article.clone();
        let own = ["id", "external_id", "links", "created_at", "updated_at", "first_public_at"];
        article.as_object_mut().expect("an article").retain(|field, _| !own.contains(&field.as_str()));
        article
    });
    let [one, other] = same.collect::<Vec<_>>().try_into().expect("two articles");
    assert_eq!(one, other);
    assert_eq!((&one["media"][0]["width"], &one["published_at"]), (&640.into(), &"2020-12-18T12:03:00Z".into()));
    assert_eq!(one["categories"], serde_json::json!(["science", "economy"]));
}

#[test]
fn a_file_that_comes_changes_and_goes_is_an_article_published_revised_and_retracted() {
    let newsroom = Newsroom::start();
    newsroom.file("a.md", &titled("Came"), "Text.");
    newsroom.shows(FEED, &["Came"]);
    let known = newsroom.feed(FEED).entries[0].id.clone();
    newsroom.file("a.md", &titled("Changed"), "Text.");
    newsroom.shows(FEED, &["Changed"]);
    assert_eq!(newsroom.feed(FEED).entries[0].id, known, "it is the same article");
    newsroom.remove("articles/science/a.md");
    newsroom.shows(FEED, &[]);
    let all = newsroom.api("GET", "/articles", &[], "").json();
    assert_eq!(all["articles"][0]["state"], "retracted");
    assert_eq!(all["articles"][0]["revision"], 3);
    newsroom.file("a.md", &titled("Back"), "Text.");
    newsroom.shows(FEED, &["Back"]);
    assert_eq!(newsroom.feed(FEED).entries[0].id, known, "the same file is the same article still");
}

#[test]
fn a_renamed_file_stays_the_article_it_is() {
    let newsroom = Newsroom::start();
    newsroom.file("a.md", &titled("Same"), "Text.");
    newsroom.file("other.md", &titled("Other"), "Text.");
    newsroom.shows(FEED, &["Other", "Same"]);
    let before = newsroom.api("GET", "/articles", &[], "").json();
    let folder = newsroom.path("articles/science");
    std::fs::rename(folder.join("a.md"), folder.join("b.md")).expect("writable");
    // When the new name's revision has come, the old name's retraction would have as well.
    newsroom.file("sentinel.md", &titled("Sentinel"), "Text.");
    newsroom.shows(FEED, &["Other", "Same", "Sentinel"]);
    newsroom.remove("articles/science/sentinel.md");
    newsroom.shows(FEED, &["Other", "Same"]);
    let after = newsroom.api("GET", "/articles?state=published", &[], "").json();
    assert_eq!(after, before, "nothing was published, revised or retracted");
    newsroom.file("b.md", &titled("Same, revised"), "Text.");
    newsroom.shows(FEED, &["Other", "Same, revised"]);
    assert_eq!(newsroom.titles(FEED).len(), 2);
}

#[test]
fn a_new_file_under_the_old_name_of_a_moved_one_is_an_article_of_its_own() {
    let mut newsroom = Newsroom::start();
    newsroom.file("a.md", &titled("First"), "Text.");
    newsroom.shows(FEED, &["First"]);
    let folder = newsroom.path("articles/science");
    newsroom.stop();
    std::fs::rename(folder.join("a.md"), folder.join("b.md")).expect("writable");
    newsroom.run();
    newsroom.file("a.md", &titled("Second"), "Text.");
    newsroom.shows(FEED, &["First", "Second"]);
    newsroom.remove("articles/science/a.md");
    newsroom.shows(FEED, &["First"]);
}

#[test]
fn a_file_that_was_moved_and_edited_at_once_keeps_the_article_that_it_names() {
    let mut newsroom = Newsroom::start();
    let front = |title: &str| format!("{}\nexternal_id = \"desk-7\"", titled(title));
    newsroom.file("a.md", &front("Before"), "Text.");
    newsroom.shows(FEED, &["Before"]);
    newsroom.file("copy.md", &front("Copy"), "Text.");
    assert!(newsroom.daemon().log_line("copy.md").contains("`external_id`: found \\\"desk-7\\\", which a.md has"));
    newsroom.stop();
    newsroom.remove("articles/science/copy.md");
    newsroom.remove("articles/science/a.md");
    newsroom.file("b.md", &front("After"), "Text.");
    newsroom.run();
    assert_eq!(newsroom.titles(FEED), ["After"]);
}

#[test]
fn a_file_that_took_the_place_of_another_is_noticed_by_more_than_its_date_and_length() {
    let newsroom = Newsroom::start();
    newsroom.file("a.md", &titled("One"), "Text.");
    newsroom.shows(FEED, &["One"]);
    let path = newsroom.path("articles/science/a.md");
    let date = std::fs::metadata(&path).and_then(|looks| looks.modified()).expect("it is there");
    let other = newsroom.path("other");
    std::fs::write(&other, std::fs::read_to_string(&path).expect("text").replace("One", "Two")).expect("writable");
    std::fs::File::options().write(true).open(&other).and_then(|file| file.set_modified(date)).expect("writable");
    std::fs::rename(&other, &path).expect("writable");
    newsroom.shows(FEED, &["Two"]);
}

#[test]
fn a_file_that_names_a_category_too_early_is_taken_once_there_is_one() {
    let newsroom = Newsroom::start();
    newsroom.file("a.md", &format!("{}\ncategories = [\"culture\"]", titled("Early")), "Text.");
    newsroom.daemon().log_line("a.md:4");
    newsroom.write("feeds/culture.toml", "title = \"Culture\"\n");
    newsroom.daemon().signal("HUP");
    newsroom.shows(FEED, &["Early"]);
    newsroom.shows("/culture/rss.xml", &["Early"]);
}

#[test]
fn a_malformed_file_is_told_with_its_line_and_the_rest_load() {
    let mut newsroom = Newsroom::prepare(Setup::default());
    newsroom.file("good.md", &titled("Good"), "Text.");
    newsroom.file("toml.md", "title = \"A\"\ndate = tomorrow", "Text.");
    newsroom.file("field.md", "title = \"A\"\ntitel = \"B\"", "Text.");
    newsroom.file("date.md", "title = \"A\"\n\ndate = \"32.12.2020 15:03\"", "Text.");
    newsroom.write("articles/science/open.md", "+++\ntitle = \"A\"\n");
    newsroom.write("articles/science/bare.md", "# A\n");
    std::fs::write(newsroom.path("articles/science/latin.md"), b"+++\ntitle = \"Caf\xe9\"\n+++\n").expect("writable");
    newsroom.file("two  spaces.md", &titled("Spaces"), "Text.");
    let nameless = std::ffi::OsStr::from_bytes(b"caf\xe9.md");
    std::fs::write(newsroom.path("articles/science").join(nameless), "").expect("writable");
    newsroom.run();
    newsroom.shows(FEED, &["Good", "Spaces"]);
    assert!(newsroom.daemon().announced()[0].contains("article files: 2 new or changed, 7 left out"));
    for told in ["caf\\\\xE9.md", "toml.md:3", "field.md:3", "date.md:4", "open.md:2", "bare.md:1", "latin.md:2"] {
        newsroom.daemon().log_line(told);
    }
    assert!(newsroom.daemon().log_line("field.md:3").contains("titel"));
    let counted = newsroom.get_admin("/metrics").text();
    assert!(counted.lines().any(|line| line == "tidings_source_faults 7"), "{counted}");

    newsroom.file("toml.md", &titled("Mended"), "Text.");
    newsroom.shows(FEED, &["Good", "Mended", "Spaces"]);
}

#[test]
fn a_file_that_turns_bad_leaves_its_article_as_it_was() {
    let newsroom = Newsroom::start();
    newsroom.file("a.md", &titled("Stands"), "Text.");
    newsroom.shows(FEED, &["Stands"]);
    newsroom.write("articles/science/a.md", "+++\ntitle = \n+++\n");
    newsroom.daemon().log_line("a.md:2");
    assert_eq!(newsroom.titles(FEED), ["Stands"]);
}

#[test]
fn half_a_file_is_never_published() {
    /// Less than what the daemon takes for the end of the writing.
    const PAUSE_MAX: Duration = Duration::from_millis(250);
    use std::io::Write as _;
    let newsroom = Newsroom::start();
    let path = newsroom.path("articles/science/slow.md");
    let mut file = std::fs::File::create(path).expect("writable");
    // The first part is a whole article by itself, and would be published if nobody waited for the rest.
    file.write_all(format!("+++\n{}\n+++\n\nBeginning.\n", titled("Slow")).as_bytes()).expect("writable");
    let mut written = Instant::now();
    let mut is_steady = true;
    for part in 0..20 {
        file.write_all(format!("\nPart {part}.\n").as_bytes()).expect("writable");
        // A machine that held this writer up for longer has let the daemon believe that the file was whole.
        is_steady &= written.elapsed() < PAUSE_MAX;
        written = Instant::now();
        let titles = newsroom.titles(FEED);
        is_steady &= written.elapsed() < PAUSE_MAX;
        assert!(titles.is_empty() || !is_steady, "published after part {part}");
        // The writer's own pace.
        std::thread::sleep(Duration::from_millis(40));
    }
    drop(file);
    newsroom.shows(FEED, &["Slow"]);
    let id = id(&newsroom.api("GET", "/articles", &[], "").json()["articles"][0]);
    let article = newsroom.api("GET", &format!("/articles/{id}"), &[], "").json();
    assert!(article["revision"] == 1 || !is_steady, "it came in once, whole: {article}");
    assert!(article["body_html"].as_str().is_some_and(|html| html.contains("Part 19.")));
}

#[test]
fn what_happened_to_the_folder_while_the_daemon_was_down_is_made_up_for() {
    let mut newsroom = Newsroom::start();
    for name in ["stays", "changes", "goes"] {
        newsroom.file(&format!("{name}.md"), &titled(name), "Text.");
    }
    newsroom.shows(FEED, &["stays", "changes", "goes"]);
    let ids = |newsroom: &Newsroom| {
        let mut ids: Vec<String> = newsroom.feed(FEED).entries.iter().map(|entry| entry.id.clone()).collect();
        ids.sort();
        ids
    };
    let before = ids(&newsroom);
    newsroom.stop();
    newsroom.file("changes.md", &titled("changed"), "Text.");
    newsroom.remove("articles/science/goes.md");
    newsroom.file("comes.md", &titled("comes"), "Text.");
    newsroom.run();
    newsroom.shows(FEED, &["stays", "changed", "comes"]);
    let after = ids(&newsroom);
    assert_eq!(after.iter().filter(|id| before.contains(id)).count(), 2);
}

#[test]
fn what_was_done_over_the_api_is_not_undone_by_a_restart() {
    let mut newsroom = Newsroom::start();
    newsroom.file("a.md", &titled("By file"), "Text.");
    newsroom.file("b.md", &titled("Withdrawn"), "Text.");
    newsroom.shows(FEED, &["By file", "Withdrawn"]);
    let all = newsroom.api("GET", "/articles", &[], "").json();
    let of = |title: &str| {
        let articles = all["articles"].as_array().expect("a list");
        id(articles.iter().find(|article| article["title"] == title).expect("it is there"))
    };
    let edit = "{\"title\": \"By hand\", \"categories\": [\"science\"]}";
    newsroom.api("PUT", &format!("/articles/{}", of("By file")), &[], edit).expect(200);
    newsroom.api("DELETE", &format!("/articles/{}", of("Withdrawn")), &[], "").expect(200);
    newsroom.stop();
    newsroom.run();
    assert_eq!(newsroom.titles(FEED), ["By hand"]);
}

#[test]
fn a_folder_that_vanishes_retracts_nothing() {
    let mut newsroom = Newsroom::start();
    newsroom.file("a.md", &titled("Stands"), "Text.");
    newsroom.shows(FEED, &["Stands"]);
    let (folder, away) = (newsroom.path("articles/science"), newsroom.path("articles/away"));
    std::fs::rename(&folder, &away).expect("writable");
    newsroom.daemon().signal("HUP");
    newsroom.daemon().log_line("the feed definitions have mistakes");
    eventually("the folder to be missed", || {
        newsroom
            .daemon()
            .logged()
            .iter()
            .any(|line| line.contains("cannot be read") || line.contains("no folder"))
            .then_some(())
    });
    assert_eq!(newsroom.titles(FEED), ["Stands"]);
    std::fs::rename(&away, &folder).expect("writable");
    newsroom.stop();
    newsroom.run();
    assert_eq!(newsroom.titles(FEED), ["Stands"]);
}

#[test]
fn a_pipe_or_a_folder_named_as_an_article_file_holds_nobody_up() {
    let mut newsroom = Newsroom::prepare(Setup::default());
    newsroom.file("a.md", &titled("One"), "Text.");
    newsroom.file("b.md", &titled("Two"), "Text.");
    let folder = newsroom.path("articles/science");
    assert!(std::process::Command::new("mkfifo").arg(folder.join("pipe.md")).status().expect("mkfifo").success());
    std::fs::create_dir(folder.join("folder.md")).expect("writable");
    newsroom.run();
    newsroom.shows(FEED, &["One", "Two"]);
    // What is gone is retracted once nothing changes any more, and what comes is taken in.
    newsroom.remove("articles/science/a.md");
    newsroom.shows(FEED, &["Two"]);
    newsroom.file("c.md", &titled("Three"), "Text.");
    newsroom.shows(FEED, &["Two", "Three"]);
    newsroom.stop();
}

#[test]
fn an_empty_folder_is_taken_for_a_missing_disk_and_a_link_for_nothing() {
    let mut newsroom = Newsroom::start();
    newsroom.file("a.md", &titled("One"), "Text.");
    newsroom.file("b.md", &titled("Two"), "Text.");
    newsroom.shows(FEED, &["One", "Two"]);
    let folder = newsroom.path("articles/science");
    let elsewhere = newsroom.path("elsewhere.md");
    std::fs::rename(folder.join("a.md"), &elsewhere).expect("writable");
    newsroom.shows(FEED, &["Two"]);
    newsroom.file("c.md", &titled("Three"), "Text.");
    std::os::unix::fs::symlink(&elsewhere, folder.join("link.md")).expect("writable");
    newsroom.shows(FEED, &["Two", "Three"]);
    newsroom.stop();
    for name in ["b.md", "c.md", "link.md"] {
        std::fs::remove_file(folder.join(name)).expect("writable");
    }
    newsroom.run();
    newsroom.daemon().log_line("is a disk missing");
    newsroom.shows(FEED, &["Two", "Three"]);
}
