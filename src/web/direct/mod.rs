//! The short way from a socket to a feed's bytes, without hyper: a plain GET or HEAD of a feed that is ready is answered
//! where it is read. The first request on a connection that is anything else goes to hyper with all that follows it.

mod head;
mod idle;
mod ready;
mod replay;
mod sending;
#[cfg(test)]
mod tests;

pub(super) use head::is_of_an_address;
pub(super) use replay::Replay;

use super::App;
use super::feeds::{self, Choice, Wanted};
use super::server::{HEAD_WAIT, READ_BYTES_MAX, WRITE_WAIT};
use crate::services::feeds::{Built, Feed};
use bytes::Bytes;
use idle::Idle;
use ready::{FILE_BYTES_MIN, Form, Ready};
use sending::Sending;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// Requests that were sent at once are answered so many at a time; then other connections have their turn.
const ANSWERS_A_TURN: usize = 32;
/// Small answers to requests that were sent at once go out together, up to this.
const OUT_BYTES_MAX: usize = 64 << 10;

thread_local! {
    static DESK: RefCell<Desk> = RefCell::new(Desk {
        input: vec![0; READ_BYTES_MAX].into(),
        out: Vec::new(),
        ready: Ready::new(),
    });
}

/// What a thread works with. A connection that waits has no memory of its own here: what comes is read into the thread's,
/// and most often answered before another connection needs that.
struct Desk {
    input: Box<[u8]>,
    out: Vec<u8>,
    ready: Ready,
}

/// Why answering has paused.
enum Pause {
    /// All that was read is answered.
    Dry,
    /// Others have their turn.
    Turn,
    /// The socket takes no more for now; whether the connection ends after that.
    Full(Sending, bool),
    /// The next request is for this feed, which has to be made first.
    Build(Arc<Feed>, Wanted),
    /// The next request is nothing for this way.
    Hyper,
    /// The client wants no further answer, or is gone.
    Close,
}

/// Serves a connection as long as plain requests for feeds come. Returns it, with what was read and is not answered, when
/// something else comes; none when it has ended: closed by the peer, idle for too long, or by `stop`.
///
/// To be awaited by a task of its own, see [`Idle`].
pub(super) async fn serve(
    mut stream: TcpStream,
    app: &Arc<App>,
    peer: Option<IpAddr>,
    stop: &CancellationToken,
) -> io::Result<Option<(TcpStream, Vec<u8>)>> {
    let mut idle = Idle::new(HEAD_WAIT, stop);
    let mut kept = Vec::new();
    let mut made = None;
    loop {
        let pause = if kept.is_empty() {
            read(&mut stream, app, peer, &mut idle, &mut kept).await?
        } else {
            let made = made.take();
            let (taken, pause) =
                DESK.with_borrow_mut(|desk| answer(&stream, app, &kept, peer, made, &mut desk.out, &mut desk.ready))?;
            kept.drain(..taken);
            pause
        };
        match pause {
            Pause::Dry => {}
            Pause::Turn => tokio::task::yield_now().await,
            Pause::Full(sending, is_last) => {
                sending.finish(&stream, WRITE_WAIT).await?;
                if is_last {
                    break;
                }
            }
            Pause::Build(feed, wanted) => match feeds::made(app, &feed, &wanted).await {
                Ok(built) => made = Some(built),
                // Hyper's way says why.
                Err(_) => return Ok(Some((stream, kept))),
            },
            Pause::Hyper => return Ok(Some((stream, kept))),
            Pause::Close => break,
        }
    }
    stream.shutdown().await?;
    Ok(None)
}

/// Waits for requests and answers them; what was not answered is put into `kept`.
async fn read(
    stream: &mut TcpStream,
    app: &Arc<App>,
    peer: Option<IpAddr>,
    idle: &mut Idle,
    kept: &mut Vec<u8>,
) -> io::Result<Pause> {
    let mut is_waiting = false;
    poll_fn(|cx| {
        if let Poll::Ready(pause) = DESK.with_borrow_mut(|desk| poll_answer(stream, app, peer, desk, kept, cx)) {
            return Poll::Ready(pause);
        }
        let is_over = if is_waiting { idle.is_over(cx) } else { idle.begin(cx) };
        is_waiting = true;
        if is_over { Poll::Ready(Ok(Pause::Close)) } else { Poll::Pending }
    })
    .await
}

