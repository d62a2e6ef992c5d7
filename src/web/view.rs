//! Articles, categories and dates as the templates show them.

use crate::domain::{Article, Category, Comments, Content, Folded, Medium, Selection, Site, Slug, Term};
use crate::services::feeds::Name;
use crate::services::newsroom::Newsroom;
use crate::wire::locale::When;
use crate::wire::{Format, html, print_word};
use chrono::Duration;
use jiff::tz::TimeZone;
use minijinja::value::Value;
use serde::Serialize;
use url::Url;

/// A summary in a list: three lines on a desk, five on a telephone.
const SUMMARY_CHARS_MAX: usize = 220;

/// An edit within this time of publishing is the last touch, and not worth a second date.
const TOUCH: Duration = Duration::minutes(5);

/// Something with a title that leads somewhere.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Link {
    pub(super) title: String,
    pub(super) href: String,
    pub(super) language: String,
}

impl Link {
    /// To the page of a category.
    pub(super) fn section(site: &Site, category: &Category) -> Self {
        Link {
            title: category.title.clone(),
            href: site.category_page(Some(&category.slug)),
            language: category.language.clone(),
        }
    }
}

/// A feed in one format.
#[derive(Debug, Clone, Serialize)]
pub(super) struct FeedLink {
    /// `RSS`, `Atom` or `JSON`.
    pub(super) name: &'static str,
    /// Whose feed it is, and the name: what a browser or reader offers.
    pub(super) title: String,
    pub(super) media_type: &'static str,
    pub(super) href: String,
}

/// Something that can be followed: a selection and what people call it.
pub(super) struct Followed {
    /// Empty for the whole newsroom.
    pub(super) title: String,
    pub(super) selection: Selection,
}

impl Followed {
    pub(super) fn new(selection: Selection, newsroom: &Newsroom) -> Self {
        Followed { title: selection.titles(&newsroom.categories).join(", "), selection }
    }
}

/// The feeds of `followed`, or of everything, one in each format.
pub(super) fn feeds(site: &Site, followed: Option<&Followed>) -> Vec<FeedLink> {
    let whole = Selection::all();
    let selection = followed.map_or(&whole, |followed| &followed.selection);
    let of = |format: Format| {
        let name = match format {
            Format::Rss => "RSS",
            Format::Atom => "Atom",
            Format::Json => "JSON",
        };
        let whose = match followed {
            Some(followed) if !followed.title.is_empty() => format!("{} – {}", followed.title, site.title),
            Some(_) | None => site.title.clone(),
        };
        FeedLink {
            name,
            title: format!("{whose} ({name})"),
            // Autodiscovery compares the bare type.
            media_type: format.media_type().split(';').next().unwrap_or_default(),
            href: Name::newest(selection.clone(), format).url(site),
        }
    };
    Format::ALL.map(of).into()
}

/// The subscribing form with `category` chosen already.
pub(super) fn subscribe_to(site: &Site, category: &Slug) -> String {
    site.address(&format!("subscribe?category={category}"))
}

/// `rtl` for languages that are written from right to left, else `ltr`.
pub(super) fn direction(language: &str) -> &'static str {
    const RIGHT_TO_LEFT: [&str; 10] = ["ar", "ckb", "dv", "fa", "he", "ps", "sd", "ug", "ur", "yi"];
    let primary = language.split('-').next().unwrap_or_default();
    if RIGHT_TO_LEFT.iter().any(|known| primary.eq_ignore_ascii_case(known)) { "rtl" } else { "ltr" }
}

/// The category that gives an article its language and zone: the first of its own that is configured.
pub(super) fn home<'a>(article: &Article, newsroom: &'a Newsroom) -> Option<&'a Category> {
    article.content.categories.iter().find_map(|slug| newsroom.categories.get(slug.as_str()))
}

/// The language an article is in.
pub(super) fn language<'a>(article: &'a Article, newsroom: &'a Newsroom) -> &'a str {
    match (&article.content.language, home(article, newsroom)) {
        (Some(language), _) => language,
        (None, Some(category)) => &category.language,
        (None, None) => &newsroom.site.language,
    }
}

fn zone(category: Option<&Category>) -> TimeZone {
    category.map_or(TimeZone::UTC, |category| category.zone.clone())
}

/// The newsroom's summary; where it wrote none, one made from the body.
pub(super) fn summary(article: &Article, chars_max: usize) -> Option<String> {
    let content = &article.content;
    content.summary.clone().or_else(|| html::summary(&content.body.as_ref()?.html, chars_max))
}

/// An article in a list.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Teaser {
    title: String,
    href: String,
    language: String,
    direction: &'static str,
    when: When,
    summary: Option<String>,
    home: Option<Link>,
}

impl Teaser {
    /// With its summary; `shown_in` is the category whose page it stands on, and whose zone then counts.
    pub(super) fn new(article: &Article, newsroom: &Newsroom, shown_in: Option<&Category>) -> Self {
        Teaser { summary: summary(article, SUMMARY_CHARS_MAX), ..Teaser::headline(article, newsroom, shown_in) }
    }

    /// Without its summary.
    pub(super) fn headline(article: &Article, newsroom: &Newsroom, shown_in: Option<&Category>) -> Self {
        let home = home(article, newsroom);
        let language = language(article, newsroom);
        Teaser {
            title: article.content.title.clone(),
            href: newsroom.site.article_page(article),
            language: language.to_owned(),
            direction: direction(language),
            when: When::new(article.dated(), &zone(shown_in.or(home))),
            summary: None,
            home: home.map(|category| Link::section(&newsroom.site, category)),
        }
    }
}

