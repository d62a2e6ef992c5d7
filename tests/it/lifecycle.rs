//! Running like a daemon: start, signals, refusals, what is logged and counted.

use crate::harness::{Client, Daemon, Newsroom, Setup, eventually, tidings};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

#[test]
fn every_address_that_is_announced_can_be_opened() {
    let mut newsroom = Newsroom::prepare(Setup::default());
    newsroom.file("a.md", "title = \"One\"\ndate = \"18.12.2020 15:03\"", "Text.");
    newsroom.run();
    let announced = newsroom.daemon().announced();
    let base = newsroom.base_url();
    let mut kinds = Vec::new();
    for line in announced.iter().filter(|line| line.starts_with("  ")) {
        let (kind, rest) = line.trim().split_once(' ').expect("a name and an address");
        kinds.push(kind.to_owned());
        if let Some(path) = rest.trim().strip_prefix(&base) {
            let expected = if kind == "API" { 401 } else { 200 };
            newsroom.get(&format!("/{path}"), &[]).expect(expected);
        }
    }
    assert_eq!(kinds, ["home", "feed", "article", "print", "subscribe", "API", "health", "mail"]);
    let last = announced.last().expect("lines");
    assert!(last.contains("no [mail.smtp] is configured") && last.contains("outbox"), "{last}");
}

#[test]
fn sigterm_lets_requests_in_flight_end_and_takes_no_more() {
    let mut newsroom = Newsroom::start();
    let bearer = format!("Bearer {}", newsroom.key());
    let expect = ("Expect", "100-continue");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json"), expect];
    let body = json!({ "title": "In flight", "categories": ["economy"] }).to_string();
    let (first, rest) = body.as_bytes().split_at(10);
    let mut pushes: Vec<_> = (0..8).map(|_| newsroom.client()).collect();
    for push in &mut pushes {
        push.begin("POST", "/api/v1/articles", &headers, body.len(), first).expect("sent");
        push.is_awaited().expect("the daemon at work");
    }
    let mut idle = newsroom.client();
    idle.send("GET", "/rss.xml", &[], b"").expect("an answer");
    newsroom.daemon().signal("TERM");
    newsroom.daemon().log_line("stopping");
    eventually("new connections to be refused", || newsroom.client().send("GET", "/rss.xml", &[], b"").err());
    let start = Instant::now();
    for push in &mut pushes {
        push.go_on(rest).expect("still open");
        push.finish("POST").expect("an answer").expect(201);
    }
    newsroom.stopped();
    assert!(start.elapsed() < Duration::from_secs(8), "it took {:?}", start.elapsed());
    newsroom.run();
    assert_eq!(newsroom.titles("/economy/rss.xml"), ["In flight"; 8]);
}

#[test]
fn sigterm_is_heeded_while_many_files_are_taken_in() {
    let mut newsroom = Newsroom::prepare(Setup::default());
    let text = "A paragraph of some length, so that it takes its time.\n\n".repeat(50);
    for number in 0..2_000 {
        newsroom.file(&format!("{number}.md"), &format!("title = \"No. {number}\""), &text);
    }
    let mut child = tidings(&newsroom.config(), &["serve"]);
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary");
    eventually("the daemon to take in files", || {
        let answer = Client::new(newsroom.admin()).send("GET", "/metrics", &[], b"").ok()?.text();
        let writes = answer.lines().find_map(|line| line.strip_prefix("tidings_articles_published_total "))?;
        (writes.parse::<u32>().ok()? > 20).then_some(())
    });
    let sent = std::process::Command::new("sh").arg("-c").arg(format!("kill -TERM {}", child.id())).status();
    assert!(sent.expect("sh").success());
    let ended = eventually("the daemon to end", || child.try_wait().expect("our own child"));
    let said = child.wait_with_output().expect("ended");
    let log = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(ended.success(), "{log}");
    assert!(!String::from_utf8_lossy(&said.stdout).contains(" is up"), "it was told before all were taken in");
    // The rest comes at the next start.
    newsroom.run();
    assert_eq!(newsroom.cli(&["check"]).good(), "good; 2000 articles, 2000 changes\n");
}

/// A process that does not outlive its test.
struct Brief(Child);

