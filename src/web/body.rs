//! Reading what a client sends: so much, so long, and no more.

use crate::domain::{Kind, Problem};
use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_TYPE, EXPECT};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use std::time::Duration;
use tokio::time::timeout;

/// A body of the largest size comes in this time over a slow line; a client that drips holds a connection no longer.
const BODY_WAIT: Duration = Duration::from_secs(60);

/// Of a body that is too large so much is taken, for so long, before the client is told.
const DRAIN_BYTES_MAX: usize = 64 << 20;
const DRAIN_WAIT: Duration = Duration::from_secs(5);

/// Does the request say that its body is of this media type? Parameters do not count (RFC 9110 §8.3.1).
pub(super) fn is_of(headers: &HeaderMap, media_type: &str) -> bool {
    let named = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    named.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(media_type)
}

/// A request's body, up to `bytes_max`. What is beyond that is taken and thrown away for a while, unless the client waits to
/// be asked for it: one that is cut off amid its writing reads no answer.
///
/// Errors: [`Kind::TooLarge`], [`Kind::Malformed`] if it breaks off.
pub(super) async fn read_body(headers: &HeaderMap, mut body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let too_large = || Problem::new(Kind::TooLarge, format!("the body is larger than the limit of {bytes_max} bytes"));
    if body.size_hint().lower() > bytes_max as u64 {
        if !headers.contains_key(EXPECT) {
            drain(body).await;
        }
        return Err(too_large());
    }
    let whole = async {
        let mut bytes = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Problem::new(Kind::Malformed, format!("the body broke off: {error}")))?;
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > bytes_max {
                return Ok(None);
            }
            bytes.extend_from_slice(&data);
        }
        Ok::<_, Problem>(Some(bytes.freeze()))
    };
    let slow = || {
        let detail = format!("the body did not come within {} s", BODY_WAIT.as_secs());
        Problem::new(Kind::Malformed, detail)
    };
    match timeout(BODY_WAIT, whole).await.map_err(|_| slow())?? {
        Some(bytes) => Ok(bytes),
        None => {
            drain(body).await;
            Err(too_large())
        }
    }
}

/// Takes what still comes of a body, up to its limits.
async fn drain(mut body: Body) {
    let mut bytes = 0;
    let all = async {
        while let Some(Ok(frame)) = body.frame().await {
            bytes += frame.data_ref().map_or(0, Bytes::len);
            if bytes > DRAIN_BYTES_MAX {
                break;
            }
        }
    };
    let _ = timeout(DRAIN_WAIT, all).await;
}
