//! `rtconfd apply`: one cycle, then exit; for cron.

use std::io::IsTerminal;
use std::time::Duration;

use chrono::TimeDelta;
use clap::Args;
use serde_json::json;
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::model::Problem;
use crate::reconcile::{Board, Ended, Mode, PageReport, Standing, Unsupervised};
use crate::settings::{Flag, Log};

use super::global::{Exit, FAILED, Format, Global, HELD, OK, Shown};
use super::progress::Progress;
use super::{driver, load, output};

/// The time between two looks at the progress.
const PROGRESS_PAUSE: Duration = Duration::from_millis(200);

#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    shown: Shown,
    /// The longest time to keep trying, as in 90s or 5m
    #[arg(long, default_value = "60s", value_name = "LENGTH", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// Print nothing unless a person must act; for cron, which mails the output
    #[arg(long)]
    quiet: bool,
    /// Start with an empty store if it is missing or damaged; a damaged one is moved aside
    #[arg(long)]
    accept_empty_store: bool,
}

pub async fn run(global: &Global, arguments: Arguments) -> anyhow::Result<Exit> {
    let quiet = Global { flags: with_quiet_log(global), ..global.clone() };
    let global = if arguments.quiet { &quiet } else { global };
    output::start_log_with_messages(Log::find(&global.config(), &global.surroundings()));
    let settings = match load::settings(global) {
        Ok(settings) => settings,
        Err(exit) => return Ok(exit),
    };
    let clock = load::wall_clock();
    let store = load::open_store(&settings, arguments.accept_empty_store)?;
    // Files that change meanwhile are for the next run.
    let (_feed, mut fed) = mpsc::channel(1);
    let key_source = load::key_source(&settings.api, global)?;
    let (files, active) =
        driver::gather(&settings, &store, &clock, None, driver::Ahead::nothing(&settings), false).await?;
    let (who, revision) = (load::who("apply", global), files.revision());
    let board = Board::default();
    let start = driver::Start { who, active, revision, number: 0, board: board.clone() };
    let driver = driver::build(&settings, &key_source, &store, &clock, start).await?;
    let progress = (!arguments.quiet).then(|| tokio::spawn(show_progress(board)));
    let timeout = TimeDelta::from_std(arguments.timeout).unwrap_or(TimeDelta::days(1));
    let mode = Mode::Once { deadline: deadline(&*clock, timeout) };
    let ended = driver.run(mode, &mut fed, &Unsupervised).await;
    if let Some(progress) = progress {
        progress.abort();
        // The bar is gone once the task has ended.
        let _ = progress.await;
    }
    let ended = ended?;
    let exit = exit(&ended);
    if arguments.quiet && exit == OK {
        return Ok(exit);
    }
    show(&ended, arguments.shown.format)?;
    output::show_problems(&ended.problems);
    if let Some(held) = &ended.held {
        output::notice(&format!("held: {}", held.describe()));
    }
    if ended.to_come > 0 {
        output::notice(&format!(
            "an approved change is not yet applied to, or confirmed on, {} page(s); the next run \
             continues the rollout",
            ended.to_come
        ));
    }
    Ok(exit)
}

/// Returns the flags with the log level `warn`, unless they set another.
fn with_quiet_log(global: &Global) -> Vec<Flag> {
    let level = Flag { path: "log.level".to_owned(), value: "warn".to_owned() };
    std::iter::once(level).chain(global.flags.clone()).collect()
}

/// Shows how many pages hold their values, until the task is ended.
async fn show_progress(board: Board) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    let Some(status) = board.ask().await else { return };
    let progress = Progress::new("applying", status.pages.len());
    loop {
        let Some(status) = board.ask().await else { return };
        let is_open = |standing: &Standing| matches!(standing, Standing::Unseen | Standing::Retrying(_));
        progress.set(status.pages.iter().filter(|page| !is_open(&page.standing)).count());
        tokio::time::sleep(PROGRESS_PAUSE).await;
    }
}

fn deadline(clock: &dyn Clock, timeout: TimeDelta) -> crate::model::Instant {
    clock.now().checked_add_signed(timeout).unwrap_or(crate::model::Instant::MAX_UTC)
}

fn show(ended: &Ended, format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        return output::print_lines(ended.pages.iter().map(|report| {
            json!({
                "page": report.page.to_string(),
                "result": word(&report.standing),
                "applied": report.applied,
                "problem": report.standing.problem(),
            })
        }));
    }
    let row = |report: &PageReport| {
        let problem = report.standing.problem().unwrap_or_default().to_owned();
        [report.page.to_string(), word(&report.standing).to_owned(), report.applied.to_string(), problem]
    };
    output::print_table(["PAGE", "RESULT", "APPLIED", "PROBLEM"], &["APPLIED"], ended.pages.iter().map(row));
    Ok(())
}

fn word(standing: &Standing) -> &'static str {
    match standing {
        Standing::Unseen | Standing::Retrying(_) | Standing::Stuck(_) => "failed",
        Standing::Right | Standing::Drifted(_) | Standing::Stale(_) | Standing::Held(_) => standing.word(),
    }
}

fn exit(ended: &Ended) -> Exit {
    let is = |status: &str| ended.pages.iter().any(|report| word(&report.standing) == status);
    // With a held revision, pages may be stale for that reason alone.
    let is_stale = is("stale") && ended.held.is_none();
    if is("failed") || is_stale || ended.problems.iter().any(Problem::is_error) {
        FAILED
    } else if ended.held.is_some() || ended.to_come > 0 || is("held") {
        HELD
    } else {
        OK
    }
}
