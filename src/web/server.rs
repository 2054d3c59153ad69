//! The HTTP server: follows `[listen]` through reloads.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::model::Problem;
use crate::settings::{Listen, TokenSettings};

use super::Handles;
use super::connections::{Served, serve};
use super::guard::{Secrets, Token};
use super::routes;
use super::secret_file::SecretFile;
use super::sessions::Sessions;
use super::tls::Tls;
use super::visitor::Caller;

/// The HTTP server of a daemon; without `[listen]` it serves nothing.
#[derive(Debug)]
pub struct Server {
    handles: Handles,
    /// The people who signed in; they stay signed in while their token stays.
    sessions: Arc<Sessions>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    listen: Listen,
    /// The address with the real port.
    bound: SocketAddr,
    /// The current service; replacing it ends the connections of the previous one.
    served: watch::Sender<Arc<Served>>,
    accepting: JoinHandle<()>,
}

/// A change of the server whose files are read and whose address is bound.
///
/// [`Server::commit`] makes the change, and [`Server::withdraw`] undoes its preparation.
#[derive(Debug)]
pub struct Prepared(Change);

#[derive(Debug)]
enum Change {
    Nothing,
    /// Stop serving.
    Stop,
    /// Serve the same address in another way.
    Replace(Listen, Arc<Served>),
    /// Serve another address.
    Move(Listen, Arc<Served>, TcpListener, SocketAddr),
}

impl Prepared {
    /// Returns a change that leaves the server as it is.
    pub fn nothing() -> Self {
        Self(Change::Nothing)
    }
}

impl Server {
    /// Creates a server that serves nothing yet.
    pub fn new(handles: Handles) -> Self {
        Self { handles, sessions: Arc::default(), running: None }
    }

    /// Prepares to follow `[listen]` of the settings.
    ///
    /// # Errors
    /// When a file cannot be used or the address cannot be bound. The server is unchanged then.
    pub async fn prepare(&mut self, listen: Option<&Listen>) -> Result<Prepared, Problem> {
        let change = match (listen, &self.running) {
            (None, None) => Change::Nothing,
            (None, Some(_)) => Change::Stop,
            (Some(listen), Some(running)) if running.serves(listen) => match running.listen == *listen {
                true => Change::Nothing,
                false => Change::Replace(listen.clone(), self.served(listen, running.bound)?),
            },
            (Some(listen), _) => self.prepare_move(listen).await?,
        };
        Ok(Prepared(change))
    }

