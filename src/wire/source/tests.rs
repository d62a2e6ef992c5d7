//! What the door lets in, and what it says where it does not.

use super::*;
use crate::domain::{Category, Kind};
use proptest::prelude::*;

fn category(slug: &str) -> Category {
    Category {
        slug: Slug::parse("slug", slug).expect("valid"),
        title: slug.to_uppercase(),
        description: String::new(),
        language: "en".to_owned(),
        articles: None,
        zone: TimeZone::get("Europe/Moscow").expect("bundled"),
        limit: 20,
    }
}

struct World {
    categories: Categories,
    site: Site,
}

impl World {
    fn new() -> World {
        let site = Site {
            title: "News".to_owned(),
            description: String::new(),
            language: "en".to_owned(),
            base_url: Url::parse("https://news.example/").expect("valid"),
            icon: None,
            logo: None,
            accent_color: None,
            print_line: true,
        };
        World { categories: Categories::new(vec![category("science"), category("economy")]), site }
    }

    fn door(&self) -> Door<'_> {
        Door { categories: &self.categories, site: &self.site }
    }

    fn json(&self, text: &str) -> Result<Draft, Problem> {
        from_json(text.as_bytes(), &self.door())
    }

    fn file(&self, text: &str) -> Result<Draft, FileFault> {
        from_file(text, "a.md", &category("science"), &self.door())
    }
}

fn input() -> Input {
    Input { title: Some("T".to_owned()), categories: vec!["science".to_owned()], ..Input::default() }
}

fn some(text: impl Into<String>) -> Option<String> {
    Some(text.into())
}

#[test]
fn an_article_comes_in_whole_and_clean() {
    let draft = World::new()
        .json(
            r#"{"id": "42", "external_id": "cms:1", "status": "draft", "title": " A <b>&</b>\u0000\n B ",
                "summary": "One\r\ntwo ", "body_html": "<p onclick=x>a <a href=b>c</a></p>", "url": "https://cms.example/s/1",
                "categories": ["science", "economy", "science"], "authors": ["Ann  Lee", " ", "Ann Lee"], "tags": ["x", "y"],
                "language": "en-GB", "published_at": "2020-12-18 15:03"}"#,
        )
        .expect("valid");
    assert_eq!(draft.id.map(|id| id.as_str().to_owned()), some("42"));
    assert_eq!(draft.external_id.map(|id| id.as_str().to_owned()), some("cms:1"));
    assert_eq!(draft.wish, Wish::Draft);
    assert_eq!(
        draft.published_at.map(|at| at.to_rfc3339()),
        some("2020-12-18T12:03:00+00:00"),
        "the first category's zone"
    );
    let content = draft.content;
    assert_eq!(content.title, "A <b>&</b> B", "markup in a title is text");
    assert_eq!(content.summary, some("One\ntwo"));
    assert_eq!(content.body.expect("there").html, "<p>a <a href=\"https://cms.example/s/b\">c</a></p>");
    assert_eq!(content.categories.iter().map(Slug::as_str).collect::<Vec<_>>(), ["science", "economy"]);
    assert_eq!((content.authors, content.tags), (vec!["Ann Lee".to_owned()], vec!["x".to_owned(), "y".to_owned()]));
}

#[test]
fn a_headline_alone_is_an_article_and_an_invisible_body_is_none() {
    let world = World::new();
    for body in [None, some(""), some("<p>&nbsp;</p><script>x</script>")] {
        let draft = from_input(Input { body_html: body, ..input() }, &world.door()).expect("valid");
        assert_eq!((draft.wish, draft.content.body), (Wish::Published, None));
    }
    let draft = from_input(Input { body_markdown: some("*a*"), ..input() }, &world.door()).expect("valid");
    assert_eq!(draft.content.body, Some(Body { html: "<p><em>a</em></p>\n".to_owned(), markdown: some("*a*") }));
}

