//! Feeds as HTTP: what is asked, what is answered. Decided here once, for both ways in: [`super::direct`], the short one,
//! for plain requests, and hyper's for all of them.

mod asked;
mod codings;
mod patience;
mod range;

pub(super) use asked::{Asked, Choice};
pub(super) use codings::Wanted;
pub(super) use patience::Patience;
pub(super) use range::Asked as Part;

use super::condition::Held;
use super::problem::ApiProblem;
use super::{App, frame, selections};
use crate::domain::{Kind, Problem};
use crate::services::feeds::{Built, Coding, Feed, Found};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse as _;
use bytes::Bytes;
use http_body_util::{Either, Full};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::IpAddr;
use std::sync::Arc;

/// What every answer's body is: prepared bytes, or whatever a page or the API makes.
pub(super) type Body = Either<Full<Bytes>, axum::body::Body>;

/// What decides which bytes are sent: the coding, and whether a person opened the address.
pub(super) const VARY: HeaderValue = HeaderValue::from_static("accept-encoding, sec-fetch-dest");
/// A feed is data: opened in a browser, nothing in it runs.
const POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; style-src 'self'");
/// While a cache asks anew it may serve what it has for so many times as long as that was fresh.
const STALE_TIMES: u32 = 2;
/// While we are down, a cache may go on serving for a day (RFC 5861 §4).
const STALE_IF_ERROR_S: u32 = 86_400;
/// The difference that a reader has not seen is nobody else's (RFC 3229 §10.8).
const DIFFERENCE: HeaderValue = HeaderValue::from_static("no-store, im");
/// Behind this many bytes packing costs less than sending.
const PACKED_FROM_BYTES: usize = 1_000;
/// The status of an answer that has been manipulated as the client asked (RFC 3229 §10.4.1).
const IM_USED: u16 = 226;

/// All of an answer that does not depend on the connection.
pub(super) struct Answer {
    /// Its status.
    pub(super) status: StatusCode,
    /// Without `Date` and without the body's length.
    pub(super) fields: Vec<(HeaderName, HeaderValue)>,
    /// Empty with a 304. With a HEAD it tells the length and is not sent.
    pub(super) body: Bytes,
}

impl Answer {
    /// The answer that `choice` is.
    pub(super) fn new(choice: Choice, built: &Built, now_s: i64) -> Self {
        let mut fields = validators(built, choice.coding, now_s);
        fields.extend(caching(built.fresh_s).map(|value| (header::CACHE_CONTROL, value)));
        fields.push((header::VARY, VARY));
        if choice.is_known() {
            return Answer { status: choice.status(), fields, body: Bytes::new() };
        }
        fields.push((header::ACCEPT_RANGES, HeaderValue::from_static("bytes")));
        fields.extend(content(built, choice.coding));
        Answer { status: choice.status(), fields, body: choice.bytes(built).clone() }
    }

    /// The same, cut to what `asked` wants of it (RFC 9110 §14).
    fn in_part(mut self, asked: &Asked<'_>, tag: &[u8]) -> Self {
        let length = self.body.len();
        match asked.part(tag, length) {
            _ if self.status != StatusCode::OK || asked.is_head => self,
            range::Asked::Whole => self,
            range::Asked::Part(part) => {
                let place = format!("bytes {}-{}/{length}", part.start, part.end - 1);
                self.fields.extend(HeaderValue::try_from(place).map(|value| (header::CONTENT_RANGE, value)));
                Answer { status: StatusCode::PARTIAL_CONTENT, fields: self.fields, body: self.body.slice(part) }
            }
            range::Asked::Nothing => {
                let place = HeaderValue::try_from(format!("bytes */{length}"));
                let fields = place.into_iter().map(|value| (header::CONTENT_RANGE, value)).collect();
                Answer { status: StatusCode::RANGE_NOT_SATISFIABLE, fields, body: Bytes::new() }
            }
        }
    }

    /// For hyper, which adds the date and the length, and sends no body where there is to be none.
    pub(super) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Either::Left(Full::new(self.body)));
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.fields);
        response
    }
}

