//! From nothing to a connection that is encrypted, logged in, and of which it is known what the server offers.

use super::offers::Offers;
use super::reply::Hoped;
use super::socket::{Socket, Stream};
use super::{Limits, tls};
use crate::config::{Login, Smtp, Tls};
use crate::services::mailer::outcome::{Failure, shortened};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::rustls::ClientConfig;

/// What a connection speaks through.
pub(super) type Wire = Socket<Box<dyn Stream>>;

/// Connects to `smtp` as `hello`. Errors: a sentence for the log.
pub(super) async fn open(
    smtp: &Smtp,
    tls: Option<&Arc<ClientConfig>>,
    hello: &str,
    limits: Limits,
) -> Result<(Wire, Offers), String> {
    let connected = timeout(limits.step, TcpStream::connect((smtp.host.as_str(), smtp.port))).await;
    let stream = connected.map_err(|_| late(limits))?.map_err(|error| error.to_string())?;
    // Replies are waited for: what is written has to leave at once, not when the server has told of what came before.
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let encrypted =
        async |stream| timeout(limits.step, tls::encrypt(stream, smtp, tls)).await.map_err(|_| late(limits))?;
    let mut wire: Wire = match smtp.tls {
        Tls::None => greeted(Socket::new(Box::new(stream) as Box<dyn Stream>), limits).await?,
        Tls::Implicit => greeted(Socket::new(Box::new(encrypted(stream).await?) as Box<dyn Stream>), limits).await?,
        Tls::Starttls => {
            let stream = starttls(greeted(Socket::new(stream), limits).await?, hello, limits).await?;
            Socket::new(Box::new(encrypted(stream).await?))
        }
    };
    // What was offered before the encryption may have been put there by anybody (RFC 3207 §4.2).
    let offers = hello_again(&mut wire, hello, limits).await?;
    if let Some(login) = &smtp.login {
        log_in(&mut wire, login, &offers, limits).await.map_err(|why| format!("logging in: {why}"))?;
    }
    Ok((wire, offers))
}

fn late(limits: Limits) -> String {
    format!("no connection within {} ms", limits.step.as_millis())
}

fn told(failure: Failure) -> String {
    match failure {
        Failure::Reply { text, .. } => shortened(&text),
        Failure::Lost(why) => shortened(&why),
        Failure::Silent => "no reply in time".into(),
    }
}

async fn greeted<S: Stream>(mut socket: Socket<S>, limits: Limits) -> Result<Socket<S>, String> {
    socket.reply(limits.step).await.and_then(|reply| reply.expect(Hoped::Done)).map_err(told)?;
    Ok(socket)
}

/// EHLO, or where the server does not know it, HELO and no extensions. RFC 5321 §3.2.
async fn hello_again<S: Stream>(socket: &mut Socket<S>, hello: &str, limits: Limits) -> Result<Offers, String> {
    socket.write(format!("EHLO {hello}\r\n").as_bytes(), limits.step).await;
    match socket.reply(limits.step).await.and_then(|reply| reply.expect(Hoped::Done)) {
        Ok(reply) => return Ok(Offers::of(&reply)),
        Err(Failure::Reply { code: 500 | 502, .. }) => {}
        Err(other) => return Err(told(other)),
    }
    socket.write(format!("HELO {hello}\r\n").as_bytes(), limits.step).await;
    socket.reply(limits.step).await.and_then(|reply| reply.expect(Hoped::Done)).map_err(told)?;
    Ok(Offers::default())
}

/// Asks the server to encrypt. Errors: it does not offer that, or spoke on before it was encrypted.
async fn starttls(mut socket: Socket<TcpStream>, hello: &str, limits: Limits) -> Result<TcpStream, String> {
    if !hello_again(&mut socket, hello, limits).await?.starttls {
        return Err("the server does not offer STARTTLS".into());
    }
    socket.write(b"STARTTLS\r\n", limits.step).await;
    socket.reply(limits.step).await.and_then(|reply| reply.expect(Hoped::Done)).map_err(told)?;
    socket.into_quiet().ok_or_else(|| "there was text between STARTTLS and the encryption".into())
}

/// RFC 4954; PLAIN (RFC 4616) where it is offered, else LOGIN, which some servers know alone.
async fn log_in(wire: &mut Wire, login: &Login, offers: &Offers, limits: Limits) -> Result<(), String> {
    let (name, password) = (login.username.as_str(), login.password.expose());
    let offered = |name: &str| offers.auth.iter().any(|offer| offer == name);
    let answers: Vec<String> = if offered("PLAIN") {
        vec![format!("AUTH PLAIN {}", STANDARD.encode(format!("\0{name}\0{password}")))]
    } else if offered("LOGIN") {
        vec!["AUTH LOGIN".into(), STANDARD.encode(name), STANDARD.encode(password)]
    } else {
        return Err(format!("the server offers {:?}, and PLAIN and LOGIN are known here", offers.auth.join(" ")));
    };
    let last = answers.len() - 1;
    for (number, answer) in answers.into_iter().enumerate() {
        wire.write(format!("{answer}\r\n").as_bytes(), limits.step).await;
        let hoped = if number == last { Hoped::Done } else { Hoped::Login };
        // Not the reply's words: there are servers that repeat what was said to them.
        wire.reply(limits.step).await.and_then(|reply| reply.expect(hoped)).map_err(|failure| match failure {
            Failure::Reply { code, .. } => format!("refused with {code}"),
            other @ (Failure::Lost(_) | Failure::Silent) => told(other),
        })?;
    }
    Ok(())
}
