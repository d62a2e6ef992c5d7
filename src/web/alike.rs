//! Both ways in read a request alike. For [`crate::fuzzing`].

use super::direct::{self, is_of_an_address};
use super::feeds::{self, Asked};
use crate::services::feeds::Coding;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, Request, Uri};

/// Lengths of representations that ranges are asked of.
const LENGTHS: [usize; 4] = [0, 1, 100, 1 << 20];

/// Takes `bytes` as the head of a request and as header lines alone; breaks off if the short way and hyper's would read
/// anything else in it, or if a part is asked for that is not there.
pub(super) fn request(bytes: &[u8]) {
    // A path with a byte that needs a look is taken, and is no feed's: it goes on to hyper, which refuses it.
    let can_be_a_feeds = |target: &str| target.bytes().all(is_of_an_address);
    if let Some((target, asked)) = direct::taken(bytes).filter(|(target, _)| can_be_a_feeds(target)) {
        let uri: Uri = target.parse().unwrap_or_else(|error| panic!("{target:?} is taken, and no address: {error}"));
        assert_eq!(uri.path_and_query().map(|target| target.as_str()), Some(target));
        assert!(asked.is_plain());
        let lines = bytes.split(|byte| *byte == b'\n').skip_while(|line| line.trim_ascii().is_empty()).skip(1);
        let method = if asked.is_head { Method::HEAD } else { Method::GET };
        let lines = lines.take_while(|line| !line.trim_ascii_end().is_empty());
        same(&asked, &parts(method, lines));
    }
    let parts = parts(Method::GET, bytes.split(|byte| *byte == b'\n'));
    let mut asked = Asked::default();
    for (name, value) in &parts.headers {
        asked.note(name.as_str(), value.as_bytes());
    }
    same(&asked, &parts);
    let wanted = asked.wanted();
    for (at, coding) in wanted.codings().iter().enumerate() {
        assert!(!wanted.codings()[..at].contains(coding), "{coding:?} twice");
    }
    assert!(wanted.codings().len() <= Coding::ALL.len());
    for length in LENGTHS {
        if let feeds::Part::Part(part) = asked.part(b"\"t\"", length) {
            assert!(part.start < part.end && part.end <= length, "{part:?} of {length}");
        }
    }
}

fn same(asked: &Asked<'_>, parts: &Parts) {
    let other = Asked::of(parts).unwrap_or_else(|| panic!("{} is no method of feeds", parts.method));
    assert_eq!(format!("{asked:?}"), format!("{other:?}"));
    assert_eq!(asked.takes_difference(), other.takes_difference());
    assert_eq!(asked.is_navigation(), other.is_navigation());
    assert!(asked.held().eq(other.held()));
}

/// What hyper makes of these lines.
fn parts<'a>(method: Method, lines: impl Iterator<Item = &'a [u8]>) -> Parts {
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = method;
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        let name = HeaderName::from_bytes(name);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            parts.headers.append(name, value);
        }
    }
    parts
}
