//! `rtconfd schema push`: sends a file's schema to pages.
//!
//! Their current values, and those that will be sent, must meet it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use crate::agents_api::{ApiError, Meaning, Patched, ReadOnly, ReadPages, WriteSchemas};
use crate::cli::access::{self, Access};
use crate::cli::ahead::look_ahead;
use crate::cli::global::{CHANGES, Exit, FAILED, Format, Global, OK, Shown};
use crate::cli::load::{self, View};
use crate::cli::output;
use crate::limits::time::HORIZON;
use crate::model::{Instant, PageId, Problem, RemotePage, Severity};
use crate::reconcile::Observed;
use crate::schema::{Schema, Schemas, differences};
use crate::settings::Connection;

use super::shared::{Row, read_file, schema_of};

/// Limit of fetches after a PUT with an unknown outcome; `PAUSE` is the time between two.
const LOOKUP_ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Args)]
#[command(
    after_help = "Without --yes nothing is sent. Exit codes: 0 nothing to do, or done; 2 it would be sent; 1 it is \
    refused, or something failed.\n\nA schema is refused if it is not a self-contained Draft 7 schema, or if it rejects a value \
    on the page or a value that the settings compute for the coming 400 days. If one page refuses it, no page gets it. To \
    change the type of a value: push a schema that accepts both types, let the value change, then push the one that accepts \
    only the new type."
)]
pub struct Arguments {
    /// The schema: a JSON file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The pages, as AGENT/environment
    #[arg(value_name = "PAGE", required = true)]
    pages: Vec<PageId>,
    /// Send it; without this flag the changes are only shown
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    shown: Shown,
    #[command(flatten)]
    access: Access,
}

/// The state of a page.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// It has this schema already.
    Same,
    /// It has another schema, and may get this one.
    Different,
    /// Its values violate the schema.
    Refused,
    /// It got the schema.
    Put,
    /// The update failed, or its outcome is unknown.
    Failed,
    /// It was not tried, because another page failed.
    Unsent,
}

/// A page, its changes, and the problems that forbid them.
struct Candidate {
    id: PageId,
    page: RemotePage,
    state: State,
    rows: Vec<Row>,
    problems: Vec<Problem>,
    correlation_id: Option<String>,
}

pub async fn run(global: &Global, arguments: Arguments) -> anyhow::Result<Exit> {
    let global = &arguments.access.over(global)?;
    let proposed = read_file(&arguments.file).and_then(|source| {
        let compiled =
            Schema::proposed(&source).map_err(|problem| problem.about(arguments.file.display()))?;
        Ok(Proposed { source, compiled })
    });
    let proposed = match proposed {
        Ok(proposed) => proposed,
        Err(problem) => {
            output::show_problems([&problem]);
            return Ok(FAILED);
        }
    };
    let connection = match access::connection(global) {
        Ok(connection) => connection,
        Err(exit) => return Ok(exit),
    };
    let ahead = match Ahead::load(global, &connection) {
        Ok(ahead) => ahead?,
        Err(exit) => return Ok(exit),
    };
    // The checks use a read-only client; only --yes creates one that can write.
    let client = ReadOnly::new(access::client(&connection, global)?);
    let mut candidates = Vec::new();
    for id in distinct(&arguments.pages) {
        candidates.push(proposed.for_page(&client, id, &ahead).await);
    }
    let may_be_sent =
        candidates.iter().all(|candidate| matches!(candidate.state, State::Same | State::Different));
    if arguments.yes && may_be_sent {
        let client = access::client(&connection, global)?;
        proposed.put_all(&client, &mut candidates).await;
    }
    show(&candidates, &arguments)?;
    Ok(exit(&candidates))
}

fn distinct(pages: &[PageId]) -> Vec<PageId> {
    let mut distinct: Vec<PageId> = Vec::new();
    for page in pages {
        if !distinct.contains(page) {
            distinct.push(page.clone());
        }
    }
    distinct
}

fn exit(candidates: &[Candidate]) -> Exit {
    let has = |states: &[State]| candidates.iter().any(|candidate| states.contains(&candidate.state));
    if has(&[State::Refused, State::Failed, State::Unsent]) {
        FAILED
    } else if has(&[State::Different]) {
        CHANGES
    } else {
        OK
    }
}

/// The desired values of the coming 400 days.
struct Ahead {
    /// The pages of the settings; `None` if there are none.
    view: Option<View>,
    from: Instant,
    to: Instant,
}

impl Ahead {
    fn load(global: &Global, connection: &Connection) -> Result<anyhow::Result<Self>, Exit> {
        let from = load::now();
        let to = from.checked_add_signed(HORIZON).unwrap_or(from);
        if !connection.has_pages {
            return Ok(Ok(Self { view: None, from, to }));
        }
        Ok(load::view(global, Some(from), Some(to))?.map(|view| {
            output::show_problems(view.revision.problems.values().flatten());
            view.report_held();
            Self { view: Some(view), from, to }
        }))
    }

