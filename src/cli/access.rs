//! API access for commands that need no pages.
//!
//! It comes from the settings if they exist, else from flags and environment.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;

use crate::agents_api::{Client, KeySource};
use crate::settings::{Connection, Flag};

use super::global::{Exit, FAILED, Global};
use super::{load, output};

#[derive(Args, Clone)]
pub struct Access {
    /// The region of the account: us, eu, uk or studio; short for --set api.region=REGION
    #[arg(long, value_name = "REGION", conflicts_with = "base_url", help_heading = "Which API")]
    region: Option<String>,
    /// The address of another API, as in http://127.0.0.1:4010; short for --set api.base_url=URL
    #[arg(long, value_name = "URL", help_heading = "Which API")]
    base_url: Option<String>,
    /// The file with the API key, mode 600 [default: the settings' key_file, else the systemd credential
    /// agents-api-key, else the variable RTCONFD_API_KEY]
    #[arg(long, value_name = "FILE", help_heading = "Which API")]
    key_file: Option<PathBuf>,
}

impl Access {
    /// Returns the global arguments with these flags on top.
    pub fn over(&self, global: &Global) -> anyhow::Result<Global> {
        let mut global = global.clone();
        let mut set = |path: &str, value: &Option<String>| {
            let flag = value.clone().map(|value| Flag { path: path.to_owned(), value });
            global.flags.extend(flag);
        };
        set("api.region", &self.region);
        set("api.base_url", &self.base_url);
        if let Some(path) = &self.key_file {
            // A relative path would be resolved against the folder of the settings.
            let absolute = std::path::absolute(path)
                .with_context(|| format!("cannot find the key file {}", path.display()))?;
            set("api.key_file", &Some(absolute.display().to_string()));
        }
        Ok(global)
    }
}

/// Returns the API connection; on failure, the report has been shown.
pub fn connection(global: &Global) -> Result<Connection, Exit> {
    match Connection::load(global.config_if_any().as_deref(), &global.surroundings()) {
        Ok(connection) => {
            output::start_log(connection.log);
            output::show_problems(&connection.warnings);
            Ok(connection)
        }
        Err(report) => {
            output::show_report(&report);
            Err(FAILED)
        }
    }
}

/// Returns a client for the API, with the key.
pub fn client(connection: &Connection, global: &Global) -> anyhow::Result<Client> {
    let source = load::key_source(&connection.api, global)?;
    if matches!(source, KeySource::Nowhere) {
        bail!(
            "missing API key\n  hint: add --key-file FILE, set key_file under [api], or set the variable \
             RTCONFD_API_KEY"
        );
    }
    load::client(&connection.api, &source)
}
