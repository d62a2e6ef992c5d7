//! Mail handed over by a mail server next door: LMTP (RFC 2033), which differs from SMTP in that each recipient gets an
//! answer of its own, so that nothing is said to be taken that is not.

use super::Returns;
use crate::wire::mail::incoming::INCOMING_BYTES_MAX;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// A mail server opens a few; more wait.
const CONNECTIONS_MAX: usize = 16;
/// Twice what RFC 5321 §4.5.3.1.6 allows for a line of text.
const LINE_BYTES_MAX: u64 = 2_000;
/// RFC 5321 §4.5.3.1.8 wants as many to be possible.
const RECIPIENTS_MAX: usize = 100;
/// A bounce may enclose a whole mail; the part beyond what is read is passed over, and one that is longer is refused.
const MESSAGE_BYTES_MAX: usize = 32 << 20;
/// So much of one that is refused is let come, since a client that is cut off does not hear why, and tries again for days.
const REFUSED_BYTES_MAX: usize = 4 * MESSAGE_BYTES_MAX;
/// RFC 5321 §4.5.3.2.7.
const WAIT: Duration = Duration::from_secs(300);
/// Commands that make no sense; then it is something else than a mail server.
const MISTAKES_MAX: usize = 20;
/// After a failed accept the loop rests this long instead of spinning.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Takes mails from `listener` until `stop`.
pub(super) async fn serve(listener: TcpListener, returns: Arc<Returns>, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((listener.accept().await?.0, place))
        };
        let next = tokio::select! {
            () = stop.cancelled() => return,
            next = next => next,
        };
        match next {
            Ok((stream, place)) => {
                let (returns, stop) = (Arc::clone(&returns), stop.clone());
                tokio::spawn(async move {
                    // Who breaks off hands its mail over once more: nothing was said to be taken.
                    let _ = talk(stream, &returns, &stop).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a mail server could not be let in: {error}");
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
}

/// One conversation, from greeting to leave.
async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    returns: &Returns,
    stop: &CancellationToken,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    say(&mut stream, "220 tidings LMTP").await?;
    let mut recipients: Option<Vec<String>> = None;
    let mut has_greeted = false;
    let mut mistakes = 0;
    while mistakes < MISTAKES_MAX {
        let line = tokio::select! {
            () = stop.cancelled() => return say(&mut stream, "421 4.3.2 closing").await,
            line = timeout(WAIT, line(&mut stream)) => line,
        };
        let Ok(line) = line else { return say(&mut stream, "421 4.4.2 nothing came for too long").await };
        let Some(line) = line? else { return Ok(()) };
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        let answer = match verb.to_ascii_uppercase().as_str() {
            "LHLO" => {
                has_greeted = true;
                recipients = None;
                let size = format!("250 SIZE {MESSAGE_BYTES_MAX}");
                for line in ["250-tidings", "250-PIPELINING", "250-8BITMIME", "250-SMTPUTF8", "250-ENHANCEDSTATUSCODES"]
                {
                    say(&mut stream, line).await?;
                }
                say(&mut stream, &size).await?;
                continue;
            }
            "HELO" | "EHLO" => "500 5.5.1 this is LMTP: LHLO",
            "MAIL" if !has_greeted => "503 5.5.1 LHLO first",
            "MAIL" if recipients.is_some() => "503 5.5.1 one mail after the other",
            "MAIL" => match path(rest, "FROM:") {
                Some(_) => {
                    recipients = Some(Vec::new());
                    "250 2.1.0 go on"
                }
                None => "501 5.5.4 expected MAIL FROM:<address>",
            },
            "RCPT" => match (&mut recipients, path(rest, "TO:")) {
                (None, _) => "503 5.5.1 MAIL first",
                (Some(_), None) => "501 5.5.4 expected RCPT TO:<address>",
                (Some(known), Some(_)) if known.len() == RECIPIENTS_MAX => "452 4.5.3 too many recipients",
                (Some(_), Some(address)) if !returns.is_ours(address) => "550 5.1.1 no such mailbox here",
                (Some(known), Some(address)) => {
                    known.push(address.to_owned());
                    "250 2.1.5 go on"
                }
            },
            "DATA" => match recipients.take() {
                Some(recipients) if !recipients.is_empty() => {
                    say(&mut stream, "354 end with a dot on a line of its own").await?;
                    let Ok(body) = timeout(WAIT, body(&mut stream)).await else {
                        return say(&mut stream, "421 4.4.2 the mail came too slowly").await;
                    };
                    let body = body?;
                    for recipient in recipients {
                        let answer = match &body {
                            None => "552 5.3.4 the mail is too long",
                            Some(body) if returns.take(&recipient, body).await.is_ok() => "250 2.0.0 taken",
                            Some(_) => "451 4.3.0 not now",
                        };
                        say(&mut stream, answer).await?;
                    }
                    continue;
                }
                Some(_) | None => "503 5.5.1 RCPT first",
            },
            "RSET" => {
                recipients = None;
                "250 2.0.0 forgotten"
            }
            "NOOP" => "250 2.0.0 yes",
            "VRFY" => "252 2.1.5 try it",
            "QUIT" => return say(&mut stream, "221 2.0.0 goodbye").await,
            _ => "500 5.5.2 a command that is not known",
        };
        mistakes += usize::from(answer.starts_with("50"));
        say(&mut stream, answer).await?;
    }
    say(&mut stream, "421 4.7.0 too many mistakes").await
}

/// The address in `FROM:<address> PARAMETERS`; its route, if it has one, is left out (RFC 5321 §4.1.1.3).
fn path<'a>(rest: &'a str, word: &str) -> Option<&'a str> {
    let is_word = rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    let path = is_word.then(|| rest[word.len()..].trim_start())?;
    let inner = path.strip_prefix('<')?.split_once('>')?.0;
    Some(inner.rsplit_once(':').map_or(inner, |(_, address)| address))
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), line: &str) -> io::Result<()> {
    stream.write_all(format!("{line}\r\n").as_bytes()).await?;
    stream.flush().await
}

/// The next line; none at the end, also in the middle of a line.
async fn line(stream: &mut BufReader<impl AsyncRead + Unpin>) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    stream.take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await?;
    if line.ends_with(b"\n") {
        return Ok(Some(line));
    }
    if line.len() as u64 == LINE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a line without end"));
    }
    Ok(None)
}

/// The mail up to its last dot, of which so much is kept as is read later; none if it is too long.
///
/// Errors: it ended before that, or had no end in sight.
async fn body(stream: &mut BufReader<impl AsyncRead + Unpin>) -> io::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    let (mut length, mut is_line_start) = (0, true);
    while length <= REFUSED_BYTES_MAX {
        let mut piece = Vec::new();
        // Lines may be longer than they should be: a piece of one is no line's start.
        stream.take(LINE_BYTES_MAX).read_until(b'\n', &mut piece).await?;
        if piece.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if is_line_start && matches!(piece.as_slice(), b".\r\n" | b".\n") {
            return Ok((length <= MESSAGE_BYTES_MAX).then_some(body));
        }
        length += piece.len();
        // RFC 5321 §4.5.2.
        let kept = if is_line_start && piece.starts_with(b".") { &piece[1..] } else { &piece[..] };
        body.extend_from_slice(&kept[..kept.len().min(INCOMING_BYTES_MAX - body.len())]);
        is_line_start = piece.ends_with(b"\n");
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "a mail without end"))
}
