//! An article as search engines read it off its page: `NewsArticle` of schema.org, as JSON-LD.

use super::view::{home, language, pictures, summary};
use crate::domain::{Article, Medium};
use crate::services::newsroom::Newsroom;
use chrono::SecondsFormat;
use minijinja::value::Value;
use serde_json::json;

/// Google cuts off a headline behind so many characters.
const HEADLINE_CHARS_MAX: usize = 110;
/// As for other descriptions.
const DESCRIPTION_CHARS_MAX: usize = 200;

/// The data block's content, to go into the page as it is: nothing in it ends the element or opens a comment.
pub(super) fn json_ld(article: &Article, newsroom: &Newsroom) -> Value {
    let (site, content) = (&newsroom.site, &article.content);
    let date = |time: crate::domain::Time| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    let person = |name: &String| json!({ "@type": "Person", "name": name });
    let mut data = json!({
        "@context": "https://schema.org",
        "@type": "NewsArticle",
        "headline": content.title.chars().take(HEADLINE_CHARS_MAX).collect::<String>(),
        "datePublished": date(article.dated()),
        "dateModified": date(article.updated_at.max(article.dated())),
        "inLanguage": language(article, newsroom),
        "url": site.article_link(article),
        "mainEntityOfPage": site.article_link(article),
        "publisher": { "@type": "NewsMediaOrganization", "name": site.title, "url": site.address("") },
        "isAccessibleForFree": true,
    });
    if !content.authors.is_empty() {
        data["author"] = content.authors.iter().map(person).collect();
    }
    let pictures: Vec<_> = pictures(content).map(picture).collect();
    if !pictures.is_empty() {
        data["image"] = pictures.into();
    }
    if let Some(description) = summary(article, DESCRIPTION_CHARS_MAX) {
        data["description"] = description.into();
    }
    if let Some(category) = home(article, newsroom) {
        data["articleSection"] = category.title.as_str().into();
    }
    if !content.tags.is_empty() {
        data["keywords"] = content.tags.join(", ").into();
    }
    Value::from_safe_string(inert(&data.to_string()))
}

/// As an `ImageObject`, with what is known of it.
fn picture(medium: &Medium) -> serde_json::Value {
    let mut data = json!({ "@type": "ImageObject", "url": medium.url });
    let (width, height) = (medium.width.map(Into::into), medium.height.map(Into::into));
    let (caption, credit) = (medium.alt.clone().map(Into::into), medium.credit.clone().map(Into::into));
    for (name, value) in [("width", width), ("height", height), ("caption", caption), ("creditText", credit)] {
        if let Some(value) = value {
            data[name] = value;
        }
    }
    data
}

/// JSON in which no character means anything to HTML, nor ends a line to old parsers of scripts.
fn inert(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            // Outside of strings JSON has none of these.
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_data_block_ends_it() {
        let json = json!({ "a": "</script><!-- & \u{2028}" }).to_string();
        let inert = inert(&json);
        assert!(!inert.contains(['<', '>', '&', '\u{2028}']), "{inert}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&inert).unwrap(),
            serde_json::from_str::<serde_json::Value>(&json).unwrap()
        );
    }
}
