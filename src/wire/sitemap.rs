//! Sitemaps (sitemaps.org/protocol.html, version 0.9) and Google's news sitemap.

use super::html::escape;
use crate::domain::{Time, clean_line};
use chrono::SecondsFormat;
use std::fmt::Write as _;

/// `Content-Type` of all of them.
pub const MEDIA_TYPE: &str = "application/xml; charset=utf-8";
/// Addresses in one file, and files in one index.
pub const URLS_MAX: usize = 50_000;
/// Addresses in a news sitemap.
pub const NEWS_MAX: usize = 1_000;

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n";
const NAMESPACE: &str = "http://www.sitemaps.org/schemas/sitemap/0.9";
const NEWS_NAMESPACE: &str = "http://www.google.com/schemas/sitemap-news/0.9";

/// A page.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its address.
    pub address: String,
    /// When it last changed, where that is known.
    pub changed_at: Option<Time>,
}

/// An article in the news sitemap.
#[derive(Debug, Clone)]
pub struct News {
    /// Its address.
    pub address: String,
    /// Plain text.
    pub title: String,
    /// BCP 47 tag; the registered parts before the first hyphen are written, but for Chinese (Google's rule).
    pub language: String,
    /// Date shown to readers.
    pub published: Time,
}

/// The addresses of pages, at most [`URLS_MAX`].
pub fn urls(places: &[Place]) -> String {
    let mut out = format!("{HEAD}<urlset xmlns=\"{NAMESPACE}\">\n");
    for Place { address, changed_at } in places.iter().take(URLS_MAX) {
        let _ = write!(out, "<url><loc>{}</loc>", text(address));
        if let Some(changed_at) = changed_at {
            let _ = write!(out, "<lastmod>{}</lastmod>", date(*changed_at));
        }
        out.push_str("</url>\n");
    }
    out.push_str("</urlset>\n");
    out
}

/// The addresses of sitemaps, at most [`URLS_MAX`].
pub fn index(addresses: &[String]) -> String {
    let mut out = format!("{HEAD}<sitemapindex xmlns=\"{NAMESPACE}\">\n");
    for address in addresses.iter().take(URLS_MAX) {
        let _ = writeln!(out, "<sitemap><loc>{}</loc></sitemap>", text(address));
    }
    out.push_str("</sitemapindex>\n");
    out
}

/// The articles of the last two days, at most [`NEWS_MAX`]; it may be empty.
pub fn news(publication: &str, articles: &[News]) -> String {
    let mut out = format!("{HEAD}<urlset xmlns=\"{NAMESPACE}\" xmlns:news=\"{NEWS_NAMESPACE}\">\n");
    for News { address, title, language, published } in articles.iter().take(NEWS_MAX) {
        let language = language.to_ascii_lowercase();
        let language = match language.as_str() {
            "zh-cn" | "zh-tw" => language.as_str(),
            other => other.split('-').next().unwrap_or_default(),
        };
        let _ = writeln!(
            out,
            "<url><loc>{}</loc><news:news><news:publication><news:name>{}</news:name><news:language>{}</news:language>\
             </news:publication><news:publication_date>{}</news:publication_date><news:title>{}</news:title></news:news></url>",
            text(address),
            text(publication),
            text(language),
            date(*published),
            text(title),
        );
    }
    out.push_str("</urlset>\n");
    out
}

/// W3C date and time, as both protocols have it.
fn date(time: Time) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn text(text: &str) -> String {
    escape(&clean_line(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_told_without_its_region_but_for_chinese() {
        for (language, told) in
            [("en-GB", "en"), ("ru", "ru"), ("zh-CN", "zh-cn"), ("zh-TW", "zh-tw"), ("zh-Hans", "zh")]
        {
            let news = News {
                address: "https://news.example/a".into(),
                title: "A".into(),
                language: language.into(),
                published: Time::UNIX_EPOCH,
            };
            let text = super::news("The News", &[news]);
            assert!(text.contains(&format!("<news:language>{told}</news:language>")), "{language}: {text}");
        }
    }
}
