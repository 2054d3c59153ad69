//! `rtconfd agents`: the account's agents, for picking ids.

use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use futures_util::StreamExt;
use serde::Serialize;

use crate::agents_api::{AccountId, Agent, ApiError, Client, ReadAgents, ReadOnly, ReadPages};
use crate::model::{Environment, PageId, RemotePage};
use crate::settings::Api;

use super::access::{self, Access};
use super::global::{Exit, FAILED, Format, Global, OK, Shown};
use super::output;

#[derive(Args)]
#[command(after_help = "Without a settings file:\n  \
    RTCONFD_API_KEY=… rtconfd agents --region uk\n  \
    rtconfd agents --region uk --key-file agents-api-key\n\n\
    The id goes into agent = \"…\" of a [[page]] block, and into AGENT/environment on the command line.")]
pub struct Arguments {
    /// The account, as in ws-fd112d8f [default: the key's own account, through an older call of the API]
    #[arg(long, value_name = "ID")]
    account: Option<AccountId>,
    /// Fetch each agent's pages too, with one request per agent
    #[arg(long)]
    pages: bool,
    #[command(flatten)]
    shown: Shown,
    #[command(flatten)]
    access: Access,
}

#[derive(Serialize)]
struct Row {
    agent: String,
    name: Option<String>,
    account: Option<String>,
    /// The pages in use; `None` if they were not fetched.
    pages: Option<Vec<PageRow>>,
}

#[derive(Serialize)]
struct PageRow {
    environment: &'static str,
    schema: bool,
    variables: usize,
}

pub async fn run(global: &Global, arguments: Arguments) -> anyhow::Result<Exit> {
    let global = &arguments.access.over(global)?;
    let connection = match access::connection(global) {
        Ok(connection) => connection,
        Err(exit) => return Ok(exit),
    };
    let client = ReadOnly::new(access::client(&connection, global)?);
    let account = arguments.account.as_ref();
    let agents = client.agents(account).await.map_err(|error| explained(&error, account))?;
    let (rows, failed) = match arguments.pages {
        true => with_pages(&client, agents, &connection.api).await,
        false => (agents.into_iter().map(|agent| row(agent, None)).collect(), false),
    };
    show(&rows, &arguments)?;
    Ok(if failed { FAILED } else { OK })
}

fn explained(error: &ApiError, account: Option<&AccountId>) -> anyhow::Error {
    match (account, error.status) {
        (None, Some(403..=405)) => anyhow!(
            "{error}\n  hint: add --account ID, for example --account ws-fd112d8f: this API lists agents \
             by account"
        ),
        _ => anyhow!("{error}"),
    }
}

fn row(agent: Agent, pages: Option<Vec<PageRow>>) -> Row {
    Row { agent: agent.id, name: agent.name, account: agent.account, pages }
}

/// Fetches every agent's pages within the rate limit; also returns true if a fetch failed.
async fn with_pages(client: &ReadOnly<Client>, agents: Vec<Agent>, api: &Api) -> (Vec<Row>, bool) {
    let pace = tokio::time::interval(Duration::from_secs(1) / api.rate);
    let fetched = paced(pace, agents)
        .map(|agent| async move {
            let pages = pages_of(client, &agent.id).await;
            (agent, pages)
        })
        .buffered(api.concurrency)
        .collect::<Vec<_>>()
        .await;
    let mut failed = false;
    let rows = fetched.into_iter().map(|(agent, pages)| {
        if let Err(error) = &pages {
            failed = true;
            output::print_error(&format!("{}: {error}", output::visible(&agent.id)));
        }
        row(agent, pages.ok())
    });
    (rows.collect(), failed)
}

/// Yields one agent per tick.
fn paced(pace: tokio::time::Interval, agents: Vec<Agent>) -> impl futures_util::Stream<Item = Agent> {
    futures_util::stream::unfold((pace, agents.into_iter()), |(mut pace, mut agents)| async move {
        let agent = agents.next()?;
        pace.tick().await;
        Some((agent, (pace, agents)))
    })
}

async fn pages_of(client: &ReadOnly<Client>, agent: &str) -> Result<Vec<PageRow>, String> {
    // The id becomes part of a URL.
    PageId::new(agent, Environment::Live)?;
    let pages = client.list(agent).await.map_err(|error| error.to_string())?;
    Ok(pages.into_iter().filter_map(|(environment, page)| page_row(environment, &page)).collect())
}

/// Returns the row of a page; `None` for one without schema and values.
fn page_row(environment: Environment, page: &RemotePage) -> Option<PageRow> {
    let row = PageRow {
        environment: environment.as_str(),
        schema: page.schema.is_some(),
        variables: page.variables.len(),
    };
    (row.schema || row.variables > 0).then_some(row)
}

fn show(rows: &[Row], arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.shown.format == Format::Json {
        return output::print_lines(rows);
    }
    if rows.is_empty() {
        output::remark("There are no agents.");
    }
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    match arguments.pages {
        false => output::print_table(
            ["AGENT", "NAME", "ACCOUNT"],
            &["ACCOUNT"],
            rows.iter().map(|row| [row.agent.clone(), text(&row.name), text(&row.account)]),
        ),
        true => output::print_table(
            ["AGENT", "NAME", "ACCOUNT", "PAGES"],
            &["ACCOUNT"],
            rows.iter()
                .map(|row| [row.agent.clone(), text(&row.name), text(&row.account), in_words(&row.pages)]),
        ),
    }
    Ok(())
}

fn in_words(pages: &Option<Vec<PageRow>>) -> String {
    let Some(pages) = pages else { return "?".to_owned() };
    let words = pages.iter().map(|page| {
        let schema = if page.schema { "schema" } else { "no schema" };
        let values = if page.variables == 1 { "value" } else { "values" };
        format!("{} ({schema}, {} {values})", page.environment, page.variables)
    });
    match pages.is_empty() {
        true => "none in use".to_owned(),
        false => words.collect::<Vec<_>>().join(", "),
    }
}
