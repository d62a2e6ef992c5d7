//! Bytes ↔ values: what goes out as feeds and what comes in as articles. No I/O and no async; the only layer that
//! knows XML, HTML and the syntax of article files.

mod atom;
pub mod check;
pub mod html;
mod jsonfeed;
pub mod locale;
pub mod mail;
mod media;
pub mod outline;
pub mod pieces;
mod raw;
mod rss;
pub mod sitemap;
pub mod source;

use crate::domain::{
    Article, Categories, Comments, Fault, Language, Medium, Origin, Site, Time, clean_block, clean_line,
};
use locale::Catalogue;
use serde::{Deserialize, Serialize};

/// Relation of the link from an item to its print view. No registered relation means "the same, for paper", so it is
/// an extension relation: an IRI, as RFC 4287 §4.2.7.2 and RFC 8288 §2.1.2 have it.
pub const PRINT_REL: &str = "urn:tidings:rel:print";

/// Who made the feed, for readers' bug reports; without a version, so that an upgrade alone changes no feed.
pub(crate) const GENERATOR: &str = "tidings";

/// Characters of a summary that is derived from the body: two or three sentences, what readers show of it.
pub const SUMMARY_CHARS_MAX: usize = 300;

/// A way of writing a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// RSS 2.0.
    Rss,
    /// Atom 1.0, RFC 4287.
    Atom,
    /// JSON Feed 1.1.
    Json,
}

impl Format {
    /// Every one.
    pub const ALL: [Format; 3] = [Format::Rss, Format::Atom, Format::Json];

    /// Last segment of the feed's address.
    pub fn file_name(self) -> &'static str {
        match self {
            Format::Rss => "rss.xml",
            Format::Atom => "atom.xml",
            Format::Json => "feed.json",
        }
    }

    /// The one with this file name.
    pub fn from_file_name(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.file_name() == name)
    }

    /// What stands between two items.
    pub fn separator(self) -> &'static [u8] {
        match self {
            Format::Rss | Format::Atom => b"",
            Format::Json => b",",
        }
    }

    /// `Content-Type`; its charset is that of the XML declaration (validators compare the two).
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Rss => "application/rss+xml; charset=utf-8",
            Format::Atom => "application/atom+xml; charset=utf-8",
            Format::Json => "application/feed+json; charset=utf-8",
        }
    }
}

/// A feed before it is written: what all three standards can say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Plain text.
    pub title: String,
    /// Plain text.
    pub description: String,
    /// BCP 47 tag.
    pub language: String,
    /// Absolute IRI; for the life of the feed (`atom:id`).
    pub id: String,
    /// Address of the page for people.
    pub home: String,
    /// Address that the feed itself is served at.
    pub self_url: String,
    /// Address of the hub that is told of its changes, and tells subscribers (W3C WebSub).
    pub hub: Option<String>,
    /// When anything in it last changed.
    pub updated: Time,
    /// Where it goes on, before and behind.
    pub links: Links,
    /// Is it a closed part of the feed's history (RFC 5005 §4)?
    pub is_archive: bool,
    /// What was withdrawn lately (RFC 6721).
    pub tombstones: Vec<Tombstone>,
    /// Minutes between two polls that make sense.
    pub ttl_min: Option<u32>,
    /// Address of a small square picture.
    pub icon: Option<String>,
    /// Address of a picture of the name.
    pub logo: Option<String>,
    /// As `#8b1a1a`.
    pub accent_color: Option<String>,
    /// Modules that items use which are put in later.
    pub uses: Uses,
    /// Newest first.
    pub items: Vec<Item>,
}

/// Addresses of other parts of the same feed: its pages (RFC 5005 §3) and its archive (§4).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Links {
    /// The first page.
    pub first: Option<String>,
    /// The next page, of older items.
    pub next: Option<String>,
    /// The feed that is subscribed to; in an archive document.
    pub current: Option<String>,
    /// The archive document before this.
    pub prev_archive: Option<String>,
    /// The archive document behind this.
    pub next_archive: Option<String>,
}

impl Document {
    /// The modules that its items use, those that are put in later as well.
    pub(crate) fn all_uses(&self) -> Uses {
        self.items.iter().fold(self.uses, |uses, item| uses.and(item.uses(self)))
    }
}

impl Links {
    /// Relation and address of each that there is.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("first", &self.first),
            ("next", &self.next),
            ("current", &self.current),
            ("prev-archive", &self.prev_archive),
            ("next-archive", &self.next_archive),
        ];
        all.into_iter().filter_map(|(rel, href)| Some((rel, href.as_deref()?)))
    }
}

