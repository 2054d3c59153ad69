//! The commands: their arguments, output and exit codes.
//!
//! Data goes to standard output, logs and problems to standard error.

mod access;
mod agents;
mod ahead;
mod apply;
mod calendar;
mod check;
mod demo;
mod diff;
mod emergency;
mod explain;
mod global;
mod history;
mod load;
mod log;
mod output;
mod overrides;
mod plan;
mod preview;
mod pull;
mod reload;
mod run;
mod schema;
mod simulator;
mod status;
mod zones;

use std::ffi::OsString;

use anyhow::Context;
use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use crate::zone::Database;
use crate::zoneinfo::{self, Choice};

use global::{FAILED, Global, OK, system_zoneinfo};

pub use global::Exit;

#[derive(Parser)]
#[command(
    name = "rtconfd",
    version,
    about = "Keeps real-time config pages right: opening hours, holidays and messages, on the second",
    after_help = "Exit codes: 0 all is well, 1 something failed, 2 there are changes (plan, schema, diff), 3 something is held, 4 stored without effect (override without a daemon)."
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The daemon: keeps all pages right until it is stopped
    Run(run::Arguments),
    /// Makes all pages right once, then ends; for cron
    Apply(apply::Arguments),
    /// Shows what apply would do; never writes
    Plan(plan::Arguments),
    /// Checks settings and inputs, and the values of the coming 400 days against the pages' schemas
    Check(check::Arguments),
    /// Tells why a variable has its value, since when and until when
    Explain(explain::Arguments),
    /// Shows the coming changes
    Preview(preview::Arguments),
    /// Shows how the pages stand
    Status(status::Arguments),
    /// Shows what was changed, when and why
    History(history::Arguments),
    /// Sets, lists and ends what people decide for a while: closed, open, a value
    Override(overrides::Arguments),
    /// Lets a held revision pass, and that one only; or says that the clock is right
    Approve {
        /// What names it, as status and the log show it; "clock" for the clock
        revision: String,
    },
    /// Shows what the held revision would change, by site, before it is approved
    Diff(diff::Arguments),
    /// Lets the daemon read its settings again, and waits for the result
    Reload,
    /// Lists the account's agents, for picking ids
    Agents(agents::Arguments),
    /// Turns pages into local files: settings, values and schemas, so that plan finds nothing to do
    Pull(pull::Arguments),
    /// Compares schemas of files and pages, and puts a file's schema on pages
    Schema(schema::Arguments),
    /// Shows what a calendar file, or the public holidays of a place, say in a window
    Calendar(calendar::Arguments),
    /// Serves a stand-in for the Agents API
    Simulator(simulator::Arguments),
    /// Shows the whole thing at work on sample data
    Demo(demo::Arguments),
}

/// Runs the program and returns its exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>, environment: Vec<(String, String)>) -> Exit {
    let mut cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) if error.kind() == ErrorKind::DisplayVersion => {
            let zones = zoneinfo::open(&Choice::Newest, Some(&system_zoneinfo(&environment)));
            let zones = zones.unwrap_or_else(|_| Database::embedded());
            output::print(&format!("rtconfd {}\nzone database {zones}\n", env!("CARGO_PKG_VERSION")));
            return output::finish(OK);
        }
        Err(error) => {
            // Help goes to standard output and is a success; clap's own code 2 would mean
            // "changes".
            let written = error.print();
            return if error.use_stderr() || written.is_err() { FAILED } else { OK };
        }
    };
    cli.global.environment = environment;
    let ended = runtime().and_then(|runtime| runtime.block_on(dispatch(cli.global, cli.command)));
    output::finish(match ended {
        Ok(exit) => exit,
        Err(error) => {
            output::complain(&format!("{error:#}"));
            FAILED
        }
    })
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("the runtime can't be started")
}

async fn dispatch(global: Global, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Run(arguments) => run::run(&global, arguments).await,
        Command::Apply(arguments) => apply::run(&global, arguments).await,
        Command::Plan(arguments) => plan::run(&global, arguments).await,
        Command::Check(arguments) => check::run(&global, arguments).await,
        Command::Explain(arguments) => explain::run(&global, &arguments),
        Command::Preview(arguments) => preview::run(&global, &arguments).await,
        Command::Status(arguments) => status::run(&global, arguments).await,
        Command::History(arguments) => history::run(&global, &arguments).await,
        Command::Override(arguments) => overrides::run(&global, arguments).await,
        Command::Approve { revision } => overrides::approve(&global, &revision).await,
        Command::Diff(arguments) => diff::run(&global, &arguments).await,
        Command::Reload => reload::run(&global).await,
        Command::Agents(arguments) => agents::run(&global, arguments).await,
        Command::Pull(arguments) => pull::run(&global, arguments).await,
        Command::Schema(arguments) => schema::run(&global, arguments).await,
        Command::Calendar(arguments) => calendar::run(&global, &arguments),
        Command::Simulator(arguments) => simulator::run(&global, arguments).await,
        Command::Demo(arguments) => demo::run(&global, arguments).await,
    }
}