impl Drop for Brief {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn sigterm_is_heeded_while_the_store_is_opened() {
    /// Bit of SIGTERM in the set of signals that a process handles (proc_pid_status(5), `SigCgt`).
    const TERM: u64 = 1 << 14;
    let mut newsroom = Newsroom::start();
    newsroom.publish_titled("Kept");
    newsroom.stop();
    // Nobody writes into this, so who reads it waits.
    let (head, kept) = (newsroom.path("data/HEAD"), newsroom.path("data/HEAD.kept"));
    std::fs::rename(&head, &kept).expect("it is there");
    assert!(std::process::Command::new("mkfifo").arg(&head).status().expect("mkfifo").success());
    let mut command = tidings(&newsroom.config(), &["serve"]);
    let mut child = Brief(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary"));
    let id = child.0.id();
    eventually("the daemon to listen for signals", || {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let handled = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?.trim();
        (u64::from_str_radix(handled, 16).expect("a set of signals") & TERM != 0).then_some(())
    });
    let sent = std::process::Command::new("sh").arg("-c").arg(format!("kill -TERM {id}")).status();
    assert!(sent.expect("sh").success());
    let ended = eventually("the daemon to end", || child.0.try_wait().expect("our own child"));
    assert!(ended.success(), "{ended}");
    std::fs::rename(&kept, &head).expect("writable");
    newsroom.run();
    assert_eq!(newsroom.titles("/rss.xml"), ["Kept"]);
}

#[test]
fn a_client_that_never_ends_holds_nobody_up_beyond_the_drain() {
    let mut newsroom = Newsroom::with(Setup { server: "drain_s = 1", ..Setup::default() });
    let mut stuck = newsroom.client();
    stuck.begin("POST", "/api/v1/articles", &[("Content-Type", "application/json")], 100, b"{").expect("sent");
    let mut silent = newsroom.client();
    silent.begin("GET", "/rss.xml", &[], 0, b"").expect("sent");
    silent.finish("GET").expect("an answer");
    let start = Instant::now();
    newsroom.stop();
    assert!(start.elapsed() < Duration::from_secs(8), "it took {:?}", start.elapsed());
    newsroom.run();
}

#[test]
fn commands_that_read_the_store_for_long_hold_up_neither_others_nor_the_end() {
    let mut newsroom = Newsroom::with(Setup { server: "drain_s = 1", ..Setup::default() });
    // More than the way to a reader who does not read can hold.
    for number in 0..100 {
        let text = format!("A word and {number}. ").repeat(5_000);
        newsroom.publish(json!({ "title": "Long", "categories": ["economy"], "body_html": text }));
    }
    // More of them than there are threads for such work.
    let read = |_| {
        let mut reader = UnixStream::connect(newsroom.path("data/control.sock")).expect("the daemon listens");
        reader.write_all(b"GET /control/export HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
        let mut begun = [0; 12];
        reader.read_exact(&mut begun).expect("the beginning of an answer");
        (reader, String::from_utf8_lossy(&begun)["HTTP/1.1 ".len()..].to_owned())
    };
    let (readers, told): (Vec<UnixStream>, Vec<String>) = (0..8).map(read).unzip();
    assert_eq!(told, ["200", "200", "503", "503", "503", "503", "503", "503"]);
    for command in [&["check"][..], &["export", "--output", "-"]] {
        let refused = newsroom.cli(command);
        assert_eq!((refused.code, refused.out.as_str()), (Some(1), ""), "{refused:?}");
        assert!(refused.err.contains("2 checks or exports of the store are under way"), "{refused:?}");
    }
    // What needs a thread for a moment has one.
    newsroom.cli(&["quarantine", "show"]).good();
    drop(readers);
    eventually("a place for one more", || (newsroom.cli(&["check"]).code == Some(0)).then_some(()));
    let (readers, told): (Vec<UnixStream>, Vec<String>) = (0..2).map(read).unzip();
    assert_eq!(told, ["200", "200"]);
    let start = Instant::now();
    newsroom.stop();
    assert!(start.elapsed() < Duration::from_secs(8), "it took {:?}", start.elapsed());
    drop(readers);
    newsroom.run();
}

#[test]
fn sigint_ends_it_as_sigterm_does() {
    let mut newsroom = Newsroom::start();
    newsroom.publish_titled("Kept");
    newsroom.daemon().signal("INT");
    newsroom.stopped();
    newsroom.run();
    assert_eq!(newsroom.titles("/rss.xml"), ["Kept"]);
}

#[test]
fn sighup_brings_in_a_new_category() {
    let newsroom = Newsroom::start();
    newsroom.get("/sports/rss.xml", &[]).expect(404);
    std::fs::create_dir(newsroom.path("articles/sports")).expect("writable");
    newsroom.write("feeds/sports.toml", "title = \"Sports\"\narticles = \"../articles/sports\"\n");
    newsroom.write("articles/sports/a.md", "+++\ntitle = \"Match\"\ndate = \"2024-01-01T00:00:00Z\"\n+++\n");
    newsroom.daemon().signal("HUP");
    newsroom.daemon().log_line("reloaded");
    newsroom.get("/sports/rss.xml", &[]).expect(200);
    newsroom.shows("/sports/atom.xml", &["Match"]);
    newsroom.publish(json!({ "title": "By API", "categories": ["sports"] }));
    newsroom.shows("/sports/atom.xml", &["Match", "By API"]);
    newsroom.write("articles/sports/b.md", "+++\ntitle = \"Watched\"\ndate = \"2024-01-01T00:00:00Z\"\n+++\n");
    newsroom.shows("/sports/atom.xml", &["Match", "By API", "Watched"]);
}

#[test]
fn sighup_shows_a_new_title_and_takes_a_category_away() {
    let newsroom = Newsroom::start();
    newsroom.publish_titled("Stays in the store");
    let before = newsroom.get("/economy/rss.xml", &[]).header("etag").expect("a tag").to_owned();
    newsroom.write("feeds/economy.toml", "title = \"Money\"\n");
    newsroom.daemon().signal("HUP");
    newsroom.daemon().log_line("reloaded");
    let answer = newsroom.get("/economy/rss.xml", &[("If-None-Match", &before)]).expect(200);
    assert!(answer.text().contains("Money"));
    newsroom.remove("feeds/economy.toml");
    newsroom.daemon().signal("HUP");
    eventually("the category to go", || (newsroom.get("/economy/rss.xml", &[]).status == 404).then_some(()));
    let refused = newsroom.api("POST", "/articles", &[], r#"{"title": "A", "categories": ["economy"]}"#).expect(422);
    assert!(refused.text().contains("one of the known categories: science"), "{}", refused.text());
    assert_eq!(newsroom.titles("/rss.xml"), ["Stays in the store"]);
}

#[test]
fn sighup_with_a_mistake_keeps_what_was_there() {
    let newsroom = Newsroom::start();
    newsroom.publish_titled("One");
    newsroom.write("feeds/economy.toml", "title = \"Money\"\nlimit = -3\n");
    newsroom.daemon().signal("HUP");
    let line = newsroom.daemon().log_line("the feed definitions have mistakes");
    assert!(line.contains("economy.toml:2") && line.contains("found -3, expected 1 to 200"), "{line}");
    assert_eq!(newsroom.titles("/economy/rss.xml"), ["One"]);
    assert!(newsroom.get("/economy/rss.xml", &[]).text().contains("Economy"));
}

#[test]
fn a_second_daemon_on_the_same_store_is_refused_and_told_of_the_first() {
    let newsroom = Newsroom::start();
    let Err(said) = Daemon::start(&newsroom.config()) else { panic!("two daemons on one store") };
    assert_eq!(said.code, Some(1));
    let first = format!("process {}", newsroom.daemon().id());
    assert!(said.err.contains(&first) && said.err.contains("in use"), "{}", said.err);
    newsroom.publish_titled("The first goes on");
}

#[test]
fn an_address_that_is_taken_is_named() {
    let first = Newsroom::start();
    for (taken, of) in [(first.public(), "listen"), (first.admin(), "admin_listen")] {
        let second = Newsroom::prepare(Setup::default());
        let own = if of == "listen" { second.public() } else { second.admin() };
        let text = std::fs::read_to_string(second.config()).expect("readable");
        second.write("tidings.toml", &text.replace(&format!("{of} = \"{own}\""), &format!("{of} = \"{taken}\"")));
        let Err(said) = Daemon::start(&second.config()) else { panic!("two daemons on one address") };
        assert_eq!(said.code, Some(1));
        assert!(said.err.contains(&format!("cannot listen on {taken}")), "{}", said.err);
    }
}

#[test]
fn every_mistake_of_the_configuration_is_told_at_once_with_file_and_line() {
    let newsroom = Newsroom::prepare(Setup::default());
    newsroom.write(
        "tidings.toml",
        "[site]\ntitle = \"T\"\nbase_url = \"news.example\"\n\n[server]\nlisten = 8080\nthreds = 2\n\n[log]\nlevel = \"loud\"\n",
    );
    newsroom.write("feeds/economy.toml", "titel = \"E\"\n");
    newsroom.write("feeds/science.toml", "title = \"S\"\nlimit = 0\narticles = \"nowhere\"\n");
    for arguments in [&["serve"][..], &["config", "check"]] {
        let said = newsroom.cli(arguments);
        assert_eq!(said.code, Some(1), "{said:?}");
        for told in [
            "tidings.toml:3 `site.base_url`: found \"news.example\", expected",
            "tidings.toml:6 `server.listen`: found 8080, expected",
            "tidings.toml:7 `server.threds`: found an unknown key, expected `threads`",
            "tidings.toml:10 `log.level`: found \"loud\", expected one of \"error\"",
            "economy.toml:1 `titel`: found an unknown key, expected `title`",
            "economy.toml `title`: found nothing",
            "science.toml:2 `limit`: found 0, expected 1 to 200",
            "science.toml:3 `articles`: found ",
        ] {
            assert!(said.err.contains(told), "{told} is missing in:\n{}", said.err);
        }
    }
    assert!(!newsroom.path("data").exists(), "nothing was begun");
}

#[test]
fn the_log_is_json_where_nobody_sits_before_it() {
    let mut newsroom = Newsroom::start();
    newsroom.daemon().signal("HUP");
    newsroom.daemon().log_line("reloaded");
    let log = newsroom.stop();
    assert!(log.len() >= 3, "{log:?}");
    for line in &log {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["timestamp"].is_string() && line["level"].is_string() && line["message"].is_string(), "{line}");
    }
    newsroom.configure(Setup { log: "format = \"human\"", ..Setup::default() });
    newsroom.run();
    let log = newsroom.stop();
    assert!(log.iter().all(|line| serde_json::from_str::<Value>(line).is_err()), "{log:?}");
}

#[test]
fn health_and_metrics_stand_on_the_admin_address_alone() {
    let newsroom = Newsroom::start();
    newsroom.publish_titled("One");
    newsroom.get("/rss.xml", &[]).expect(200);
    assert_eq!(newsroom.get_admin("/healthz").expect(200).text(), "ok\n");
    assert_eq!(newsroom.get_admin("/readyz").expect(200).text(), "ready\n");
    let answer = newsroom.get_admin("/metrics").expect(200);
    assert!(answer.header("content-type").is_some_and(|text| text.starts_with("text/plain; version=0.0.4")));
    let text = answer.text();
    for line in ["tidings_articles_published_total 1", "tidings_http_requests_total{route=\"feed\",status=\"2xx\"} 1"] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
    }
    assert!(text.contains("# TYPE tidings_store_commit_seconds histogram"));
    for path in ["/healthz", "/readyz", "/metrics"] {
        newsroom.get(path, &[]).expect(404);
    }
    newsroom.get_admin("/api/v1/articles").expect(404);
}

#[test]
fn an_export_makes_an_equal_store_elsewhere() {
    let mut first = Newsroom::start();
    let id = first.publish_titled("One");
    first.publish(json!({
        "id": "https://old.example/?p=1", "title": "Two", "categories": ["science"], "body_html": "<p>x</p>".repeat(2_000),
    }));
    first.publish(json!({ "title": "Draft", "categories": ["economy"], "status": "draft", "external_id": "cms-1" }));
    first.api("DELETE", &format!("/articles/{id}"), &[], "").expect(200);
    let key = first.key().to_owned();
    let dump = first.path("dump.jsonl").display().to_string();
    // The readers of the log move their cursors in their own time; when they have, the store stands still.
    let running = eventually("the readers to be done", || {
        first.cli(&["export", "--output", &dump]).good();
        let text = std::fs::read_to_string(&dump).expect("readable");
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON Lines")).collect();
        let cursor = lines.iter().find(|line| line["key"] == "cursor/notify")?;
        (cursor["value"]["seq"] == lines[0]["head"]).then_some(text)
    });
    first.stop();
    assert_eq!(first.cli(&["export"]).good(), running, "the same whether the daemon runs or not");

    let mut second = Newsroom::prepare(Setup::default());
    second.cli(&["import", &dump]).good();
    assert_eq!(second.cli(&["export"]).good(), running);
    let again = second.cli(&["import", &dump]);
    assert!(again.code == Some(1) && !again.err.is_empty(), "into a store that is not empty: {again:?}");
    second.run();
    assert_eq!(second.titles("/rss.xml"), ["Two"]);
    assert!(second.cli(&["quarantine", "show"]).good().starts_with("in quarantine since "));
    assert_eq!(second.cli(&["quarantine", "release", "--owed", "drop"]).good(), "released; 0 messages closed\n");
    second.stop();
    assert_eq!(second.cli(&["quarantine", "show"]).good(), "free: mail leaves this store\n", "for good");
    second.run();
    let import = second.cli(&["import", &dump]);
    assert!(import.code == Some(1) && import.err.contains("running"), "{import:?}");
    let answer = crate::harness::api(&mut second.client(), &key, "GET", "/articles", &[], "").expect("an answer");
    assert_eq!(answer.expect(200).json()["articles"].as_array().map(Vec::len), Some(3), "its keys came along");
    let damaged = running.lines().take(3).collect::<Vec<_>>().join("\n");
    let third = Newsroom::prepare(Setup::default());
    third.write("cut.jsonl", &damaged);
    let cut = third.cli(&["import", &third.path("cut.jsonl").display().to_string()]);
    assert!(cut.code == Some(1) && !cut.err.is_empty(), "a part is not taken for the whole: {cut:?}");
}

#[test]
fn a_reader_that_goes_away_ends_a_command_quietly() {
    let mut newsroom = Newsroom::start();
    for number in 0..50 {
        newsroom.publish_titled(&format!("No {number}"));
    }
    newsroom.stop();
    let mut child = tidings(&newsroom.config(), &["export"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("our own child");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
