//! A mail server on loopback that does what a test tells it to: refuse, stall, cut off, at any stage.

mod body;
mod certificates;

pub(crate) use certificates::{certificates, of_an_authority};

use body::{begin, body};
use socket2::{Domain, Socket, Type};
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Where in the dialogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    Greeting,
    Hello,
    Starttls,
    Auth,
    Mail,
    Rcpt,
    Data,
    Body,
}

/// What is done there instead of saying yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Yes, after all.
    Usual,
    Say(&'static str),
    Stall,
    Cut,
    /// Reads the beginning of a message and then cuts: of the body alone, and before its end has been read.
    CutAmid,
}

/// How its connections are encrypted.
#[derive(Clone)]
pub(crate) enum Security {
    Plain,
    Starttls(TlsAcceptor),
    /// As above, and somebody on the way adds text behind the answer to STARTTLS.
    Injected(TlsAcceptor),
    Implicit(TlsAcceptor),
}

/// A mail that was sent to its end.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) to: String,
    pub(crate) bytes: Vec<u8>,
    /// Was it said to be accepted?
    pub(crate) accepted: bool,
    /// Does the server have it? Also where its reply was cut off or never came.
    pub(crate) kept: bool,
}

/// What the server offers besides encryption and AUTH, and what it does not keep of that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) lines: &'static [&'static str],
    /// How one may log in, as EHLO shows it.
    pub(crate) auth: Option<&'static str>,
    /// Throws away what was sent ahead of its replies.
    pub(crate) loses_what_is_ahead: bool,
    /// Does not know BDAT.
    pub(crate) knows_no_chunks: bool,
    /// Refuses MAIL with any parameter.
    pub(crate) refuses_parameters: bool,
    /// Knows no EHLO.
    pub(crate) is_old: bool,
}

#[derive(Default)]
pub(crate) struct Log {
    script: VecDeque<(At, Act)>,
    /// Said at that stage where the script says nothing.
    always: Option<(At, &'static str)>,
    offer: Offer,
    /// Domains whose recipients are refused, with the reply.
    refusing: HashMap<String, &'static str>,
    /// Recipients refused so.
    pub(crate) refused: usize,
    /// Messages that are under way by domain, and the most that ever were.
    under_way: HashMap<String, usize>,
    pub(crate) at_once: HashMap<String, usize>,
    /// The most that came to a domain by one connection.
    pub(crate) by_one: HashMap<String, usize>,
    /// Every MAIL command.
    pub(crate) senders: Vec<String>,
    /// Commands that came by then in one read with others before them.
    pub(crate) ahead: usize,
    pub(crate) mails: Vec<Received>,
    pub(crate) connections: usize,
    /// What followed `AUTH`, and whether the connection was encrypted.
    pub(crate) logins: Vec<(String, bool)>,
    pub(crate) quits: usize,
    /// Messages that were cut off amid their bytes.
    pub(crate) cut_amid: usize,
}

pub(crate) struct Peer {
    pub(crate) port: u16,
    pub(crate) log: Arc<Mutex<Log>>,
}

impl Peer {
    pub(crate) async fn start(security: Security) -> Self {
        Peer::offering(security, Offer::default()).await
    }

    pub(crate) async fn offering(security: Security, offer: Offer) -> Self {
        Peer::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), security, offer)
    }

    /// Its connections hold less than 200 KB of what it has not read yet, where Linux would have them hold some megabytes.
    pub(crate) fn narrow(offer: Offer) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        // Small packets, so that the other end does not make room for more of them.
        socket.set_tcp_mss(536).unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        socket.listen(16).unwrap();
        socket.set_nonblocking(true).unwrap();
        Peer::on(TcpListener::from_std(socket.into()).unwrap(), Security::Plain, offer)
    }

    fn on(listener: TcpListener, security: Security, offer: Offer) -> Self {
        let port = listener.local_addr().unwrap().port();
        let log = Arc::new(Mutex::new(Log { offer, ..Log::default() }));
        let shared = Arc::clone(&log);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                shared.lock().unwrap().connections += 1;
                tokio::spawn(serve(stream, security.clone(), Arc::clone(&shared)));
            }
        });
        Peer { port, log }
    }

    /// Does `act` the next time a connection comes to `at`, behind what is in the script for that stage already.
    pub(crate) fn will(&self, at: At, act: Act) {
        self.log.lock().unwrap().script.push_back((at, act));
    }

    /// Says this at that stage each time that the script says nothing of it, until told otherwise.
    pub(crate) fn always(&self, said: Option<(At, &'static str)>) {
        self.log.lock().unwrap().always = said;
    }

    /// Refuses every recipient at `domain` with `reply`, until told otherwise.
    pub(crate) fn refuse(&self, domain: &str, reply: Option<&'static str>) {
        let mut log = self.log.lock().unwrap();
        match reply {
            Some(reply) => log.refusing.insert(domain.to_owned(), reply),
            None => log.refusing.remove(domain),
        };
    }

    /// Whom mails were accepted for, in order.
    pub(crate) fn accepted(&self) -> Vec<String> {
        let log = self.log.lock().unwrap();
        log.mails.iter().filter(|mail| mail.accepted).map(|mail| mail.to.clone()).collect()
    }
}

