//! How a running daemon is asked: over a socket beside its store, for whoever may use that, and over HTTP where the
//! settings say so: health, metrics, status, overrides, approvals, the vendor's webhook.

mod client;
mod connections;
mod guard;
mod handles;
mod metrics;
mod reload;
mod routes;
mod wire;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::{TcpListener, UnixListener};

pub use client::{Asked, Daemon, Unreachable};
pub use guard::{SecretFile, Secrets};
pub use handles::Handles;
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
pub fn serve_socket(path: &Path, handles: Handles) -> io::Result<Socket> {
    // Left behind by one that was killed: the store's lock says that nobody else is here.
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    // Its owner's alone from its first moment. For files that other threads make just then it can only be too strict.
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
    let listener = UnixListener::bind(path);
    rustix::process::umask(before);
    tokio::spawn(connections::serve(listener?, routes::on_socket(handles)));
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
pub fn serve_http(listener: TcpListener, secrets: Secrets, handles: Handles) {
    tokio::spawn(connections::serve(listener, routes::on_network(handles, Arc::new(secrets))));
}