    /// Returns the problems of the values that will be sent to a page; `page` has the new schema.
    fn problems(&self, id: &PageId, page: &RemotePage) -> Vec<Problem> {
        let unknown =
            || output::remark(&format!("{id} is not in the settings: only its current values are checked"));
        let Some(view) = &self.view else {
            unknown();
            return Vec::new();
        };
        // A held revision may be approved; until then the active values are sent.
        let worlds = [Some(&view.world), view.newest.as_ref()];
        let found: Vec<_> = worlds.into_iter().flatten().filter_map(|world| world.page(id)).collect();
        let observed = Observed::new(page.clone(), &mut Schemas::default());
        let mut problems: Vec<Problem> = Vec::new();
        for managed in &found {
            problems.extend(managed.problems.iter().cloned());
            let ahead = look_ahead(&[(managed, Some(&observed))], self.from, self.to);
            problems.extend(ahead.into_iter().flat_map(|ahead| ahead.problems));
        }
        if found.is_empty() {
            let missing = &view.newest().missing;
            match missing.is_empty() {
                true => unknown(),
                // One of the missing pages may be this one.
                false => problems.extend(missing.iter().cloned()),
            }
        }
        problems.dedup();
        problems
    }
}

/// The schema to send to pages.
struct Proposed {
    source: Value,
    compiled: Schema,
}

impl Proposed {
    /// Fetches a page and checks the schema against it.
    async fn for_page(&self, client: &impl ReadPages, id: PageId, ahead: &Ahead) -> Candidate {
        let mut candidate = Candidate {
            page: RemotePage::default(),
            state: State::Failed,
            rows: Vec::new(),
            problems: Vec::new(),
            correlation_id: None,
            id,
        };
        candidate.page = match client.page(&candidate.id).await {
            Ok(page) => page,
            Err(error) => {
                candidate.problems.push(Problem::new(error.to_string()));
                return candidate;
            }
        };
        candidate.rows = self.rows(&candidate.page);
        if candidate.rows.is_empty() {
            candidate.state = State::Same;
            return candidate;
        }
        candidate.problems = self.broken_on(&candidate.page);
        let with_it = RemotePage { schema: Some(Arc::new(self.source.clone())), ..candidate.page.clone() };
        candidate.problems.extend(ahead.problems(&candidate.id, &with_it));
        let is_error = |problem: &Problem| problem.severity == Severity::Error;
        candidate.state =
            if candidate.problems.iter().any(is_error) { State::Refused } else { State::Different };
        candidate
    }

    fn rows(&self, page: &RemotePage) -> Vec<Row> {
        differences(&schema_of(page), &self.source).into_iter().map(Row::from).collect()
    }

    fn is_on(&self, page: &RemotePage) -> bool {
        differences(&schema_of(page), &self.source).is_empty()
    }

    /// Returns the problems of a page's current values.
    ///
    /// An empty page has none: it gets its schema before its values.
    fn broken_on(&self, page: &RemotePage) -> Vec<Problem> {
        match page.variables.is_empty() {
            true => Vec::new(),
            false => self.compiled.broken_by(&page.variables),
        }
    }

    /// Sends the schema to one page after the other, and stops at the first failure.
    async fn put_all(&self, client: &impl WriteSchemas, candidates: &mut [Candidate]) {
        let mut failed = false;
        for candidate in candidates.iter_mut().filter(|candidate| candidate.state == State::Different) {
            if failed {
                candidate.state = State::Unsent;
                continue;
            }
            match self.put(client, candidate).await {
                Ok(correlation_id) => {
                    candidate.state = State::Put;
                    candidate.correlation_id = correlation_id;
                }
                Err(problem) => {
                    failed = true;
                    candidate.state = State::Failed;
                    candidate.problems.push(problem);
                }
            }
        }
    }

