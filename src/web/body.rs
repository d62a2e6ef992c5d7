//! Reading what a client sends: so much, so long, and no more.

use crate::domain::{Kind, Problem};
use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use std::time::Duration;
use tokio::time::timeout;

/// A body of the largest size comes in this time over a slow line; a client that drips holds a connection no longer.
const BODY_WAIT: Duration = Duration::from_secs(60);

/// Does the request say that its body is of this media type? Parameters do not count (RFC 9110 §8.3.1).
pub(super) fn is_of(headers: &HeaderMap, media_type: &str) -> bool {
    let named = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    named.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(media_type)
}

/// A request's body, up to `bytes_max`. Errors: [`Kind::TooLarge`], [`Kind::Malformed`] if it breaks off.
pub(super) async fn read_body(body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let slow = || {
        let detail = format!("the body did not come within {} s", BODY_WAIT.as_secs());
        Problem::new(Kind::Malformed, detail)
    };
    match timeout(BODY_WAIT, Limited::new(body, bytes_max).collect()).await.map_err(|_| slow())? {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => {
            Err(Problem::new(Kind::TooLarge, format!("the body is larger than the limit of {bytes_max} bytes")))
        }
        Err(error) => Err(Problem::new(Kind::Malformed, format!("the body broke off: {error}"))),
    }
}
