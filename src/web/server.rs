//! The HTTP server: follows `[listen]` through reloads.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::model::Problem;
use crate::settings::Listen;

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
    /// What connections are served with. When it is replaced, connections with the previous one end.
    service: watch::Sender<Arc<Served>>,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Creates a server that serves nothing yet.
    pub fn new(handles: Handles) -> Self {
        Self { handles, sessions: Arc::default(), running: None }
    }

    /// Follows `[listen]` of the settings.
    ///
    /// # Errors
    /// When a file cannot be used or the address cannot be bound. Everything stays as it was then.
    pub async fn follow(&mut self, listen: Option<&Listen>) -> Result<(), Problem> {
        let Some(listen) = listen else {
            self.stop();
            return Ok(());
        };
        match self.running.as_ref().map(|running| (&running.listen, running.bound)) {
            Some((known, _)) if known == listen => Ok(()),
            Some((known, bound)) if known.address == listen.address => {
                let service = self.service(listen, bound)?;
                if let Some(running) = &mut self.running {
                    running.listen = listen.clone();
                    running.service.send_replace(service);
                }
                tracing::info!("the changed [listen] is active");
                Ok(())
            }
            _ => self.move_to(listen).await,
        }
    }

    /// Serves another address, and the previous one no more.
    async fn move_to(&mut self, listen: &Listen) -> Result<(), Problem> {
        // Nothing is given up for settings that cannot be used.
        self.service(listen, listen.address)?;
        let listener = match TcpListener::bind(listen.address).await {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => self.take_port(listen).await?,
            bound => bound.map_err(|error| cannot_listen(listen.address, &error))?,
        };
        let bound = listener.local_addr().map_err(|error| cannot_listen(listen.address, &error))?;
        let (service, served) = watch::channel(self.service(listen, bound)?);
        let accepting = tokio::spawn(serve(listener, served));
        self.stop();
        self.running = Some(Running { listen: listen.clone(), bound, service, accepting });
        let scheme = if listen.tls.is_some() { "https" } else { "http" };
        tracing::info!(address = %format!("{scheme}://{bound}"), "serving HTTP");
        Ok(())
    }

    /// Binds an address whose port the running server may have on another address.
    async fn take_port(&mut self, listen: &Listen) -> Result<TcpListener, Problem> {
        let ours = self.running.as_mut().filter(|running| running.bound.port() == listen.address.port());
        if let Some(running) = ours {
            running.accepting.abort();
            // It was aborted; its listener is closed once it has ended.
            let _ = (&mut running.accepting).await;
        }
        let error = match TcpListener::bind(listen.address).await {
            Ok(listener) => return Ok(listener),
            Err(error) => error,
        };
        if let Some(running) = self.running.as_mut().filter(|running| running.accepting.is_finished()) {
            match TcpListener::bind(running.bound).await {
                Ok(listener) => {
                    running.accepting = tokio::spawn(serve(listener, running.service.subscribe()))
                }
                Err(error) => tracing::error!("{}", cannot_listen(running.bound, &error)),
            }
        }
        Err(cannot_listen(listen.address, &error))
    }

    fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.accepting.abort();
            tracing::info!(address = %running.bound, "no longer serving HTTP");
        }
    }

    fn service(&self, listen: &Listen, bound: SocketAddr) -> Result<Arc<Served>, Problem> {
        let secrets = Secrets {
            tokens: listen.tokens.iter().map(token).collect::<Result<_, _>>()?,
            webhook: listen.webhook_secret_file.as_deref().map(SecretFile::open).transpose()?,
            webhook_header: listen.webhook_header.clone(),
            webhook_query: listen.webhook_query.clone(),
            hosts: listen.hosts.clone(),
            trusted_proxy: listen.trusted_proxy,
            sessions: self.sessions.clone(),
            cookie: format!("rtconfd_session_{}", bound.port()),
        };
        let tls = listen.tls.clone().map(Tls::open).transpose()?;
        let app = routes::on_network(self.handles.clone(), Arc::new(secrets));
        Ok(Arc::new(Served { tls, app }))
    }
}

fn token(token: &crate::settings::TokenSettings) -> Result<Token, Problem> {
    let caller = Caller { name: token.name.clone(), rights: token.rights.clone() };
    Ok(Token { caller, secret: SecretFile::open(&token.file).map_err(|problem| of_token(token, problem))? })
}

fn of_token(token: &crate::settings::TokenSettings, problem: Problem) -> Problem {
    Problem { message: format!("token {}: {}", token.name, problem.message), ..problem }
}

/// Returns the problems of the files that `[listen]` names.
pub fn problems(listen: &Listen) -> Vec<Problem> {
    let tokens = listen.tokens.iter().filter_map(|named| token(named).err());
    let webhook = listen.webhook_secret_file.iter().filter_map(|file| SecretFile::open(file).err());
    let webhook = webhook.map(|problem| Problem {
        message: format!("listen.webhook_secret_file: {}", problem.message),
        ..problem
    });
    tokens.chain(webhook).chain(listen.tls.clone().and_then(|files| Tls::open(files).err())).collect()
}

/// Returns the problem of an address that cannot be bound, with a hint.
pub fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> Problem {
    let problem = Problem::new(format!("cannot listen on {address} (listen.address): {error}"));
    problem.hint(match error.kind() {
        std::io::ErrorKind::AddrInUse => "stop the program that uses the port, or set another port",
        std::io::ErrorKind::PermissionDenied => "set a port of at least 1024: lower ones are for root",
        _ => "set an address of this machine and a free port, for example 127.0.0.1:9464",
    })
}
