//! `rtconfd status`: the state of the pages.
//!
//! It comes from store and inputs, with or without a running daemon.

use std::io::IsTerminal;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::compile::Managed;
use crate::limits::pages::{MAX_NEXT_CHANGE, PAGES_SHOWN};
use crate::lint::running_out;
use crate::model::{Instant, Problem, Severity, shorten};
use crate::schema::Schemas;
use crate::settings::StorePath;
use crate::store::Reading;
use crate::zone::Zone;

use super::emergency::{self, Contact};
use super::global::{Exit, FAILED, Format, Global, OK, Shown, Times};
use super::{check, load, output, zones};

use general::{General, show_reload};

pub(super) use general::describe_drift;

mod general;

/// The time between two reports of `--watch`.
const PAUSE: Duration = Duration::from_secs(2);
/// Clears the terminal and moves the cursor to its top left.
const CLEAR: &str = "\x1b[2J\x1b[H";

#[derive(Args)]
pub struct Arguments {
    /// List all pages; without this, more than 20 are listed only if they have a problem
    #[arg(long, conflicts_with = "problems")]
    all: bool,
    /// List only pages with a problem
    #[arg(long)]
    problems: bool,
    /// List only the pages of the row with this key; may be repeated
    #[arg(long, value_name = "KEY")]
    site: Vec<String>,
    /// Report again every two seconds, until Ctrl-C
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    times: Times,
    #[command(flatten)]
    shown: Shown,
}

pub async fn run(global: &Global, arguments: Arguments) -> anyhow::Result<Exit> {
    loop {
        if arguments.watch && arguments.shown.format == Format::Table && std::io::stdout().is_terminal() {
            output::print(CLEAR);
        }
        let exit = report(global, &arguments).await?;
        if !arguments.watch || output::has_failed() {
            return Ok(exit);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn report(global: &Global, arguments: &Arguments) -> anyhow::Result<Exit> {
    let view = match load::settings(global) {
        Ok(settings) => load::view_of(settings, None, None)?,
        // The report has been shown; the daemon's status is still useful.
        Err(exit) => return by_daemon_alone(global, arguments, exit).await,
    };
    let location = view.settings.store.path.location();
    let reading = location.read(Some(&view.settings.owner()))?;
    let running = location.is_in_use();
    let problems = view.problems();
    let now = load::now();
    let ending = view.ending(now);
    let general = General::find(global, &view, reading.as_deref(), now).await?;
    let mut running_out = running_out(&view.world, &view.settings.blueprint, &view.revision.inputs, now);
    running_out.extend(unknown_names(&view, now));
    running_out.extend(zones::age(&view.settings.blueprint.zones, now));
    let has_ended = ending.iter().any(|problem| problem.severity == Severity::Error);
    let pages = selected(&view, &arguments.site)?
        .into_iter()
        .map(|managed| PageLine::new(&view, reading.as_deref(), managed, now))
        .collect::<anyhow::Result<Vec<PageLine>>>()?;
    let needs_a_person = has_ended
        || problems.iter().any(Problem::is_error)
        || general.needs_a_person()
        || pages.iter().any(PageLine::has_problem);
    output::show_problems(problems.iter().chain(&ending).chain(&running_out));
    let is_short = pages.len() <= PAGES_SHOWN || !arguments.site.is_empty();
    match arguments.shown.format {
        Format::Json => {
            let mut last = general.to_json(running);
            last["zone_database"] = general.zones(&view).into();
            last["running_out"] = running_out.iter().map(ToString::to_string).collect();
            let listed = pages.iter().filter(|page| !arguments.problems || page.has_problem());
            output::print_lines(listed.map(PageLine::to_json).chain([last]))?;
        }
        Format::Table => {
            output::print(if running { "rtconfd is running.\n" } else { "rtconfd is not running.\n" });
            show_summary(&pages, arguments.times);
            let lists_all = (arguments.all || is_short) && !arguments.problems;
            let listed = pages.iter().filter(|page| lists_all || page.has_problem());
            show_pages(listed, arguments.times);
            general.show(&view);
            output::print(&format!("\nZone database {}\n", general.zones(&view)));
        }
    }
    Ok(if needs_a_person { FAILED } else { OK })
}

/// Returns the pages of the rows with these keys, or all pages if no key is given.
///
/// # Errors
/// Returns an error for a key that no row of a page has.
fn selected<'v>(view: &'v load::View, keys: &[String]) -> anyhow::Result<Vec<&'v Managed>> {
    for key in keys {
        let known = view.world.pages.iter().filter_map(row_key);
        if !known.clone().any(|known| known == key) {
            let problem = Problem::new(format!("no page is made for a row with the key \"{key}\""));
            anyhow::bail!("{}", problem.did_you_mean(key, known, "list all pages with rtconfd status --all"));
        }
    }
    let is_selected =
        |managed: &&Managed| row_key(managed).is_some_and(|key| keys.iter().any(|one| one == key));
    Ok(view.world.pages.iter().filter(|managed| keys.is_empty() || is_selected(managed)).collect())
}

fn row_key(managed: &Managed) -> Option<&str> {
    managed.page.row.as_ref()?.key()
}

/// The status of one page.
struct PageLine<'v> {
    managed: &'v Managed,
    state: &'static str,
    /// The problem that was stored last, or that its inputs have now.
    problem: Option<String>,
    /// The time since which the stored problem lasts.
    since: Option<Instant>,
    last_change: Option<Instant>,
    /// The time of the next change, with its variable and value.
    next_change: Option<(Instant, String)>,
}