/// An article that is no longer to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tombstone {
    /// As [`Item::guid`].
    pub guid: String,
    /// As [`Item::iri`].
    pub iri: String,
    /// When it was withdrawn.
    pub at: Time,
}

/// An article as feeds show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// For RSS and JSON Feed; unique in the feed.
    pub guid: String,
    /// For Atom; unique in the feed.
    pub iri: String,
    /// Plain text.
    pub title: String,
    /// The article's address for the world.
    pub link: String,
    /// Address of the print view.
    pub print: String,
    /// Date shown to readers.
    pub published: Time,
    /// When it last changed; not before `published`.
    pub updated: Time,
    /// Names.
    pub authors: Vec<String>,
    /// Titles of its categories.
    pub categories: Vec<String>,
    /// Free words.
    pub tags: Vec<String>,
    /// BCP 47 tag of the article.
    pub language: Option<String>,
    /// Plain text.
    pub summary: Option<String>,
    /// The full text as sanitised HTML.
    pub html: Option<String>,
    /// Pictures, sound, films.
    pub media: Vec<Medium>,
    /// Where it is discussed.
    pub comments: Option<Comments>,
    /// The feed that it came from.
    pub source: Option<Origin>,
}

/// Modules of RSS and Atom that an item uses; a feed declares those of its items and no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Uses(u8);

impl Uses {
    /// `content:encoded` beside a description.
    pub(crate) const CONTENT: Uses = Uses(1);
    /// Dublin Core: creators, language.
    pub(crate) const DUBLIN_CORE: Uses = Uses(2);
    /// Media RSS.
    pub(crate) const MEDIA: Uses = Uses(4);
    /// How many comments there are: `slash:` in RSS, `thr:` in Atom.
    pub(crate) const COMMENTS_COUNT: Uses = Uses(8);
    /// Where their feed is: `wfw:` in RSS.
    pub(crate) const COMMENTS_FEED: Uses = Uses(16);

    /// Those of both.
    pub(crate) fn and(self, other: Uses) -> Uses {
        Uses(self.0 | other.0)
    }

    pub(crate) fn has(self, one: Uses) -> bool {
        self.0 & one.0 != 0
    }

    fn only_if(self, is_used: bool) -> Uses {
        if is_used { self } else { Uses::default() }
    }
}

impl Item {
    /// `article` as an item. Where the newsroom wrote no summary, one is derived from the body. With
    /// [`Site::print_line`], the full text ends in a visible link to the print view; for a headline without a body that
    /// line is all there is.
    pub fn new(article: &Article, site: &Site, categories: &Categories) -> Item {
        let content = &article.content;
        let home = content.categories.first().and_then(|slug| categories.get(slug.as_str()));
        let language = content.language.clone().or_else(|| home.map(|category| category.language.clone()));
        let print = site.print_page(&article.id);
        let body = content.body.as_ref().map(|body| body.html.as_str());
        let html = if site.print_line {
            let word = print_word(language.as_deref().unwrap_or(&site.language));
            let line = format!("<p><a href=\"{}\">{word}</a></p>", html::escape(&print));
            Some(body.unwrap_or_default().to_owned() + &line)
        } else {
            body.map(str::to_owned)
        };
        let title_of = |slug: &crate::domain::Slug| match categories.get(slug.as_str()) {
            Some(category) => category.title.clone(),
            None => slug.to_string(),
        };
        Item {
            guid: article.id.guid(),
            iri: article.id.iri(),
            title: content.title.clone(),
            link: site.article_link(article),
            print,
            published: article.dated(),
            updated: article.updated_at.max(article.dated()),
            authors: content.authors.clone(),
            categories: content.categories.iter().map(title_of).collect(),
            tags: content.tags.clone(),
            language,
            summary: content.summary.clone().or_else(|| html::summary(body?, SUMMARY_CHARS_MAX)),
            html,
            media: content.media.clone(),
            comments: content.comments.clone(),
            source: content.source.clone(),
        }
    }

    /// The modules that it uses in a feed like `document`.
    pub(crate) fn uses(&self, document: &Document) -> Uses {
        let comments = self.comments.as_ref();
        Uses::CONTENT
            .only_if(self.summary.is_some() && self.html.is_some())
            .and(Uses::DUBLIN_CORE.only_if(!self.authors.is_empty() || self.other_language(document).is_some()))
            .and(Uses::MEDIA.only_if(!self.media.is_empty()))
            .and(Uses::COMMENTS_COUNT.only_if(comments.is_some_and(|comments| comments.count.is_some())))
            .and(Uses::COMMENTS_FEED.only_if(comments.is_some_and(|comments| comments.feed.is_some())))
    }

