//! As much HTTP/1.1 as the load needs: whole requests out, answers with a length in, one connection that is kept.
//! Less than a client library, so that the load takes little of the processor it shares with what is measured.

use anyhow::{Context as _, bail};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const READ_BYTES: usize = 64 << 10;

pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Bytes of the answer before; they go when the next one is read.
    used: usize,
}

pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("nothing listens on {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, buffer: Vec::with_capacity(READ_BYTES), used: 0 })
    }

    pub(crate) async fn send(&mut self, request: &[u8]) -> anyhow::Result<()> {
        Ok(self.stream.write_all(request).await?)
    }

    pub(crate) async fn answer(&mut self) -> anyhow::Result<Answer<'_>> {
        self.buffer.drain(..self.used);
        self.used = 0;
        let head = loop {
            if let Some(at) = memchr::memmem::find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            self.read_more().await?;
        };
        let text = String::from_utf8_lossy(&self.buffer[..head]).to_ascii_lowercase();
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no status line")?;
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.context("an answer without a length")?.trim().parse()?;
        self.used = head + length;
        while self.buffer.len() < self.used {
            self.read_more().await?;
        }
        Ok(Answer { status, body: &self.buffer[head..self.used] })
    }

    async fn read_more(&mut self) -> anyhow::Result<()> {
        self.buffer.reserve(READ_BYTES);
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            bail!("the connection was closed by the daemon");
        }
        Ok(())
    }
}

/// A POST of JSON with an API key.
pub(crate) fn post(path: &str, key: &str, json: &str) -> Vec<u8> {
    let length = json.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{json}"
    )
    .into_bytes()
}

/// A GET without conditions that takes `coding` alone.
pub(crate) fn get(path: &str, coding: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: bench\r\naccept-encoding: {coding}\r\n\r\n").into_bytes()
}