/// What tells one state of a representation from another, and where the next one is told of.
fn validators(built: &Built, coding: Coding, now_s: i64) -> Vec<(HeaderName, HeaderValue)> {
    let shared = |value: &Bytes| HeaderValue::from_maybe_shared(value.clone()).ok();
    let mut fields = Vec::with_capacity(12);
    fields.extend(shared(built.tag(coding)).map(|value| (header::ETAG, value)));
    // A second change may still come in this very second, so until it is over the date proves nothing (§8.8.2.2).
    if built.modified_s < now_s {
        fields.extend(shared(&built.modified).map(|value| (header::LAST_MODIFIED, value)));
    }
    // W3C WebSub §4 wants them in every answer to a GET or HEAD of a topic. A 304 and a 226 are such answers: a reader that
    // has asked conditionally ever since may have been told of a hub by nothing else.
    fields.extend(built.links().iter().filter_map(shared).map(|value| (header::LINK, value)));
    fields
}

/// Here every answer is up to date; a cache on the way may keep it for `fresh_s` seconds, which is told by how often the
/// feed really changes.
fn caching(fresh_s: u32) -> Option<HeaderValue> {
    let stale_s = fresh_s.saturating_mul(STALE_TIMES);
    let value =
        format!("public, max-age={fresh_s}, stale-while-revalidate={stale_s}, stale-if-error={STALE_IF_ERROR_S}");
    HeaderValue::try_from(value).ok()
}

fn content(built: &Built, coding: Coding) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let coding = match coding {
        Coding::Identity => None,
        Coding::Gzip => Some("gzip"),
        Coding::Zstd => Some("zstd"),
        Coding::Brotli => Some("br"),
    };
    let fields = [
        (header::CONTENT_TYPE, HeaderValue::from_static(built.media_type)),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    fields.into_iter().chain(coding.map(|coding| (header::CONTENT_ENCODING, HeaderValue::from_static(coding))))
}

/// Answers a request that hyper read, from `peer`; none if its address is not a feed's.
pub(super) async fn serve(app: &Arc<App>, request: &Parts, peer: Option<IpAddr>) -> Option<Response<Body>> {
    let target = request.uri.path_and_query().map_or("/", |target| target.as_str());
    let found = match app.feeds.find(target) {
        Some(feed) => Ok(Found::Feed(feed)),
        None => app.feeds.open(request.uri.path(), request.uri.query())?,
    };
    let answered = match found {
        Ok(Found::Feed(feed)) => answered(app, &feed, request, peer).await,
        Ok(Found::Moved(to)) => {
            frame::moved(&app.newsroom.load().site.address(&to)).map(|moved| moved.map(Either::Right))
        }
        Err(problem) => Err(problem),
    };
    Some(answered.unwrap_or_else(|problem| ApiProblem(problem).into_response().map(Either::Right)))
}

async fn answered(
    app: &Arc<App>,
    feed: &Arc<Feed>,
    request: &Parts,
    peer: Option<IpAddr>,
) -> Result<Response<Body>, Problem> {
    let Some(asked) = Asked::of(request) else {
        let mut response = Response::new(Either::Left(Full::default()));
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Ok(response);
    };
    if asked.is_navigation() {
        return Ok(opened(app, feed, request).await.map(Either::Right));
    }
    let built = made(app, feed, &asked.wanted()).await?;
    let now_s = app.clock.now().timestamp();
    let Some(choice) = Choice::of(&asked, &built, now_s) else {
        return Err(Problem::new(Kind::Internal, "a feed was packed and is not there"));
    };
    if !choice.is_known() {
        if let Err(wait_s) = is_patient(app, feed, &built, &asked, peer, now_s) {
            return Ok(impatient(wait_s));
        }
        if asked.takes_difference()
            && let Some(difference) = difference(app, feed, &built, &asked, now_s)
        {
            return Ok(difference.into_response());
        }
    }
    Ok(Answer::new(choice, &built, now_s).in_part(&asked, built.tag(choice.coding)).into_response())
}

/// The page for a person who has opened the address.
async fn opened(app: &Arc<App>, feed: &Feed, request: &Parts) -> axum::response::Response {
    selections::feed(app, &feed.name, &request.headers).await.into_response()
}

