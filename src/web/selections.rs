//! The page of a selection, whatever it is made of: a category, a tag, an author, a language, a query; and what a person
//! sees who opens a feed's address in a browser.

use super::App;
use super::feeds::VARY;
use super::frame::{
    Head, ROBOTS, SCRIPTED_POLICY, Segments, javascript, kept, moved, nothing_here, page, say, segments,
};
use super::mishap::PageProblem;
use super::pages::parameter;
use super::view::{Followed, Teaser, feeds, subscribe_to};
use crate::domain::{Category, Fault, Folded, Kind, Problem, Selection, Term};
use crate::services::feeds::{Name, Part, Profile};
use crate::services::newsroom::Newsroom;
use crate::store::{Picks, Place, Store, StoreError, Window};
use crate::wire::locale::{Arg, Catalogue};
use axum::extract::{RawQuery, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, VARY as VARY_NAME};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use minijinja::context;
use minijinja::value::Serde;
use std::sync::Arc;
use url::form_urlencoded;

/// Articles on one page.
const PAGE_ARTICLES: usize = 20;
/// Articles that a feed's own page shows of it.
const FEED_ARTICLES: usize = 10;
/// It copies a feed's address.
const SCRIPT: &str = include_str!("../../templates/pages/feed.js");

/// `/{category}`: its articles, newest first; `?after=` names the place where an older page begins.
pub(super) async fn category(
    State(app): State<Arc<App>>,
    path: Segments<String>,
    RawQuery(query): RawQuery,
    asked: HeaderMap,
) -> Result<Response, PageProblem> {
    let slug = segments(path)?;
    let newsroom = app.newsroom.load();
    let category = newsroom.categories.get(&slug).ok_or_else(nothing_here)?;
    list(&app, Selection::category(&category.slug), query.as_deref(), &asked).await
}

/// `/{category}/`: the same page under the address that others think of first.
pub(super) async fn category_slash(
    State(app): State<Arc<App>>,
    path: Segments<String>,
) -> Result<Response, PageProblem> {
    let slug = segments(path)?;
    let newsroom = app.newsroom.load();
    let category = newsroom.categories.get(&slug).ok_or_else(nothing_here)?;
    Ok(moved(&newsroom.site.category_page(Some(&category.slug)))?)
}

/// `/tags/{tag}`
pub(super) async fn tag(
    State(app): State<Arc<App>>,
    path: Segments<String>,
    RawQuery(query): RawQuery,
    asked: HeaderMap,
) -> Result<Response, PageProblem> {
    named(&app, path, Term::Tag, query.as_deref(), &asked).await
}

/// `/authors/{author}`
pub(super) async fn author(
    State(app): State<Arc<App>>,
    path: Segments<String>,
    RawQuery(query): RawQuery,
    asked: HeaderMap,
) -> Result<Response, PageProblem> {
    named(&app, path, Term::Author, query.as_deref(), &asked).await
}

/// `/languages/{language}`
pub(super) async fn language(
    State(app): State<Arc<App>>,
    path: Segments<String>,
    RawQuery(query): RawQuery,
    asked: HeaderMap,
) -> Result<Response, PageProblem> {
    named(&app, path, Term::Language, query.as_deref(), &asked).await
}

async fn named(
    app: &Arc<App>,
    path: Segments<String>,
    term: fn(Folded) -> Term,
    query: Option<&str>,
    asked: &HeaderMap,
) -> Result<Response, PageProblem> {
    let given = segments(path)?;
    let name = Folded::parse(&given).ok_or_else(nothing_here)?;
    let is_canonical = name.as_str() == given;
    let selection = Selection::of(term(name));
    if !is_canonical {
        return Ok(moved(&app.newsroom.load().site.selection_page(&selection))?);
    }
    list(app, selection, query, asked).await
}

/// `/search?q=`: the articles of a query; without one, a page that says how to ask.
pub(super) async fn search(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    asked: HeaderMap,
) -> Result<Response, PageProblem> {
    let newsroom = app.newsroom.load_full();
    let q = query.as_deref().and_then(|query| parameter(query, "q")).unwrap_or_default();
    if q.trim().is_empty() {
        let ui = newsroom.site.spoken();
        let content = context! { query => "", action => format!("{}search", newsroom.site.base_url.path()) };
        return Ok(kept(&asked, page(&app, &newsroom, "search.html", Head::own(&say(ui, "search"), ui), content)?));
    }
    let malformed = |fault: Fault| Problem { kind: Kind::Malformed, ..fault.into() };
    let selection = Selection::parse(&q).map_err(|fault| malformed(fault.into()))?;
    let unknown = newsroom.categories.unknown("category", &selection);
    if !unknown.is_empty() {
        return Err(Problem { kind: Kind::NotFound, ..Problem::invalid(unknown) }.into());
    }
    let folder = selection.folder();
    // One address for each selection: its own folder where it has one, else its canonical text.
    if folder.path != "search/" || q != selection.to_string() {
        return Ok(moved(&newsroom.site.selection_page(&selection))?);
    }
    list(&app, selection, query.as_deref(), &asked).await
}

