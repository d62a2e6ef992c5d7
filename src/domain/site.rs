//! The newsroom as a whole, and the one place that builds the addresses it gives out.
//! Every link starts from `base_url`; nothing a client sends ends up in one.

use super::{Article, ArticleId, Category, Language, Selection, Slug};
use url::Url;

/// What the `[site]` part of the configuration says.
#[derive(Debug, Clone)]
pub struct Site {
    /// Name of the newsroom.
    pub title: String,
    /// A sentence about it.
    pub description: String,
    /// BCP 47 tag.
    pub language: String,
    /// Public address of this daemon, ending in `/`.
    pub base_url: Url,
    /// Square picture of the newsroom, small.
    pub icon: Option<Url>,
    /// Its name as a picture.
    pub logo: Option<Url>,
    /// Its colour, as `#8b1a1a`.
    pub accent_color: Option<String>,
    /// Does each item's full text end in a visible "Print" line?
    pub print_line: bool,
}

impl Site {
    /// The language that readers are spoken to in who have chosen none: the site's own, or English.
    pub fn spoken(&self) -> Language {
        Language::of(&self.language).unwrap_or(Language::English)
    }

    /// The same where everything is about `category`: its language, if it is one of ours.
    pub fn spoken_in(&self, category: Option<&Category>) -> Language {
        category.and_then(|category| Language::of(&category.language)).unwrap_or_else(|| self.spoken())
    }

    /// `path` (no leading slash) below the base address.
    pub fn address(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    /// The page of a category, or the home page.
    pub fn category_page(&self, category: Option<&Slug>) -> String {
        match category {
            Some(slug) => self.address(slug.as_str()),
            None => self.address(""),
        }
    }

    /// The page of a selection, whatever it is made of.
    pub fn selection_page(&self, selection: &Selection) -> String {
        let folder = selection.folder();
        let mut address = self.address(folder.path.trim_end_matches('/'));
        if let Some(query) = folder.query {
            address.push('?');
            address.push_str(&query);
        }
        address
    }

    /// A feed: `file` is `rss.xml`, `atom.xml` or `feed.json`.
    pub fn feed(&self, category: Option<&Slug>, file: &str) -> String {
        match category {
            Some(slug) => self.address(&format!("{slug}/{file}")),
            None => self.address(file),
        }
    }

    /// The article's page on this daemon.
    pub fn article_page(&self, article: &Article) -> String {
        self.address(&format!("articles/{}/{}", segment(article.id.as_str()), article.slug()))
    }

    /// The article's address for the world: the newsroom's own page where it named one.
    pub fn article_link(&self, article: &Article) -> String {
        match &article.content.url {
            Some(url) => url.to_string(),
            None => self.article_page(article),
        }
    }

    /// The article in the API.
    pub fn api_article(&self, id: &ArticleId) -> String {
        self.address(&format!("api/v1/articles/{}", segment(id.as_str())))
    }

    /// The article's print view.
    pub fn print_page(&self, id: &ArticleId) -> String {
        self.address(&format!("articles/{}/print", segment(id.as_str())))
    }
}

/// `text` as one path segment: everything but unreserved characters is percent-encoded (RFC 3986 §2.3).
pub(super) fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