async fn serve(mut stream: TcpStream, security: Security, log: Arc<Mutex<Log>>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    match security {
        Security::Plain => talk(stream, None, &log, Phase::Open).await.map(|_| ()),
        Security::Implicit(tls) => {
            let stream = tls.accept(stream).await.ok()?;
            talk(stream, None, &log, Phase::Encrypted { greets: true }).await.map(|_| ())
        }
        Security::Starttls(tls) => {
            stream = talk(stream, Some("220 go ahead\r\n"), &log, Phase::Open).await?;
            let stream = tls.accept(stream).await.ok()?;
            talk(stream, None, &log, Phase::Encrypted { greets: false }).await.map(|_| ())
        }
        Security::Injected(tls) => {
            let injected = "220 go ahead\r\n250 AUTH PLAIN\r\n";
            stream = talk(stream, Some(injected), &log, Phase::Open).await?;
            let stream = tls.accept(stream).await.ok()?;
            talk(stream, None, &log, Phase::Encrypted { greets: false }).await.map(|_| ())
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    Encrypted { greets: bool },
}

/// The dialogue until its end; gives the stream back when STARTTLS was answered.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    starttls: Option<&str>,
    log: &Arc<Mutex<Log>>,
    phase: Phase,
) -> Option<S> {
    let mut stream = BufReader::new(stream);
    if phase != (Phase::Encrypted { greets: false }) {
        answer(&mut stream, log, At::Greeting, "220 scripted").await?;
    }
    let offer = log.lock().unwrap().offer;
    let is_chunked = offer.lines.contains(&"CHUNKING") && !offer.knows_no_chunks;
    let (mut has_sender, mut to) = (false, String::new());
    let mut came = HashMap::<String, usize>::new();
    loop {
        if offer.loses_what_is_ahead {
            let ahead = stream.buffer().len();
            stream.consume(ahead);
        }
        let is_ahead = !stream.buffer().is_empty();
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        log.lock().unwrap().ahead += usize::from(is_ahead);
        let line = line.trim_end();
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" | "STARTTLS" | "AUTH" if is_troubled(&mut stream, log, &verb).await? => {}
            "EHLO" if !offer.is_old => {
                let mut offers = vec!["250-scripted".to_owned()];
                offers.extend(offer.lines.iter().map(|line| format!("250-{line}")));
                offers.push(match (starttls, offer.auth) {
                    (Some(_), _) => "250 STARTTLS".into(),
                    (None, Some(auth)) => format!("250 {auth}"),
                    (None, None) => "250 AUTH PLAIN".into(),
                });
                stream.write_all(format!("{}\r\n", offers.join("\r\n")).as_bytes()).await.ok()?;
            }
            "HELO" => stream.write_all(b"250 scripted\r\n").await.ok()?,
            "STARTTLS" => {
                stream.write_all(starttls?.as_bytes()).await.ok()?;
                return Some(stream.into_inner());
            }
            "AUTH" => {
                let mut said = line[4..].trim().to_owned();
                if said == "LOGIN" {
                    for prompt in ["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"] {
                        stream.write_all(format!("{prompt}\r\n").as_bytes()).await.ok()?;
                        let mut answer = String::new();
                        stream.read_line(&mut answer).await.ok()?;
                        said = format!("{said} {}", answer.trim());
                    }
                }
                log.lock().unwrap().logins.push((said, phase != Phase::Open));
                stream.write_all(b"235 welcome\r\n").await.ok()?;
            }
            "MAIL" if has_sender => stream.write_all(b"503 5.5.1 nested MAIL\r\n").await.ok()?,
            "MAIL" if offer.refuses_parameters && !line.ends_with('>') => {
                stream.write_all(b"555 5.5.4 unsupported option\r\n").await.ok()?;
            }
            "MAIL" => {
                log.lock().unwrap().senders.push(line.to_owned());
                let act = next(log, At::Mail).filter(|act| *act != Act::Usual);
                has_sender = act.is_none();
                perform(&mut stream, act.unwrap_or(Act::Say("250 sender"))).await?;
            }
            "RCPT" | "DATA" | "BDAT" if !(has_sender || verb == "BDAT" && is_chunked) => {
                stream.write_all(b"503 5.5.1 MAIL first\r\n").await.ok()?;
            }
            "RCPT" => {
                to = line["RCPT TO:<".len()..].trim_end_matches('>').to_owned();
                let mut act = next(log, At::Rcpt).filter(|act| *act != Act::Usual);
                {
                    let mut log = log.lock().unwrap();
                    let log = &mut *log;
                    let domain = to.rsplit('@').next().unwrap_or_default().to_owned();
                    if let Some(words) = log.refusing.get(&domain) {
                        log.refused += 1;
                        act = Some(Act::Say(words));
                    } else {
                        let count = log.under_way.entry(domain.clone()).or_default();
                        *count += 1;
                        let most = log.at_once.entry(domain.clone()).or_default();
                        *most = (*most).max(*count);
                        let count = came.entry(domain.clone()).or_default();
                        *count += 1;
                        let most = log.by_one.entry(domain).or_default();
                        *most = (*most).max(*count);
                    }
                }
                // Nobody is left to send the message to, as with any server.
                if matches!(act, Some(Act::Say(_))) {
                    to.clear();
                }
                perform(&mut stream, act.unwrap_or(Act::Say("250 recipient"))).await?;
            }
            "DATA" => {
                if let Some(act) = next(log, At::Data).filter(|act| *act != Act::Usual) {
                    perform(&mut stream, act).await?;
                    continue;
                }
                // As careless servers do it: 354 even if nobody is to get the message.
                stream.write_all(b"354 go on\r\n").await.ok()?;
                begin(&mut stream, log, &to).await?;
                let bytes = body(&mut stream).await?;
                has_sender = false;
                end(&mut stream, log, std::mem::take(&mut to), bytes).await?;
            }
            "BDAT" if is_chunked => {
                let length = line.split(' ').nth(1).unwrap().parse().unwrap();
                begin(&mut stream, log, &to).await?;
                let mut bytes = vec![0; length];
                stream.read_exact(&mut bytes).await.ok()?;
                has_sender = false;
                end(&mut stream, log, std::mem::take(&mut to), bytes).await?;
            }
            "RSET" => {
                has_sender = false;
                to.clear();
                stream.write_all(b"250 reset\r\n").await.ok()?;
            }
            "QUIT" => {
                log.lock().unwrap().quits += 1;
                stream.write_all(b"221 bye\r\n").await.ok()?;
                return None;
            }
            _ => stream.write_all(b"502 what?\r\n").await.ok()?,
        }
    }
}

