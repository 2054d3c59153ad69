//! `rtconfd simulator`: a simulator of the Agents API.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::settings::Log;
use crate::simulator::{Options, Simulator};

use super::global::{Exit, FAILED, Global, LogFormat, OK};
use super::{load, output};

#[derive(Args)]
pub struct Arguments {
    /// The address to listen on; port 0 picks a free one
    #[arg(long, default_value = "127.0.0.1:4010", value_name = "ADDR")]
    listen: SocketAddr,
    /// The key that requests must send
    #[arg(long, value_name = "KEY")]
    api_key: String,
    /// An agent that exists; may be repeated [default: every agent id exists]
    #[arg(long = "agent", value_name = "ID")]
    agents: Vec<String>,
    /// Keep the pages in this file between runs
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
}

pub async fn run(global: &Global, arguments: Arguments) -> anyhow::Result<Exit> {
    let json = matches!(global.log_format, Some(LogFormat::Json));
    output::start_log_with_messages(Log { json, level: tracing::Level::INFO });
    let simulator = Simulator::new(Options {
        api_key: arguments.api_key,
        agents: arguments.agents,
        state_file: arguments.state,
        clock: load::wall_clock(),
    })
    .context("cannot use the state file")?;
    let listener = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("cannot listen on {}", arguments.listen))?;
    let address = listener.local_addr()?;
    output::print(&format!(
        "Agents API simulator at http://{address} (open it in a browser; requests: /_simulator/requests)\n"
    ));
    if output::has_failed() {
        return Ok(FAILED);
    }
    simulator.serve(listener, stopped()?).await?;
    Ok(OK)
}

/// Completes when the process receives SIGTERM or SIGINT.
fn stopped() -> anyhow::Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
