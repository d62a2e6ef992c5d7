//! `/api/v1/articles`: every status it gives, and what a retry or a second writer can do.

use crate::harness::{Newsroom, Setup, id};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};

fn economy(title: &str) -> Value {
    json!({ "title": title, "categories": ["economy"] })
}

#[test]
fn a_created_article_has_its_address_its_revision_and_its_links() {
    let newsroom = Newsroom::start();
    let sent = json!({
        "title": "Rates", "categories": ["economy", "science"], "summary": "Up.", "authors": ["A. Author"],
        "tags": ["bank"], "language": "en-GB", "body_html": "<p>Text <script>x</script><a href=\"/b\">b</a></p>",
        "url": "https://bank.example/a/1", "published_at": "2024-02-03T04:05:06Z",
    });
    let answer = newsroom.api("POST", "/articles", &[], &sent.to_string()).expect(201);
    let article = answer.json();
    let id = id(&article);
    let base = newsroom.base_url();
    assert_eq!(answer.header("location"), Some(format!("{base}api/v1/articles/{id}").as_str()));
    assert_eq!(answer.header("etag"), Some("\"1\""));
    assert_eq!(article["state"], "published");
    assert_eq!(article["revision"], 1);
    assert_eq!(article["published_at"], "2024-02-03T04:05:06Z");
    assert_eq!(article["body_html"], "<p>Text <a href=\"https://bank.example/b\">b</a></p>");
    assert_eq!(article["links"]["page"], format!("{base}articles/{id}/rates"));
    assert_eq!(article["links"]["print"], format!("{base}articles/{id}/print"));
    let shown = newsroom.api("GET", &format!("/articles/{id}"), &[], "").expect(200);
    assert_eq!(shown.json(), article);
    let asked = |known: &str| newsroom.api("GET", &format!("/articles/{id}"), &[("If-None-Match", known)], "");
    for known in ["\"1\"", "W/\"1\"", "\"0\", W/\"1\"", "*"] {
        assert_eq!(asked(known).expect(304).header("etag"), Some("\"1\""), "{known}");
    }
    for other in ["\"2\"", "1", "\"11\", \"01\""] {
        assert_eq!(asked(other).expect(200).json(), article, "{other}");
    }
}

#[test]
fn a_retried_push_makes_one_article() {
    let newsroom = Newsroom::start();
    let mut named = economy("Named");
    named["external_id"] = "cms-17".into();
    let first = newsroom.publish(named.clone());
    let again = newsroom.api("POST", "/articles", &[], &named.to_string()).expect(200).json();
    assert_eq!(again, first, "the same name is the same article");
    named["title"] = "Named anew".into();
    let revised = newsroom.api("POST", "/articles", &[], &named.to_string()).expect(200).json();
    assert_eq!((&revised["id"], &revised["revision"]), (&first["id"], &json!(2)));

    let body = economy("Keyed").to_string();
    let key = [("Idempotency-Key", "b6f1")];
    let first = newsroom.api("POST", "/articles", &key, &body).expect(201).json();
    let again = newsroom.api("POST", "/articles", &key, &body).expect(200).json();
    assert_eq!(again, first, "the same key is the same push");
    let other = newsroom.api("POST", "/articles", &key, &economy("Other").to_string()).expect(422);
    assert_eq!(other.fields(), ["Idempotency-Key"]);
    assert_eq!(newsroom.titles("/economy/atom.xml"), ["Keyed", "Named anew"]);
}

