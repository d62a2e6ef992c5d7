//! Command lines against a listener on a control socket that says what a daemon would.

use super::*;
use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use clap::CommandFactory;
use serde_json::{Value, json};
use std::fs;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::net::UnixListener;

/// One request as it came: `PUT /api/v1/articles/a?x=y "3" {json}`.
type Seen = Arc<Mutex<Vec<String>>>;

struct Newsroom {
    folder: TempDir,
    seen: Seen,
    _runtime: tokio::runtime::Runtime,
}

/// A newsroom whose daemon answers each request by `says(method and path)`.
fn newsroom(says: fn(&str) -> (u16, Value)) -> Newsroom {
    let folder = store_only();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("runtime");
    let seen = Seen::default();
    let listener = {
        let _context = runtime.enter();
        UnixListener::bind(folder.path().join("data/control.sock")).expect("free")
    };
    let log = seen.clone();
    let router = Router::new().fallback(move |request: Request| {
        let log = log.clone();
        async move {
            let what = format!("{} {}", request.method(), request.uri());
            let revision = request.headers().get("if-match").map(|tag| tag.to_str().expect("ASCII").to_owned());
            let body = to_bytes(request.into_body(), 1 << 20).await.expect("small");
            let (status, answer) = says(&what);
            let parts = [Some(what), revision, Some(String::from_utf8(body.into()).expect("UTF-8"))];
            let parts: Vec<String> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
            log.lock().expect("one at a time").push(parts.join(" "));
            let body = if answer.is_null() { String::new() } else { answer.to_string() };
            (StatusCode::from_u16(status).expect("a status"), HeaderMap::new(), Bytes::from(body))
        }
    });
    runtime.spawn(async move { axum::serve(listener, router).await });
    Newsroom { folder, seen, _runtime: runtime }
}

/// A configuration that only says where the store is, and no daemon.
fn store_only() -> TempDir {
    let folder = tempfile::tempdir().expect("temporary folder");
    fs::create_dir(folder.path().join("data")).expect("writable");
    fs::write(folder.path().join("tidings.toml"), "").expect("writable");
    folder
}

/// Runs a command line; what it printed, and how it ended.
fn tidings(folder: &TempDir, words: &[&str]) -> (String, Result<Outcome, Failure>) {
    let config = folder.path().join("tidings.toml");
    let words = ["tidings", "--config", config.to_str().expect("UTF-8")].into_iter().chain(words.iter().copied());
    let mut out = Vec::new();
    let outcome = run(Cli::try_parse_from(words).expect("a right command line"), &mut out);
    (String::from_utf8(out).expect("UTF-8"), outcome)
}

impl Newsroom {
    fn done(&self, words: &[&str]) -> String {
        let (out, outcome) = tidings(&self.folder, words);
        assert_eq!(outcome.unwrap_or_else(|failure| panic!("{words:?}: {failure}")), Outcome::Done);
        out
    }

    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock().expect("one at a time"))
    }

    fn file(&self, name: &str, text: &str) -> String {
        let file = self.folder.path().join(name);
        fs::write(&file, text).expect("writable");
        file.to_str().expect("UTF-8").to_owned()
    }
}

fn article() -> Value {
    json!({
        "id": "a/1", "revision": 3, "state": "published", "created_at": "2020-12-18T12:03:00Z",
        "published_at": "2020-12-18T12:03:00Z", "updated_at": "2020-12-18T12:03:00Z", "categories": ["science"],
        "title": "Ti\u{1b}[31mtle", "body_html": "<p>Text</p>", "authors": ["A", "B"],
        "links": {"page": "http://127.0.0.1:8080/articles/a%2F1/title", "print": "http://127.0.0.1:8080/articles/a%2F1/print"},
    })
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
    for wrong in [&["tidings"][..], &["tidings", "article", "--server", "https://x/", "list"], &["tidings", "articles"]]
    {
        assert_eq!(Cli::try_parse_from(wrong).expect_err("wrong usage").exit_code(), 2, "{wrong:?}");
    }
}

#[test]
fn a_key_is_not_repeated_by_the_help() {
    let help = Cli::command().find_subcommand_mut("article").expect("there").render_long_help().to_string();
    assert!(help.contains("TIDINGS_API_KEY") && help.contains("TIDINGS_SERVER"));
}