impl<'v> PageLine<'v> {
    fn new(
        view: &'v load::View,
        reading: Option<&dyn Reading>,
        managed: &'v Managed,
        now: Instant,
    ) -> anyhow::Result<Self> {
        let id = &managed.page.id;
        let stored = view.stored.get(id);
        let known = stored.and_then(|stored| stored.problem.as_ref());
        let of_inputs = managed.problems.first().map(ToString::to_string);
        let problem = known.map(|(problem, _)| problem.clone()).or(of_inputs);
        let state = match (&problem, stored.map(|stored| stored.baseline.is_empty())) {
            (Some(_), _) => "problem",
            (None, Some(false)) => "right",
            (None, _) => "unseen",
        };
        let last_change = reading.map(|reading| reading.last_applied(id)).transpose()?.flatten();
        let since = known.map(|(_, since)| *since);
        Ok(Self { managed, state, problem, since, last_change, next_change: next_change(managed, now) })
    }

    fn has_problem(&self) -> bool {
        self.problem.is_some()
    }

    fn to_json(&self) -> Value {
        let next = self.next_change.as_ref();
        json!({
            "page": self.managed.page.id.to_string(),
            "state": self.state,
            "problem": self.problem,
            "since": self.since.map(output::utc),
            "last_change": self.last_change.map(output::utc),
            "next_change": next.map(|(at, what)| json!({"at": output::utc(*at), "what": what})),
        })
    }
}

/// Prints the number of pages by state, and the next change of all.
fn show_summary(pages: &[PageLine], times: Times) {
    let of = |state: &str| pages.iter().filter(|page| page.state == state).count();
    let states = [("right", "right"), ("unseen", "not fetched yet"), ("problem", "with a problem")];
    let states = states.into_iter().filter(|(state, _)| of(state) > 0);
    let states: Vec<String> = states.map(|(state, words)| format!("{} {words}", of(state))).collect();
    let states = if states.is_empty() { String::new() } else { format!(": {}", states.join(", ")) };
    output::print(&format!("{} page(s){states}.\n", pages.len()));
    let next = pages.iter().filter_map(|page| Some((page.next_change.as_ref()?, page)));
    if let Some(((at, what), page)) = next.min_by_key(|((at, _), _)| *at) {
        let at = times.show(load::zone(page.managed), *at);
        output::print(&format!("Next change: {at}, {} {what}\n", page.managed.page.id));
    }
}

