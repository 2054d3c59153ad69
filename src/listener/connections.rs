//! Serves connections, and bounds what they may take: how many there are, of all callers and of one, how long each may be
//! silent, and how long it may last. Whoever opens a thousand and says nothing keeps nobody from their work.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};

/// Connections at once; each is a file, of which a process may have a thousand or so.
const MAX_CONNECTIONS: usize = 128;
/// The same of one address. This machine's own may be several programs'.
const MAX_OF_ADDRESS: usize = 64;
/// How long the head of a request may take, and a connection be silent between two.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection lasts; then it answers what it was asked, and ends.
const LIFETIME: Duration = Duration::from_secs(120);
/// How long it may take to end.
const LAST_ANSWER: Duration = Duration::from_secs(40);
/// How long nothing is accepted when the system gives no more files.
const AFTER_FAULT: Duration = Duration::from_millis(200);

/// Something that accepts connections.
pub(super) trait Accept: Send + 'static {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// The next connection, and the address it comes from; none on this machine's socket.
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

/// Serves an application until the program ends.
pub(super) async fn serve(listener: impl Accept, app: Router) {
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
        // Whoever has no place is hung up on: to wait would keep others waiting, too.
        let Some(place) = open.take(address) else { continue };
        let app = app.clone();
        tokio::spawn(async move {
            let _place = place;
            one(stream, app).await;
        });
    }
}

async fn one(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, app: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    let mut connection = std::pin::pin!(connection);
    // How a caller's connection ends is the caller's business.
    if tokio::time::timeout(LIFETIME, connection.as_mut()).await.is_err() {
        connection.as_mut().graceful_shutdown();
        let _ = tokio::time::timeout(LAST_ANSWER, connection).await;
    }
}

/// The connections that are open, by address.
#[derive(Clone, Debug, Default)]
struct Open(Arc<Mutex<HashMap<Option<IpAddr>, usize>>>);

/// The place of an open connection; given back when it is dropped.
#[derive(Debug)]
struct Place(Open, Option<IpAddr>);

impl Open {
    fn take(&self, address: Option<IpAddr>) -> Option<Place> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, of_address) = (open.values().sum::<usize>(), open.get(&address).copied().unwrap_or(0));
        if all >= MAX_CONNECTIONS || of_address >= MAX_OF_ADDRESS {
            return None;
        }
        open.insert(address, of_address + 1);
        Some(Place(self.clone(), address))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_gets_a_share_and_gives_it_back() {
        let open = Open::default();
        let (one, other) = ("192.0.2.1".parse().ok(), "192.0.2.2".parse().ok());
        let mut places: Vec<Place> = std::iter::from_fn(|| open.take(one)).collect();
        assert_eq!(places.len(), MAX_OF_ADDRESS);
        places.extend(std::iter::from_fn(|| open.take(other)));
        assert_eq!((places.len(), open.take(None).is_none()), (MAX_CONNECTIONS, true));
        drop(places);
        assert!(open.take(one).is_some() && open.0.lock().unwrap().is_empty());
    }
}
