//! The running daemon's interfaces: a Unix socket beside its store and, if configured, HTTP.
//!
//! They serve the status page, health, metrics, status, overrides, approvals and the vendor's
//! webhook.

mod archive;
mod body;
mod client;
mod cluster;
mod connections;
mod guard;
mod handles;
mod health;
mod html;
mod metrics;
mod refusal;
mod relay;
mod reload;
mod replicas;
mod routes;
mod secret_file;
mod server;
mod sessions;
mod tls;
mod visitor;
mod wire;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::UnixListener;
use tokio::sync::watch;

use connections::Served;

pub(crate) use client::{Daemon, Reply, Unreachable, problems_of};
pub use cluster::{Cluster, Standby};
pub use handles::Handles;
pub(crate) use html::{STYLE, chart, legend, site, timelines};
pub(crate) use reload::{Answer, ReloadRequest};
pub use replicas::serve_replicas;
pub(crate) use server::{Prepared, Server, cannot_listen, problems as listen_problems};
pub use wire::OverrideRequest;
pub(crate) use wire::{few, shown, waiting};

/// Returns the path of the socket of a daemon with this store.
pub(crate) fn socket_path(store: &Path) -> PathBuf {
    let mut name = store.file_name().unwrap_or_default().to_owned();
    name.push(".sock");
    store.with_file_name(name)
}

/// Serves the socket, usable by its owner alone, until the program ends.
///
/// # Errors
/// When the socket cannot be created, for example because the path exceeds about 100 bytes.
pub fn serve_socket(path: &Path, handles: Handles) -> io::Result<Socket> {
    // Left behind by a killed daemon: the store's lock guarantees that no other one is running.
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    // The socket is private from its creation. Files that other threads create meanwhile can only
    // get a stricter mode.
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
    let listener = UnixListener::bind(path);
    rustix::process::umask(before);
    let service = Served { tls: None, app: routes::on_socket(handles), tokens: Vec::new() };
    let (service, served) = watch::channel(Arc::new(service));
    tokio::spawn(connections::serve(listener?, served));
    Ok(Socket { path: path.to_owned(), _service: service })
}

/// The served socket; on drop its connections end, and its file is removed.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
    _service: watch::Sender<Arc<Served>>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        // The file may be gone already.
        let _ = std::fs::remove_file(&self.path);
    }
}
