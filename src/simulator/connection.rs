//! Connections that can be reset on request, without an answer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// A switch that resets its connection instead of the next answer.
#[derive(Clone, Debug, Default)]
pub struct Hangup(Arc<AtomicBool>);

impl Hangup {
    /// Makes every further write reset the connection.
    pub fn now(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A listener whose connections can be reset.
pub struct Breakable(pub TcpListener);

impl Listener for Breakable {
    type Io = Connection;
    type Addr = Hangup;

    async fn accept(&mut self) -> (Connection, Hangup) {
        let (stream, _) = Listener::accept(&mut self.0).await;
        // Small answers must not wait for more data.
        let _ = stream.set_nodelay(true);
        let hangup = Hangup::default();
        (Connection { stream, hangup: hangup.clone() }, hangup)
    }

    fn local_addr(&self) -> io::Result<Hangup> {
        Ok(Hangup::default())
    }
}

impl Connected<IncomingStream<'_, Breakable>> for Hangup {
    fn connect_info(stream: IncomingStream<'_, Breakable>) -> Self {
        stream.remote_addr().clone()
    }
}

/// A TCP connection and its switch.
pub struct Connection {
    stream: TcpStream,
    hangup: Hangup,
}

impl Connection {
    /// Fails if the switch is set; with zero linger, dropping the socket sends a reset.
    fn check(&self) -> io::Result<()> {
        if self.hangup.0.load(Ordering::SeqCst) {
            self.stream.set_zero_linger()?;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.check() {
            Ok(()) => Pin::new(&mut self.stream).poll_write(cx, bytes),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.check() {
            Ok(()) => Pin::new(&mut self.stream).poll_flush(cx),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.check() {
            Ok(()) => Pin::new(&mut self.stream).poll_shutdown(cx),
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}