#[test]
fn an_article_goes_out_and_comes_back() {
    let newsroom = newsroom(|what| match what {
        "POST /api/v1/articles" => (201, article()),
        "DELETE /api/v1/articles/a%2F1" => (204, Value::Null),
        _ => (200, article()),
    });
    let file = newsroom.file("a.md", "+++\ntitle = \"Title\"\ndate = \"18.12.2020 15:03\"\n+++\n\nText\n");
    let said = newsroom.done(&["article", "add", &file, "--category", "science"]);
    assert_eq!(said, "published a/1 http://127.0.0.1:8080/articles/a%2F1/title\n");
    let shown = newsroom.done(&["article", "show", "a/1"]);
    assert!(shown.starts_with("Ti[31mtle\n\n  id            a/1\n  state         published\n"), "{shown:?}");
    assert!(shown.contains("  authors       A, B\n") && shown.ends_with("\n\n<p>Text</p>\n"), "{shown:?}");
    newsroom.done(&["article", "edit", "a/1", &newsroom.file("b.json", "{\"title\":\"New\"}")]);
    assert_eq!(newsroom.done(&["article", "retract", "a/1"]), "retracted a/1\n");
    let sent = json!({"title": "Title", "published_at": "18.12.2020 15:03", "body_markdown": "\nText\n", "categories": ["science"]});
    assert_eq!(
        newsroom.seen(),
        [
            format!("POST /api/v1/articles {sent}"),
            "GET /api/v1/articles/a%2F1".into(),
            "GET /api/v1/articles/a%2F1".into(),
            "PUT /api/v1/articles/a%2F1 \"3\" {\"title\":\"New\",\"categories\":[\"science\"]}".into(),
            "DELETE /api/v1/articles/a%2F1".into(),
        ]
    );
}

#[test]
fn a_list_is_a_table_that_tells_how_to_go_on() {
    let newsroom = newsroom(|_| (200, json!({"articles": [article()], "next": "c 2"})));
    let list = newsroom.done(&[
        "article",
        "list",
        "--category",
        "science",
        "--state",
        "draft",
        "--limit",
        "1",
        "--cursor",
        "c&1",
    ]);
    let expected = "ID   STATE      PUBLISHED             CATEGORIES  TITLE\n\
                    a/1  published  2020-12-18T12:03:00Z  science     Ti[31mtle\n\nmore with: --cursor c 2\n";
    assert_eq!(list, expected);
    assert_eq!(newsroom.seen(), ["GET /api/v1/articles?category=science&state=draft&limit=1&cursor=c%261"]);
}

#[test]
fn a_problem_is_shown_with_all_its_fields_and_ends_with_1() {
    let newsroom = newsroom(|_| {
        let errors = json!([
            {"field": "title", "found": "nothing", "expected": "1 to 500 characters"},
            {"field": "url", "found": "\"x\"", "expected": "an absolute address"},
        ]);
        (
            422,
            json!({"type": "about:blank", "title": "Invalid", "status": 422, "detail": "two mistakes", "errors": errors}),
        )
    });
    let file = newsroom.file("a.json", "{}");
    let failure = tidings(&newsroom.folder, &["article", "add", &file]).1.expect_err("refused");
    let expected =
        ["`title`: found nothing, expected 1 to 500 characters", "`url`: found \"x\", expected an absolute address"];
    assert_eq!(failure.to_string(), expected.map(|fault| format!("{file}:1 {fault}")).join("\n"));
    assert_eq!(failure.exit_code(), ExitCode::from(1));
}

#[test]
fn a_correction_says_how_many_get_it() {
    let newsroom = newsroom(|_| (202, json!({"revision": 3, "recipients": 7, "correction": {"mails": 0}})));
    let said = newsroom.done(&["article", "correct", "a/1", "--note", "Not ten.", "--revision", "1-2", "--dry-run"]);
    assert_eq!(said, "7 would get the correction to revision 3\n");
    assert_eq!(newsroom.done(&["article", "correct", "a/1"]), "7 get the correction to revision 3\n");
    let path = "POST /api/v1/articles/a%2F1/corrections";
    let body = |dry, note, revision| json!({"note": note, "revision": revision, "dry_run": dry});
    let expected = [
        format!("{path} {}", body(true, json!("Not ten."), json!({"from": 1, "to": 2}))),
        format!("{path} {}", body(false, Value::Null, Value::Null)),
    ];
    assert_eq!(newsroom.seen(), expected);
    for wrong in ["x", "1-", "-1"] {
        let words = ["tidings", "article", "correct", "a", "--revision", wrong];
        assert_eq!(Cli::try_parse_from(words).expect_err("wrong usage").exit_code(), 2, "{wrong}");
    }
}

