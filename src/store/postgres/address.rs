//! The address of the database, and how a connection to it is protected.

use std::fmt;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::limits::files::MAX_SECRET_BYTES;
use crate::limits::replicas::{CONNECT_TIMEOUT, DATABASE_TIMEOUT};
use crate::regular_file;

/// The address of a database, without its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The URL as written.
    url: String,
    /// The file with the password.
    password_file: Option<PathBuf>,
    /// The file with the certificates to trust; `None` for those of the system.
    ca_file: Option<PathBuf>,
}

impl Address {
    /// Reads a URL: `postgres://USER@HOST/DATABASE`, with several hosts after commas.
    ///
    /// # Errors
    /// A message and a hint, when it is invalid or contains a password.
    pub fn new(
        url: &str,
        password_file: Option<PathBuf>,
        ca_file: Option<PathBuf>,
    ) -> Result<Self, (String, &'static str)> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            let hint = "write postgres://USER@HOST/DATABASE";
            return Err(("the address of a database starts with postgres://".to_owned(), hint));
        }
        let address = Self { url: url.to_owned(), password_file, ca_file };
        let config = address.parsed().map_err(|why| (why, "write postgres://USER@HOST/DATABASE"))?;
        if config.get_password().is_some() {
            let hint = "write the password into a file of mode 600, and set store.password_file";
            return Err(("a password in an address is visible to others".to_owned(), hint));
        }
        if config.get_hosts().is_empty() || !config.get_hostaddrs().is_empty() {
            return Err(("the host is missing".to_owned(), "write postgres://USER@HOST/DATABASE"));
        }
        if config.get_dbname().is_none() || config.get_user().is_none() {
            return Err((
                "a user or a database is missing".to_owned(),
                "write postgres://USER@HOST/DATABASE",
            ));
        }
        Ok(address)
    }

    /// Parses the URL; the error does not repeat it.
    fn parsed(&self) -> Result<Config, String> {
        // rustls checks the certificate and its name whenever TLS is used.
        let url = self.url.replace("sslmode=verify-full", "sslmode=require");
        url.parse().map_err(|error: tokio_postgres::Error| {
            let cause = std::error::Error::source(&error);
            cause.map_or_else(|| error.to_string(), ToString::to_string)
        })
    }

    /// Returns the settings of a connection; the password is read anew each time.
    ///
    /// # Errors
    /// A message, when the file of the password or of the certificates cannot be used.
    pub(super) fn config(&self) -> Result<(Config, MakeRustlsConnect), String> {
        let mut config = self.parsed()?;
        if let Some(path) = &self.password_file {
            config.password(read_password(path)?);
        }
        let is_local = |host: &Host| match host {
            Host::Unix(_) => true,
            Host::Tcp(_) => false,
        };
        match config.get_hosts().iter().all(is_local) {
            // TLS protects nothing on this machine, and a socket has no name to check.
            true => config.ssl_mode(SslMode::Disable),
            false if config.get_ssl_mode() == SslMode::Prefer => config.ssl_mode(SslMode::Require),
            false => &mut config,
        };
        config
            .application_name("rtconfd")
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_user_timeout(DATABASE_TIMEOUT)
            .target_session_attrs(TargetSessionAttrs::ReadWrite);
        Ok((config, MakeRustlsConnect::new(self.tls()?)))
    }

    fn tls(&self) -> Result<ClientConfig, String> {
        let mut roots = RootCertStore::empty();
        match &self.ca_file {
            Some(path) => {
                let unusable = |why: String| format!("cannot use store.ca_file {}: {why}", path.display());
                let certificates = CertificateDer::pem_file_iter(path)
                    .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                    .map_err(|error| unusable(error.to_string()))?;
                if certificates.is_empty() {
                    return Err(unusable("it has no certificate".to_owned()));
                }
                for certificate in certificates {
                    roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
                }
            }
            None => {
                // Some systems have certificates that rustls does not accept.
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        let config = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        Ok(config.with_root_certificates(roots).with_no_client_auth())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(self.url.split('?').next().unwrap_or_default())
    }
}

fn read_password(path: &Path) -> Result<String, String> {
    let unusable = |why: String| format!("cannot use store.password_file {}: {why}", path.display());
    let (file, metadata) = regular_file::open(path).map_err(|error| unusable(error.to_string()))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o007 != 0 {
        return Err(unusable(format!("other users can read it (mode {mode:03o})")));
    }
    let mut text = String::new();
    let read = file.take(MAX_SECRET_BYTES).read_to_string(&mut text);
    read.map_err(|error| unusable(error.to_string()))?;
    match text.trim() {
        "" => Err(unusable("it is empty".to_owned())),
        password => Ok(password.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_a_user_and_a_database_and_no_password() {
        for (url, reported) in [
            ("postgres://rtconfd@db.example/rtconfd", ""),
            ("postgresql://rtconfd@a:5432,b:5433/rtconfd?target_session_attrs=read-write", ""),
            ("postgres://rtconfd@%2Frun%2Fpostgresql/rtconfd", ""),
            ("postgres://rtconfd@db.example/rtconfd?sslmode=verify-full", ""),
            ("mysql://db.example/x", "starts with postgres://"),
            ("postgres://u@/d?hostaddr=10.0.0.5", "the host is missing"),
            ("postgres://u@db.example/d?hostaddr=10.0.0.5", "the host is missing"),
            ("postgres://db.example/rtconfd", "user or a database is missing"),
            ("postgres://rtconfd:hunter2@db.example/rtconfd", "password in an address"),
            ("postgres://rtconfd@db.example/rtconfd?sslmode=sometimes", "sslmode"),
        ] {
            match Address::new(url, None, None) {
                Ok(address) => {
                    assert_eq!(reported, "", "{url}");
                    assert!(!address.to_string().contains('?'));
                }
                Err((why, _)) => assert!(!reported.is_empty() && why.contains(reported), "{url}: {why}"),
            }
        }
    }

    #[test]
    fn a_connection_over_a_network_requires_tls_unless_it_is_disabled() {
        for (url, mode) in [
            ("postgres://u@db.example/d", SslMode::Require),
            ("postgres://u@db.example/d?sslmode=prefer", SslMode::Require),
            ("postgres://u@db.example/d?sslmode=disable", SslMode::Disable),
            ("postgres://u@%2Frun%2Fpostgresql/d", SslMode::Disable),
        ] {
            let (config, _) = Address::new(url, None, None).unwrap().config().unwrap();
            assert_eq!(config.get_ssl_mode(), mode, "{url}");
            assert_eq!(config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        }
    }

    #[test]
    fn a_password_is_read_from_a_private_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        for (content, mode, reported) in [
            ("hunter2\n", 0o600, ""),
            ("hunter2\n", 0o644, "other users can read it"),
            ("\n", 0o600, "empty"),
        ] {
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let address = Address::new("postgres://u@h/d", Some(path.clone()), None).unwrap();
            match address.config() {
                Ok((config, _)) => assert_eq!((config.get_password(), reported), (Some(&b"hunter2"[..]), "")),
                Err(why) => assert!(why.contains(reported) && !why.contains("hunter2"), "{why}"),
            }
        }
    }
}