#[test]
fn an_edit_with_if_match_does_not_overwrite_somebody_elses() {
    let newsroom = Newsroom::start();
    let path = format!("/articles/{}", newsroom.publish_titled("First"));
    let first = [("If-Match", "\"1\"")];
    let answer = newsroom.api("PUT", &path, &first, &economy("Second").to_string()).expect(200);
    assert_eq!(answer.header("etag"), Some("\"2\""));
    let stale = newsroom.api("PUT", &path, &first, &economy("Lost").to_string()).expect(412);
    assert!(stale.text().contains("revision 2"), "{}", stale.text());
    newsroom.api("DELETE", &path, &first, "").expect(412);
    let wrong = newsroom.api("PUT", &path, &[("If-Match", "2")], &economy("Lost").to_string()).expect(422);
    assert_eq!(wrong.fields(), ["If-Match"]);
    assert_eq!(newsroom.titles("/economy/rss.xml"), ["Second"]);
    newsroom.api("PUT", &path, &[("If-Match", "*")], &economy("Any").to_string()).expect(200);
    newsroom.api("DELETE", &path, &[("If-Match", "\"3\"")], "").expect(200);
    assert_eq!(newsroom.titles("/economy/rss.xml"), [""; 0]);
}

#[test]
fn what_is_added_twice_by_the_command_line_is_one_article() {
    let newsroom = Newsroom::start();
    let add = |text: &str| newsroom.cli_with_input(&["article", "add", "-"], text).good();
    let front = |more: &str| format!("+++\ntitle = \"By file\"\ncategories = [\"economy\"]\n{more}\n+++\nText.\n");
    let (plain, json) = (front(""), economy("By JSON").to_string());
    let mut said: Vec<String> = [&plain, &front("id = \"one\""), &front("external_id = \"two\""), &json]
        .into_iter()
        .map(|text| {
            let first = add(text);
            assert_eq!(add(text), first, "{text}");
            first
        })
        .collect();
    said.push(add(&economy("By JSON, otherwise").to_string()));
    said.sort();
    said.dedup();
    let ids = || newsroom.api("GET", "/articles", &[], "").json()["articles"].as_array().expect("a list").len();
    assert_eq!((said.len(), ids()), (5, 5), "{said:?}");
    // What was edited since is not undone by a command whose answer comes late.
    let id = add(&json).split_whitespace().nth(1).expect("an id").to_owned();
    newsroom.api("PUT", &format!("/articles/{id}"), &[], &economy("Edited").to_string()).expect(200);
    add(&json);
    assert_eq!(newsroom.api("GET", &format!("/articles/{id}"), &[], "").json()["title"], "Edited");
    assert_eq!(ids(), 5);
}

#[test]
fn if_match_takes_a_list_of_tags_and_compares_them_strongly() {
    let newsroom = Newsroom::start();
    let path = format!("/articles/{}", newsroom.publish_titled("First"));
    let body = economy("Second").to_string();
    for other in ["W/\"1\"", "\"2\", \"3\"", "\"x\", W/\"1\"", "\"01\""] {
        let stale = newsroom.api("PUT", &path, &[("If-Match", other)], &body).expect(412);
        assert!(stale.text().contains("the article is at revision 1"), "{other}: {}", stale.text());
        newsroom.api("DELETE", &path, &[("If-Match", other)], "").expect(412);
    }
    newsroom.api("PUT", &path, &[("If-Match", "\"1\" \"2\"")], &body).expect(422);
    assert_eq!(newsroom.titles("/economy/rss.xml"), ["First"]);
    newsroom.api("PUT", &path, &[("If-Match", "W/\"1\", \"7\", \"1\"")], &body).expect(200);
    let lines = [("If-Match", "\"1\""), ("If-Match", "\"2\"")];
    newsroom.api("DELETE", &path, &lines, "").expect(200);
    assert_eq!(newsroom.titles("/economy/rss.xml"), [""; 0]);
}

