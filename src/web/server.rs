//! Sockets: one runtime a core, each with a listener of its own on the same port, so that a connection lives on one
//! core and the kernel spreads the load. The accept loop is ours: it carries the limits that axum's has not.

use super::App;
use super::asking::AskedFrom;
use super::direct::{self, Replay};
use super::feeds::{self, Body};
use crate::telemetry;
use axum::Router;
use axum::extract::Request;
use axum::http::Response;
use http_body_util::Either;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use socket2::{Domain, Protocol, Socket, Type};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// A request's head has to be there this soon; an idle connection is kept open as long.
pub(super) const HEAD_WAIT: Duration = Duration::from_secs(30);
/// A client that takes nothing of its answer for this long has gone, or wants to hold the connection.
pub(super) const WRITE_WAIT: Duration = Duration::from_secs(60);
/// Head and pipelined requests of one connection; hyper's own default is 400 KiB.
pub(super) const READ_BYTES_MAX: usize = 64 << 10;
/// Headers of a request; more is no feed reader.
pub(super) const HEADERS_MAX: usize = 64;
/// Connections that the kernel may hold for us between two accepts.
const BACKLOG: i32 = 1_024;
/// After a failed accept (no descriptors left, say) the loop rests this long instead of spinning.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Limits and the signal to stop, the same for every listener.
#[derive(Clone)]
pub struct Limits {
    /// Open connections over all listeners; the next one waits in the kernel.
    pub connections: Arc<Semaphore>,
    /// When this falls no connection is accepted, and each open one ends with its request.
    pub stop: CancellationToken,
    /// How long open requests may take after that.
    pub drain: Duration,
}

/// Listens on `address`, alone.
pub fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    listen(address, false)
}

/// Listens on `address` with `count` sockets, one a core; the kernel spreads connections over them.
pub fn bind_each(address: SocketAddr, count: usize) -> io::Result<Vec<std::net::TcpListener>> {
    // Sockets that share a port would share it with another daemon as well, and nobody would notice: so once alone.
    let address = bind(address)?.local_addr()?;
    (0..count).map(|_| listen(address, true)).collect()
}

fn listen(address: SocketAddr, shared: bool) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Where connections come from.
pub trait Accept: Send + 'static {
    /// One connection.
    type Stream: Send + 'static;
    /// The same for hyper.
    type Io: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static;

    /// Waits for the next one.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// With the limits that hyper has not.
    fn for_hyper(stream: Self::Stream) -> Self::Io;
}

impl Accept for TcpListener {
    type Stream = TcpStream;
    type Io = TokioIo<Pin<Box<TimeoutStream<TcpStream>>>>;

    async fn accept(&self) -> io::Result<TcpStream> {
        let (stream, _) = TcpListener::accept(self).await?;
        // Answers are written whole; waiting for more to send would only delay them.
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn for_hyper(stream: TcpStream) -> Self::Io {
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(WRITE_WAIT));
        TokioIo::new(Box::pin(stream))
    }
}

impl Accept for UnixListener {
    type Stream = UnixStream;
    type Io = TokioIo<UnixStream>;

    async fn accept(&self) -> io::Result<UnixStream> {
        Ok(UnixListener::accept(self).await?.0)
    }

    fn for_hyper(stream: UnixStream) -> Self::Io {
        TokioIo::new(stream)
    }
}

/// Serves feeds from memory and everything else by `router`, until the stop; then drains.
pub async fn serve_public(listener: TcpListener, app: Arc<App>, router: Router, limits: Limits) {
    let http = http();
    accept_loop(listener, limits, move |stream, stop, watcher| {
        let (app, router, http) = (Arc::clone(&app), router.clone(), http.clone());
        async move {
            // A connection that breaks off is the peer's business; its requests have been answered or are void.
            let peer = stream.peer_addr().ok().map(|peer| peer.ip());
            let Ok(Some((stream, read))) = direct::serve(stream, &app, peer, &stop).await else { return };
            let answer = |request| public(&app, router.clone(), request, peer);
            let io = Replay::new(read, TcpListener::for_hyper(stream));
            let _ = watcher.watch(http.serve_connection(io, service_fn(answer))).await;
        }
    })
    .await;
}