    async fn prepare_move(&mut self, listen: &Listen) -> Result<Change, Problem> {
        if let Some(problem) = problems(listen).into_iter().next() {
            return Err(problem);
        }
        let prepared = match TcpListener::bind(listen.address).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                self.bind_beside_own(listen, error).await
            }
            bound => bound,
        };
        let prepared = prepared.and_then(|listener| {
            let bound = listener.local_addr()?;
            Ok((listener, bound))
        });
        let prepared =
            prepared.map_err(|error| cannot_listen(listen.address, &error)).and_then(|(listener, bound)| {
                Ok(Change::Move(listen.clone(), self.served(listen, bound)?, listener, bound))
            });
        if prepared.is_err() {
            self.resume().await;
        }
        prepared
    }

    /// Binds an address after closing our own listener on the same port of another address.
    async fn bind_beside_own(&mut self, listen: &Listen, error: io::Error) -> io::Result<TcpListener> {
        let ours = self.running.as_mut().filter(|running| running.bound.port() == listen.address.port());
        let Some(running) = ours else { return Err(error) };
        running.accepting.abort();
        // It was aborted; its listener is closed once it has ended.
        let _ = (&mut running.accepting).await;
        TcpListener::bind(listen.address).await
    }

    /// Makes a prepared change.
    pub fn commit(&mut self, prepared: Prepared) {
        match prepared.0 {
            Change::Nothing => {}
            Change::Stop => self.stop(),
            Change::Replace(listen, served) => {
                self.keep_sessions(&served);
                if let Some(running) = &mut self.running {
                    running.listen = listen;
                    running.served.send_replace(served);
                }
                tracing::info!("[listen] changed");
            }
            Change::Move(listen, served, listener, bound) => {
                self.stop();
                self.keep_sessions(&served);
                let scheme = if listen.tls.is_some() { "https" } else { "http" };
                tracing::info!(address = %format!("{scheme}://{bound}"), "serving HTTP");
                let (served, current) = watch::channel(served);
                let accepting = tokio::spawn(serve(listener, current));
                self.running = Some(Running { listen, bound, served, accepting });
            }
        }
    }

    /// Gives up a prepared change.
    pub async fn withdraw(&mut self, prepared: Prepared) {
        // The new listener may hold the port that ours needs again.
        drop(prepared);
        self.resume().await;
    }

    /// Listens again if our listener was closed for another one.
    async fn resume(&mut self) {
        let Some(running) = self.running.as_mut().filter(|running| running.accepting.is_finished()) else {
            return;
        };
        match TcpListener::bind(running.bound).await {
            Ok(listener) => running.accepting = tokio::spawn(serve(listener, running.served.subscribe())),
            Err(error) => tracing::error!("{}", cannot_listen(running.bound, &error)),
        }
    }

    fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.accepting.abort();
            tracing::info!(address = %running.bound, "HTTP stopped");
        }
    }

    /// Signs out the people whose token is gone.
    fn keep_sessions(&self, served: &Served) {
        self.sessions.retain(|token| served.tokens.contains(token));
    }

    fn served(&self, listen: &Listen, bound: SocketAddr) -> Result<Arc<Served>, Problem> {
        let tokens = listen.tokens.iter().map(token).collect::<Result<Vec<Token>, Problem>>()?;
        let fingerprints = tokens.iter().map(|token| token.secret.fingerprint()).collect();
        let secrets = Secrets {
            tokens,
            webhook: listen.webhook_secret_file.as_deref().map(webhook).transpose()?,
            webhook_header: listen.webhook_header.clone(),
            webhook_query: listen.webhook_query.clone(),
            hosts: listen.hosts.clone(),
            trusted_proxy: listen.trusted_proxy,
            sessions: self.sessions.clone(),
            cookie: format!("rtconfd_session_{}", bound.port()),
        };
        let tls = listen.tls.clone().map(Tls::open).transpose()?;
        let app = routes::on_network(self.handles.clone(), Arc::new(secrets));
        Ok(Arc::new(Served { tls, app, tokens: fingerprints }))
    }
}

impl Running {
    /// Returns true if the listener works and has the address of these settings.
    fn serves(&self, listen: &Listen) -> bool {
        self.listen.address == listen.address && !self.accepting.is_finished()
    }
}

fn token(token: &TokenSettings) -> Result<Token, Problem> {
    let caller = Caller { name: token.name.clone(), rights: token.rights.clone() };
    Ok(Token { caller, secret: secret(&token.file, &format!("token {}", token.name))? })
}

fn webhook(file: &Path) -> Result<SecretFile, Problem> {
    secret(file, "listen.webhook_secret_file")
}

fn secret(file: &Path, what: &str) -> Result<SecretFile, Problem> {
    SecretFile::open(file)
        .map_err(|problem| Problem { message: format!("{what}: {}", problem.message), ..problem })
}

/// Returns the problems of the files that `[listen]` names.
pub fn problems(listen: &Listen) -> Vec<Problem> {
    let tokens = listen.tokens.iter().filter_map(|named| token(named).err());
    let webhook = listen.webhook_secret_file.as_deref().and_then(|file| webhook(file).err());
    let tls = listen.tls.clone().and_then(|files| Tls::open(files).err());
    tokens.chain(webhook).chain(tls).collect()
}

/// Returns the problem of an address that cannot be bound, with a hint.
pub fn cannot_listen(address: SocketAddr, error: &io::Error) -> Problem {
    let problem = Problem::new(format!("cannot listen on {address} (listen.address): {error}"));
    problem.hint(match error.kind() {
        io::ErrorKind::AddrInUse => "stop the program that uses the port, or set another port",
        io::ErrorKind::PermissionDenied => "set a port of at least 1024: lower ones are for root",
        _ => "set an address of this machine and a free port, for example 127.0.0.1:9464",
    })
}
