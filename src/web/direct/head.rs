//! Which requests the short way takes: plain GETs and HEADs without anything that needs thought.

use crate::web::feeds::Asked;
use crate::web::server::HEADERS_MAX;
use std::mem::MaybeUninit;

/// A request's head that this way can answer, if there is a feed at its path.
pub(super) struct Head<'a> {
    /// Path and query.
    pub(super) target: &'a str,
    /// What the answer depends on.
    pub(super) asked: Asked<'a>,
    /// The client wants no further answer on this connection.
    pub(super) closes: bool,
    /// Bytes of the head.
    pub(super) length: usize,
}

/// Reads the head that `input` starts with. None if it is not whole, faulty, or asks for more than a GET or HEAD of
/// HTTP/1.1 does in its simplest form: then hyper is to read it, from its first byte on.
///
/// The parser is hyper's, with hyper's settings, so both see the same lines; nothing is taken here that it refuses.
pub(super) fn read(input: &[u8]) -> Option<Head<'_>> {
    let mut lines = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut []);
    let Ok(httparse::Status::Complete(length)) = request.parse_with_uninit_headers(input, &mut lines) else {
        return None;
    };
    let asked = Asked::by(request.method?)?;
    if request.version? != 1 {
        return None;
    }
    let target = request.path?;
    let query = target.split_once('?').map_or("", |(_, query)| query);
    // No path of a feed holds a byte that needs a look; of a query hyper's parser of addresses refuses some, and it
    // wants a path before that.
    if !target.starts_with('/') || !query.bytes().all(is_of_an_address) {
        return None;
    }
    let mut head = Head { target, asked, closes: false, length };
    let (mut hosts, mut connections) = (0, 0);
    for line in request.headers.iter() {
        let is = |name: &str| line.name.eq_ignore_ascii_case(name);
        match line.name.len() {
            4 if is("host") => hosts += 1,
            10 if is("connection") => {
                connections += 1;
                match line.value {
                    close if close.eq_ignore_ascii_case(b"close") => head.closes = true,
                    stay if stay.eq_ignore_ascii_case(b"keep-alive") => {}
                    _ => return None,
                }
            }
            // A body, or a conversation about one; another protocol.
            6 if is("expect") => return None,
            7 if is("upgrade") => return None,
            14 if is("content-length") => return None,
            17 if is("transfer-encoding") => return None,
            _ => head.asked.note(line.name, line.value),
        }
    }
    (hosts == 1 && connections <= 1 && head.asked.is_plain()).then_some(head)
}

/// The unreserved characters and delimiters of RFC 3986 §2, and `%`: what hyper takes wherever it stands behind the first
/// slash.
pub(in crate::web) fn is_of_an_address(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_taken(request: &str) -> bool {
        read(request.as_bytes()).is_some()
    }

    #[test]
    fn a_plain_request_is_taken() {
        for request in [
            "GET /rss.xml HTTP/1.1\r\nHost: x\r\n\r\n",
            "HEAD /rss.xml?a=b&c=%20 HTTP/1.1\r\nHOST: x\r\nUser-Agent: é\r\nconnection: Keep-Alive\r\n\r\n",
            "\r\nGET / HTTP/1.1\r\nhost:x\r\nIf-None-Match: \"a\"\r\nIf-None-Match: \"b\"\r\n\r\nGET",
        ] {
            assert!(is_taken(request), "{request}");
        }
    }

    #[test]
    fn whatever_needs_thought_is_left_to_hyper() {
        for request in [
            "",
            "\r\n",
            "GET /rss.xml HTTP/1.1\r\nHost: x\r\n",
            "GET /rss.xml HTTP/1.0\r\nHost: x\r\n\r\n",
            "GET /rss.xml HTTP/2.0\r\nHost: x\r\n\r\n",
            "GET /rss.xml\r\nHost: x\r\n\r\n",
            "get /rss.xml HTTP/1.1\r\nHost: x\r\n\r\n",
            "POST /rss.xml HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /rss.xml HTTP/1.1\r\n\r\n",
            "GET /rss.xml HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
            "GET ?rss.xml HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET http://x/rss.xml HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /rss.xml?<> HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /rss.xml?a#b HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /rss.xml HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
            "GET /rss.xml HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "GET /rss.xml HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET /rss.xml HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n",
            "GET /rss.xml HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
            "GET /rss.xml HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n",
            "GET /rss.xml HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\n\r\n",
            "GET /rss.xml HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\n\r\n",
            "GET /rss.xml HTTP/1.1\r\nHost: x\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n",
            "GET /rss.xml HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n",
            "GET  /rss.xml HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /rss.xml HTTP/1.1\r\nHost: x\r\nRange: bytes=0-1\r\n\r\n",
            "GET /rss.xml HTTP/1.1\r\nHost: x\r\nA-IM: feed\r\n\r\n",
            "GET /rss.xml HTTP/1.1\r\nHost: x\r\nSec-Fetch-Dest: document\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ] {
            assert!(!is_taken(request), "{request}");
        }
        let lines = |count: usize| "A: b\r\n".repeat(count - 1);
        assert!(is_taken(&format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", lines(HEADERS_MAX))));
        assert!(!is_taken(&format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", lines(HEADERS_MAX + 1))));
    }
}