    /// Sends the schema to a page, and returns the correlation id.
    async fn put(
        &self,
        client: &impl WriteSchemas,
        candidate: &Candidate,
    ) -> Result<Option<String>, Problem> {
        let (id, checked) = (&candidate.id, &candidate.page);
        // Evaluating 400 days and updating earlier pages takes time, in which this page may have
        // changed.
        let now = client.page(id).await.map_err(|error| Problem::new(error.to_string()))?;
        if now.schema != checked.schema || now.variables != checked.variables {
            return Err(Problem::new("the page changed while it was checked, so nothing was sent to it")
                .hint("run the command again"));
        }
        let (page, correlation_id) = match client.put_schema(id, &self.source).await {
            Ok(Patched { page, correlation_id }) if self.is_on(&page) => (page, correlation_id),
            Ok(Patched { page, correlation_id }) if page.schema.is_some() => {
                let at =
                    self.rows(&page).first().map_or_else(String::new, |row| format!(", first at {}", row.at));
                let id = correlation_id.map_or_else(String::new, |id| format!(" [correlation id {id}]"));
                return Err(Problem::new(format!(
                    "the API returned a different schema than was sent{at}{id}"
                ))
                .hint("compare them with rtconfd schema diff, and ask the vendor's support"));
            }
            Ok(Patched { correlation_id, .. }) => {
                (self.look_up(client, candidate, "the API answered without the page").await?, correlation_id)
            }
            Err(error) if error.meaning == Meaning::OutcomeUnknown => {
                let page = self.look_up(client, candidate, &error.to_string()).await?;
                (page, error.correlation_id)
            }
            Err(error) => return Err(Problem::new(error.to_string())),
        };
        match self.broken_on(&page).into_iter().next() {
            None => Ok(correlation_id),
            Some(broken) => {
                Err(broken.about("the page has the schema now, but its values were changed just before"))
            }
        }
    }

    /// Resolves the outcome of a PUT; returns the page if it has the schema.
    async fn look_up(
        &self,
        client: &impl WriteSchemas,
        candidate: &Candidate,
        cause: &str,
    ) -> Result<RemotePage, Problem> {
        match fetch(client, &candidate.id).await {
            Ok(page) if self.is_on(&page) => Ok(page),
            Ok(page) if page.schema == candidate.page.schema => {
                Err(Problem::new(format!("{cause}; a later fetch found the previous schema on the page"))
                    .hint("run the command again"))
            }
            Ok(_) => Err(Problem::new(format!(
                "{cause}; a later fetch found another schema than the previous one and the one sent"
            ))
            .hint("compare them with rtconfd schema diff: another client may be changing it")),
            Err(error) => Err(Problem::new(format!(
                "{cause}; a later fetch failed, so the schema of the page is unknown: {error}"
            ))
            .hint("run rtconfd schema diff before you send it again")),
        }
    }
}

/// Fetches a page, with retries after errors that may be transient.
async fn fetch(client: &impl ReadPages, id: &PageId) -> Result<RemotePage, ApiError> {
    let mut fetched = client.page(id).await;
    for _ in 1..LOOKUP_ATTEMPTS {
        match &fetched {
            Err(error) if !error.meaning.needs_a_person() => {}
            _ => break,
        }
        tokio::time::sleep(PAUSE).await;
        fetched = client.page(id).await;
    }
    fetched
}

fn show(candidates: &[Candidate], arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.shown.format == Format::Json {
        return output::print_lines(candidates.iter().map(Candidate::to_json));
    }
    output::print_table(
        ["PAGE", "AT", "CHANGE", "FROM", "TO"],
        &[],
        candidates.iter().flat_map(|candidate| {
            candidate.rows.iter().map(|row| {
                let [at, change, from, to] = row.cells();
                [candidate.id.to_string(), at, change, from, to]
            })
        }),
    );
    for candidate in candidates {
        let about = |problem: &Problem| problem.clone().about(&candidate.id);
        output::show_problems(&candidate.problems.iter().map(about).collect::<Vec<_>>());
        output::remark(&candidate.in_words(&arguments.file.display().to_string()));
    }
    if !arguments.yes && exit(candidates) == CHANGES {
        output::remark("Nothing was sent.\n  hint: add --yes to send it");
    }
    Ok(())
}

impl Candidate {
    fn in_words(&self, file: &str) -> String {
        let Self { id, correlation_id, .. } = self;
        let reported =
            correlation_id.as_ref().map_or_else(String::new, |id| format!(" [correlation id {id}]"));
        match self.state {
            State::Same => format!("{id} already has the schema of {file}."),
            State::Different => format!("{id} would get the schema of {file}."),
            State::Refused => format!("{id} refuses the schema of {file}, so no page gets it."),
            State::Put => format!("{id} now has the schema of {file}{reported}."),
            State::Failed => format!("{id} did not get the schema of {file}, as far as is known."),
            State::Unsent => format!("Nothing was sent to {id}, because another page failed."),
        }
    }

    fn to_json(&self) -> Value {
        let problem = |problem: &Problem| {
            json!({
                "place": problem.origin.as_ref().map(ToString::to_string),
                "message": problem.message,
                "hint": problem.hint,
            })
        };
        json!({
            "page": self.id.to_string(),
            "result": self.state,
            "differences": self.rows,
            "problems": self.problems.iter().map(problem).collect::<Vec<_>>(),
            "correlation_id": self.correlation_id,
        })
    }
}
