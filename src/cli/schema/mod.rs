//! `rtconfd schema`: compares schemas of files and pages, and sends a file's schema to pages.

mod diff;
mod push;
mod shared;

use clap::{Args, Subcommand};

use super::global::{Exit, Global};

#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Shows the differences between two schemas; each is a page or a file
    Diff(diff::Arguments),
    /// Sends a file's schema to pages, if their values, now and in the coming 400 days, satisfy it
    Push(push::Arguments),
}

pub async fn run(global: &Global, arguments: Arguments) -> anyhow::Result<Exit> {
    match arguments.command {
        Command::Diff(arguments) => diff::run(global, arguments).await,
        Command::Push(arguments) => push::run(global, arguments).await,
    }
}
