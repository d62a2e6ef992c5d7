//! A [`Problem`] as an answer: an RFC 9457 document for programs, a page for people. The one place where a kind
//! becomes a status.

use crate::domain::{Kind, Problem};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// The HTTP status of each kind.
pub(super) fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Malformed => StatusCode::BAD_REQUEST,
        Kind::Unauthorized => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Kind::Gone => StatusCode::GONE,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Stale => StatusCode::PRECONDITION_FAILED,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::UnsupportedMedia => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Kind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// What a person outside is told: of our own faults only that there was one, the rest is in the log.
pub(super) fn public(problem: Problem) -> Problem {
    if problem.kind != Kind::Internal {
        return problem;
    }
    tracing::error!(error = %problem.detail, "a request failed: {}", problem.detail);
    Problem::new(Kind::Internal, "the server failed; its operator finds the reason in the log")
}

/// A handler of the API fails with this; it answers as `application/problem+json` (RFC 9457).
#[derive(Debug)]
pub(super) struct ApiProblem(pub(super) Problem);

impl<P: Into<Problem>> From<P> for ApiProblem {
    fn from(problem: P) -> Self {
        ApiProblem(problem.into())
    }
}

impl IntoResponse for ApiProblem {
    fn into_response(self) -> Response {
        let problem = public(self.0);
        let status = status(problem.kind);
        let body = json!({
            "type": "about:blank",
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "kind": problem.kind,
            "detail": problem.detail,
            "errors": problem.faults,
        });
        let mut response = (status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"tidings\""));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("30"));
            // For whoever asks next it may be true no longer (RFC 6585 §4).
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        response
    }
}