#[test]
fn keys_are_made_listed_and_revoked() {
    let newsroom = newsroom(|what| match what {
        "POST /control/keys" => (201, json!({"id": "k1", "name": "desk", "key": "tdg_abc"})),
        "GET /control/keys" => {
            (200, json!({"keys": [{"id": "k1", "name": "desk", "created_at": "2020-12-18T12:03:00Z"}]}))
        }
        _ => (204, Value::Null),
    });
    assert!(newsroom.done(&["keys", "create", "desk"]).contains("\nkey   tdg_abc\n"));
    assert_eq!(newsroom.done(&["keys", "list"]), "k1  2020-12-18T12:03:00Z  desk\n");
    assert_eq!(newsroom.done(&["keys", "revoke", "k1"]), "revoked k1\n");
    let seen = ["POST /control/keys {\"name\":\"desk\"}", "GET /control/keys", "DELETE /control/keys/k1"];
    assert_eq!(newsroom.seen(), seen);
}

#[test]
fn a_check_with_findings_is_bad() {
    let newsroom = newsroom(|_| {
        let finding = json!({"table": "articles", "key": "a1", "what": "its checksum does not fit"});
        (200, json!({"ok": false, "findings": [finding], "more": 3, "articles": 11, "changes": 12}))
    });
    let (out, outcome) = tidings(&newsroom.folder, &["check"]);
    assert_eq!(
        out,
        "articles a1: its checksum does not fit\n1 findings, and 3 more that are not listed; 11 articles, 12 changes\n"
    );
    assert_eq!(outcome.expect("it was done"), Outcome::Bad);
}

#[test]
fn an_export_is_whole_before_it_has_its_name_and_private() {
    use std::os::unix::fs::PermissionsExt;
    let newsroom = newsroom(|_| (200, json!({"kind": "article"})));
    let file = newsroom.folder.path().join("all.jsonl");
    newsroom.done(&["export", "--output", file.to_str().expect("UTF-8")]);
    assert_eq!(fs::read_to_string(&file).expect("there"), "{\"kind\":\"article\"}");
    assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
    assert_eq!(newsroom.done(&["export"]), "{\"kind\":\"article\"}");
    assert!(!file.with_file_name("all.jsonl.partial").exists());
}

#[test]
fn a_failed_export_leaves_the_last_good_one() {
    let newsroom = newsroom(|_| (503, json!({"detail": "the store is closing"})));
    let file = newsroom.file("all.jsonl", "yesterday's");
    let failure = tidings(&newsroom.folder, &["export", "--output", &file]).1.expect_err("refused");
    assert_eq!(failure.to_string(), "the store is closing");
    assert_eq!(fs::read_to_string(&file).expect("there"), "yesterday's");
    assert!(!newsroom.folder.path().join("all.jsonl.partial").exists());
}

#[test]
fn an_import_is_refused_while_the_daemon_runs() {
    let newsroom = newsroom(|_| (200, Value::Null));
    let file = newsroom.file("all.jsonl", "");
    let failure = tidings(&newsroom.folder, &["import", &file]).1.expect_err("refused");
    assert!(failure.to_string().starts_with("the daemon is running"), "{failure}");
}

