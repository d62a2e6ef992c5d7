//! One SMTP connection: opened, encrypted, logged in, and then message after message.
//!
//! lettre speaks SMTP; the socket below it is ours. lettre's own sets no `TCP_NODELAY`, which costs 40 ms a message,
//! and its STARTTLS keeps what an attacker sent ahead of the encryption. So connecting and STARTTLS are done here,
//! and lettre finds a connection that looks as if it had been encrypted from the start.

use super::outcome::{CLOSING, Failure, Outcome, Stage};
use crate::config::{Smtp, Tls};
use lettre::Address;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use lettre::transport::smtp::{Error, response::Severity};
use rustls_platform_verifier::BuilderVerifierExt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

/// A connection that is ready for a message.
pub(super) struct Line {
    smtp: AsyncSmtpConnection,
    limit: Duration,
    /// Has a message been talked through, with whatever result?
    is_worn: bool,
    is_broken: bool,
}

/// The certificates that servers are held against. Errors: a sentence that names the file.
pub(super) fn tls_config(smtp: &Smtp) -> Result<Arc<ClientConfig>, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match &smtp.ca_pem {
        None => builder.with_platform_verifier().map_err(|error| format!("the system's certificates: {error}"))?,
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| format!("the certificates in ca_file: {error}"))?;
                roots.add(certificate).map_err(|error| format!("the certificates in ca_file: {error}"))?;
            }
            if roots.is_empty() {
                return Err("the certificates in ca_file: there are none".into());
            }
            builder.with_root_certificates(roots)
        }
    };
    Ok(Arc::new(builder.with_no_client_auth()))
}

impl Line {
    /// Connects to `smtp` as `hello`. Errors: a sentence for the log.
    pub(super) async fn open(smtp: &Smtp, tls: Option<&Arc<ClientConfig>>, hello: &str) -> Result<Self, String> {
        let limit = smtp.timeout;
        let smtp = timeout(limit, connect(smtp, tls, hello));
        let smtp = smtp.await.map_err(|_| format!("no connection within {} ms", limit.as_millis()))??;
        Ok(Line { smtp, limit, is_worn: false, is_broken: false })
    }

    /// Can it carry another message?
    pub(super) fn is_usable(&self) -> bool {
        !self.is_broken
    }

    /// Has it shown that it works? What goes wrong later may be its age.
    pub(super) fn is_worn(&self) -> bool {
        self.is_worn
    }

    /// Hands one message over, and knows of each failure at which stage it happened.
    pub(super) async fn send(&mut self, from: &Address, to: &Address, bytes: &[u8]) -> Outcome {
        let sent_whole = AtomicBool::new(false);
        let (stage, result) = self.dialogue(from, to, bytes, &sent_whole).await;
        let is_worn = std::mem::replace(&mut self.is_worn, true);
        match result {
            Ok(reply) => Outcome::Accepted { reply: super::outcome::shortened(&reply) },
            Err(failure) => {
                self.is_broken |= match &failure {
                    Failure::Reply { code, .. } => *code == CLOSING,
                    Failure::Lost(_) | Failure::Silent => true,
                };
                let is_open = matches!(stage, Stage::Rcpt | Stage::Data) && !self.is_broken;
                if is_open && self.command(Rset, Severity::PositiveCompletion).await.is_err() {
                    self.is_broken = true;
                }
                Outcome::of(&failure, stage, sent_whole.load(Ordering::Relaxed), is_worn)
            }
        }
    }

    async fn dialogue(
        &mut self,
        from: &Address,
        to: &Address,
        bytes: &[u8],
        sent_whole: &AtomicBool,
    ) -> (Stage, Result<String, Failure>) {
        let done = Severity::PositiveCompletion;
        if let Err(failure) = self.command(Mail::new(Some(from.clone()), vec![]), done).await {
            return (Stage::Mail, Err(failure));
        }
        if let Err(failure) = self.command(Rcpt::new(to.clone(), vec![]), done).await {
            return (Stage::Rcpt, Err(failure));
        }
        if let Err(failure) = self.command(Data, Severity::PositiveIntermediate).await {
            return (Stage::Data, Err(failure));
        }
        // lettre asks for the next part once the one before is written, and sends the final dot when there is none:
        // until then the message cannot have been accepted.
        let mut parts = [bytes].into_iter();
        let parts = std::iter::from_fn(|| {
            let part = parts.next();
            sent_whole.store(part.is_none(), Ordering::Relaxed);
            part
        });
        let reply = timeout(self.limit, self.smtp.message_iter(parts)).await;
        (Stage::Body, heard(reply.map_err(|_| Failure::Silent), done))
    }

    async fn command(&mut self, command: impl std::fmt::Display, expected: Severity) -> Result<String, Failure> {
        let reply = timeout(self.limit, self.smtp.command(command)).await;
        heard(reply.map_err(|_| Failure::Silent), expected)
    }