/// A category on the home page.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Section {
    slug: Slug,
    title: String,
    description: String,
    language: String,
    direction: &'static str,
    href: String,
    feeds: Vec<FeedLink>,
    subscribe: String,
    articles: Vec<Teaser>,
}

impl Section {
    pub(super) fn new(category: &Category, articles: Vec<Teaser>, newsroom: &Newsroom) -> Self {
        let site = &newsroom.site;
        let followed = Followed::new(Selection::category(&category.slug), newsroom);
        Section {
            slug: category.slug.clone(),
            title: category.title.clone(),
            description: category.description.clone(),
            language: category.language.clone(),
            direction: direction(&category.language),
            href: site.category_page(Some(&category.slug)),
            feeds: feeds(site, Some(&followed)),
            subscribe: subscribe_to(site, &category.slug),
            articles,
        }
    }
}

/// An article in full.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Story {
    title: String,
    /// The newsroom's own summary; one made from the body would say the same twice.
    lead: Option<String>,
    when: When,
    updated: Option<When>,
    authors: Vec<Link>,
    body: Option<Value>,
    tags: Vec<Link>,
    categories: Vec<Link>,
    source: Option<Link>,
    /// What previews of its address show.
    picture: Option<Medium>,
    /// What stands above the text, and what below it.
    lead_picture: Option<Shown>,
    media: Vec<Shown>,
    comments: Option<Remarks>,
    print: String,
    print_word: String,
}

impl Story {
    /// With `body` as its text: sanitised HTML, which goes into the page as it is.
    pub(super) fn new(article: &Article, body: Option<String>, newsroom: &Newsroom) -> Self {
        let site = &newsroom.site;
        let content = &article.content;
        let zone = zone(home(article, newsroom));
        let dated = article.dated();
        let known = content.categories.iter().filter_map(|slug| newsroom.categories.get(slug.as_str()));
        let is_edited = article.updated_at - dated > TOUCH;
        let mut media: Vec<Shown> =
            content.media.iter().filter(|medium| !is_in(body.as_deref(), medium)).map(Shown::new).collect();
        let lead = media.iter().position(|shown| shown.kind == "image").filter(|_| !has_picture(body.as_deref()));
        Story {
            lead_picture: lead.map(|lead| media.remove(lead)),
            media,
            comments: content.comments.as_ref().map(Remarks::new),
            title: content.title.clone(),
            lead: content.summary.clone(),
            when: When::new(dated, &zone),
            updated: is_edited.then(|| When::new(article.updated_at, &zone)),
            authors: links(&content.authors, Term::Author, site),
            body: body.map(Value::from_safe_string),
            tags: links(&content.tags, Term::Tag, site),
            categories: known.map(|category| Link::section(site, category)).collect(),
            source: content.url.as_ref().map(source),
            picture: pictures(content).next().cloned(),
            print: site.print_page(&article.id),
            print_word: print_word(language(article, newsroom)),
        }
    }
}

/// A picture, a recording, a film or another file beside the text.
#[derive(Debug, Clone, Serialize)]
struct Shown {
    /// `image`, `audio`, `video` or `document`.
    kind: &'static str,
    /// What the file is called, for a link to it.
    name: String,
    #[serde(flatten)]
    medium: Medium,
}

impl Shown {
    fn new(medium: &Medium) -> Self {
        let segments = medium.url.path_segments();
        let name = segments.and_then(|mut segments| segments.next_back()).filter(|name| !name.is_empty());
        let name = medium.alt.as_deref().or(name).unwrap_or(medium.url.as_str()).to_owned();
        Shown { kind: medium.medium(), name, medium: medium.clone() }
    }
}

/// Where an article is discussed.
#[derive(Debug, Clone, Serialize)]
struct Remarks {
    href: String,
    count: Option<u32>,
}

impl Remarks {
    fn new(comments: &Comments) -> Self {
        Remarks { href: comments.url.to_string(), count: comments.count }
    }
}

/// Does the text show it already?
fn is_in(body: Option<&str>, medium: &Medium) -> bool {
    body.is_some_and(|html| html.contains(&html::escape(medium.url.as_str())))
}

/// Does the text bring pictures of its own? Then it is the newsroom's business where they stand.
fn has_picture(body: Option<&str>) -> bool {
    body.is_some_and(|html| html.contains("<img"))
}

/// The pictures among its media.
pub(super) fn pictures(content: &Content) -> impl Iterator<Item = &Medium> {
    content.media.iter().filter(|medium| medium.medium() == "image")
}

/// Names with the pages of what is selected by them.
fn links(names: &[String], term: fn(Folded) -> Term, site: &Site) -> Vec<Link> {
    let link = |name: &String| {
        let href = site.selection_page(&Selection::of(term(Folded::parse(name)?)));
        Some(Link { title: name.clone(), href, language: String::new() })
    };
    names.iter().filter_map(link).collect()
}

/// The article on the newsroom's own site, under the name of that site.
fn source(url: &Url) -> Link {
    let host = url.host_str().unwrap_or_default();
    let title = host.strip_prefix("www.").unwrap_or(host).to_owned();
    Link { title, href: url.to_string(), language: String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arabic_and_persian_run_from_right_to_left() {
        assert_eq!(["ar-EG", "FA", "en", "art", ""].map(direction), ["rtl", "rtl", "ltr", "ltr", "ltr"]);
    }
}
