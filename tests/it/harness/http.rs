//! A small HTTP/1.1 client: it sends what it is told, right or wrong, and hides nothing of the answer.

use serde_json::Value;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A daemon that is silent for so long hangs.
const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// Headers of a request.
pub(crate) type Headers<'a> = &'a [(&'a str, &'a str)];

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The header's value; the name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Every value of the header, in their order.
    pub(crate) fn headers_of(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}: {}", self.status, self.text()))
    }

    /// The fields that a problem document names.
    pub(crate) fn fields(&self) -> Vec<String> {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.text());
        let errors = self.json()["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|error| error["field"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// This answer, if it has the status that was expected.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}

/// One connection, kept open from request to request.
pub(crate) struct Client {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
    /// Sent as `Host`.
    pub(crate) host: String,
}

impl Client {
    /// Nothing is connected yet.
    pub(crate) fn new(address: SocketAddr) -> Self {
        Client { address, stream: None, host: address.to_string() }
    }

    /// Sends one request and reads the whole answer.
    pub(crate) fn send(&mut self, method: &str, path: &str, headers: Headers<'_>, body: &[u8]) -> io::Result<Answer> {
        self.begin(method, path, headers, body.len(), body)?;
        self.finish(method)
    }

    /// Sends a request's head, which announces `length` bytes, and the `part` of its body that is given.
    pub(crate) fn begin(
        &mut self,
        method: &str,
        path: &str,
        headers: Headers<'_>,
        length: usize,
        part: &[u8],
    ) -> io::Result<()> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.host);
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if length > 0 || matches!(method, "POST" | "PUT") {
            head.push_str(&format!("Content-Length: {length}\r\n"));
        }
        head.push_str("\r\n");
        let stream = self.connected()?.get_mut();
        stream.write_all(head.as_bytes())?;
        // A refusal may come before the whole body is taken; it is what is looked for then.
        let _ = stream.write_all(part);
        Ok(())
    }

    /// Waits until the daemon asks for the body of a request that came with `Expect: 100-continue`: it is at work on it.
    pub(crate) fn is_awaited(&mut self) -> io::Result<()> {
        let stream = self.connected()?;
        let status = line(stream)?;
        let empty = line(stream)?;
        let is_asked = status.starts_with("HTTP/1.1 100") && empty.is_empty();
        if is_asked { Ok(()) } else { Err(io::Error::other(status)) }
    }

    /// Sends the rest of a body.
    pub(crate) fn go_on(&mut self, rest: &[u8]) -> io::Result<()> {
        self.connected()?.get_mut().write_all(rest)
    }

    /// Reads the answer to what was sent.
    pub(crate) fn finish(&mut self, method: &str) -> io::Result<Answer> {
        let answer = read(self.connected()?, method);
        let closes = |answer: &Answer| answer.header("connection") == Some("close");
        if answer.as_ref().map_or(true, closes) {
            self.stream = None;
        }
        answer
    }

    fn connected(&mut self) -> io::Result<&mut BufReader<TcpStream>> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(self.address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(ANSWER_WAIT))?;
            self.stream = Some(BufReader::new(stream));
        }
        self.stream.as_mut().ok_or_else(|| io::Error::other("not connected"))
    }
}

fn read(stream: &mut BufReader<TcpStream>, method: &str) -> io::Result<Answer> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let status = line(stream)?;
    let status = status.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(|| wrong(&status))?;
    let mut headers = Vec::new();
    loop {
        let line = line(stream)?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut answer = Answer { status, headers, body: Vec::new() };
    if method == "HEAD" || matches!(status, 204 | 304) {
        return Ok(answer);
    }
    if answer.header("transfer-encoding") == Some("chunked") {
        loop {
            let size = line(stream)?;
            let size = usize::from_str_radix(size.trim(), 16).map_err(|_| wrong("no chunk"))?;
            let mut chunk = vec![0; size + 2];
            stream.read_exact(&mut chunk)?;
            answer.body.extend(&chunk[..size]);
            if size == 0 {
                return Ok(answer);
            }
        }
    }
    let length =
        answer.header("content-length").and_then(|text| text.parse().ok()).ok_or_else(|| wrong("no length"))?;
    answer.body = vec![0; length];
    stream.read_exact(&mut answer.body)?;
    Ok(answer)
}

fn line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed"));
    }
    Ok(line.trim_end().to_owned())
}
