//! The commands: their arguments, output and exit codes.
//!
//! Data goes to standard output, logs and problems to standard error.

mod access;
mod agents;
mod ahead;
mod alone;
mod apply;
mod calendar;
mod check;
mod claims;
mod daemon;
mod demo;
mod diff;
mod driver;
mod emergency;
mod explain;
mod files;
mod global;
mod health;
mod history;
mod load;
mod log;
mod notify;
mod output;
mod overrides;
mod plan;
mod preview;
mod progress;
mod pull;
mod rate;
mod reload;
mod revisions;
mod run;
mod schema;
mod simulator;
mod standby;
mod status;
mod store;
mod systemd;
mod table;
mod variants;
mod verdict;
mod version;
mod zones;

use std::ffi::OsString;

use anyhow::Context;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::settings::Log;

use global::{FAILED, Global, OK};

pub(crate) use global::Exit;

#[derive(Parser)]
#[command(
    name = "rtconfd",
    version,
    about = "Keeps real-time config pages right: opening hours, holidays and messages, on the second",
    after_help = "With --version, --verbose also shows the commit and the versions of data and libraries.\n\nExit codes: 0 all is well, 1 something failed, 2 there are changes (plan, schema, diff), 3 something is held, 4 stored without effect (override without a daemon)."
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the daemon: keeps all pages right until it is stopped
    Run(run::Arguments),
    /// Brings all pages up to date once, then exits; for cron
    Apply(apply::Arguments),
    /// Shows what apply would do; never writes
    Plan(plan::Arguments),
    /// Checks settings and inputs, and the values of the coming 400 days against the pages' schemas
    Check(check::Arguments),
    /// Explains why a variable has its value, since when and until when
    Explain(explain::Arguments),
    /// Shows the coming changes
    Preview(preview::Arguments),
    /// Shows the state of the pages
    Status(status::Arguments),
    /// Shows the past changes, with times and reasons
    History(history::Arguments),
    /// Sets, lists and ends overrides: hours closed or open, or a value, for a while
    Override(overrides::Arguments),
    /// Approves a held revision, and only that one; or confirms that the clock is right
    Approve {
        /// ID of the revision, as status and the log show it; "clock" for the clock
        revision: String,
    },
    /// Rejects a held revision, so that others see that its files must be corrected
    Reject {
        /// ID of the revision, as status and the log show it
        revision: String,
    },
    /// Shows the changes of the held revision, by site, before it is approved
    Diff(diff::Arguments),
    /// Makes the daemon reload its settings, and waits for the result
    Reload,
    /// Asks the daemon for its health; for probes of containers
    Health(health::Arguments),
    /// Sends a test message to the receivers of notifications
    Notify(notify::Arguments),
    /// Lists the account's agents with their ids
    Agents(agents::Arguments),
    /// Turns pages into local files: settings, values and schemas, so that plan finds nothing to do
    Pull(pull::Arguments),
    /// Compares schemas of files and pages, and sends a file's schema to pages
    Schema(schema::Arguments),
    /// Compares variants of agents with the settings, and exports them
    Variants(variants::Arguments),
    /// Lists the dates of a calendar file, or the public holidays of a place, in a window
    Calendar(calendar::Arguments),
    /// Backs up, restores and describes the store
    Store(store::Arguments),
    /// Serves a simulator of the Agents API
    Simulator(simulator::Arguments),
    /// Demonstrates rtconfd on sample data
    Demo(demo::Arguments),
}

/// Returns the definition of all commands, for man pages and completions.
pub fn definition() -> clap::Command {
    Cli::command()
}

/// Runs the program and returns its exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>, environment: Vec<(String, String)>) -> Exit {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if version::is_verbose(&arguments) {
        output::print(&version::verbose(&environment));
        return output::finish(OK);
    }
    let mut cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) if error.kind() == ErrorKind::DisplayVersion => {
            output::print(&version::short(&environment));
            return output::finish(OK);
        }
        Err(error) => {
            // Help goes to standard output and is a success; clap's own code 2 would mean
            // "changes".
            if error.use_stderr() {
                report_usage(&error, &arguments, &environment);
                return FAILED;
            }
            error.print().unwrap_or_else(output::note_write_error);
            return output::finish(OK);
        }
    };
    cli.global.environment = environment;
    let ended = runtime().and_then(|runtime| runtime.block_on(dispatch(cli.global, cli.command)));
    output::finish(match ended {
        Ok(exit) => exit,
        Err(error) => {
            output::print_error(&format!("{error:#}"));
            FAILED
        }
    })
}

/// Reports a usage error, as a line of the log if a program reads it.
fn report_usage(error: &clap::Error, arguments: &[OsString], environment: &[(String, String)]) {
    let is_given = |words: &[&str]| {
        arguments.windows(words.len()).any(|given| given.iter().zip(words).all(|(given, word)| given == word))
    };
    let is_logging = ["run", "apply", "simulator"].iter().any(|command| is_given(&[command]));
    let is_json = is_given(&["--log-format", "json"])
        || is_given(&["--log-format=json"])
        || environment.iter().any(|(name, value)| name == "RTCONFD_LOG__FORMAT" && value == "json");
    if !(is_logging && is_json) {
        // Standard error may be closed; the exit code remains.
        let _ = error.print();
        return;
    }
    output::start_log_with_messages(Log { json: true, level: tracing::Level::INFO });
    let text = error.render().to_string();
    let text = text.split("\n\nUsage:").next().unwrap_or_default();
    output::print_error(text.trim_start_matches("error: ").trim());
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")
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
        Command::Approve { revision } => verdict::approve(&global, &revision).await,
        Command::Reject { revision } => verdict::reject(&global, &revision).await,
        Command::Diff(arguments) => diff::run(&global, &arguments).await,
        Command::Reload => reload::run(&global).await,
        Command::Health(arguments) => health::run(&global, &arguments).await,
        Command::Notify(arguments) => notify::run(&global, arguments).await,
        Command::Agents(arguments) => agents::run(&global, arguments).await,
        Command::Pull(arguments) => pull::run(&global, arguments).await,
        Command::Schema(arguments) => schema::run(&global, arguments).await,
        Command::Variants(arguments) => variants::run(&global, arguments).await,
        Command::Calendar(arguments) => calendar::run(&global, &arguments),
        Command::Store(arguments) => store::run(&global, arguments),
        Command::Simulator(arguments) => simulator::run(&global, arguments).await,
        Command::Demo(arguments) => demo::run(&global, arguments).await,
    }
}
