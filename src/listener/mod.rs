//! How a running daemon is asked: over a socket beside its store, for whoever may use that, and over HTTP where the
//! settings say so: health, metrics, status, overrides, approvals, the vendor's webhook.

mod client;
mod guard;
mod metrics;
mod reload;
mod routes;
mod wire;

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc;

use crate::reconcile::Feed;

pub use client::{Asked, Daemon, Unreachable};
pub use guard::Secrets;
pub use reload::{Answer, Asked as AskedReload, LastReload, Reloads};
pub use wire::{Asking, shown, waiting};

/// Where the socket of a daemon with this store is.
pub fn socket_path(store: &Path) -> PathBuf {
    let mut name = store.file_name().unwrap_or_default().to_owned();
    name.push(".sock");
    store.with_file_name(name)
}

/// Serves the socket until the program ends. Only its owner can use it.
///
/// # Errors
/// When it can't be made; a path may have some hundred bytes.
pub fn serve_socket(path: &Path, feed: mpsc::Sender<Feed>, reloads: Reloads) -> io::Result<Socket> {
    // Left behind by one that was killed: the store's lock says that nobody else is here.
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    let app = routes::on_socket(feed, reloads);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(Socket(path.to_owned()))
}

/// Takes the socket's file away when it is dropped.
#[derive(Debug)]
pub struct Socket(PathBuf);

impl Drop for Socket {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Serves HTTP until the program ends.
pub fn serve_http(listener: TcpListener, secrets: Secrets, feed: mpsc::Sender<Feed>, reloads: Reloads) {
    let app = routes::on_network(feed, reloads, Arc::new(secrets));
    tokio::spawn(async move { axum::serve(listener, app).await });
}
