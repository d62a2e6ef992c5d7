//! What programs find the newsroom's pages and feeds by: a list of feeds, sitemaps, and what robots may do.

use super::App;
use super::frame::{Segments, kept, nothing_here, segments};
use super::mishap::PageProblem;
use super::view::language;
use crate::domain::{Article, Selection, Site, Time};
use crate::services::feeds::Name;
use crate::store::{Place, Store, StoreError, Window};
use crate::wire::{Format, outline, sitemap};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use chrono::{Datelike as _, Duration, Months, NaiveDate};
use std::sync::Arc;

/// The news sitemap's rule: only articles of the last two days.
const NEWS_DAYS: i64 = 2;
/// Articles that are looked up in one go; writers get in between.
const PIECE: usize = 200;
/// A crawler that comes again within the hour gets what its cache has.
const CACHING: HeaderValue = HeaderValue::from_static("public, max-age=3600");

/// `/opml.xml`: every feed, for readers that take a list.
pub(super) async fn opml(State(app): State<Arc<App>>, asked: HeaderMap) -> Response {
    let newsroom = app.newsroom.load();
    let site = &newsroom.site;
    let feed = |selection: Selection| Name::newest(selection, Format::Rss).url(site);
    let whole = outline::Outline {
        title: site.title.clone(),
        description: site.description.clone(),
        language: site.language.clone(),
        page: site.address(""),
        feed: feed(Selection::all()),
    };
    let categories = newsroom.categories.iter().map(|category| outline::Outline {
        title: format!("{} – {}", category.title, site.title),
        description: category.description.clone(),
        language: category.language.clone(),
        page: site.category_page(Some(&category.slug)),
        feed: feed(Selection::category(&category.slug)),
    });
    let outlines: Vec<_> = std::iter::once(whole).chain(categories).collect();
    served(&asked, outline::MEDIA_TYPE, outline::write(&site.title, newsroom.changed_at, &outlines))
}

/// `/robots.txt` (RFC 9309). Pages whose address is a secret, and the API, are nobody's to look through.
pub(super) async fn robots(State(app): State<Arc<App>>, asked: HeaderMap) -> Response {
    let newsroom = app.newsroom.load();
    let path = newsroom.site.base_url.path();
    let address = |name: &str| newsroom.site.address(name);
    let text = format!(
        "User-agent: *\nDisallow: {path}api/\nDisallow: {path}subscriptions/\nDisallow: {path}search\n\n\
         Sitemap: {}\nSitemap: {}\n",
        address("sitemap.xml"),
        address("news-sitemap.xml"),
    );
    served(&asked, "text/plain; charset=utf-8", text)
}

/// `/sitemap.xml`: an index of one sitemap for the standing pages and one for each month of articles. A month that is
/// over hardly changes, so crawlers need not fetch it again.
pub(super) async fn index(State(app): State<Arc<App>>, asked: HeaderMap) -> Result<Response, PageProblem> {
    let now = app.clock.now();
    let months = app.store.scan(move |store| months(store, now, sitemap::URLS_MAX)).await?;
    let newsroom = app.newsroom.load();
    let address = |name: String| newsroom.site.address(&format!("sitemaps/{name}.xml"));
    let months = months.into_iter().map(|(month, parts)| {
        let month = month.format("%Y-%m").to_string();
        (1..=parts).map(move |part| if part == 1 { month.clone() } else { format!("{month}.{part}") })
    });
    let names: Vec<String> = std::iter::once("pages".to_owned()).chain(months.flatten()).map(address).collect();
    Ok(served(&asked, sitemap::MEDIA_TYPE, sitemap::index(&names)))
}

