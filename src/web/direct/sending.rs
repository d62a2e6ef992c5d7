//! Bytes on their way into a socket.

use bytes::{Buf as _, Bytes};
use rustix::fs::sendfile;
use std::fs::File;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What has not been taken yet.
pub(super) enum Sending {
    /// The one, then the other.
    Bytes(Bytes, Bytes),
    /// This part of a file.
    File(Arc<File>, Range<usize>),
}

impl Sending {
    /// Sends as much as the socket takes at once; false if something is left.
    pub(super) fn go_on(&mut self, stream: &TcpStream) -> io::Result<bool> {
        loop {
            let sent = match self {
                Sending::Bytes(first, second) if first.is_empty() && second.is_empty() => return Ok(true),
                Sending::Bytes(first, second) if second.is_empty() => stream.try_write(first),
                Sending::Bytes(first, second) => {
                    stream.try_write_vectored(&[IoSlice::new(first), IoSlice::new(second)])
                }
                Sending::File(_, range) if range.start == range.end => return Ok(true),
                Sending::File(file, range) => {
                    let mut from = range.start as u64;
                    let send = || Ok(sendfile(stream, &*file, Some(&mut from), range.len())?);
                    stream.try_io(Interest::WRITABLE, send)
                }
            };
            match sent {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(sent) => self.advance(sent),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends the rest. Errors: the peer is gone, or has taken nothing for `wait`.
    pub(super) async fn finish(mut self, stream: &TcpStream, wait: Duration) -> io::Result<()> {
        while !self.go_on(stream)? {
            timeout(wait, stream.writable()).await??;
        }
        Ok(())
    }

    fn advance(&mut self, sent: usize) {
        match self {
            Sending::Bytes(first, second) => {
                let of_first = sent.min(first.len());
                first.advance(of_first);
                second.advance(sent - of_first);
            }
            Sending::File(_, range) => range.start += sent,
        }
    }
}