#[test]
fn a_request_without_a_good_key_is_refused_and_changes_nothing() {
    let newsroom = Newsroom::start();
    let body = economy("No").to_string();
    let made = newsroom.cli(&["keys", "create", "second"]).good();
    let key = made.lines().find_map(|line| line.strip_prefix("key")).expect("the key").trim().to_owned();
    let number = made.lines().find_map(|line| line.strip_prefix("id")).expect("its id").trim().to_owned();
    let bearer = format!("Bearer {key}");
    let wrong = format!("Bearer {}x", &key[..key.len() - 1]);
    let json = ("Content-Type", "application/json");
    let post = |headers: &[(&str, &str)]| {
        newsroom.client().send("POST", "/api/v1/articles", headers, body.as_bytes()).expect("an answer")
    };
    for headers in [&[json][..], &[json, ("Authorization", "Basic eDp5")], &[json, ("Authorization", &wrong)]] {
        let answer = post(headers).expect(401);
        assert!(answer.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer")));
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    }
    post(&[json, ("Authorization", &bearer)]).expect(201);
    assert!(newsroom.cli(&["keys", "list"]).good().contains("second"));
    newsroom.cli(&["keys", "revoke", &number]).good();
    post(&[json, ("Authorization", &bearer)]).expect(401);
    assert_eq!(newsroom.titles("/economy/rss.xml"), ["No"], "the one push that was allowed");
    let stored = grep(&newsroom.path("data"), key.as_bytes());
    assert!(stored.is_empty(), "the key itself is in {stored:?}");
}

/// The files below `folder` that hold `bytes`.
fn grep(folder: &std::path::Path, bytes: &[u8]) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("readable").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(grep(&path, bytes));
        } else if std::fs::read(&path).is_ok_and(|held| held.windows(bytes.len()).any(|part| part == bytes)) {
            found.push(path);
        }
    }
    found
}

#[test]
fn what_is_not_there_or_not_taken_is_told_by_its_status() {
    let newsroom = Newsroom::start();
    newsroom.api("GET", "/articles/nobody", &[], "").expect(404);
    newsroom.api("PUT", "/articles/nobody", &[], &economy("A").to_string()).expect(404);
    newsroom.api("DELETE", "/articles/nobody", &[], "").expect(404);
    newsroom.api("GET", "/nothing", &[], "").expect(404);
    newsroom.api("PATCH", "/articles", &[], &economy("A").to_string()).expect(405);
    let text = [("Content-Type", "text/plain")];
    newsroom.api("POST", "/articles", &text, &economy("A").to_string()).expect(415);
    newsroom.api("POST", "/articles", &[], "{\"title\": ").expect(400);
    newsroom.api("POST", "/articles", &[], "[1]").expect(422);
}

#[test]
fn an_address_whose_id_is_no_text_is_told_as_a_problem_too() {
    let newsroom = Newsroom::start();
    for method in ["GET", "PUT", "DELETE"] {
        let answer = newsroom.api(method, "/articles/%FF", &[], "{}").expect(422);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{method}");
        assert_eq!(answer.fields(), ["id"], "{method}");
    }
}

#[test]
fn an_id_or_a_name_that_is_taken_is_a_conflict() {
    let newsroom = Newsroom::start();
    let named = |id: &str, name: &str| {
        json!({ "id": id, "external_id": name, "title": id, "categories": ["economy"] }).to_string()
    };
    newsroom.api("POST", "/articles", &[], &named("one", "name-of-one")).expect(201);
    newsroom.api("POST", "/articles", &[], &named("two", "name-of-two")).expect(201);
    newsroom.api("POST", "/articles", &[], &named("three", "name-of-one")).expect(409);
    newsroom.api("POST", "/articles", &[], &named("two", "name-of-one")).expect(409);
    let renamed = newsroom.api("PUT", "/articles/one", &[], &named("two", "name-of-one")).expect(422);
    assert_eq!(renamed.fields(), ["id"]);
    assert_eq!(newsroom.titles("/economy/rss.xml").len(), 2);
}

