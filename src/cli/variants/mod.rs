//! `rtconfd variants`: compares the variants of the settings with those of agents, and exports them.

mod csv;
mod diff;
mod export;
mod pull;
mod shared;

use clap::{Args, Subcommand};

use super::global::{Exit, Global};

pub use shared::Desired;

#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Shows where the variants of agents differ from the settings; never writes
    Diff(diff::Arguments),
    /// Prints the variants of one agent as a CSV file that the vendor's UI imports
    Export(export::Arguments),
    /// Turns the variants of an agent into a table and settings, so that diff finds nothing
    Pull(pull::Arguments),
}

pub async fn run(global: &Global, arguments: Arguments) -> anyhow::Result<Exit> {
    match arguments.command {
        Command::Diff(arguments) => diff::run(global, arguments).await,
        Command::Export(arguments) => export::run(global, arguments).await,
        Command::Pull(arguments) => pull::run(global, arguments).await,
    }
}
