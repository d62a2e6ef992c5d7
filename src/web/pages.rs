//! Pages for readers: home and article. The pages of selections are in [`super::selections`], the print view is in
//! [`super::print`], the forms are in [`super::subscribe`]. Plain HTML and one style sheet; nothing needs a script.
//!
//! Pages read the store and not a reader's output, so what was answered with `201` is on them at once.

use super::App;
use super::frame::{Head, Segments, kept, moved, page, segments};
use super::linked::json_ld;
use super::mishap::PageProblem;
use super::selections;
use super::templates::STYLE;
use super::view::{Section, Story, Teaser, home as home_of, language, summary};
use crate::domain::{Article, ArticleId, Category, Kind, Problem, Reason, Selection, State as ArticleState, Term};
use crate::services::newsroom::Newsroom;
use crate::store::{Order, Place, Store, StoreError};
use axum::extract::{RawQuery, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use minijinja::context;
use minijinja::value::Serde;
use std::sync::Arc;
use url::form_urlencoded;

/// Newest articles on the home page.
const LATEST: usize = 8;
/// Headlines of each category on the home page.
const HEADLINES: usize = 4;
/// Characters of the description that search engines and previews show; they cut off what is longer.
const DESCRIPTION_CHARS_MAX: usize = 200;

/// `/`: the newest of all, and each category with its headlines; `?after=` names the place where an older page begins.
pub(super) async fn home(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    asked: HeaderMap,
) -> Result<Response, PageProblem> {
    if query.as_deref().is_some_and(|query| parameter(query, "after").is_some()) {
        return selections::list(&app, Selection::all(), query.as_deref(), &asked).await;
    }
    let newsroom = app.newsroom.load_full();
    let room = Arc::clone(&newsroom);
    let (latest, older, sections) = app.store.scan(move |store| front(store, &room)).await?;
    let site = &newsroom.site;
    let head = Head {
        title: "",
        ui: site.spoken(),
        language: &site.language,
        canonical: Some(site.category_page(None)),
        description: Some(&site.description),
        category: None,
        followed: None,
        is_article: false,
        is_indexed: true,
    };
    let older = older.map(|place| format!("{}?after={place}", site.category_page(None)));
    let content = context! { latest => Serde(&latest), sections => Serde(&sections), older => older };
    Ok(kept(&asked, page(&app, &newsroom, "home.html", head, content)?))
}

/// The newest articles, where the older ones begin, and each category.
type Front = (Vec<Teaser>, Option<Place>, Vec<Section>);

fn front(store: &Store, newsroom: &Newsroom) -> Result<Front, StoreError> {
    let page = store.articles(Order::Public, None, LATEST)?;
    let latest = page.articles.iter().map(|article| Teaser::new(article, newsroom, None)).collect();
    let section = |category: &Category| {
        let articles = store.articles(Order::Term(&Term::Category(category.slug.clone())), None, HEADLINES)?.articles;
        let headlines = articles.iter().map(|article| Teaser::headline(article, newsroom, Some(category))).collect();
        Ok(Section::new(category, headlines, newsroom))
    };
    let sections = newsroom.categories.iter().map(section).collect::<Result<_, StoreError>>()?;
    Ok((latest, page.next, sections))
}

/// `/articles/{id}/{slug}`: an article. Another slug than its own leads to the right address.
pub(super) async fn article(
    State(app): State<Arc<App>>,
    path: Segments<(String, String)>,
    asked: HeaderMap,
) -> Result<Response, PageProblem> {
    let newsroom = app.newsroom.load_full();
    let (id, slug) = segments(path)?;
    let article = public_article(&app.store, &id)?;
    if slug != article.slug() {
        return Ok(moved(&newsroom.site.article_page(&article))?);
    }
    let description = summary(&article, DESCRIPTION_CHARS_MAX);
    let body = article.content.body.as_ref().map(|body| body.html.clone());
    let content = context! {
        article => Serde(Story::new(&article, body, &newsroom)),
        json_ld => json_ld(&article, &newsroom),
    };
    let html = page(&app, &newsroom, "article.html", head_of(&article, &newsroom, description.as_deref()), content)?;
    Ok(kept(&asked, html))
}

/// `/articles/{id}`: leads to the article's full address.
pub(super) async fn article_by_id(
    State(app): State<Arc<App>>,
    path: Segments<String>,
) -> Result<Response, PageProblem> {
    let article = public_article(&app.store, &segments(path)?)?;
    Ok(moved(&app.newsroom.load().site.article_page(&article))?)
}

/// `/assets/site.css`. Under the address that pages name it never changes; under any other it is asked about.
pub(super) async fn style(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Response {
    let version = query.as_deref().and_then(|query| parameter(query, "v"));
    let is_this = version.as_deref() == Some(app.templates.style_version());
    let caching = if is_this { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8")),
        (CACHE_CONTROL, HeaderValue::from_static(caching)),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, STYLE).into_response()
}

/// The head of an article's page and of its print view.
pub(super) fn head_of<'a>(article: &'a Article, newsroom: &'a Newsroom, description: Option<&'a str>) -> Head<'a> {
    Head {
        title: &article.content.title,
        ui: newsroom.site.spoken_in(home_of(article, newsroom)),
        language: language(article, newsroom),
        canonical: Some(newsroom.site.article_link(article)),
        description,
        category: home_of(article, newsroom),
        followed: None,
        is_article: true,
        is_indexed: true,
    }
}

/// The article with this id, if the public sees it.
///
/// Errors: [`Kind::Gone`] for one that was retracted; [`Kind::NotFound`] for any other, so that nobody learns of
/// a draft by guessing.
pub(super) fn public_article(store: &Store, id: &str) -> Result<Article, Problem> {
    let missing = || Problem::new(Kind::NotFound, "there is no article at this address").because(Reason::NoArticle);
    let id = ArticleId::parse("id", id).map_err(|_| missing())?;
    let article = store.article(&id)?.ok_or_else(missing)?.record;
    match article.state {
        ArticleState::Published => Ok(article),
        // Withdrawn before it was public: to the public it never was.
        ArticleState::Retracted if article.first_public_at.is_none() => Err(missing()),
        ArticleState::Retracted => {
            Err(Problem::new(Kind::Gone, "this article has been withdrawn by the newsroom that published it")
                .because(Reason::Withdrawn))
        }
        ArticleState::Draft | ArticleState::Scheduled => Err(missing()),
    }
}

/// The first value of `name` in a query, decoded.
pub(super) fn parameter(query: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}
