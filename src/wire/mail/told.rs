//! What mails tell of an article, and a print of it: two revisions with the same print were told alike.

use crate::domain::{Article, Content, clean_line};
use crate::wire::html;
use aws_lc_rs::digest;

/// Long enough to say what it is about, short enough for a preview.
const SUMMARY_CHARS_MAX: usize = 400;

/// What it says in short: the newsroom's own summary, or the beginning of the text; none where there is neither.
pub fn summary(content: &Content) -> Option<String> {
    let derived = || html::summary(&content.body.as_ref()?.html, SUMMARY_CHARS_MAX);
    content.summary.clone().or_else(derived)
}

/// The print of what mails tell of `article` with this `summary`: title, summary, authors, language, and where its link
/// leads. Each with its length in front, so that nothing can pass from one to the next.
pub fn print(article: &Article, summary: Option<&str>) -> u64 {
    let content = &article.content;
    let title = clean_line(&content.title);
    let (authors, url) = (content.authors.join("\0"), content.url.as_ref().map(url::Url::as_str));
    let mut told = digest::Context::new(&digest::SHA256);
    for part in [Some(title.as_str()), summary, Some(&authors), content.language.as_deref(), url] {
        let part = part.unwrap_or_default();
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
        let of = |content: Content| {
            let summary = summary(&content);
            let article = Article::published(ArticleId::parse("id", "a").unwrap(), Time::UNIX_EPOCH, content);
            print(&article, summary.as_deref())
        };
        let long = |end: &str| body(format!("<p>{} {end}</p>", "On Monday. ".repeat(100)));
        let first = of(content.clone());
        assert_eq!(of(Content { tags: vec!["accident".into()], ..content.clone() }), first);
        assert_eq!(of(Content { title: " Ten  hurt".into(), ..content.clone() }), first, "mails show one line");
        assert_eq!(
            of(Content { body: long("x"), ..content.clone() }),
            of(Content { body: long("y"), ..content.clone() }),
            "no mail tells so much of it"
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