/// A whole message is there: keeps it, or does what the script says.
async fn end<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufReader<S>,
    log: &Mutex<Log>,
    to: String,
    bytes: Vec<u8>,
) -> Option<()> {
    if to.is_empty() {
        return perform(stream, Act::Say("554 no valid recipients")).await;
    }
    // Another connection may come in between.
    tokio::task::yield_now().await;
    let act = next(log, At::Body).filter(|act| *act != Act::Usual);
    if let Some(count) = log.lock().unwrap().under_way.get_mut(to.rsplit('@').next().unwrap_or_default()) {
        *count = count.saturating_sub(1);
    }
    let accepted = act.is_none();
    let kept = !matches!(act, Some(Act::Say(_)));
    log.lock().unwrap().mails.push(Received { to, bytes, accepted, kept });
    perform(stream, act.unwrap_or(Act::Say("250 2.0.0 queued as 1"))).await
}

/// Does what the script says for a command before the first message, if it says anything.
async fn is_troubled<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufReader<S>,
    log: &Mutex<Log>,
    verb: &str,
) -> Option<bool> {
    let stages = [("EHLO", At::Hello), ("STARTTLS", At::Starttls), ("AUTH", At::Auth)];
    let (_, at) = stages.into_iter().find(|(known, _)| *known == verb)?;
    let Some(act) = next(log, at).filter(|act| *act != Act::Usual) else { return Some(false) };
    perform(stream, act).await.map(|()| true)
}

/// What the script says for this stage, once.
fn next(log: &Mutex<Log>, at: At) -> Option<Act> {
    let mut log = log.lock().unwrap();
    let always = log.always.filter(|(stage, _)| *stage == at).map(|(_, words)| Act::Say(words));
    let Some(place) = log.script.iter().position(|(stage, _)| *stage == at) else { return always };
    log.script.remove(place).map(|(_, act)| act)
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufReader<S>,
    log: &Mutex<Log>,
    at: At,
    usual: &'static str,
) -> Option<()> {
    let act = next(log, at).filter(|act| *act != Act::Usual);
    perform(stream, act.unwrap_or(Act::Say(usual))).await
}

/// None where the connection ends with it.
async fn perform<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufReader<S>, act: Act) -> Option<()> {
    match act {
        Act::Say(words) => {
            stream.write_all(format!("{words}\r\n").as_bytes()).await.ok()?;
            stream.flush().await.ok()?;
            (!words.starts_with("421")).then_some(())
        }
        Act::Stall => std::future::pending().await,
        Act::Cut | Act::CutAmid | Act::Usual => None,
    }
}
