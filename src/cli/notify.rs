//! `rtconfd notify test`, and the notifications of the daemon.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::bail;
use clap::{Args, Subcommand};
use futures_util::future::join_all;
use serde_json::json;

use crate::clock::Clock;
use crate::model::Problem;
use crate::notify::{Links, Notifier, Outcome, deliver, problem, test_message};
use crate::settings::{Receiver, Settings};
use crate::store::Store;
use crate::web;

use super::global::{Exit, FAILED, Format, Global, OK, Shown};
use super::{load, output};

#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Sends a test message to all receivers, or to one, and shows what came back
    Test {
        /// The name of a [[notify]] block
        name: Option<String>,
        #[command(flatten)]
        shown: Shown,
    },
}

pub async fn run(global: &Global, arguments: Arguments) -> anyhow::Result<Exit> {
    let Command::Test { name, shown } = arguments.command;
    let settings = match load::settings(global) {
        Ok(settings) => settings,
        Err(exit) => return Ok(exit),
    };
    let known: Vec<&str> = settings.notify.iter().map(|receiver| receiver.name.as_str()).collect();
    if known.is_empty() {
        bail!("the settings have no [[notify]] block\n  hint: add one, as in the guide to notifications");
    }
    let is_meant = |receiver: &&Receiver| name.as_ref().is_none_or(|name| *name == receiver.name);
    let receivers: Vec<&Receiver> = settings.notify.iter().filter(is_meant).collect();
    if receivers.is_empty() {
        bail!(
            "unknown receiver {}\n  hint: the receivers are: {}",
            name.unwrap_or_default(),
            known.join(", ")
        );
    }
    let now = load::now();
    let attempts = receivers.iter().map(|receiver| {
        let message = test_message(&settings, now);
        async move { (receiver.name.clone(), receiver.via.word(), deliver(receiver, &message, now).await) }
    });
    let outcomes = join_all(attempts).await;
    show(&outcomes, shown.format)?;
    let is_good = outcomes.iter().all(|(_, _, outcome)| outcome.result.is_ok());
    Ok(if is_good { OK } else { FAILED })
}

fn show(outcomes: &[(String, &'static str, Outcome)], format: Format) -> anyhow::Result<()> {
    let word = |outcome: &Outcome| if outcome.result.is_ok() { "delivered" } else { "failed" };
    match format {
        Format::Json => output::print_lines(outcomes.iter().map(|(name, via, outcome)| {
            json!({ "name": name, "type": via, "result": word(outcome), "answer": outcome.answer })
        })),
        Format::Table => {
            let rows = outcomes.iter().map(|(name, via, outcome)| {
                [name.clone(), (*via).to_owned(), word(outcome).to_owned(), outcome.answer.clone()]
            });
            output::print_table(["NAME", "TYPE", "RESULT", "ANSWER"], &["TYPE"], rows);
            Ok(())
        }
    }
}

/// Returns the problems of secrets and URLs of the receivers.
pub fn problems(settings: &Settings) -> impl Iterator<Item = Problem> {
    settings.notify.iter().filter_map(|receiver| {
        let problem = problem(receiver)?;
        Some(Problem::new(format!("notify \"{}\": {problem}", receiver.name)))
    })
}

/// The notifications of a daemon, which follow its settings.
#[derive(Default)]
pub struct Notifications(Option<Notifier>);

impl Notifications {
    /// Starts, replaces or ends notifications as the settings say.
    ///
    /// A receiver that cannot be reached never stops the daemon: pages matter more than messages.
    pub async fn follow(
        &mut self,
        settings: &Settings,
        (store, clock): (&Arc<dyn Store>, &Arc<dyn Clock>),
        handles: &web::Handles,
    ) -> anyhow::Result<()> {
        if settings.notify.is_empty() {
            self.0 = None;
            handles.board.note_receivers(BTreeMap::new());
            return Ok(());
        }
        if !clock.is_wall() {
            tracing::warn!("rehearsal: no notifications are sent");
            return Ok(());
        }
        problems(settings).for_each(|problem| tracing::error!("{problem}"));
        let store = store.owned_by(&settings.owner()).await?;
        match &self.0 {
            Some(notifier) => notifier.replace(settings, store),
            None => {
                let (board, feed) = (handles.board.clone(), handles.feed.clone());
                let links = Links { board, feed, clock: clock.clone() };
                self.0 = Some(Notifier::start(settings, store, links));
            }
        }
        Ok(())
    }

    /// Ends notifications, so that the store can be closed.
    pub async fn stop(&mut self) {
        if let Some(notifier) = self.0.take() {
            notifier.stop().await;
        }
    }
}