fn poll_answer(
    stream: &mut TcpStream,
    app: &Arc<App>,
    peer: Option<IpAddr>,
    desk: &mut Desk,
    kept: &mut Vec<u8>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Pause>> {
    let mut input = ReadBuf::new(&mut desk.input);
    ready!(Pin::new(&mut *stream).poll_read(cx, &mut input))?;
    let input = input.filled();
    if input.is_empty() {
        return Poll::Ready(Ok(Pause::Close));
    }
    let (taken, pause) = answer(stream, app, input, peer, None, &mut desk.out, &mut desk.ready)?;
    kept.extend_from_slice(&input[taken..]);
    Poll::Ready(Ok(pause))
}

/// Answers the requests in `input`, the first one out of `made` if that is given. Returns how much of it is done with, and
/// why not more.
fn answer(
    stream: &TcpStream,
    app: &App,
    input: &[u8],
    peer: Option<IpAddr>,
    mut made: Option<Arc<Built>>,
    out: &mut Vec<u8>,
    ready: &mut Ready,
) -> io::Result<(usize, Pause)> {
    let now_s = app.clock.now().timestamp();
    let mut taken = 0;
    let mut answers = 0;
    out.clear();
    let pause = loop {
        let input = &input[taken..];
        if input.is_empty() {
            break Pause::Dry;
        }
        if answers == ANSWERS_A_TURN || out.len() >= OUT_BYTES_MAX {
            break Pause::Turn;
        }
        let Some(head) = head::read(input) else { break Pause::Hyper };
        let Some(feed) = app.feeds.find(head.target) else { break Pause::Hyper };
        let built = match made.take().map_or_else(|| app.feeds.ready(&feed), |made| Ok(Some(made))) {
            Ok(Some(built)) => built,
            Ok(None) => break Pause::Build(feed, head.asked.wanted()),
            Err(_) => break Pause::Hyper,
        };
        let Some(choice) = Choice::of(&head.asked, &built, now_s) else {
            break Pause::Build(feed, head.asked.wanted());
        };
        // Hyper's way says why.
        if !choice.is_known() && feeds::is_patient(app, &feed, &built, &head.asked, peer, now_s).is_err() {
            break Pause::Hyper;
        }
        let sending = match ready.answer(&built, choice, head.closes, now_s) {
            // What is before it goes first.
            Form::File(..) if !out.is_empty() => break Pause::Turn,
            Form::File(file, bytes) => Some(Sending::File(Arc::clone(file), 0..bytes)),
            Form::Bytes(prepared) => {
                out.extend_from_slice(prepared);
                out.extend_from_slice(if head.closes { b"connection: close\r\n\r\n" } else { b"\r\n" });
                let body = choice.body(&built);
                if body.len() < FILE_BYTES_MIN {
                    out.extend_from_slice(body);
                    None
                } else {
                    let before = Bytes::copy_from_slice(out);
                    out.clear();
                    Some(Sending::Bytes(before, body.clone()))
                }
            }
        };
        app.counters.feed(choice.status()).increment(1);
        taken += head.length;
        answers += 1;
        if let Some(mut sending) = sending
            && !sending.go_on(stream)?
        {
            return Ok((taken, Pause::Full(sending, head.closes)));
        }
        if head.closes {
            break Pause::Close;
        }
    };
    if out.is_empty() {
        return Ok((taken, pause));
    }
    let sent = match stream.try_write(out) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
        sent => sent?,
    };
    if sent == out.len() {
        return Ok((taken, pause));
    }
    let rest = Sending::Bytes(Bytes::copy_from_slice(&out[sent..]), Bytes::new());
    Ok((taken, Pause::Full(rest, matches!(pause, Pause::Close))))
}

/// Target and what is asked by a head that this way takes; for [`super::alike`].
pub(super) fn taken(input: &[u8]) -> Option<(&str, super::feeds::Asked<'_>)> {
    head::read(input).map(|head| (head.target, head.asked))
}
