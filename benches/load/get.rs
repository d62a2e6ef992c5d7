//! GETs of one address on connections that are kept, with as little work for each answer as can be: wrk spends a whole
//! core on 85,000 answers of 20 KB a second, and no server on another core looks faster than that.

use crate::measure::{Limit, side_by_side};
use anyhow::{Context as _, bail, ensure};
use clap::Args;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const READ_BYTES: usize = 64 << 10;
const HEADERS_MAX: usize = 32;

/// What is asked for, and how often.
#[derive(Args)]
pub(crate) struct Asked {
    /// Where the server listens.
    #[arg(long)]
    address: SocketAddr,
    /// Path of the address.
    #[arg(long)]
    path: String,
    /// A line of the request's head.
    #[arg(long = "header")]
    headers: Vec<String>,
    /// The status that every answer has to have.
    #[arg(long)]
    status: u16,
    /// Connections at once.
    #[arg(long)]
    connections: usize,
    #[arg(long)]
    seconds: u64,
}

pub(crate) async fn get(asked: Asked) -> anyhow::Result<Value> {
    let Asked { address, path, headers, status, connections, seconds } = asked;
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let request: Arc<[u8]> = format!("GET {path} HTTP/1.1\r\nHost: bench\r\n{lines}\r\n").into_bytes().into();
    let limit = Limit { count: usize::MAX, time: Duration::from_secs(seconds) };
    side_by_side(connections, limit, |turns| {
        let request = Arc::clone(&request);
        async move {
            let mut stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let mut buffer = vec![0; READ_BYTES];
            let mut took = Vec::new();
            while turns.take().is_some() {
                let started = Instant::now();
                stream.write_all(&request).await?;
                answer(&mut stream, &mut buffer, status).await?;
                took.push(started.elapsed());
            }
            Ok(took)
        }
    })
    .await
}

/// Reads one answer to its end. What there is of its body is not kept.
async fn answer(stream: &mut TcpStream, buffer: &mut [u8], status: u16) -> anyhow::Result<()> {
    let mut there = 0;
    let whole = loop {
        there += read(stream, &mut buffer[there..]).await?;
        if let Some(whole) = length(&buffer[..there], status)? {
            break whole;
        }
    };
    while there < whole {
        there += read(stream, buffer).await?;
    }
    ensure!(there == whole, "an answer of {there} bytes, expected {whole}");
    Ok(())
}

async fn read(stream: &mut TcpStream, into: &mut [u8]) -> anyhow::Result<usize> {
    match stream.read(into).await? {
        0 => bail!("the server closed the connection"),
        bytes => Ok(bytes),
    }
}

/// Bytes of the answer that begins so, head and body; none while its head is not whole.
fn length(begin: &[u8], status: u16) -> anyhow::Result<Option<usize>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut answer = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = answer.parse(begin)? else { return Ok(None) };
    ensure!(answer.code == Some(status), "an answer with {:?}, expected {status}", answer.code);
    if status == 304 {
        return Ok(Some(head));
    }
    let length = answer.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = length.context("an answer without a length")?;
    Ok(Some(head + std::str::from_utf8(length.value)?.parse::<usize>()?))
}