#[test]
fn doubtful_mails_are_listed_and_settled() {
    let newsroom = newsroom(|what| match what {
        "GET /control/mail/doubtful" => {
            (200, json!({"messages": [{"address": "r@example.org", "article": "a1", "since": "2020"}], "next": "0a"}))
        }
        "GET /control/mail/doubtful?cursor=0a" => {
            (200, json!({"messages": [{"address": "s@example.org", "article": "a2", "since": "2021"}], "next": null}))
        }
        _ => (200, json!({"messages": 1})),
    });
    let said = newsroom.done(&["mail", "doubtful"]);
    let lines: Vec<&str> = said.lines().map(|line| line.rsplit("  ").next().unwrap_or_default()).collect();
    assert_eq!(lines, ["r@example.org", "s@example.org", "2 doubtful"]);
    assert_eq!(newsroom.done(&["mail", "resend"]), "1 to be sent again\n");
    assert_eq!(newsroom.done(&["mail", "drop"]), "1 closed\n");
    let seen = [
        "GET /control/mail/doubtful",
        "GET /control/mail/doubtful?cursor=0a",
        "POST /control/mail/doubtful/resend",
        "POST /control/mail/doubtful/drop",
    ];
    assert_eq!(newsroom.seen(), seen);
}

#[test]
fn without_a_daemon_articles_end_with_3() {
    let folder = store_only();
    let gone = folder.path().join("data/control.sock");
    let missing = tidings(&folder, &["article", "list"]).1.expect_err("nobody there");
    assert_eq!(missing.to_string(), format!("the daemon is not running (nobody listens at {})", gone.display()));
    drop(std::os::unix::net::UnixListener::bind(&gone).expect("free"));
    let stale = tidings(&folder, &["article", "list"]).1.expect_err("only its file is left");
    for failure in [missing, stale] {
        assert!(matches!(failure, Failure::NotRunning(_)), "{failure}");
        assert_eq!(failure.exit_code(), ExitCode::from(3));
    }
}

#[test]
fn without_a_store_nothing_is_listed_and_none_is_made_and_a_first_key_makes_a_private_one() {
    use std::os::unix::fs::PermissionsExt;
    let folder = store_only();
    let data = folder.path().join("data");
    fs::remove_dir(&data).expect("empty");
    for look in [&["keys", "list"][..], &["keys", "revoke", "k1"], &["check"], &["export"]] {
        let failure = tidings(&folder, look).1.expect_err("no store");
        assert_eq!(failure.to_string(), format!("there is no store in {}", data.display()), "{look:?}");
        assert!(!data.exists(), "{look:?}");
    }
    // A disk that is not mounted leaves an empty folder, and must not take the place of a good backup.
    fs::create_dir(&data).expect("new");
    let backup = folder.path().join("backup.jsonl");
    fs::write(&backup, "good").expect("writable");
    let failure = tidings(&folder, &["export", "--output", backup.to_str().expect("text")]).1.expect_err("no store");
    assert!(failure.to_string().starts_with("there is no store in "), "{failure}");
    assert_eq!(fs::read_to_string(&backup).expect("readable"), "good");
    assert_eq!(fs::read_dir(&data).expect("there").count(), 0);
    fs::remove_dir(&data).expect("empty");
    assert_eq!(tidings(&folder, &["keys", "create", "desk"]).1.expect("made"), Outcome::Done);
    assert_eq!(fs::metadata(&data).expect("there").permissions().mode() & 0o777, 0o700);
    let (listed, _) = tidings(&folder, &["keys", "list"]);
    assert!(listed.ends_with("Z  desk\n"), "as the daemon writes it: {listed}");
}

#[test]
fn a_server_elsewhere_that_is_away_is_named() {
    let folder = store_only();
    // Bound and closed again: nobody listens at this port.
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("free").local_addr().expect("bound").port();
    let server = format!("http://127.0.0.1:{port}/");
    let failure = tidings(&folder, &["article", "--server", &server, "--key", "secret", "list"]).1.expect_err("nobody");
    assert!(failure.to_string().starts_with(&format!("{server} cannot be reached: ")), "{failure}");
    assert_eq!(failure.exit_code(), ExitCode::from(3));
}

#[test]
fn the_sample_configuration_checks_out() {
    let cli = Cli::try_parse_from(["tidings", "config", "check", "--config", "examples/newsroom/tidings.toml"]);
    let mut out = Vec::new();
    assert_eq!(run(cli.expect("right"), &mut out).expect("good"), Outcome::Done);
    let said = String::from_utf8(out).expect("UTF-8");
    assert_eq!(said, "examples/newsroom/tidings.toml: good; categories: economy, science\n");
}