#[test]
fn whatever_is_asked_the_field_that_is_wrong_is_named() {
    let newsroom = Newsroom::start();
    let article = newsroom.publish_titled("One");
    let corrections = format!("/articles/{article}/corrections");
    for (path, body, field) in [
        ("/subscriptions", r#"{"address": "a@example.org", "nonsense": 1}"#, "nonsense"),
        ("/subscriptions", r#"{}"#, "address"),
        ("/subscriptions", r#"{"address": "a@example.org", "address": "b@example.org"}"#, "address"),
        ("/subscriptions", "{\"cadence\": \"daily: 7\",\n \"address\": 5}", "address"),
        (corrections.as_str(), r#"{"note": "x", "dry_run": "yes"}"#, "dry_run"),
    ] {
        let answer = newsroom.api("POST", path, &[], body).expect(422);
        assert_eq!(answer.fields(), [field], "{path} {body}: {}", answer.text());
    }
}

#[test]
fn a_body_over_the_limit_is_refused_and_nothing_of_it_is_kept() {
    let newsroom = Newsroom::with(Setup { server: "body_bytes_max = 4096", ..Setup::default() });
    let mut article = economy("Long");
    article["body_html"] = "x".repeat(5_000).into();
    let answer = newsroom.api("POST", "/articles", &[], &article.to_string()).expect(413);
    assert!(answer.text().contains("4096"), "{}", answer.text());
    assert_eq!(newsroom.titles("/economy/rss.xml"), [""; 0]);
    article["body_html"] = "x".repeat(3_000).into();
    newsroom.publish(article);
    // Far beyond it, the client still reads why; and one that waits to be asked need not send it.
    let long = json!({ "title": "x".repeat(20 << 20) }).to_string();
    newsroom.api("POST", "/articles", &[], &long).expect(413);
    let mut client = newsroom.client();
    let bearer = format!("Bearer {}", newsroom.key());
    let headers =
        [("Authorization", bearer.as_str()), ("Content-Type", "application/json"), ("Expect", "100-continue")];
    client.begin("POST", "/api/v1/articles", &headers, long.len(), b"").expect("sent");
    client.finish("POST").expect("an answer").expect(413);
    // Without a length it is counted as it comes.
    let head = format!(
        "POST /api/v1/articles HTTP/1.1\r\nHost: x\r\nAuthorization: {bearer}\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n{:x}\r\n{long}\r\n0\r\n\r\n",
        long.len()
    );
    let mut stream = std::net::TcpStream::connect(newsroom.public()).expect("connected");
    stream.write_all(head.as_bytes()).expect("taken");
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("an answer");
    assert!(said.starts_with("HTTP/1.1 413 "), "{said}");
}

#[test]
fn wrong_fields_are_named_all_at_once() {
    let newsroom = Newsroom::start();
    let wrong = json!({
        "titel": "A", "title": 7, "categories": ["economy", "sports"], "tags": "one", "language": "??",
        "url": "ftp://x.example/", "published_at": "yesterday", "status": "public", "body_html": "a", "body_markdown": "b",
    });
    let answer = newsroom.api("POST", "/articles", &[], &wrong.to_string()).expect(422);
    let mut fields = answer.fields();
    fields.sort();
    let expected =
        ["body_markdown", "categories[1]", "language", "published_at", "status", "tags", "titel", "title", "url"];
    assert_eq!(fields, expected, "{}", answer.text());
    assert!(answer.text().contains("economy, science"), "the known categories: {}", answer.text());
    let nothing = newsroom.api("POST", "/articles", &[], "{}").expect(422);
    assert_eq!(nothing.fields(), ["title", "categories"]);
    assert_eq!(newsroom.titles("/rss.xml"), [""; 0]);
}

#[test]
fn hostile_text_gives_a_valid_feed_or_a_clear_refusal() {
    let newsroom = Newsroom::start();
    let refused = |body: String, field: &str| {
        let answer = newsroom.api("POST", "/articles", &[], &body).expect(422);
        assert_eq!(answer.fields(), [field], "{}", answer.text());
    };
    refused(economy(&"x".repeat(10_000)).to_string(), "title");
    refused(economy("\u{1}\u{200b}\u{202e}").to_string(), "title");
    refused("{\"title\": \"a\\ud800b\", \"categories\": [\"economy\"]}".to_owned(), "title");
    refused("{\"title\": \"a\", \"title\": \"b\", \"categories\": [\"economy\"]}".to_owned(), "title");

    let nasty = "\u{0}\u{1}\u{b}\u{1f}\u{7f}\u{fffe}]]> <b>&amp; & \u{202e}abc\u{202c} \u{200f}\u{feff}\u{10ffff} 🦀";
    for field in ["title", "summary", "body_html", "body_markdown"] {
        let mut article = economy("Plain");
        article["authors"] = json!([format!("x{nasty}")]);
        article["tags"] = json!([format!("y{nasty}")]);
        article[field] = format!("z{nasty}").into();
        newsroom.publish(article);
        for path in crate::harness::FEEDS {
            let answer = newsroom.get(path, &[]).expect(200);
            crate::harness::parsed(path, &answer.body);
            let forbidden =
                |c: char| matches!(c, '\u{0}'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}');
            assert!(!answer.text().contains(forbidden), "{path} after {field}");
        }
    }
    assert_eq!(newsroom.titles("/economy/rss.xml").len(), 4);
}

#[test]
fn a_list_goes_on_where_the_page_before_ended() {
    let newsroom = Newsroom::start();
    for number in 0..7 {
        let mut article = economy(&format!("No {number}"));
        article["published_at"] = format!("2024-01-0{}T00:00:00Z", number + 1).into();
        article["status"] = if number % 2 == 0 { "published" } else { "draft" }.into();
        newsroom.publish(article);
    }
    let pages = |query: &str| {
        let (mut titles, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = newsroom.api("GET", &format!("/articles?limit=2{query}{cursor}"), &[], "").expect(200).json();
            let articles = page["articles"].as_array().expect("a list");
            assert!(articles.len() <= 2);
            titles.extend(articles.iter().map(|article| article["title"].as_str().expect("text").to_owned()));
            let Some(next) = page["next"].as_str() else { return titles };
            cursor = format!("&cursor={next}");
        }
    };
    assert_eq!(pages(""), ["No 6", "No 5", "No 4", "No 3", "No 2", "No 1", "No 0"]);
    assert_eq!(pages("&state=draft"), ["No 5", "No 3", "No 1"]);
    assert_eq!(pages("&state=published&category=economy"), ["No 6", "No 4", "No 2", "No 0"]);
    assert_eq!(pages("&category=science"), [""; 0]);
    for (query, field) in
        [("limit=0", "limit"), ("state=public", "state"), ("cursor=%3F", "cursor"), ("category=x", "category")]
    {
        let answer = newsroom.api("GET", &format!("/articles?{query}"), &[], "").expect(422);
        assert_eq!(answer.fields(), [field]);
    }
}

#[test]
fn categories_are_listed_with_their_addresses() {
    let newsroom = Newsroom::start();
    let all = newsroom.api("GET", "/categories", &[], "").expect(200).json();
    let slugs: Vec<&str> =
        all["categories"].as_array().expect("a list").iter().filter_map(|c| c["slug"].as_str()).collect();
    assert_eq!(slugs, ["economy", "science"]);
    assert_eq!(all["categories"][0]["feed"], format!("{}economy/atom.xml", newsroom.base_url()));
}

#[test]
fn an_address_that_is_not_there_is_told_in_full() {
    let newsroom = Newsroom::start();
    for path in ["/nope", "/articles/", "/articles/a/b/c", "/", ""] {
        let missing = newsroom.api("GET", path, &[], "").expect(404);
        assert_eq!(missing.json()["detail"], format!("there is nothing at /api/v1{path}"));
        newsroom.client().send("GET", &format!("/api/v1{path}"), &[], b"").expect("an answer").expect(401);
    }
    let method = newsroom.api("DELETE", "/articles", &[], "").expect(405);
    assert!(method.text().contains("/api/v1/articles does not take this method"), "{}", method.text());
    assert_eq!(method.header("allow"), Some("GET,HEAD,POST"));
}