#[test]
fn every_fault_is_told_on_its_field() {
    let world = World::new();
    let long = |count: usize| some("x".repeat(count));
    let wrong: Vec<(&str, Input)> = vec![
        ("id", Input { id: some(".."), ..input() }),
        ("external_id", Input { external_id: some("a\nb"), ..input() }),
        ("status", Input { status: some("scheduled"), ..input() }),
        ("title", Input { title: None, ..input() }),
        ("title", Input { title: some(" \u{0}\u{200f} "), ..input() }),
        ("title", Input { title: long(TITLE_CHARS_MAX + 1), ..input() }),
        ("summary", Input { summary: long(SUMMARY_CHARS_MAX + 1), ..input() }),
        ("body_html", Input { body_html: long(BODY_BYTES_MAX + 1), ..input() }),
        ("body_html", Input { body_html: some("<".repeat(BODY_BYTES_MAX / 2)), ..input() }),
        ("body_markdown", Input { body_markdown: long(BODY_BYTES_MAX + 1), ..input() }),
        ("body_markdown", Input { body_html: some("a"), body_markdown: some("b"), ..input() }),
        ("url", Input { url: some("/relative"), ..input() }),
        ("url", Input { url: some("javascript:alert(1)"), ..input() }),
        ("url", Input { url: some("https://user:secret@cms.example/"), ..input() }),
        ("url", Input { url: some(format!("https://cms.example/{}", "x".repeat(URL_BYTES_MAX))), ..input() }),
        ("categories", Input { categories: vec![], ..input() }),
        ("categories[1]", Input { categories: vec!["science".to_owned(), "sport".to_owned()], ..input() }),
        ("categories", Input { categories: vec!["science".to_owned(); CATEGORIES_MAX + 1], ..input() }),
        ("authors", Input { authors: vec!["a".to_owned(); AUTHORS_MAX + 1], ..input() }),
        ("authors[0]", Input { authors: vec!["x".repeat(NAME_CHARS_MAX + 1)], ..input() }),
        ("tags", Input { tags: vec!["a".to_owned(); TAGS_MAX + 1], ..input() }),
        ("language", Input { language: some("english!"), ..input() }),
        ("language", Input { language: some("e"), ..input() }),
        ("published_at", Input { published_at: some("yesterday"), ..input() }),
        ("published_at", Input { published_at: some("1969-12-31T00:00:00Z"), ..input() }),
    ];
    for (field, input) in wrong {
        let problem = from_input(input, &world.door()).expect_err(field);
        assert_eq!(problem.kind, Kind::Invalid);
        assert_eq!(problem.faults.iter().map(|fault| fault.field.as_str()).collect::<Vec<_>>(), [field]);
    }
}

