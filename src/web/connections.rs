//! Serves connections, and limits their number, idle time and lifetime.
//!
//! The number is limited in total and per address. A caller that opens a thousand connections and
//! sends nothing blocks no other caller: at the limit, the oldest connection without a request in
//! progress is closed for the new one.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Notify, watch};

use crate::limits::listener::{
    HEAD_TIMEOUT, LAST_ANSWER, LIFETIME, LONG_REQUEST, MAX_CONNECTIONS, MAX_OF_ADDRESS,
};

use super::tls::Tls;

/// How a request reached the listener.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The address that it came from; `None` on the Unix socket.
    pub address: Option<IpAddr>,
    /// True if the connection is encrypted.
    pub is_encrypted: bool,
}

/// The application that answers requests, and the certificate of its connections.
pub(super) struct Served {
    /// Without it, connections are not encrypted.
    pub tls: Option<Tls>,
    /// The routes.
    pub app: Router,
    /// The hashes of the tokens that it accepts.
    pub tokens: Vec<[u8; 32]>,
}

impl std::fmt::Debug for Served {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Served").finish_non_exhaustive()
    }
}

/// Pause after a failed accept, for example when the file descriptors ran out.
const AFTER_FAULT: Duration = Duration::from_millis(200);

/// A source of incoming connections.
pub(super) trait Accept: Send + 'static {
    /// The stream of one connection.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Accepts the next connection; its address is `None` on the Unix socket.
    fn next(&self) -> impl Future<Output = io::Result<(Self::Stream, Option<IpAddr>)>> + Send;
}

impl Accept for TcpListener {
    type Stream = tokio::net::TcpStream;

    async fn next(&self) -> io::Result<(Self::Stream, Option<IpAddr>)> {
        let (stream, address) = self.accept().await?;
        Ok((stream, Some(address.ip())))
    }
}

impl Accept for UnixListener {
    type Stream = tokio::net::UnixStream;

    async fn next(&self) -> io::Result<(Self::Stream, Option<IpAddr>)> {
        Ok((self.accept().await?.0, None))
    }
}

/// Serves the newest service until the service is dropped or this task is aborted.
///
/// Each request is answered by the newest service: a removed token must not last as long as a
/// connection does. When the service is replaced or dropped, connections end after their current
/// request.
pub(super) async fn serve(listener: impl Accept, mut services: watch::Receiver<Arc<Served>>) {
    let open = Open::default();
    loop {
        let (stream, address) = match listener.next().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(AFTER_FAULT).await;
                continue;
            }
        };
        if services.has_changed().is_err() {
            return;
        }
        // When every place has a request in progress, a new caller is disconnected: waiting here
        // would block the other callers too.
        let Some(place) = open.take(address) else { continue };
        let service = services.borrow_and_update().clone();
        let acceptor = service.tls.as_ref().map(Tls::acceptor);
        let arrival = Arrival { address, is_encrypted: acceptor.is_some() };
        let newest = services.clone();
        tokio::spawn(async move {
            let served = async {
                let state = place.connection.clone();
                match acceptor {
                    None => one(stream, newest, arrival, state).await,
                    // A failed handshake is the caller's concern and is not logged.
                    Some(acceptor) => {
                        if let Ok(Ok(stream)) =
                            tokio::time::timeout(HEAD_TIMEOUT, acceptor.accept(stream)).await
                        {
                            one(stream, newest, arrival, state).await;
                        }
                    }
                }
            };
            tokio::select! {
                () = served => {}
                () = place.connection.closes.notified() => {}
            }
        });
    }
}

