//! `rtconfd health`: asks the running daemon for its health, as container probes need it.

use anyhow::anyhow;
use clap::Args;

use super::emergency;
use super::global::{Exit, FAILED, Global, OK};
use super::output;

#[derive(Args)]
pub struct Arguments {
    /// Also require what readiness needs: first sync, accepted key, good reload, trusted clock
    #[arg(long)]
    ready: bool,
}

pub async fn run(global: &Global, arguments: &Arguments) -> anyhow::Result<Exit> {
    let daemon = emergency::running_daemon(global)?;
    match daemon.health(arguments.ready).await.map_err(|error| anyhow!("{error}"))? {
        Ok(text) => {
            output::print(&text);
            Ok(OK)
        }
        Err(text) => {
            output::print_error(text.trim_end());
            Ok(FAILED)
        }
    }
}
