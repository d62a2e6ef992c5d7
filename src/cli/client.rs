//! A conversation with a daemon: the same requests over its control socket or over HTTP.

use super::failure::Failure;
use crate::config;
use crate::domain::{Fault, Kind, Problem};
use anyhow::Context;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, IF_MATCH};
use reqwest::{Method, Response, StatusCode, redirect};
use serde::Deserialize;
use serde_json::Value;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

/// A daemon that does not take the connection within this time is not there.
const CONNECT: Duration = Duration::from_secs(10);
/// Ordinary requests are answered in milliseconds; a store that checks itself or writes itself out is not waited
/// for by this clock.
const ANSWER: Duration = Duration::from_secs(60);

/// One daemon, and how to reach it.
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    key: Option<String>,
    socket: Option<PathBuf>,
}

/// A request in the making.
pub(super) struct Request<'a> {
    /// What to do.
    pub(super) method: Method,
    /// Segments of its path, each to be encoded.
    pub(super) path: &'a [&'a str],
    /// What stands behind the question mark.
    pub(super) query: &'a [(&'a str, &'a str)],
    /// JSON to send.
    pub(super) body: Option<String>,
    /// Only if the article is still of this revision.
    pub(super) if_match: Option<&'a str>,
    /// What makes a repetition of it known as one.
    pub(super) idempotency_key: Option<&'a str>,
    /// May the answer take as long as it takes?
    pub(super) patient: bool,
}

impl<'a> Request<'a> {
    /// Nothing but a method and a path.
    pub(super) fn new(method: Method, path: &'a [&'a str]) -> Self {
        Request { method, path, query: &[], body: None, if_match: None, idempotency_key: None, patient: false }
    }
}

/// What a daemon said, when it agreed.
pub(super) struct Answer {
    /// The revision as a header has it, if it has it.
    pub(super) etag: Option<String>,
    /// JSON; `null` where there was no body.
    pub(super) body: Value,
}

impl Client {
    /// The daemon that runs by the configuration at `config_file`. The file permissions of its socket are the key.
    pub(super) fn local(config_file: &Path) -> Result<Self, Failure> {
        let socket = config::load_store(config_file)?.control_socket();
        let http = builder().unix_socket(socket.as_path()).build().context("preparing a client")?;
        let base = Url::parse("http://localhost/").context("preparing a client")?;
        Ok(Client { http, base, key: None, socket: Some(socket) })
    }

    /// A daemon somewhere, at its public address.
    pub(super) fn remote(server: &Url, key: Option<String>) -> Result<Self, Failure> {
        if !matches!(server.scheme(), "http" | "https") {
            let expected = "an address such as https://news.example.org/";
            return Err(Problem::field("--server", format!("\"{server}\""), expected).into());
        }
        let http = builder().build().context("preparing a client")?;
        Ok(Client { http, base: server.clone(), key, socket: None })
    }

    /// Asks, and reads the whole answer. Errors: [`Failure::Problem`] if the daemon refuses.
    pub(super) async fn ask(&self, request: Request<'_>) -> Result<Answer, Failure> {
        let response = self.open(request).await?;
        let etag = response.headers().get(ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        let bytes = response.bytes().await.map_err(|e| self.failure(&e))?;
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).context("the answer is not JSON; is this a tidings daemon?")?
        };
        Ok(Answer { etag, body })
    }

    /// Asks, and leaves the body to be read in pieces.
    pub(super) async fn open(&self, request: Request<'_>) -> Result<Response, Failure> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(request.path);
        }
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(request.query);
        }
        let mut call = self.http.request(request.method, url).header(ACCEPT, "application/json");
        if !request.patient {
            call = call.timeout(ANSWER);
        }
        if let Some(key) = &self.key {
            call = call.header(AUTHORIZATION, format!("Bearer {key}"));
        }
        if let Some(revision) = request.if_match {
            call = call.header(IF_MATCH, revision);
        }
        if let Some(key) = request.idempotency_key {
            call = call.header("idempotency-key", key);
        }
        if let Some(body) = request.body {
            call = call.header(CONTENT_TYPE, "application/json").body(body);
        }
        let response = call.send().await.map_err(|e| self.failure(&e))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        // A refusal whose body is lost is still that refusal.
        let body = response.bytes().await.unwrap_or_default();
        Err(problem(status, &body).into())
    }

    /// What went wrong below HTTP.
    fn failure(&self, error: &reqwest::Error) -> Failure {
        let absent = [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused];
        match &self.socket {
            Some(socket) if cause(error).is_some_and(|e| absent.contains(&e.kind())) => {
                Failure::NotRunning(socket.clone())
            }
            Some(socket) => Failure::Unreachable { target: socket.display().to_string(), why: root(error) },
            None => Failure::Unreachable { target: self.base.to_string(), why: root(error) },
        }
    }
}

/// A redirect would turn a POST into a GET and is a wrong address anyway; a proxy has no business in between.
fn builder() -> reqwest::ClientBuilder {
    let agent = concat!("tidings/", env!("CARGO_PKG_VERSION"));
    reqwest::Client::builder().user_agent(agent).connect_timeout(CONNECT).redirect(redirect::Policy::none()).no_proxy()
}

/// A problem document (RFC 9457 §3), as far as it is shown.
#[derive(Deserialize)]
struct Document {
    title: Option<String>,
    detail: Option<String>,
    #[serde(default)]
    errors: Vec<Fault>,
}

fn problem(status: StatusCode, body: &[u8]) -> Problem {
    let document: Option<Document> = serde_json::from_slice(body).ok();
    let (detail, faults) = match document {
        Some(Document { title, detail, errors }) => (detail.or(title), errors),
        None => (None, Vec::new()),
    };
    let detail = detail.unwrap_or_else(|| format!("the daemon answered {status}, and no more"));
    Problem { faults, ..Problem::new(kind(status), detail) }
}

/// The kind that the daemon answers with this status.
fn kind(status: StatusCode) -> Kind {
    match status.as_u16() {
        400 => Kind::Malformed,
        401 => Kind::Unauthorized,
        403 => Kind::Forbidden,
        404 => Kind::NotFound,
        405 => Kind::MethodNotAllowed,
        409 => Kind::Conflict,
        410 => Kind::Gone,
        412 | 428 => Kind::Stale,
        413 => Kind::TooLarge,
        415 => Kind::UnsupportedMedia,
        422 => Kind::Invalid,
        429 => Kind::TooMany,
        502..=504 => Kind::Unavailable,
        _ => Kind::Internal,
    }
}

/// The operating system's own error, if there is one at the bottom.
fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    causes(error).find_map(|error| error.downcast_ref())
}

/// The innermost cause: the layers above it only say that a request failed.
pub(super) fn root(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}
