//! The socket below a connection: what of a write has gone out, and replies within limits of time and size.

use super::reply::Reply;
use crate::services::mailer::outcome::Failure;
use std::io::IoSlice;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// A stream, encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A stream with what was read of it and not understood yet.
pub(super) struct Socket<S> {
    stream: S,
    inbox: Vec<u8>,
    /// A write has failed: the server is heard out, and nothing more is said.
    broken: Option<Failure>,
}

/// Replies are read in pieces of this size; most come alone and are shorter.
const PIECE_BYTES: usize = 4_096;
/// What a server said before it closed is there, or on its way.
const LAST_WORDS_WAIT: Duration = Duration::from_secs(1);

impl<S: Stream> Socket<S> {
    pub(super) fn new(stream: S) -> Self {
        Socket { stream, inbox: Vec::new(), broken: None }
    }

    /// Writes all of `bytes`, as [`Socket::write_parts`] does.
    pub(super) async fn write(&mut self, bytes: &[u8], limit: Duration) -> usize {
        self.write_parts(vec![IoSlice::new(bytes)], limit).await
    }

    /// Writes all of `parts`, none of which is empty, and waits for the peer to take some of it no longer than `limit` at a
    /// time. Returns how many bytes may have gone out: all, unless the connection broke. What broke it, the next reply tells.
    pub(super) async fn write_parts(&mut self, mut parts: Vec<IoSlice<'_>>, limit: Duration) -> usize {
        let mut gone = 0;
        let mut rest = parts.as_mut_slice();
        while !rest.is_empty() && self.broken.is_none() {
            match timeout(limit, self.stream.write_vectored(rest)).await {
                Ok(Ok(0)) => self.broken = Some(Failure::Lost("the connection takes no more".into())),
                Ok(Ok(count)) => {
                    gone += count;
                    IoSlice::advance_slices(&mut rest, count);
                }
                Ok(Err(error)) => self.broken = Some(Failure::Lost(error.to_string())),
                Err(_) => self.broken = Some(Failure::Silent),
            }
        }
        if self.broken.is_none() {
            match timeout(limit, self.stream.flush()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => self.broken = Some(Failure::Lost(error.to_string())),
                Err(_) => self.broken = Some(Failure::Silent),
            }
        }
        gone
    }

    /// The next reply, which has to be whole within `limit`.
    pub(super) async fn reply(&mut self, limit: Duration) -> Result<Reply, Failure> {
        if let Some(reply) = self.parsed()? {
            return Ok(reply);
        }
        let limit = if self.broken.is_some() { limit.min(LAST_WORDS_WAIT) } else { limit };
        let heard = timeout(limit, self.read()).await.unwrap_or(Err(Failure::Silent));
        heard.map_err(|failure| self.broken.clone().unwrap_or(failure))
    }

    async fn read(&mut self) -> Result<Reply, Failure> {
        loop {
            self.inbox.reserve(PIECE_BYTES);
            match self.stream.read_buf(&mut self.inbox).await {
                Ok(0) => return Err(Failure::Lost("the server closed the connection".into())),
                Ok(_) => {}
                Err(error) => return Err(Failure::Lost(error.to_string())),
            }
            if let Some(reply) = self.parsed()? {
                return Ok(reply);
            }
        }
    }

    fn parsed(&mut self) -> Result<Option<Reply>, Failure> {
        let Some((reply, used)) = Reply::parse(&self.inbox)? else { return Ok(None) };
        self.inbox.drain(..used);
        Ok(Some(reply))
    }

    /// The bare stream; none if the server has said something that nobody has heard.
    pub(super) fn into_quiet(self) -> Option<S> {
        self.inbox.is_empty().then_some(self.stream)
    }
}
