//! TLS for the listener, with a certificate that is read again when its files change.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::model::Problem;
use crate::settings::TlsFiles;

use super::secret_file::{Stamp, stamp};

/// The certificate and key of the listener.
///
/// If changed files are invalid, the previous certificate stays.
pub struct Tls {
    files: TlsFiles,
    known: Mutex<Known>,
}

struct Known {
    stamps: [Option<Stamp>; 2],
    acceptor: TlsAcceptor,
}

impl Tls {
    /// Reads the certificate chain and its key.
    ///
    /// # Errors
    /// Names the file that is missing or invalid.
    pub fn open(files: TlsFiles) -> Result<Self, Problem> {
        let known = Known { stamps: stamps(&files), acceptor: acceptor(&files)? };
        Ok(Self { files, known: Mutex::new(known) })
    }

    /// Returns the acceptor for the next connection.
    pub fn acceptor(&self) -> TlsAcceptor {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = stamps(&self.files);
        if stamps != known.stamps {
            known.stamps = stamps;
            match acceptor(&self.files) {
                Ok(acceptor) => {
                    tracing::info!(cert_file = %self.files.cert.display(), "certificate reloaded");
                    known.acceptor = acceptor;
                }
                Err(problem) => tracing::error!("the certificate was not changed: {problem}"),
            }
        }
        known.acceptor.clone()
    }
}

fn stamps(files: &TlsFiles) -> [Option<Stamp>; 2] {
    [stamp(&files.cert), stamp(&files.key)]
}

fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, Problem> {
    let unusable = |path: &Path, error: &dyn std::fmt::Display| {
        Problem::new(format!("cannot use {}: {error}", path.display()))
            .hint("cert_file holds the certificate chain and key_file its private key, both as PEM")
    };
    let chain = CertificateDer::pem_file_iter(&files.cert).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| unusable(&files.cert, &error))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| unusable(&files.key, &error))?;
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
    let mut config = config.map_err(|error| unusable(&files.cert, &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