/// `/sitemaps/{name}`: `pages.xml`, or a month such as `2026-11.xml`; what one file cannot hold is in `2026-11.2.xml`.
pub(super) async fn part(
    State(app): State<Arc<App>>,
    path: Segments<String>,
    asked: HeaderMap,
) -> Result<Response, PageProblem> {
    let name = segments(path)?;
    let name = name.strip_suffix(".xml").ok_or_else(nothing_here)?;
    let newsroom = app.newsroom.load_full();
    if name == "pages" {
        let pages = std::iter::once(None).chain(newsroom.categories.iter().map(|category| Some(&category.slug)));
        let place = |category| sitemap::Place { address: newsroom.site.category_page(category), changed_at: None };
        return Ok(served(&asked, sitemap::MEDIA_TYPE, sitemap::urls(&pages.map(place).collect::<Vec<_>>())));
    }
    let (month, part) = name.split_once('.').unwrap_or((name, "1"));
    let part = part.parse::<usize>().ok().filter(|number| *number > 0 && number.to_string() == part);
    let month = NaiveDate::parse_from_str(&format!("{month}-01"), "%Y-%m-%d").ok();
    let (Some(month), Some(part)) = (month, part) else { return Err(nothing_here().into()) };
    let read = move |store: &Store| articles_of(store, &newsroom.site, month, part, sitemap::URLS_MAX);
    let places = app.store.scan(read).await?.ok_or_else(nothing_here)?;
    Ok(served(&asked, sitemap::MEDIA_TYPE, sitemap::urls(&places)))
}

/// `/news-sitemap.xml`: the articles of the last two days.
pub(super) async fn news(State(app): State<Arc<App>>, asked: HeaderMap) -> Result<Response, PageProblem> {
    let newsroom = app.newsroom.load_full();
    let window = Window { from: Some(app.clock.now() - Duration::days(NEWS_DAYS)), until: None };
    let room = Arc::clone(&newsroom);
    let read = move |store: &Store| {
        let mut news = Vec::new();
        each(store, &window, sitemap::NEWS_MAX, |article| {
            news.extend(own_address(&article, &room.site).map(|address| sitemap::News {
                address,
                title: article.content.title.clone(),
                language: language(&article, &room).to_owned(),
                published: article.dated(),
            }));
        })?;
        Ok(news)
    };
    let news = app.store.scan(read).await?;
    Ok(served(&asked, sitemap::MEDIA_TYPE, sitemap::news(&newsroom.site.title, &news)))
}

/// The address that search engines are to list, if it is on this newsroom's own host: a sitemap may name no other
/// (sitemaps.org, "Sitemap file location"), and a page here whose article lives elsewhere is not the one to list.
fn own_address(article: &Article, site: &Site) -> Option<String> {
    let is_own = article.content.url.as_ref().is_none_or(|url| url.origin() == site.base_url.origin());
    is_own.then(|| site.article_link(article))
}

/// The months that have articles, the newest first, each with the number of its files of `urls_max` articles.
fn months(store: &Store, now: Time, urls_max: usize) -> Result<Vec<(NaiveDate, usize)>, StoreError> {
    let mut months = Vec::new();
    let mut until = Some(now + Duration::days(1));
    while let Some(end) = until {
        let window = Window { from: None, until: Some(end) };
        let newest = store.select(&Selection::all(), &window, None, 1)?.picked.into_iter().next();
        let Some(newest) = newest.map(|picked| picked.dated) else { break };
        let Some(month) = newest.date_naive().with_day(1) else { break };
        let mut articles = 0_usize;
        ids(store, &of_month(month), usize::MAX, |_| articles += 1)?;
        months.push((month, articles.div_ceil(urls_max)));
        until = Some(start(month));
    }
    Ok(months)
}

/// What stands in one file of a month; none if there is no such file. Where all of its articles live on other hosts it
/// is empty: the index, which does not read them, names it.
fn articles_of(
    store: &Store,
    site: &Site,
    month: NaiveDate,
    part: usize,
    urls_max: usize,
) -> Result<Option<Vec<sitemap::Place>>, StoreError> {
    let skipped = part.saturating_sub(1).saturating_mul(urls_max);
    let (mut places, mut is_any) = (Vec::new(), false);
    each_behind(store, &of_month(month), skipped, urls_max, |article| {
        is_any = true;
        let changed_at = Some(article.updated_at.max(article.dated()));
        places.extend(own_address(&article, site).map(|address| sitemap::Place { address, changed_at }));
    })?;
    Ok(is_any.then_some(places))
}

fn of_month(month: NaiveDate) -> Window {
    Window { from: Some(start(month)), until: month.checked_add_months(Months::new(1)).map(start) }
}

