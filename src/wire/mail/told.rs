//! What mails tell of an article, and a print of it: two revisions with the same print were told alike.

use super::HTML_BYTES_MAX;
use crate::config::MailText;
use crate::domain::{Article, Content, clean_line};
use crate::wire::html;
use aws_lc_rs::digest;

/// Long enough to say what it is about, short enough for a preview.
const SUMMARY_CHARS_MAX: usize = 400;

/// What mails say of an article beside its title.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// In short: the newsroom's own summary, or the beginning of the text; none where there is neither.
    pub summary: Option<String>,
    /// Where notices have the text: as much of it as a mail could show. None where there is nothing.
    pub body: Option<html::Shortened>,
}

impl Said {
    /// What they say of an article with this content.
    pub fn of(content: &Content, text: MailText) -> Self {
        let body = content.body.as_ref().map(|body| body.html.as_str());
        let derived = || html::summary(body?, SUMMARY_CHARS_MAX);
        let whole = body.filter(|body| text == MailText::Full && !html::is_blank(body));
        Said {
            summary: content.summary.clone().or_else(derived),
            body: whole.map(|body| html::for_mail(body, HTML_BYTES_MAX, str::len)),
        }
    }
}

/// The print of what mails tell of `article` that say this of it: title, summary, authors, language, where its link leads,
/// and the text if they have it. Each with its length in front, so that nothing can pass from one to the next.
pub fn print(article: &Article, said: &Said) -> u64 {
    let content = &article.content;
    let title = clean_line(&content.title);
    let (authors, url) = (content.authors.join("\0"), content.url.as_ref().map(url::Url::as_str));
    let mut told = digest::Context::new(&digest::SHA256);
    let parts = [Some(title.as_str()), said.summary.as_deref(), Some(&authors), content.language.as_deref(), url];
    // Mails without it keep the prints that they have.
    let body = said.body.as_ref().map(|body| body.html.as_str());
    for part in parts.into_iter().map(Option::unwrap_or_default).chain(body) {
        told.update(&(part.len() as u64).to_be_bytes());
        told.update(part.as_bytes());
    }
    let whole = told.finish();
    whole.as_ref().first_chunk::<8>().map_or(0, |first| u64::from_be_bytes(*first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ArticleId, Body, Time};

    #[test]
    fn only_what_a_mail_tells_changes_the_print() {
        let body = |html: String| Some(Body { html, markdown: None });
        let content =
            Content { title: "Ten hurt".into(), body: body("<p>On Monday.</p>".into()), ..Default::default() };
        let told = |content: Content, text| {
            let said = Said::of(&content, text);
            print(&Article::published(ArticleId::parse("id", "a").unwrap(), Time::UNIX_EPOCH, content), &said)
        };
        let of = |content| told(content, MailText::Summary);
        let long = |end: &str| body(format!("<p>{} {end}</p>", "On Monday. ".repeat(100)));
        let first = of(content.clone());
        assert_eq!(of(Content { tags: vec!["accident".into()], ..content.clone() }), first);
        assert_eq!(of(Content { title: " Ten  hurt".into(), ..content.clone() }), first, "mails show one line");
        assert_eq!(
            of(Content { body: long("x"), ..content.clone() }),
            of(Content { body: long("y"), ..content.clone() }),
            "no mail tells so much of it"
        );
        assert_ne!(
            told(Content { body: long("x"), ..content.clone() }, MailText::Full),
            told(Content { body: long("y"), ..content.clone() }, MailText::Full),
            "those with the text do"
        );
        for other in [
            Content { title: "Two hurt".into(), ..content.clone() },
            Content { body: body("<p>On Tuesday.</p>".into()), ..content.clone() },
            Content { authors: vec!["A".into()], ..content.clone() },
            Content { language: Some("en".into()), ..content.clone() },
            Content { url: Some(url::Url::parse("https://news.example.org/1").unwrap()), ..content.clone() },
        ] {
            assert_ne!(of(other.clone()), first, "{other:?}");
        }
    }
}
