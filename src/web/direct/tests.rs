//! The short way and hyper's answer alike; what is no plain request for a feed goes to hyper, and nothing is lost on the
//! way there.

use crate::domain::Body;
use crate::web::server::{Limits, serve_public};
use crate::web::tests::Newspaper;
use proptest::prelude::*;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// With this line a request is none for the short way, and means the same.
const TO_HYPER: &str = "Content-Length: 0\r\n";

struct Server {
    paper: Newspaper,
    address: SocketAddr,
    limits: Limits,
    serving: tokio::task::JoinHandle<()>,
}

impl Server {
    async fn start(connections: usize) -> Self {
        let paper = Newspaper::new();
        for n in 0..40 {
            paper.publish(&format!("a{n}"), &format!("Story {n}"), |_| ()).await;
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = Limits {
            connections: Arc::new(Semaphore::new(connections)),
            stop: CancellationToken::new(),
            drain: Duration::from_secs(5),
        };
        let router = crate::web::public(&paper.app);
        let serving = tokio::spawn(serve_public(listener, Arc::clone(&paper.app), router, limits.clone()));
        Server { paper, address, limits, serving }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// All that comes back to `request`, until the connection ends.
    async fn said(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = self.connect().await;
        stream.write_all(request).await.unwrap();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await.unwrap();
        said
    }

    /// Waits until every place is taken: one of them by the wait for the next connection.
    async fn full(&self) {
        while self.limits.connections.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
    }

    /// Waits, an hour at most, until that many have given their places back.
    async fn given_back(&self, places: u32) {
        let all = Arc::clone(&self.limits.connections).acquire_many_owned(places);
        let within = tokio::time::timeout(Duration::from_secs(3_600), all).await;
        assert!(within.is_ok(), "they still hold their places after an hour");
    }

    async fn end(self) {
        self.limits.stop.cancel();
        self.serving.await.unwrap();
    }
}

/// Status line and fields in the order of their names, without the date; and the body.
fn parts(answer: &[u8]) -> (Vec<String>, Vec<u8>) {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = std::str::from_utf8(&answer[..end]).unwrap();
    let mut lines: Vec<String> = head.lines().filter(|line| !line.starts_with("date:")).map(str::to_owned).collect();
    lines[1..].sort();
    (lines, answer[end + 4..].to_vec())
}

fn tag(answer: &[u8]) -> String {
    let (lines, _) = parts(answer);
    lines.iter().find_map(|line| line.strip_prefix("etag: ")).expect("a tag").to_owned()
}

#[tokio::test]
async fn both_ways_give_the_same_answer() {
    let server = Server::start(64).await;
    let first = server.said(b"GET /rss.xml HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    let gzip =
        server.said(b"GET /rss.xml HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n").await;
    let (plain_tag, gzip_tag) = (tag(&first), tag(&gzip));
    for (request, lines) in [
        ("GET /rss.xml", String::new()),
        ("GET /science/feed.json", String::new()),
        ("GET /rss.xml?utm_source=x", String::new()),
        ("HEAD /rss.xml", String::new()),
        ("HEAD /atom.xml", "Accept-Encoding: gzip\r\n".to_owned()),
        ("GET /rss.xml", "Accept-Encoding: gzip, deflate\r\n".to_owned()),
        ("GET /rss.xml", format!("If-None-Match: {plain_tag}\r\n")),
        ("GET /rss.xml", format!("if-none-match:   W/{plain_tag} , \"x\"  \r\n")),
        ("GET /rss.xml", format!("If-None-Match: \"x\"\r\nIf-None-Match: {plain_tag}\r\n")),
        ("GET /rss.xml", format!("If-None-Match: {gzip_tag}\r\nAccept-Encoding: gzip\r\n")),
        ("HEAD /rss.xml", format!("If-None-Match: {plain_tag}\r\n")),
        ("GET /rss.xml", "If-None-Match: *\r\n".to_owned()),
        ("GET /rss.xml", "If-Modified-Since: Sun, 01 Mar 2099 00:00:00 GMT\r\n".to_owned()),
        ("GET /rss.xml", "If-Modified-Since: nonsense\r\n".to_owned()),
        ("GET /nosuch/rss.xml", String::new()),
        ("GET /", String::new()),
        ("GET /nothing/here", String::new()),
    ] {
        let ask = |more: &str| format!("{request} HTTP/1.1\r\nHost: x\r\n{more}{lines}Connection: close\r\n\r\n");
        // Once more each: the second answer comes from what the first has prepared.
        for _ in 0..2 {
            let (short, long) = (server.said(ask("").as_bytes()).await, server.said(ask(TO_HYPER).as_bytes()).await);
            assert_eq!(parts(&short), parts(&long), "{request} {lines}");
        }
    }
    server.end().await;
}

#[tokio::test]
async fn requests_are_answered_in_order_however_they_arrive() {
    let server = Server::start(64).await;
    let feed = "GET /rss.xml HTTP/1.1\r\nHost: x\r\n\r\n";
    let atom = "GET /atom.xml HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n";
    let page = "GET /robots.txt HTTP/1.1\r\nHost: x\r\n\r\n";
    let post = "POST /subscribe HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\nabc";
    let last = "GET /feed.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    for requests in [
        vec![feed, feed, feed, last],
        vec![feed, atom, feed, atom, last],
        vec![feed, page, feed, last],
        vec![feed, post, atom, last],
        vec![page, feed, last],
        vec![post, post, last],
    ] {
        let all = requests.concat();
        let whole = server.said(all.as_bytes()).await;
        // Byte by byte it is the same.
        let mut stream = server.connect().await;
        stream.set_nodelay(true).unwrap();
        for byte in all.bytes() {
            stream.write_all(&[byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        let mut split = Vec::new();
        stream.read_to_end(&mut split).await.unwrap();
        let statuses = |answer: &[u8]| {
            let text = String::from_utf8_lossy(answer).into_owned();
            text.match_indices("HTTP/1.1 ").map(|(at, _)| text[at + 9..at + 12].to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(statuses(&whole).len(), requests.len(), "{requests:?}");
        assert_eq!(statuses(&whole), statuses(&split), "{requests:?}");
        assert_eq!(whole.len(), split.len(), "{requests:?}");
    }
    server.end().await;
}

#[tokio::test]
async fn many_requests_at_once_are_all_answered() {
    let server = Server::start(64).await;
    let count = 500;
    let mut requests = "GET /rss.xml HTTP/1.1\r\nHost: x\r\n\r\n".repeat(count - 1);
    requests.push_str("GET /rss.xml HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let mut stream = server.connect().await;
    let (mut from, mut to) = stream.split();
    let mut said = Vec::new();
    let (_, read) = tokio::join!(async { to.write_all(requests.as_bytes()).await.unwrap() }, async {
        from.read_to_end(&mut said).await
    });
    read.unwrap();
    // Behind the first few they come from a file in memory; all say the same.
    let text = String::from_utf8(said).unwrap();
    let answers: Vec<_> = text.split("HTTP/1.1 200 OK\r\n").skip(1).collect();
    let bodies: HashSet<_> = answers.iter().map(|answer| answer.split_once("\r\n\r\n").unwrap().1).collect();
    assert_eq!((answers.len(), bodies.len()), (count, 1));
    server.end().await;
}

#[tokio::test]
async fn what_hyper_refuses_is_refused() {
    let server = Server::start(64).await;
    let long = format!("GET /rss.xml HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n", "x".repeat(70 << 10));
    let many = format!("GET /rss.xml HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(100));
    for (request, status) in [
        ("GET /rss.xml HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", "400"),
        ("GET /rss.xml HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "400"),
        ("GET /rss.xml HTTP/1.1\r\nHost : x\r\n\r\n", "400"),
        ("nonsense\r\n\r\n", "400"),
        (&long, "431"),
        (&many, "431"),
    ] {
        let said = server.said(request.as_bytes()).await;
        let said = String::from_utf8_lossy(&said);
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{}: {said}", &request[..40.min(request.len())]);
    }
    server.end().await;
}

/// Time stands still until everybody waits, then it jumps to whatever is waited for.
#[tokio::test(start_paused = true)]
async fn who_sends_nothing_or_half_a_head_gives_the_place_back() {
    let server = Server::start(3).await;
    let silent = server.connect().await;
    let mut half = server.connect().await;
    half.write_all(b"GET /rss.xml HTTP/1.1\r\nHost:").await.unwrap();
    server.full().await;
    server.given_back(2).await;
    drop((silent, half));
    server.end().await;
}

/// The same for the answers: many in memory, and one from a file.
#[tokio::test(start_paused = true)]
async fn who_takes_no_answers_gives_the_place_back() {
    let server = Server::start(4).await;
    let text = || Some(Body { html: "<p>Story</p>".repeat(40_000), markdown: None });
    server.paper.publish("large", "Large", |article| article.content.body = text()).await;
    let ask = |head: &str, times| format!("GET /science/rss.xml HTTP/1.1\r\nHost: x\r\n{head}\r\n").repeat(times);
    let mut clients = Vec::new();
    for (head, times) in [("", 100), ("Accept-Encoding: gzip\r\n", 800), (TO_HYPER, 100)] {
        let mut client = server.connect().await;
        client.write_all(ask(head, times).as_bytes()).await.unwrap();
        clients.push(client);
    }
    server.full().await;
    server.given_back(3).await;
    drop(clients);
    server.end().await;
}

#[tokio::test]
async fn the_stop_closes_what_is_idle_and_lets_nobody_wait() {
    let server = Server::start(64).await;
    let mut idle = server.connect().await;
    idle.write_all(b"GET /rss.xml HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 15];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    let mut rest = Vec::new();
    let (_, ()) = tokio::join!(async { idle.read_to_end(&mut rest).await.unwrap() }, server.end());
}

#[tokio::test]
async fn a_change_shows_in_the_next_answer_of_an_open_connection() {
    let server = Server::start(64).await;
    let mut stream = server.connect().await;
    for n in 0..5 {
        let title = format!("Latest {n}");
        let article = server.paper.publish(&format!("z{n}"), &title, |_| ()).await;
        server.paper.log(&article).await;
        stream.write_all(b"GET /rss.xml HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut said = Vec::new();
        while !said.ends_with(b"</rss>") {
            assert!(stream.read_buf(&mut said).await.unwrap() > 0, "it ended");
        }
        assert!(String::from_utf8_lossy(&said).contains(&title), "{title}");
    }
    drop(stream);
    server.end().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_024, ..ProptestConfig::default() })]
    /// Whatever is done to a good request: no panic, and an answer of the short way only where hyper gives the same.
    #[test]
    fn a_mangled_request_is_answered_alike_or_left_to_hyper(
        cuts in prop::collection::vec((0..90_usize, prop::sample::select(b"\r\n\0 :/?#%GETHx,;\"\x80\xff".to_vec())), 0..4),
    ) {
        let mut request = b"GET /rss.xml HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n".to_vec();
        for (at, byte) in cuts {
            let at = at % request.len();
            request[at] = byte;
        }
        let Some(head) = super::head::read(&request) else { return Ok(()) };
        // What is taken is what hyper's parser, with hyper's settings, takes as well.
        let mut lines = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Request::new(&mut lines);
        let complete = parsed.parse(&request).is_ok_and(|status| status == httparse::Status::Complete(head.length));
        prop_assert!(complete);
        prop_assert_eq!(parsed.path, Some(head.target));
        prop_assert!(head.target.parse::<axum::http::Uri>().is_ok());
    }
}