/// Serves `router` until the stop; then drains.
pub async fn serve_router<A: Accept>(listener: A, router: Router, limits: Limits) {
    let http = http();
    accept_loop(listener, limits, move |stream, _, watcher| {
        let router = router.clone();
        let answer = move |request| routed(router.clone(), request);
        let connection = http.serve_connection(A::for_hyper(stream), service_fn(answer));
        async move {
            let _ = watcher.watch(connection).await;
        }
    })
    .await;
}

fn http() -> http1::Builder {
    let mut http = http1::Builder::new();
    // No `pipeline_flush`: with it hyper copies every body behind its head, and each connection keeps that buffer.
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_WAIT).max_buf_size(READ_BYTES_MAX).max_headers(HEADERS_MAX);
    http
}

async fn public(
    app: &Arc<App>,
    router: Router,
    request: Request<Incoming>,
    peer: Option<IpAddr>,
) -> Result<Response<Body>, Infallible> {
    let (mut parts, body) = request.into_parts();
    if let Some(response) = feeds::serve(app, &parts, peer).await {
        app.counters.feed(response.status()).increment(1);
        return Ok(response);
    }
    parts.extensions.insert(AskedFrom::of(&parts, peer, &app.proxies));
    let change = (!parts.method.is_safe()).then(|| app.changes.begin());
    let response = routed(router, Request::from_parts(parts, body)).await?;
    if let Some(change) = change {
        change.answered();
    }
    app.counters.other(response.status()).increment(1);
    Ok(response)
}

async fn routed(router: Router, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let response = router.oneshot(request).await?;
    Ok(response.map(Either::Right))
}

/// Hands each connection to `serve`, with the signal to stop, and the watcher for whose end the drain waits.
async fn accept_loop<A: Accept, F>(
    listener: A,
    limits: Limits,
    serve: impl Fn(A::Stream, CancellationToken, Watcher) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    // One of this listener alone: its connections look at it often, and share it with no other core.
    let stop = limits.stop.child_token();
    let open = GracefulShutdown::new();
    loop {
        // A place first: beyond the limit the next connection waits in the kernel and costs nothing here.
        let next = async {
            let room = Arc::clone(&limits.connections).acquire_owned().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((listener.accept().await?, room))
        };
        let next = tokio::select! {
            () = stop.cancelled() => break,
            next = next => next,
        };
        let (stream, room) = match next {
            Ok(next) => next,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted: {error}");
                tokio::time::sleep(ACCEPT_REST).await;
                continue;
            }
        };
        let connection = serve(stream, stop.clone(), open.watcher());
        metrics::gauge!(telemetry::HTTP_CONNECTIONS).increment(1);
        tokio::spawn(async move {
            connection.await;
            metrics::gauge!(telemetry::HTTP_CONNECTIONS).decrement(1);
            drop(room);
        });
    }
    // Closed before the drain: who comes now is refused and can turn to another machine, instead of waiting in vain.
    drop(listener);
    tokio::select! {
        () = open.shutdown() => {}
        () = tokio::time::sleep(limits.drain) => tracing::warn!("connections were still open at the end of the drain"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::AsyncWriteExt as _;

    /// Time stands still until everybody waits, then it jumps to whatever is waited for.
    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_nothing_or_reads_nothing_gives_its_connection_back() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = Limits {
            // Two for the clients, and one that waits for the next.
            connections: Arc::new(Semaphore::new(3)),
            stop: CancellationToken::new(),
            drain: Duration::from_secs(1),
        };
        let router = Router::new().route("/large", get(async || vec![b'x'; 64 << 20]));
        let serving = tokio::spawn(serve_router(listener, router, limits.clone()));
        let mut reads_nothing = TcpStream::connect(address).await.unwrap();
        reads_nothing.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let sends_nothing = TcpStream::connect(address).await.unwrap();
        // Two places are free only when both were sent away.
        let _places = Arc::clone(&limits.connections).acquire_many_owned(2).await.unwrap();
        drop((reads_nothing, sends_nothing));
        limits.stop.cancel();
        serving.await.unwrap();
    }
}