/// The feed as it is now, with its bytes in the best of `wanted` that can be had at once.
///
/// Errors: as [`crate::services::feeds::Feeds::current`].
pub(super) async fn made(app: &App, feed: &Arc<Feed>, wanted: &Wanted) -> Result<Arc<Built>, Problem> {
    let is_gzip = wanted.codings().contains(&Coding::Gzip);
    let built = app.feeds.current(feed, if is_gzip { Coding::Gzip } else { Coding::Identity }).await?;
    app.feeds.pack(&built, wanted.codings()).await?;
    Ok(built)
}

/// The items that the client has not seen, as a feed of their own (RFC 3229); none if it gets the whole.
fn difference(app: &App, feed: &Feed, built: &Built, asked: &Asked<'_>, now_s: i64) -> Option<Answer> {
    let wanted = asked.wanted();
    let plain = asked.held().find_map(|held| match held {
        Held::Any => None,
        Held::Tag(tag) => app.feeds.delta(feed, built, tag),
    })?;
    let is_packed = wanted.codings().contains(&Coding::Gzip) && plain.len() >= PACKED_FROM_BYTES;
    let (coding, body) = if is_packed { (Coding::Gzip, Coding::Gzip.pack(&plain)) } else { (Coding::Identity, plain) };
    let mut fields = validators(built, coding, now_s);
    fields.push((HeaderName::from_static("im"), HeaderValue::from_static("feed")));
    fields.push((header::CACHE_CONTROL, DIFFERENCE));
    fields.push((header::VARY, HeaderValue::from_static("a-im, if-none-match, accept-encoding, sec-fetch-dest")));
    fields.extend(content(built, coding));
    Some(Answer { status: StatusCode::from_u16(IM_USED).ok()?, fields, body })
}

fn impatient(wait_s: i64) -> Response<Body> {
    let detail = format!(
        "this feed has not changed since you last fetched it whole: ask with If-None-Match, or again in {wait_s} seconds"
    );
    let mut response = ApiProblem(Problem::new(Kind::TooMany, detail)).into_response().map(Either::Right);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait_s));
    response
}

/// Is a client that takes the feed, or once more the difference to what it had, still to be served?
///
/// Errors: it keeps fetching the same bytes; the seconds that it has to wait.
pub(super) fn is_patient(
    app: &App,
    feed: &Feed,
    built: &Built,
    asked: &Asked<'_>,
    peer: Option<IpAddr>,
    now_s: i64,
) -> Result<(), i64> {
    let Some(client) = peer.and_then(|peer| client(peer, asked.forwarded_for, &app.proxies)) else { return Ok(()) };
    let hash = |bytes: &dyn Fn(&mut DefaultHasher)| {
        let mut hasher = DefaultHasher::new();
        bytes(&mut hasher);
        hasher.finish()
    };
    let (feed, bytes) = (
        hash(&|hasher| std::ptr::from_ref(feed).hash(hasher)),
        hash(&|hasher| built.tag(Coding::Identity).hash(hasher)),
    );
    app.patience.count(client, feed, bytes, now_s)
}

/// Who asks: the peer, or whom a proxy of ours names last. Nobody is told apart behind this machine's own address.
pub(super) fn client(peer: IpAddr, forwarded_for: Option<&[u8]>, proxies: &[IpAddr]) -> Option<IpAddr> {
    let peer = peer.to_canonical();
    if !peer.is_loopback() && !proxies.contains(&peer) {
        return Some(peer);
    }
    let last = forwarded_for?.rsplit(|byte| *byte == b',').next()?;
    str::from_utf8(last).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_the_peer_or_whom_our_own_proxy_names() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let (proxy, outside, own) = (ip("10.0.0.1"), ip("192.0.2.1"), ip("127.0.0.1"));
        let named = Some(&b"198.51.100.9, 203.0.113.5"[..]);
        assert_eq!(client(outside, named, &[proxy]), Some(outside), "anybody can write that");
        assert_eq!(client(proxy, named, &[proxy]), Some(ip("203.0.113.5")));
        assert_eq!(client(own, named, &[]), Some(ip("203.0.113.5")));
        assert_eq!(client(own, None, &[]), None);
        assert_eq!(client(proxy, Some(b"unknown"), &[proxy]), None);
        assert_eq!(client(ip("::ffff:192.0.2.1"), None, &[]), Some(outside));
    }
}