    /// Takes leave of the server; it may answer or not.
    pub(super) async fn quit(mut self) {
        /// Politeness has its limits: nothing depends on the answer.
        const QUIT_WAIT: Duration = Duration::from_secs(1);
        if !self.is_broken {
            let _ = timeout(QUIT_WAIT.min(self.limit), self.smtp.quit()).await;
        }
    }
}

fn heard(reply: Result<Result<Response, Error>, Failure>, expected: Severity) -> Result<String, Failure> {
    match reply? {
        Ok(reply) if reply.code().severity == expected => Ok(words(&reply)),
        // Something positive that is no answer to what was said: what follows would be misunderstood.
        Ok(reply) => Err(Failure::Lost(format!("an answer out of turn: {}", words(&reply)))),
        Err(error) => Err(match error.status() {
            Some(code) => {
                let text = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                Failure::Reply { code: code.into(), text: format!("{code} {text}") }
            }
            None => Failure::Lost(error.to_string()),
        }),
    }
}

fn words(reply: &Response) -> String {
    format!("{} {}", reply.code(), reply.message().collect::<Vec<_>>().join(" "))
}

async fn connect(smtp: &Smtp, tls: Option<&Arc<ClientConfig>>, hello: &str) -> Result<AsyncSmtpConnection, String> {
    let stream = TcpStream::connect((smtp.host.as_str(), smtp.port)).await.map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let hello = ClientId::Domain(hello.to_owned());
    let stream: Box<dyn AsyncTokioStream> = match smtp.tls {
        Tls::None => Box::new(stream),
        Tls::Implicit => Box::new(encrypt(stream, smtp, tls, b"").await?),
        Tls::Starttls => {
            let stream = starttls(stream, &hello).await?;
            Box::new(encrypt(stream, smtp, tls, b"220 encrypted\r\n").await?)
        }
    };
    let connected = AsyncSmtpConnection::connect_with_transport(stream, &hello).await;
    let mut connection = connected.map_err(|error| error.to_string())?;
    if let Some(login) = &smtp.login {
        let credentials = Credentials::new(login.username.clone(), login.password.expose().to_owned());
        let logged_in = connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await;
        logged_in.map_err(|error| format!("logging in: {error}"))?;
    }
    Ok(connection)
}

/// Asks the server to encrypt. Errors: it does not offer that, or spoke on before it was encrypted.
async fn starttls(stream: TcpStream, hello: &ClientId) -> Result<TcpStream, String> {
    let failed = |error: io::Error| error.to_string();
    let mut stream = BufReader::new(stream);
    reply(&mut stream, "220").await?;
    stream.write_all(format!("EHLO {hello}\r\n").as_bytes()).await.map_err(failed)?;
    let offers = reply(&mut stream, "250").await?;
    if !offers.iter().any(|line| line.eq_ignore_ascii_case("STARTTLS")) {
        return Err("the server does not offer STARTTLS".into());
    }
    stream.write_all(b"STARTTLS\r\n").await.map_err(failed)?;
    reply(&mut stream, "220").await?;
    if !stream.buffer().is_empty() {
        return Err("there was text between STARTTLS and the encryption".into());
    }
    Ok(stream.into_inner())
}

/// The lines of one reply without their code. Errors: another code than `expected`, or no reply at all.
async fn reply(stream: &mut BufReader<TcpStream>, expected: &str) -> Result<Vec<String>, String> {
    /// Twice what RFC 5321 §4.5.3.1.5 allows.
    const LINE_BYTES_MAX: u64 = 1_024;
    const LINES_MAX: usize = 100;
    let mut lines = Vec::new();
    while lines.len() < LINES_MAX {
        let mut line = String::new();
        (&mut *stream).take(LINE_BYTES_MAX).read_line(&mut line).await.map_err(|error| error.to_string())?;
        let (Some((code, rest)), true) = (line.split_at_checked(3), line.ends_with('\n')) else {
            return Err("the server broke off".into());
        };
        if code != expected {
            return Err(super::outcome::shortened(&line));
        }
        lines.push(rest.get(1..).unwrap_or_default().trim().to_owned());
        if !rest.starts_with('-') {
            return Ok(lines);
        }
    }
    Err("a reply without end".into())
}

async fn encrypt(
    stream: TcpStream,
    smtp: &Smtp,
    tls: Option<&Arc<ClientConfig>>,
    greeting: &'static [u8],
) -> Result<Encrypted, String> {
    let tls = tls.ok_or("no certificates are loaded")?;
    let name = ServerName::try_from(smtp.host.clone()).map_err(|error| error.to_string())?;
    let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await;
    Ok(Encrypted { stream: stream.map_err(|error| format!("encrypting: {error}"))?, greeting })
}

/// An encrypted stream for lettre. It expects a greeting, which after STARTTLS came long ago: `greeting` is read first.
#[derive(Debug)]
struct Encrypted {
    stream: TlsStream<TcpStream>,
    greeting: &'static [u8],
}

impl AsyncTokioStream for Encrypted {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.get_ref().0.peer_addr()
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.greeting.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let (now, later) = self.greeting.split_at(buf.remaining().min(self.greeting.len()));
        buf.put_slice(now);
        self.greeting = later;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
