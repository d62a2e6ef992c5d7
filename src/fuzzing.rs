//! What must hold for any bytes that come from outside, as functions that break off if it does not. `fuzz/` feeds them
//! what a coverage-guided fuzzer thinks up, `tests/it/fuzzed.rs` what proptest does, and everything that was ever found.
//! They stand here and not there since some of what they look at is no one else's business; no program calls them.

use crate::domain::{
    Article, ArticleId, Categories, Category, Content, Draft, Labels, Selection, Site, Slug, Time, Wish, clean_block,
};
use crate::web;
use crate::wire::check::{self, Context, Dialect, Severity};
use crate::wire::source::{Door, from_file, from_json};
use crate::wire::{Document, Format, Item, Links, Uses, write};
use url::Url;

/// A text in the query language: its canonical form reads as itself, means the same, and is not much longer; a fault
/// points into the text.
pub fn query(text: &str) {
    match Selection::parse(text) {
        Ok(selection) => {
            let canonical = selection.to_string();
            let again = Selection::parse(&canonical).unwrap_or_else(|fault| panic!("{canonical:?}: {fault:?}"));
            assert_eq!((&again, again.to_string()), (&selection, canonical));
            let content = Content {
                categories: Slug::parse("slug", "science").into_iter().collect(),
                tags: vec!["a".to_owned(), "Sport".to_owned()],
                authors: vec!["A. Ivanov".to_owned()],
                language: Some("en-GB".to_owned()),
                ..Content::default()
            };
            let labels = Labels::of(&content);
            assert_eq!(selection.matches(&labels), again.matches(&labels));
        }
        Err(fault) => assert!((1..=text.chars().count() + 1).contains(&fault.at), "{text:?}: {fault:?}"),
    }
}

/// A request for a feed: read alike by both ways in, and a range within what there is.
pub fn request(bytes: &[u8]) {
    web::request_is_read_alike(bytes);
}

/// An article as the API or a folder takes it, after a first byte that says which. What the door lets in, every feed can
/// tell.
pub fn article(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let (site, categories) = newsroom();
    let door = Door { categories: &categories, site: &site };
    let draft = if first % 2 == 0 {
        from_json(rest, &door).ok()
    } else {
        let home = categories.iter().next();
        home.zip(std::str::from_utf8(rest).ok()).and_then(|(home, text)| from_file(text, "a.md", home, &door).ok())
    };
    if let Some(draft) = draft {
        told_by_every_feed(&draft, &site, &categories);
    }
}

/// A feed of whoever: the report is bounded and points into the text, and the strict form refuses just what it finds.
pub fn feed(bytes: &[u8]) {
    /// Rules, and findings of each that are told.
    const FINDINGS_MAX: usize = 250 * 20;
    const URL: &str = "https://paper.example/rss.xml";
    let context = Context { url: Some(URL), ..Context::default() };
    let report = check::examine(bytes, &context);
    assert!(report.findings.len() <= FINDINGS_MAX);
    for finding in &report.findings {
        // A byte is a character at most, so no text has more lines or columns than there are bytes.
        assert!(finding.line <= bytes.len() + 1 && finding.column <= bytes.len() + 1, "{finding}");
        let line = finding.to_string();
        assert!(line.len() < 4_000 && !line.contains(char::is_control), "{line:?}");
    }
    for (format, dialect) in
        [(Format::Rss, Dialect::Rss2), (Format::Atom, Dialect::Atom1), (Format::Json, Dialect::JsonFeed11)]
    {
        let is_refused = |finding: &check::Finding| {
            finding.severity != Severity::Advice && !check::PASSED_OVER.contains(&finding.rule)
        };
        let is_bad = report.dialect != dialect || report.findings.iter().any(is_refused);
        assert_eq!(check::check(format, bytes, URL).is_err(), is_bad, "{format:?}: {:?}", report.findings);
    }
}

fn told_by_every_feed(draft: &Draft, site: &Site, categories: &Categories) {
    let content = draft.content.clone();
    assert!(!content.title.is_empty() && clean_block(&content.title) == content.title);
    let at = Time::from_timestamp(1_700_000_000, 0).unwrap_or_default();
    // What is dated ahead is not public until then.
    let published_at = draft.published_at.filter(|_| draft.wish == Wish::Published).unwrap_or(at);
    let id = draft.id.clone().unwrap_or_else(ArticleId::mint);
    let article = Article {
        external_id: draft.external_id.clone(),
        published_at: Some(published_at),
        ..Article::published(id, at, content)
    };
    let item = Item::new(&article, site, categories);
    for format in Format::ALL {
        let document = Document {
            title: "News".to_owned(),
            description: String::new(),
            language: "en".to_owned(),
            id: "urn:news".to_owned(),
            home: site.address(""),
            self_url: site.address(format.file_name()),
            hub: None,
            updated: at,
            links: Links::default(),
            is_archive: false,
            tombstones: Vec::new(),
            ttl_min: None,
            icon: None,
            logo: None,
            accent_color: None,
            uses: Uses::default(),
            items: vec![item.clone()],
        };
        if let Err(fault) = write(format, &document) {
            panic!("{format:?} refuses {fault}: {article:?}");
        }
    }
}

/// One with a category or two.
fn newsroom() -> (Site, Categories) {
    let site = Site {
        title: "News".to_owned(),
        description: String::new(),
        language: "en".to_owned(),
        base_url: Url::parse("https://news.example/").unwrap_or_else(|error| panic!("{error}")),
        icon: None,
        logo: None,
        accent_color: None,
        print_line: true,
    };
    let category = |slug: &str| Category {
        slug: Slug::parse("slug", slug).unwrap_or_else(|fault| panic!("{fault}")),
        title: slug.to_owned(),
        description: String::new(),
        language: "en".to_owned(),
        articles: None,
        zone: jiff::tz::TimeZone::UTC,
        limit: 20,
    };
    (site, Categories::new(vec![category("science"), category("economy")]))
}