#[test]
fn all_faults_are_told_at_once() {
    let problem = World::new()
        .json(r#"{"title": 5, "titel": "x", "categories": ["sport"], "tags": ["a", null, 7], "status": "x", "status": "y"}"#)
        .expect_err("wrong");
    let faults = problem.faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(faults, @r#"
    `title`: found 5, expected text
    `titel`: found an unknown field, expected one of id, external_id, status, title, summary, body_html, body_markdown, url, categories, authors, tags, language, published_at, media, comments, source
    `tags[1]`: found null, expected text
    `tags[2]`: found 7, expected text
    `status`: found it twice, expected each field once
    `categories[0]`: found "sport", expected one of the known categories: economy, science
    "#);
}

#[test]
fn what_is_no_json_is_malformed_and_half_a_surrogate_pair_is_invalid() {
    let world = World::new();
    for (text, place) in
        [("{\"title\": \"x\",\n }", "line 2 column 2"), ("{\"title\": \"x", "line 1"), ("", "line 1 column 0")]
    {
        let problem = world.json(text).expect_err(text);
        assert_eq!(problem.kind, Kind::Malformed, "{text}");
        assert!(problem.detail.contains(place), "{}", problem.detail);
    }
    assert_eq!(from_json(b"{\"title\": \"\xff\"}", &world.door()).expect_err("no UTF-8").kind, Kind::Malformed);
    for (text, field) in [
        (r#"{"title": "\ud800", "categories": []}"#, "title"),
        (r#"{"title": "a \"url\": b", "summary": "x\ud83dx"}"#, "summary"),
        ("{\"title\": \"x\",\n\"tags\" :\n [\"\\udc00\"]}", "tags"),
    ] {
        let problem = world.json(text).expect_err(text);
        assert_eq!((problem.kind, problem.faults[0].field.as_str()), (Kind::Invalid, field), "{text}");
        assert!(problem.faults[0].found.contains("surrogate"));
    }
    assert_eq!(world.json("[]").expect_err("a list").kind, Kind::Invalid);
    let deep = format!("{{\"title\": {}", "[".repeat(100_000));
    assert_eq!(world.json(&deep).expect_err("deep").kind, Kind::Malformed);
}

#[test]
fn an_article_file_becomes_a_draft_of_its_folder() {
    let text = "\u{feff}+++\r\ntitle = \"T\"\r\ndate = \"18.12.2020 15:03\"\r\ncategories = [\"economy\", \"science\"]\r\n+++\r\nText *x*\r\n+++\r\n";
    let draft = World::new().file(text).expect("valid");
    assert_eq!(draft.external_id.expect("derived").as_str(), "file:science/a.md");
    assert_eq!(draft.published_at.map(|at| at.to_rfc3339()), some("2020-12-18T12:03:00+00:00"), "the category's zone");
    assert_eq!(draft.content.categories.iter().map(Slug::as_str).collect::<Vec<_>>(), ["science", "economy"]);
    assert_eq!(draft.content.body.expect("there").html, "<p>Text <em>x</em>\n+++</p>\n");
    for (date, utc) in [
        ("2020-12-18T15:03:00+01:00", "2020-12-18T14:03:00+00:00"),
        ("2020-12-18 15:03:00", "2020-12-18T12:03:00+00:00"),
        ("2020-12-18", "2020-12-17T21:00:00+00:00"),
    ] {
        let draft = World::new().file(&format!("+++\ntitle = \"T\"\ndate = {date}\n+++\n")).expect(date);
        assert_eq!((draft.published_at.map(|at| at.to_rfc3339()), draft.content.body), (some(utc), None));
    }
}

#[test]
fn a_fault_in_an_article_file_names_its_line() {
    let twice = "title = \"a\"\ntitle = \"b\"";
    let big = "x".repeat(BODY_BYTES_MAX + 1);
    for (text, lines) in [
        ("Text".to_owned(), vec![1]),
        (String::new(), vec![1]),
        ("+++\ntitle = \"T\"\n".to_owned(), vec![2]),
        ("+++\ntitle = \"T\"\nsummary = \n+++\n".to_owned(), vec![3]),
        (format!("+++\n{twice}\n+++\n"), vec![3]),
        ("+++\n\n\n+++\n".to_owned(), vec![1]),
        ("+++\ntitle = 5\n\ntags = [\"a\", 1]\nbody_html = \"x\"\n+++\n".to_owned(), vec![2, 4, 5]),
        ("+++\n# note\ntitle = \"T\"\ndate = \"32.12.2020\"\ncategories = [\"sport\"]\n+++\n".to_owned(), vec![4, 5]),
        (format!("+++\ntitle = \"T\"\n+++\n{big}"), vec![4]),
    ] {
        let fault = World::new().file(&text).expect_err("faults");
        let report = fault.report("a.md");
        let found = report.lines().map(|line| line.split([':', ' ']).nth(1).and_then(|n| n.parse().ok()));
        assert_eq!(found.collect::<Vec<_>>(), lines.iter().map(|&line| Some(line)).collect::<Vec<_>>(), "{report}");
        assert_eq!(fault.line, lines[0]);
    }
    let fault =
        World::new().file("+++\ntitle = \"T\"\ndate = \"x\"\ncategories = [\"sport\"]\n+++\n").expect_err("faults");
    insta::assert_snapshot!(fault.report("feeds/science/a.md"), @r#"
    feeds/science/a.md:3 `date`: found "x", expected RFC 3339 such as 2020-12-18T15:03:00+03:00, or dd.mm.yyyy HH:MM
    feeds/science/a.md:4 `categories[0]`: found "sport", expected one of the known categories: economy, science
    "#);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_make_the_door_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,200}") {
        let world = World::new();
        let _ = from_json(&bytes, &world.door());
        let _ = world.json(&text);
        let _ = world.file(&format!("+++\n{text}\n+++\n{text}"));
        let _ = world.file(&text);
    }
}

#[test]
fn what_belongs_to_an_article_is_checked_in_every_part() {
    let of = |extras: serde_json::Value| {
        let mut json = serde_json::json!({ "title": "A", "categories": ["science"] });
        json.as_object_mut().unwrap().extend(extras.as_object().unwrap().clone());
        World::new().json(&json.to_string())
    };
    let draft = of(serde_json::json!({
        "media": [{ "url": "https://x.example/a.JPG", "bytes": 5, "width": 640, "height": 480, "alt": " A \n cat ", "credit": "" }],
        "comments": { "url": "https://x.example/#c", "count": 3 },
        "source": { "title": "Other", "feed": "https://other.example/feed" },
    }));
    let content = draft.unwrap().content;
    let [medium] = content.media.as_slice() else { panic!("{content:?}") };
    assert_eq!(
        (medium.media_type.as_str(), medium.alt.as_deref(), medium.credit.as_deref()),
        ("image/jpeg", Some("A cat"), None)
    );
    assert_eq!(content.comments.unwrap().count, Some(3));
    for (extras, field) in [
        (serde_json::json!({ "media": {} }), "media"),
        (serde_json::json!({ "media": [1] }), "media[0]"),
        (serde_json::json!({ "media": [{}] }), "media[0].url"),
        (serde_json::json!({ "media": [{ "url": "ftp://x.example/a.jpg" }] }), "media[0].url"),
        (serde_json::json!({ "media": [{ "url": "https://x.example/a" }] }), "media[0].media_type"),
        (
            serde_json::json!({ "media": [{ "url": "https://x.example/a", "media_type": "image" }] }),
            "media[0].media_type",
        ),
        (serde_json::json!({ "media": [{ "url": "https://x.example/a.png", "width": -1 }] }), "media[0].width"),
        (serde_json::json!({ "media": [{ "url": "https://x.example/a.png", "size": 1 }] }), "media[0].size"),
        (
            serde_json::json!({ "media": [{ "url": "https://x.example/a.png", "alt": "x".repeat(1_001) }] }),
            "media[0].alt",
        ),
        (serde_json::json!({ "media": vec![serde_json::json!({ "url": "https://x.example/a.png" }); 21] }), "media"),
        (serde_json::json!({ "comments": [] }), "comments"),
        (serde_json::json!({ "comments": { "url": "https://x.example/", "count": 1.5 } }), "comments.count"),
        (serde_json::json!({ "comments": { "url": "https://x.example/", "feed": "x" } }), "comments.feed"),
        (serde_json::json!({ "source": { "feed": "https://x.example/" } }), "source.title"),
        (serde_json::json!({ "source": { "title": "x" } }), "source.feed"),
    ] {
        let problem = of(extras.clone()).unwrap_err();
        assert_eq!(problem.faults.iter().map(|fault| fault.field.as_str()).collect::<Vec<_>>(), [field], "{extras}");
    }
}

#[test]
fn an_article_file_says_the_same_of_them_in_toml() {
    let world = World::new();
    let text = "+++\ntitle = \"A\"\nsource = { title = \"Other\", feed = \"https://other.example/feed\" }\n\n\
        [[media]]\nurl = \"https://x.example/a.png\"\nwidth = 640\n\n[comments]\nurl = \"https://x.example/#c\"\n+++\nText.\n";
    let content = world.file(text).unwrap().content;
    assert_eq!((content.media[0].width, content.source.unwrap().title.as_str()), (Some(640), "Other"));
    let fault = world.file(&text.replace("640", "\"wide\"")).unwrap_err();
    assert_eq!((fault.problem.faults[0].field.as_str(), fault.line), ("media[0].width", 5));
}

#[test]
fn what_an_article_file_says_is_the_same_article_as_json() {
    let world = World::new();
    let text = "+++\ntitle = \"A\"\ndate = 2020-12-18T15:03:00\nid = \"42\"\nexternal_id = \"x\"\nstatus = \"draft\"\n\
        summary = \"S\"\nurl = \"https://x.example/a\"\nauthors = [\"Ann\"]\ntags = [\"t\"]\nlanguage = \"ru\"\n\
        categories = [\"economy\", \"science\"]\nsource = { title = \"Other\", feed = \"https://other.example/feed\" }\n\
        [[media]]\nurl = \"https://x.example/a.png\"\nwidth = 0x280\n[comments]\nurl = \"https://x.example/#c\"\n+++\n\nText *x*\n";
    let homes = ["science".to_owned()];
    let input = input_of_file(text).expect("valid").at_home(&homes);
    let json = serde_json::to_string(&Members::of_input(&input).expect("valid")).expect("valid");
    assert_eq!(world.json(&json).expect("valid"), world.file(text).expect("valid"));
    let all = serde_json::to_value(Input::default()).expect("valid");
    let mut fields = FIELDS.to_vec();
    fields.sort_unstable();
    assert_eq!(all.as_object().expect("an object").keys().map(String::as_str).collect::<Vec<_>>(), fields);
    let fault = input_of_file("+++\ntitle = 5\ntitel = \"A\"\n+++\n").expect_err("faults");
    assert_eq!(fault.problem.faults.len(), 2, "{fault:?}");
}

#[test]
fn what_the_api_has_against_an_article_file_is_told_as_the_folder_tells_it() {
    let world = World::new();
    let text = "+++\ntags = [\"\"]\ncategories = [\"science\", \"sprot\"]\nlanguage = \"english!\"\ndate = \"soon\"\n\
        comments = { url = \"x\" }\n+++\nText\n";
    let told = |homes: &[&str]| {
        let homes: Vec<String> = homes.iter().map(|slug| (*slug).to_owned()).collect();
        let input = input_of_file(text).expect("readable").at_home(&homes);
        let json = serde_json::to_string(&Members::of_input(&input).expect("valid")).expect("valid");
        let problem = world.json(&json).expect_err("faults");
        faults_in_file(text, &homes, "--category", &problem).report("a.md")
    };
    let of_folder = world.file(text).expect_err("faults").report("a.md");
    assert_eq!(told(&["science"]), of_folder);
    for start in ["a.md:1 `title`", "a.md:3 `categories[1]`: found \"sprot\"", "a.md:5 `date`", "a.md:6 `comments.url`"]
    {
        assert!(of_folder.lines().any(|line| line.starts_with(start)), "{start}: {of_folder}");
    }
    let given = told(&["ecomony", "science"]);
    assert!(given.starts_with("a.md: `--category`: found \"ecomony\", expected "), "{given}");
    assert_eq!(given.split_once('\n').expect("more").1, of_folder);
}

#[test]
fn a_number_that_is_none_in_json_is_not_passed_over() {
    for number in ["99999999999999999999", "nan", "-inf", "1e999"] {
        let text =
            format!("+++\ntitle = \"A\"\nmedia = [{{ url = \"https://x.example/a.png\", width = {number} }}]\n+++\n");
        let fault = World::new().file(&text).expect_err(number);
        assert_eq!(fault.problem.faults[0].field, "media[0].width", "{number}");
    }
}

#[test]
fn members_are_written_out_as_they_were() {
    let text = r#"{"title":"A","tags":[],"title":null}"#;
    let mut members = Members::of(text.as_bytes()).expect("an object");
    assert_eq!(serde_json::to_string(&members).expect("valid"), text);
    members.set("tags", "x".into());
    members.set("url", "y".into());
    assert_eq!(members.get("tags").and_then(Value::as_str), some("x").as_deref());
    assert_eq!(serde_json::to_string(&members).expect("valid"), r#"{"title":"A","tags":"x","title":null,"url":"y"}"#);
}

#[test]
fn a_file_is_named_after_whatever_name_it_has() {
    let science = Slug::parse("slug", "science").expect("valid");
    for odd in ["two  spaces.md", "wide\u{3000}space.md", "a\u{1}b.md", &"x".repeat(600)] {
        let name = name_of_file(&science, odd);
        assert!(ExternalId::parse("external_id", &name).is_ok(), "{name}");
        assert_eq!(name, name_of_file(&science, odd), "the same for ever");
    }
    assert_ne!(name_of_file(&science, "a  b.md"), name_of_file(&science, "a   b.md"));
    assert_eq!(name_of_file(&science, "a b.md"), "file:science/a b.md");
}