/// A page of a selection's articles.
pub(super) async fn list(
    app: &Arc<App>,
    selection: Selection,
    query: Option<&str>,
    asked: &HeaderMap,
) -> Result<Response, PageProblem> {
    let newsroom = app.newsroom.load_full();
    let after = query.and_then(|query| parameter(query, "after"));
    let place = after.as_deref().map(|text| Place::parse(text).ok_or_else(nothing_here)).transpose()?;
    let (teasers, next) = teasers(app, &newsroom, &selection, place, PAGE_ARTICLES).await?;

    let site = &newsroom.site;
    let category = of_category(&selection, &newsroom);
    let followed = Followed::new(selection, &newsroom);
    let first = site.selection_page(&followed.selection);
    let sign = if first.contains('?') { '&' } else { '?' };
    let at = |place: &dyn std::fmt::Display| format!("{first}{sign}after={place}");
    let ui = site.spoken_in(category);
    let all = say(ui, "all-articles");
    let title = if followed.title.is_empty() { &all } else { &followed.title };
    let head = Head {
        title,
        ui,
        language: category.map_or(&site.language, |category| &category.language),
        canonical: Some(after.as_ref().map_or_else(|| first.clone(), |after| at(after))),
        description: category.map(|category| category.description.as_str()),
        category,
        followed: Some(&followed),
        is_article: false,
        // Older pages shift with each new article; what is on them is found by its own address.
        is_indexed: after.is_none(),
    };
    let content = context! {
        category => context! {
            title => title,
            description => category.map(|category| &category.description),
            feeds => Serde(feeds(site, Some(&followed))),
            subscribe => subscribe_link(&followed.selection, &newsroom),
        },
        articles => Serde(&teasers),
        older => next.as_ref().map(|place| at(place)),
        newest => after.is_some().then(|| first.clone()),
    };
    Ok(kept(asked, page(app, &newsroom, "category.html", head, content)?))
}

/// What a person sees who opens the address of a feed: what it is, how to follow it, and what stands in it.
pub(super) async fn feed(app: &Arc<App>, name: &Name, asked: &HeaderMap) -> Result<Response, PageProblem> {
    let newsroom = app.newsroom.load_full();
    let site = &newsroom.site;
    let place = match &name.part {
        Part::Newest | Part::Archive(_) => None,
        Part::Behind(place) => Some(place.clone()),
    };
    let (teasers, _) = teasers(app, &newsroom, &name.selection, place, FEED_ARTICLES).await?;
    let category = of_category(&name.selection, &newsroom);
    let followed = Followed::new(name.selection.clone(), &newsroom);
    let title = if followed.title.is_empty() { site.title.clone() } else { followed.title.clone() };
    let ui = site.spoken_in(category);
    let heading = Catalogue::of(ui).text("feed-heading", &[("title", Arg::Text(&title))]);
    let head = Head { category, followed: Some(&followed), ..Head::own(&heading, ui) };
    let content = context! {
        title => &title,
        address => name.url(site),
        home => site.selection_page(&followed.selection),
        feeds => Serde(feeds(site, Some(&followed))),
        is_summary => name.profile == Profile::Summary,
        is_archive => matches!(name.part, Part::Archive(_)),
        subscribe => subscribe_link(&followed.selection, &newsroom),
        script => format!("{}assets/feed.js", site.base_url.path()),
        articles => Serde(&teasers),
    };
    let mut response = kept(asked, page(app, &newsroom, "feed.html", head, content)?);
    let headers = response.headers_mut();
    headers.insert(VARY_NAME, VARY);
    headers.insert(CONTENT_SECURITY_POLICY, SCRIPTED_POLICY);
    headers.insert(ROBOTS, HeaderValue::from_static("noindex"));
    Ok(response)
}

/// `/assets/feed.js`
pub(super) async fn script() -> Response {
    javascript(SCRIPT)
}

async fn teasers(
    app: &Arc<App>,
    newsroom: &Arc<Newsroom>,
    selection: &Selection,
    after: Option<Place>,
    limit: usize,
) -> Result<(Vec<Teaser>, Option<Place>), StoreError> {
    let (newsroom, selection) = (Arc::clone(newsroom), selection.clone());
    let list = move |store: &Store| {
        let Picks { picked, next } = store.select(&selection, &Window::default(), after.as_ref(), limit)?;
        let shown_in = of_category(&selection, &newsroom);
        let mut teasers = Vec::with_capacity(picked.len());
        for picked in picked {
            // An edit may have come between the two reads: what is no longer public is left out.
            let article = store.article(&picked.id)?.filter(|article| article.record.is_public());
            teasers.extend(article.map(|article| Teaser::new(&article.record, &newsroom, shown_in)));
        }
        Ok((teasers, next))
    };
    app.store.scan(list).await
}

fn of_category<'a>(selection: &Selection, newsroom: &'a Newsroom) -> Option<&'a Category> {
    selection.as_category().and_then(|slug| newsroom.categories.get(slug.as_str()))
}

/// The form, with what `selection` takes in ticked.
fn subscribe_link(selection: &Selection, newsroom: &Newsroom) -> String {
    let form = newsroom.site.address("subscribe");
    match selection.as_category() {
        Some(slug) => subscribe_to(&newsroom.site, slug),
        None if selection.is_all() => form,
        None => {
            let query = selection.to_string();
            format!("{form}?{}", form_urlencoded::Serializer::new(String::new()).append_pair("query", &query).finish())
        }
    }
}