async fn one(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    services: watch::Receiver<Arc<Served>>,
    arrival: Arrival,
    state: Arc<Connection>,
) {
    let mut newer = services.clone();
    let answer = service_fn(move |mut request: hyper::Request<Incoming>| {
        let app = TowerToHyperService::new(services.borrow().app.clone());
        request.extensions_mut().insert(arrival);
        request.extensions_mut().insert(state.clone());
        let asked = RequestGuard(state.clone());
        let request = request.map(|body| UntilRead::new(body, state.clone()));
        let answered = app.call(request.map(axum::body::Body::new));
        async move {
            let answer = answered.await;
            drop(asked);
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), answer);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        biased;
        // An error means that the service was dropped.
        _ = newer.changed() => {}
        // Connection errors are the caller's concern and are not logged.
        _ = connection.as_mut() => return,
        () = tokio::time::sleep(LIFETIME) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(LAST_ANSWER, connection).await;
}

/// An open connection.
#[derive(Debug, Default)]
pub struct Connection {
    /// The time at which the request in progress had arrived; `None` while idle.
    asked: Mutex<Option<Instant>>,
    /// Signal to close this connection for a newer one.
    closes: Notify,
}

impl Connection {
    /// Counts as idle from now on, although its request is not answered yet: it may be closed for
    /// another one.
    pub fn gives_way(&self) {
        *self.asked() = None;
    }

    fn asked(&self) -> MutexGuard<'_, Option<Instant>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request's body, which reports when it has arrived.
///
/// Until then the connection counts as idle: the rest of a body may never come.
struct UntilRead {
    body: Incoming,
    connection: Arc<Connection>,
}

impl UntilRead {
    fn new(body: Incoming, connection: Arc<Connection>) -> Self {
        let body = Self { body, connection };
        if body.body.is_end_stream() {
            body.report_end();
        }
        body
    }

    fn report_end(&self) {
        self.connection.asked().get_or_insert_with(Instant::now);
    }
}

/// A handler that needs no body, or no more of it, drops it.
impl Drop for UntilRead {
    fn drop(&mut self) {
        self.report_end();
    }
}

impl Body for UntilRead {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if matches!(frame, Poll::Ready(None)) || self.body.is_end_stream() {
            self.report_end();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A marker for a request in progress, which ends with it.
struct RequestGuard(Arc<Connection>);

impl Drop for RequestGuard {
    fn drop(&mut self) {
        *self.0.asked() = None;
    }
}

/// The open connections by address, oldest first.
#[derive(Clone, Debug, Default)]
struct Open(Arc<Mutex<Addresses>>);

type Addresses = HashMap<Option<IpAddr>, VecDeque<Arc<Connection>>>;

/// The place of an open connection, returned on drop.
#[derive(Debug)]
struct Place {
    open: Open,
    address: Option<IpAddr>,
    connection: Arc<Connection>,
}

impl Open {
    /// Takes a place for a connection, if necessary that of an older one that can be closed.
    fn take(&self, address: Option<IpAddr>) -> Option<Place> {
        let mut open = self.lock();
        if open.get(&address).is_some_and(|known| known.len() >= MAX_OF_ADDRESS) {
            make_room(&mut open, address)?;
        } else if open.values().map(VecDeque::len).sum::<usize>() >= MAX_CONNECTIONS {
            // The address with the most connections gives one up.
            let most = open.iter().max_by_key(|(_, known)| known.len()).map(|(address, _)| *address)?;
            make_room(&mut open, most)?;
        }
        let connection = Arc::new(Connection::default());
        open.entry(address).or_default().push_back(connection.clone());
        Some(Place { open: self.clone(), address, connection })
    }

    fn lock(&self) -> MutexGuard<'_, Addresses> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes the oldest idle connection of an address, else its oldest slow one.
///
/// Returns `None` when every connection has a recent request in progress.
fn make_room(open: &mut Addresses, address: Option<IpAddr>) -> Option<()> {
    let known = open.get_mut(&address)?;
    let is_idle = |connection: &Arc<Connection>| connection.asked().is_none();
    let is_slow = |connection: &Arc<Connection>| {
        connection.asked().is_some_and(|since| since.elapsed() >= LONG_REQUEST)
    };
    let oldest = known.iter().position(is_idle).or_else(|| known.iter().position(is_slow))?;
    known.remove(oldest)?.closes.notify_one();
    if known.is_empty() {
        open.remove(&address);
    }
    Some(())
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.lock();
        if let Some(known) = open.get_mut(&self.address) {
            known.retain(|other| !Arc::ptr_eq(other, &self.connection));
            if known.is_empty() {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_idle_connection_is_closed_before_any_with_a_request() {
        let open = Open::default();
        let (one, other) = ("192.0.2.1".parse().ok(), "192.0.2.2".parse().ok());
        let count = || open.lock().values().map(VecDeque::len).sum::<usize>();
        let take = |address, is_asked: bool| {
            let place = open.take(address)?;
            is_asked.then(|| *place.connection.asked() = Some(Instant::now()));
            Some(place)
        };
        // One address fills its share: its idle connections are closed for newer ones.
        let mut places: Vec<Place> = (0..1_000).map(|_| take(one, false).unwrap()).collect();
        assert_eq!(count(), MAX_OF_ADDRESS);
        // Connections with a request in progress are not.
        places.extend((0..MAX_OF_ADDRESS).map(|_| take(one, true).unwrap()));
        assert!(take(one, false).is_none());
        // Another address gets its own share.
        places.extend((0..MAX_OF_ADDRESS).map(|_| take(other, false).unwrap()));
        assert_eq!(count(), MAX_CONNECTIONS);
        // All places are taken: a third address gets an idle one from the address with the most.
        drop(places.pop());
        places.extend(take("192.0.2.3".parse().ok(), true));
        assert_eq!(count(), MAX_CONNECTIONS);
        drop(places);
        assert!(open.lock().is_empty());
    }
}