/// Returns the mismatches between settings and schemas, by the last fetched schemas.
fn unknown_names(view: &load::View, now: Instant) -> Vec<Problem> {
    let mut schemas = Schemas::new(view.settings.assert_formats);
    let of_page = |managed: &Managed| {
        let stored = view.stored.get(&managed.page.id)?;
        let schema = schemas.compile(&mut stored.schema.clone()).ok()?;
        // Values of other clients are not stored. A missing required key is named in the page's
        // problem.
        let why = stored.problem.as_ref().map_or("", |(problem, _)| problem.as_str());
        let is_there = |key: &str| !why.contains(&format!("\"{key}\" is a required property"));
        Some(check::unknown_names(managed, &schema, is_there, now))
    };
    view.world.pages.iter().filter_map(of_page).flatten().collect()
}

fn show_pages<'p>(pages: impl Iterator<Item = &'p PageLine<'p>>, times: Times) {
    let rows: Vec<[String; 6]> = pages
        .map(|page| {
            let here = load::zone(page.managed);
            let at = |at: Option<Instant>| at.map_or_else(|| "-".to_owned(), |at| times.show(here, at));
            let (next, what) = page.next_change.clone().unzip();
            [
                page.managed.page.id.to_string(),
                page.state.to_owned(),
                at(page.last_change),
                at(next),
                what.unwrap_or_default(),
                page.problem.clone().unwrap_or_default(),
            ]
        })
        .collect();
    if !rows.is_empty() {
        output::print("\n");
        output::print_table(
            ["PAGE", "STATE", "LAST CHANGE", "NEXT CHANGE", "", "PROBLEM"],
            &["LAST CHANGE", ""],
            rows,
        );
    }
}

/// Reports the running daemon's status alone, when the settings cannot be read.
async fn by_daemon_alone(global: &Global, arguments: &Arguments, exit: Exit) -> anyhow::Result<Exit> {
    let daemon = match emergency::find(global)? {
        Contact::Running(daemon) => daemon,
        Contact::NoDaemon(StorePath::Memory) => return Ok(exit),
        Contact::NoDaemon(store) => {
            output::remark(&format!("no rtconfd runs on the store {store}"));
            return Ok(exit);
        }
    };
    let status = match daemon.status().await? {
        Ok(status) => status,
        Err(problems) => return Ok(emergency::refused(&problems)),
    };
    if arguments.shown.format == Format::Json {
        output::print_lines([status])?;
        return Ok(exit);
    }
    output::print("rtconfd is running with its last good settings.\n");
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let pages = status["pages"].as_array().cloned().unwrap_or_default();
    let zones = zones::of_daemon(global, &daemon).await.unwrap_or_default();
    output::print_table(
        ["PAGE", "STATE", "DUE", "PROBLEM"],
        &["DUE"],
        pages.iter().map(|page| {
            let here = page["page"].as_str().and_then(|page| zones.get(page)).copied().unwrap_or(Zone::UTC);
            let due: Option<Instant> = page["due"].as_str().and_then(|due| due.parse().ok());
            let due = due.map_or_else(|| "-".to_owned(), |due| arguments.times.show(here, due));
            [text(&page["page"]), text(&page["state"]), due, text(&page["problem"])]
        }),
    );
    show_reload(&status["reload"]);
    for set in status["overrides"].as_array().into_iter().flatten() {
        output::print(&format!(
            "\nOverride {}: {}, by {}: {}; to end it: rtconfd override clear {}\n",
            set["id"],
            text(&set["says"]),
            text(&set["who"]),
            text(&set["reason"]),
            set["id"]
        ));
    }
    for (name, value) in [("HELD", &status["held"]["revision"]), ("NOTHING IS SENT", &status["withheld"])] {
        if let Some(value) = value.as_str() {
            output::print(&format!("\n{name}: {value}\n"));
        }
    }
    Ok(exit)
}

/// Returns the next change of a page: its time, variable and value.
fn next_change(managed: &Managed, now: Instant) -> Option<(Instant, String)> {
    let to = now.checked_add_signed(MAX_NEXT_CHANGE)?;
    let changes = managed.page.variables.iter().filter_map(|owned| {
        let transition = owned.definition.next_transition(now, to)?;
        let value = match &transition.value {
            crate::pages::UntypedValue::Cell(cell) => cell.text.clone(),
            value => shorten(&value.to_json(), 40),
        };
        Some((transition.at, format!("{} -> {value}", owned.variable)))
    });
    changes.min()
}
