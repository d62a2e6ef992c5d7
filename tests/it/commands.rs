//! Articles by command line: what the commands do, and how they tell what is wrong.

use crate::harness::{Newsroom, Setup, id};
use serde_json::json;

#[test]
fn an_article_file_that_is_edited_by_command_keeps_its_home_and_is_refused_with_its_lines() {
    let mut newsroom = Newsroom::prepare(Setup::default());
    newsroom.file("a.md", "title = \"At home\"", "Text.");
    newsroom.run();
    let listed = newsroom.api("GET", "/articles", &[], "").json();
    let (id, home) = (id(&listed["articles"][0]), listed["articles"][0]["categories"][0].clone());
    let further = if home == "economy" { "science" } else { "economy" };
    let write = |more: &str| newsroom.write("b.md", &format!("+++\ntitle = \"Edited\"\n{more}\n+++\n\nText.\n"));
    let file = newsroom.path("b.md").display().to_string();
    let shown = || newsroom.api("GET", &format!("/articles/{id}"), &[], "").json()["categories"].take();
    write(&format!("categories = [\"{further}\"]"));
    newsroom.cli(&["article", "edit", &id, &file]).good();
    assert_eq!(shown(), json!([home, further]));
    write(&format!("tags = []\ncategories = [\"{further}\", \"sprot\"]\ndate = \"soon\""));
    for command in [&["article", "edit", &id, &file][..], &["article", "add", &file, "--category", "ecomony"]] {
        let told = newsroom.cli(command).err;
        for place in ["4 `categories[1]`: found \"sprot\"", "5 `date`: found \"soon\""] {
            assert!(told.contains(&format!("{file}:{place}, expected ")), "{told}");
        }
        let of_command = format!("{file}: `--category`: found \"ecomony\", expected ");
        assert_eq!(told.contains(&of_command), command[1] == "add", "{told}");
    }
    assert_eq!(shown(), json!([home, further]));
}

#[test]
fn a_json_file_that_is_refused_is_told_of_with_its_name_and_its_lines() {
    let newsroom = Newsroom::start();
    let file = newsroom.path("story.json").display().to_string();
    let write = |lines: &[&str]| newsroom.write("story.json", &lines.join("\n"));
    write(&[
        "{ \"title\": \"\",",
        "  \"media\": [{ \"url\": \"x\", \"tags\": \"not the article's\" }],",
        "  \"summary\": \"\\\"tags\\\": [\",",
        "",
        "  \"tags\": [\"a\", 1], \"titel\": \"A\",",
        "  \"categories\": [\"economy\", \"sprot\"] }",
    ]);
    let told = newsroom.cli(&["article", "add", &file, "--category", "ecomony"]);
    assert_eq!(told.code, Some(1));
    assert_eq!(told.err.matches(&file).count(), 7, "each fault once: {}", told.err);
    for place in [
        ":1 `title`: ",
        ":2 `media[0].url`: ",
        ":5 `tags[1]`: ",
        ":5 `titel`: ",
        ":6 `categories[1]`: ",
        ": `--category`: ",
    ] {
        assert!(told.err.contains(&format!("{file}{place}")), "{place} in {}", told.err);
    }
    write(&["", "{}"]);
    let told = newsroom.cli(&["article", "add", &file]).err;
    assert!(told.contains(&format!("{file}:1 `title`: found nothing")), "missing in the first line: {told}");
    write(&["{\"title\": \"A\", \"categories\": [\"economy\"]}"]);
    let id = newsroom.cli(&["article", "add", &file]).good().split_whitespace().nth(1).expect("its id").to_owned();
    write(&["{\"title\": \"A\",", "\"published_at\": \"soon\"}"]);
    let told = newsroom.cli(&["article", "edit", &id, &file]).err;
    assert!(told.contains(&format!("{file}:2 `published_at`: found \"soon\"")), "{told}");
}

#[test]
fn the_command_line_adds_lists_shows_edits_and_retracts() {
    let newsroom = Newsroom::start();
    newsroom.write("a.json", r#"{"title": "By hand", "categories": ["economy"], "body_markdown": "*Text*"}"#);
    newsroom.write("b.md", "+++\ntitle = \"By front matter\"\ndate = \"2024-02-03T04:05:06Z\"\n+++\n\nText.\n");
    let of = |name: &str| newsroom.path(name).display().to_string();
    let said = newsroom.cli(&["article", "add", &of("a.json")]).good();
    let [state, id, page] = said.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{said}") };
    assert_eq!(state, "published");
    assert_eq!(page, format!("{}articles/{id}/by-hand", newsroom.base_url()));
    newsroom.cli(&["article", "add", &of("b.md"), "--category", "science"]).good();
    assert_eq!(newsroom.titles("/rss.xml"), ["By hand", "By front matter"]);
    let listed = newsroom.cli(&["article", "list", "--category", "economy"]).good();
    assert!(listed.contains(id) && listed.contains("By hand") && !listed.contains("front matter"), "{listed}");
    let shown = newsroom.cli(&["article", "show", id]).good();
    assert!(shown.starts_with("By hand\n") && shown.contains("*Text*"), "{shown}");
    let edit = r#"{"title": "By hand, better", "categories": ["economy"]}"#;
    newsroom.cli_with_input(&["article", "edit", id, "-"], edit).good();
    assert_eq!(newsroom.titles("/economy/rss.xml"), ["By hand, better"]);
    assert_eq!(newsroom.cli(&["article", "retract", id]).good(), format!("retracted {id}\n"));
    assert_eq!(newsroom.titles("/economy/rss.xml"), [""; 0]);

    let remote = ["--server", &newsroom.base_url(), "--key", newsroom.key()];
    let away = newsroom.cli(&[&["article"], &remote[..], &["list", "--state", "retracted"]].concat()).good();
    assert!(away.contains("By hand, better"), "{away}");
}

#[test]
fn the_command_line_tells_the_same_mistakes_as_the_api() {
    let mut newsroom = Newsroom::start();
    let wrong = r#"{"title": "", "categories": ["sports"], "tags": ["a"], "tags": ["b"]}"#;
    let said = newsroom.cli_with_input(&["article", "add", "-"], wrong);
    assert_eq!(said.code, Some(1));
    let told = newsroom.api("POST", "/articles", &[], wrong).expect(422).json();
    for error in told["errors"].as_array().expect("a list") {
        let of = |part: &str| error[part].as_str().expect("text").to_owned();
        let line = format!("`{}`: found {}, expected {}", of("field"), of("found"), of("expected"));
        assert!(said.err.contains(&line), "{line} is missing in {}", said.err);
    }
    assert!(said.err.contains("economy, science") && said.err.contains("`tags`: found it twice"), "{}", said.err);
    let gone = newsroom.cli(&["article", "show", "nobody"]);
    assert!(gone.code == Some(1) && gone.err.contains("nobody"), "{gone:?}");
    newsroom.stop();
    let absent = newsroom.cli(&["article", "list"]);
    assert!(absent.code == Some(3) && absent.err.contains("not running"), "{absent:?}");
}