fn start(day: NaiveDate) -> Time {
    day.and_time(chrono::NaiveTime::MIN).and_utc()
}

fn each(store: &Store, window: &Window, limit: usize, take: impl FnMut(Article)) -> Result<(), StoreError> {
    each_behind(store, window, 0, limit, take)
}

/// Takes the public articles of `window`, newest first, behind the first `skipped`, at most `limit` of them.
fn each_behind(
    store: &Store,
    window: &Window,
    skipped: usize,
    limit: usize,
    mut take: impl FnMut(Article),
) -> Result<(), StoreError> {
    let mut number = 0;
    let mut failed = None;
    ids(store, window, skipped.saturating_add(limit), |id| {
        number += 1;
        if number <= skipped || failed.is_some() {
            return;
        }
        match store.article(id) {
            Ok(Some(article)) if article.record.is_public() => take(article.record),
            Ok(_) => {}
            Err(error) => failed = Some(error),
        }
    })?;
    failed.map_or(Ok(()), Err)
}

fn ids(
    store: &Store,
    window: &Window,
    limit: usize,
    mut take: impl FnMut(&crate::domain::ArticleId),
) -> Result<(), StoreError> {
    let mut after: Option<Place> = None;
    let mut left = limit;
    while left > 0 {
        let picks = store.select(&Selection::all(), window, after.as_ref(), PIECE.min(left))?;
        left -= picks.picked.len().min(left);
        picks.picked.iter().for_each(|picked| take(&picked.id));
        after = picks.next;
        if after.is_none() {
            break;
        }
    }
    Ok(())
}

fn served(asked: &HeaderMap, media_type: &'static str, text: String) -> Response {
    let mut response = kept(asked, text);
    if response.status() == StatusCode::OK {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    }
    response.headers_mut().insert(CACHE_CONTROL, CACHING);
    response.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::tests::Newspaper;
    use std::collections::BTreeSet;

    #[tokio::test]
    async fn a_month_that_is_too_large_for_one_file_has_several_which_together_are_the_month() {
        let paper = Newspaper::new();
        for number in 0..8 {
            paper.publish(&format!("a{number}"), &format!("Story {number}"), |_| ()).await;
        }
        let (store, now) = (&paper.app.store, paper.app.clock.now());
        let newsroom = paper.app.newsroom.load();
        let [(month, 3)] = months(store, now, 3).unwrap()[..] else { panic!("three files of one month") };
        let part = |number| articles_of(store, &newsroom.site, month, number, 3).unwrap();
        let parts: Vec<Vec<String>> =
            (1..).map_while(|number| Some(part(number)?.into_iter().map(|place| place.address).collect())).collect();
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 2]);
        let whole = articles_of(store, &newsroom.site, month, 1, sitemap::URLS_MAX).unwrap().unwrap();
        let whole: BTreeSet<String> = whole.into_iter().map(|place| place.address).collect();
        assert_eq!(parts.concat().into_iter().collect::<BTreeSet<_>>(), whole);
        assert_eq!(whole.len(), 8);
    }

    #[tokio::test]
    async fn of_more_news_than_a_news_sitemap_takes_the_newest_stand_in_it() {
        let paper = Newspaper::new();
        let now = paper.app.clock.now();
        let mut batch = crate::store::Batch::default();
        let one = paper.publish("one", "Story", |_| ()).await;
        for number in 0..1_003_i64 {
            let mut article = one.clone();
            article.id = crate::domain::ArticleId::parse("id", &format!("a{number}")).unwrap();
            article.content.title = format!("No. {number}.");
            article.published_at = Some(now - Duration::seconds(number));
            paper.app.store.write_article(&mut batch, None, &article);
        }
        paper.app.store.commit(batch).await.unwrap();
        let answer = news(State(Arc::clone(&paper.app)), HeaderMap::new()).await.unwrap();
        let bytes = axum::body::to_bytes(answer.into_body(), 4 << 20).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(text.matches("<url>").count(), sitemap::NEWS_MAX);
        assert!(text.contains("No. 0.") && text.contains("No. 999.") && !text.contains("No. 1000."));
    }
}