    /// The one medium that may be an enclosure: the first whose length is known.
    pub(crate) fn enclosure(&self) -> Option<(&Medium, u64)> {
        self.media.iter().find_map(|medium| Some((medium, medium.bytes?)))
    }

    /// Categories, then tags, each name once.
    pub(crate) fn labels(&self) -> Vec<&str> {
        let mut labels: Vec<&str> = Vec::new();
        for label in self.categories.iter().chain(&self.tags) {
            if !labels.contains(&label.as_str()) {
                labels.push(label);
            }
        }
        labels
    }

    /// The item's language where it is not the feed's.
    pub(crate) fn other_language(&self, document: &Document) -> Option<String> {
        self.language.clone().filter(|language| *language != document.language)
    }
}

/// The visible word of the print line, in the languages that newsrooms were seen to ask for.
pub fn print_word(language: &str) -> String {
    let language = Language::of(language).unwrap_or(Language::English);
    Catalogue::of(language).text("print", &[])
}

/// The feed in `format`, the same bytes for the same `document`. It is read back and checked before it is returned, so
/// that a feed which a reader would refuse never replaces a good one.
///
/// Errors: the [`Fault`] of [`check::check`]; `field` names the place in the feed.
pub fn write(format: Format, document: &Document) -> Result<Vec<u8>, Fault> {
    let bytes = written(format, document)?;
    check::check(format, &bytes, &document.self_url)?;
    Ok(bytes)
}

/// The feed in `format`, not checked yet.
fn written(format: Format, document: &Document) -> Result<Vec<u8>, Fault> {
    let document = legal(document);
    match format {
        Format::Rss => rss::write(&document),
        Format::Atom => atom::write(&document),
        Format::Json => jsonfeed::write(&document),
    }
}

/// The same document without characters that XML 1.0 forbids. Text is cleaned when it comes in; this is for text that
/// came another way (a restored store, a configuration), since the XML crates write whatever they are given.
fn legal(document: &Document) -> Document {
    let lines = |texts: &[String]| texts.iter().map(|text| clean_line(text)).filter(|text| !text.is_empty()).collect();
    let block = |text: &Option<String>| text.as_deref().map(clean_block).filter(|text| !text.trim().is_empty());
    let line = |text: &Option<String>| text.as_deref().map(clean_line).filter(|text| !text.is_empty());
    let medium = |medium: &Medium| Medium {
        media_type: clean_line(&medium.media_type),
        alt: line(&medium.alt),
        credit: line(&medium.credit),
        ..medium.clone()
    };
    let item = |item: &Item| Item {
        guid: clean_line(&item.guid),
        iri: clean_line(&item.iri),
        // Atom demands a title; the address is the only other thing that every item has.
        title: Some(clean_line(&item.title))
            .filter(|title| !title.is_empty())
            .unwrap_or_else(|| clean_line(&item.link)),
        link: clean_line(&item.link),
        print: clean_line(&item.print),
        published: item.published,
        updated: item.updated,
        authors: lines(&item.authors),
        categories: lines(&item.categories),
        tags: lines(&item.tags),
        language: item.language.as_deref().map(clean_line),
        summary: block(&item.summary),
        html: block(&item.html),
        media: item.media.iter().map(medium).collect(),
        comments: item.comments.clone(),
        source: item
            .source
            .as_ref()
            .map(|source| Origin { title: clean_line(&source.title), feed: source.feed.clone() }),
    };
    let tombstone = |tombstone: &Tombstone| Tombstone {
        guid: clean_line(&tombstone.guid),
        iri: clean_line(&tombstone.iri),
        at: tombstone.at,
    };
    Document {
        title: clean_line(&document.title),
        description: clean_line(&document.description),
        language: clean_line(&document.language),
        id: clean_line(&document.id),
        home: clean_line(&document.home),
        self_url: clean_line(&document.self_url),
        hub: line(&document.hub),
        updated: document.updated,
        links: document.links.clone(),
        is_archive: document.is_archive,
        tombstones: document.tombstones.iter().map(tombstone).collect(),
        ttl_min: document.ttl_min,
        icon: line(&document.icon),
        logo: line(&document.logo),
        accent_color: line(&document.accent_color),
        uses: document.uses,
        items: document.items.iter().map(item).collect(),
    }
}

#[cfg(test)]
mod tests;
