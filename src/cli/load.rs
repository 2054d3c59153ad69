//! The common start of most commands: settings, inputs, the store's contents, the API client.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use anyhow::{anyhow, bail};

use crate::agents_api::{Client, KeySource, Timeouts};
use crate::clock::{Clock, WallClock};
use crate::compile::{Gone, Managed, World};
use crate::model::{Instant, PageId, Problem, Variable, each_once};
use crate::pages::{Override, Page};
use crate::plan::{Recent, Side, assess};
use crate::reconcile::{ActiveRevision, Held, Out, Promotion, Promotions, revision_id};
use crate::settings::{Api, Settings};
use crate::sources::{Files, Revision};
use crate::store::{Owner, PageState, Reading, Remembered, Store};
use crate::zone::Zone;

use super::global::{Exit, FAILED, Global};
use super::output;

/// Limit of waiting pages listed one by one; above it, one line summarizes them.
const WAITING_NAMED: usize = 3;

/// Limit of listed pages and variables that are no longer defined.
pub const GONE_LISTED: usize = 20;

/// Loads the settings; on failure, the report has been shown.
pub fn settings(global: &Global) -> Result<Settings, Exit> {
    match Settings::load(&global.config(), &global.surroundings()) {
        Ok(settings) => {
            output::start_log(settings.log);
            output::show_problems(&settings.warnings);
            Ok(settings)
        }
        Err(report) => {
            output::show_report(&report);
            Err(FAILED)
        }
    }
}

/// Checks that `--accept-empty-store` is meant for a store in a file.
pub fn check_accept_empty(settings: &Settings, accept_empty: bool) -> anyhow::Result<()> {
    if accept_empty && settings.store.path.is_shared() {
        bail!("--accept-empty-store is for a store in a file\n  hint: run rtconfd store create");
    }
    Ok(())
}

/// Opens the store for writing.
pub fn open_store(settings: &Settings, accept_empty: bool) -> anyhow::Result<Arc<dyn Store>> {
    let (location, owner) = (settings.store.path.location(), settings.owner());
    check_accept_empty(settings, accept_empty)?;
    Ok(if accept_empty { location.open_or_begin_anew(Some(&owner))? } else { location.open(Some(&owner))? })
}

/// Returns the source of the key, from the settings and the environment.
pub fn key_source(api: &Api, global: &Global) -> anyhow::Result<KeySource> {
    let surroundings = global.surroundings();
    let variable = |name: &str| surroundings.variable(name).map(str::to_owned);
    Ok(KeySource::find(api.key_file.as_deref(), variable)?)
}

/// Returns a client for the API of the settings.
pub fn client(api: &Api, source: &KeySource) -> anyhow::Result<Client> {
    let timeouts =
        Timeouts { connect: api.connect_timeout, read: api.read_timeout, total: api.total_timeout };
    let key = source.load()?;
    key.hide();
    Ok(Client::new(&api.base_url, key, timeouts)?)
}

/// Returns the acting command and user, for the history.
pub fn who(command: &str, global: &Global) -> String {
    let surroundings = global.surroundings();
    let user = surroundings.variable("USER").or_else(|| surroundings.variable("LOGNAME"));
    format!("{command} as {}", user.map_or_else(user_id, str::to_owned))
}

/// Returns the effective user id of this process, as text.
pub fn user_id() -> String {
    format!("uid {}", rustix::process::geteuid().as_raw())
}

/// The state of settings, inputs and store, for commands that only read.
pub struct View {
    /// The settings.
    pub settings: Settings,
    /// The inputs.
    pub revision: Revision,
    /// The active pages, with overrides.
    ///
    /// They differ from the written ones while a revision is held or a promotion is pending.
    pub world: World,
    /// The pages as written now; `None` if all of them are active.
    pub newest: Option<World>,
    /// The pages that wait for their promotion.
    promotions: Promotions,
    /// The ID of settings and inputs as they are now.
    pub id: String,
    /// The held revision.
    pub held: Option<Held>,
    /// The rollout of the pages as written now.
    pub rollout: Option<Rollout>,
    /// Active pages and variables that are no longer defined.
    gone: Vec<Gone>,
    /// The active overrides.
    pub overrides: Vec<Override>,
    /// The stored state of the pages.
    pub stored: BTreeMap<PageId, PageState>,
    /// The instant of the view.
    at: Instant,
}

/// An approved revision that is not yet active everywhere.
pub struct Rollout {
    /// The pages of the active revision, with overrides.
    before: World,
    /// The pages that it was rolled out to.
    pub reached: BTreeSet<String>,
}

/// Loads the view at one instant, for evaluation up to a later one.
pub fn view(
    global: &Global,
    from: Option<Instant>,
    to: Option<Instant>,
) -> Result<anyhow::Result<View>, Exit> {
    let settings = settings(global)?;
    Ok(view_of(settings, from, to))
}

/// Returns a warning when all rows of a store belong to other owners.
///
/// The settings of this command may then name another API than those of the daemon.
pub fn other_owner(reading: &dyn Reading, owner: &Owner) -> Option<Problem> {
    let owners = reading.owners().ok()?;
    let other = owners.first().filter(|_| !owners.contains(owner))?;
    let problem = Problem::new(format!(
        "the store has rows of \"{}\" at {}, and none of \"{}\" at {}, so the daemon's state is not shown",
        other.id, other.api, owner.id, owner.api
    ));
    Some(
        problem
            .hint("use the daemon's api.base_url or region and store.owner, also from its environment")
            .warning(),
    )
}

/// Returns the view for loaded settings.
pub fn view_of(settings: Settings, from: Option<Instant>, to: Option<Instant>) -> anyhow::Result<View> {
    let reading = settings.store.path.location().read(Some(&settings.owner()))?;
    view_with(settings, reading, from, to)
}

/// Returns the view for loaded settings and the contents of a store, if there is one.
pub fn view_with(
    settings: Settings,
    reading: Option<Box<dyn Reading>>,
    from: Option<Instant>,
    to: Option<Instant>,
) -> anyhow::Result<View> {
    let from = from.unwrap_or_else(now);
    let to = to.unwrap_or(from);
    output::show_problems(&reading.as_deref().and_then(|reading| other_owner(reading, &settings.owner())));
    let known = reading.map(|reading| Known::read(&*reading, from)).transpose()?;
    let Known { stored, remembered, recent, approved, out, noted, overrides } = known.unwrap_or_default();
    let mut files = Files::new(&settings);
    let recalled = files.recall(&remembered.newest.inputs).inputs;
    let active = ActiveRevision::recall(&settings, &remembered, &recalled, from, to);
    files.settle();
    let revision = files.revision();
    let mut newest = World::over(&settings.blueprint, &revision.inputs, from, to, Some(&active.world));
    let side = Side { world: &newest, inputs: &revision.inputs };
    let impact = assess(active.side(), side, &recent, settings.hold, from);
    let id = revision_id(&settings.written, &revision, &settings.blueprint.zones);
    let gone = newest.gone(&active.world);
    let (mut held, mut rollout) = (None, None);
    // A daemon may hold a revision for a reason that only it knows.
    let noted = noted.filter(|noted| noted.revision == id).map(|noted| noted.reasons);
    let reasons = if impact.reasons.is_empty() { noted.unwrap_or_default() } else { impact.reasons };
    if !reasons.is_empty() {
        match approved.contains(&id) {
            true => rollout = Some(Rollout { before: active.pages(), reached: out.reached(&id) }),
            false => held = Some(Held::new(id.clone(), from, reasons)),
        }
    }
    let (mut world, promotions) = match held {
        Some(_) => (active.pages(), active.promotions),
        None => {
            let is_managed =
                |page: &PageId| stored.get(page).is_some_and(|stored| !stored.baseline.is_empty());
            let promotions = active.behind(&newest, is_managed, from);
            (promotions.active(&newest), promotions)
        }
    };
    let is_active = held.is_none() && promotions.behind().is_empty();
    world.apply_override(&overrides);
    newest.apply_override(&overrides);
    rollout.iter_mut().for_each(|rollout| rollout.before.apply_override(&overrides));
    let newest = (!is_active).then_some(newest);
    Ok(View {
        settings,
        revision,
        world,
        newest,
        promotions,
        id,
        held,
        rollout,
        gone,
        overrides,
        stored,
        at: from,
    })
}

/// The store's contents that read-only commands need.
#[derive(Default)]
struct Known {
    stored: BTreeMap<PageId, PageState>,
    remembered: Remembered,
    recent: Recent,
    approved: BTreeSet<String>,
    out: Out,
    /// The revision that the daemon holds.
    noted: Option<Held>,
    overrides: Vec<Override>,
}

impl Known {
    fn read(reading: &dyn Reading, now: Instant) -> anyhow::Result<Self> {
        let recent = reading.fact(Recent::FACT)?.and_then(|fact| serde_json::from_str(&fact).ok());
        let out = reading.fact(Out::FACT)?.and_then(|fact| serde_json::from_str(&fact).ok());
        let mut overrides = reading.overrides(now, false)?;
        overrides.reverse();
        Ok(Self {
            stored: reading.pages()?,
            remembered: reading.remembered()?,
            recent: recent.unwrap_or_default(),
            approved: reading.approvals()?,
            out: out.unwrap_or_default(),
            noted: reading.fact(Held::FACT)?.and_then(|fact| Held::from_fact(&fact)),
            overrides: overrides.into_iter().map(|row| row.set).collect(),
        })
    }
}

impl View {
    /// Returns the pages of the active revision.
    ///
    /// During a rollout, it is the one before.
    pub fn active(&self) -> &World {
        self.rollout.as_ref().map_or(&self.world, |rollout| &rollout.before)
    }

    /// Returns every problem of files and pages, each once.
    pub fn problems(&self) -> Vec<Problem> {
        each_once(self.revision.problems.values().flatten().chain(self.newest().problems()))
    }

    /// Returns the problems of public holidays whose data ends soon or has ended.
    pub fn ending(&self, at: Instant) -> Vec<Problem> {
        self.settings.blueprint.ending(at.date_naive())
    }

    /// Returns the pages including those that wait for their first promotion.
    ///
    /// Overrides may apply to these, too.
    pub fn world_with_waiting(&self) -> World {
        let mut world = self.world.clone();
        let first = self.promotions.behind().iter().filter(|(_, behind)| behind.as_of.is_none());
        let waiting = first.filter_map(|(id, _)| {
            let newest = self.newest().page(id)?;
            Some(Managed { found: Some(BTreeMap::new()), problems: Vec::new(), ..newest.clone() })
        });
        world.set_waiting(waiting.collect());
        world
    }

    /// Returns the pages as written now, active or not.
    pub fn newest(&self) -> &World {
        self.newest.as_ref().unwrap_or(&self.world)
    }

    /// Returns the pages as a cycle would evaluate them.
    ///
    /// These are the active ones, except that a page whose promotion is due is used as written.
    pub fn due(&self) -> Vec<&Managed> {
        let ripe = self.following(None).into_iter().filter(|following| self.is_ripe(following.at));
        let ripe: BTreeMap<PageId, &Managed> = ripe
            .filter_map(|following| self.newest().page(&following.page))
            .map(|managed| (managed.page.id.clone(), managed))
            .collect();
        let active = self.world.pages.iter().filter(|managed| !ripe.contains_key(&managed.page.id));
        active.chain(ripe.values().copied()).collect()
    }

    /// Returns true if a promotion is due, provided that the followed page still holds the change.
    fn is_ripe(&self, at: Option<Instant>) -> bool {
        self.held.is_none() && at.is_some_and(|at| at <= self.at)
    }

    /// Lists the pages and variables that are no longer defined.
    pub fn report_gone(&self) {
        self.gone.iter().take(GONE_LISTED).for_each(|gone| output::remark(&gone.to_string()));
        if let Some(more) = self.gone.len().checked_sub(GONE_LISTED).filter(|more| *more > 0) {
            output::remark(&format!("and {more} more"));
        }
    }

    /// Returns the pages and variables that have a baseline in the store and are no longer defined.
    pub fn left_behind(&self) -> Vec<Gone> {
        let mut left = Vec::new();
        for (page, stored) in self.stored.iter().filter(|(_, stored)| !stored.baseline.is_empty()) {
            match self.newest().page(page) {
                None => left.push(Gone { page: page.clone(), variable: None }),
                Some(managed) => {
                    let known: HashSet<&Variable> =
                        managed.page.variables.iter().map(|owned| &owned.variable).collect();
                    let lost = stored.baseline.keys().filter(|variable| !known.contains(variable));
                    left.extend(
                        lost.map(|variable| Gone { page: page.clone(), variable: Some(variable.clone()) }),
                    );
                }
            }
        }
        left
    }

    /// Reports the held revision, if any.
    pub fn report_held(&self) {
        if let Some(held) = &self.held {
            output::remark(&format!("held: {}", held.describe()));
        }
    }

    /// Returns the pages that wait for their promotion, as far as the store knows; one or all.
    pub fn following(&self, selected: Option<&PageId>) -> Vec<Promotion> {
        let behind = self
            .promotions
            .behind()
            .iter()
            .filter(|(page, _)| selected.is_none_or(|selected| selected == *page));
        let following = behind.filter_map(|(page, behind)| {
            let newest = &self.newest().page(page)?.page;
            let (leader, follow) = newest.leader().zip(newest.follow)?;
            let why = match behind.since {
                Some(since) => format!("{leader} has held the change since {}", output::utc(since)),
                None => format!("{leader} must hold the change first"),
            };
            let at = behind.since.and_then(|since| since.checked_add_signed(follow.after));
            Some(Promotion { page: page.clone(), leader, at, why })
        });
        following.collect()
    }

    /// Returns the successive definitions of a page in a period, each with its part of the period.
    ///
    /// The active definition holds until the page's promotion, then the one as written.
    pub fn spans<'w>(
        &'w self,
        managed: &'w Managed,
        from: Instant,
        to: Instant,
    ) -> Vec<(&'w Page, Instant, Instant)> {
        let id = &managed.page.id;
        if !self.promotions.behind().contains_key(id) {
            return vec![(&managed.page, from, to)];
        }
        let known = self.following(Some(id)).into_iter().find_map(|following| following.at);
        let at = known.map_or(to, |at| at.clamp(from, to));
        let older = self.world.page(id).filter(|_| from < at).map(|older| (&*older.page, from, at));
        older.into_iter().chain((at < to).then_some((&*managed.page, at, to))).collect()
    }

    /// Reports the pages that wait for their promotion.
    pub fn report_promotion(&self, selected: Option<&PageId>) {
        let all = self.following(selected);
        let each = all
            .iter()
            .map(|Promotion { page, leader, at, why }| (page, leader.to_string(), *at, why.as_str()));
        self.waiting_lines(each.collect()).iter().for_each(|line| output::remark(line));
    }

    /// Returns the lines on waiting pages: one each for a few, a single one for many.
    pub fn waiting_lines(&self, waiting: Vec<(&PageId, String, Option<Instant>, &str)>) -> Vec<String> {
        if waiting.len() <= WAITING_NAMED {
            let line = |(page, leader, at, why): (&PageId, String, Option<Instant>, &str)| {
                self.waits(page, &leader, at, why)
            };
            return waiting.into_iter().map(line).collect();
        }
        let named: Vec<String> =
            waiting.iter().take(WAITING_NAMED).map(|(page, ..)| page.to_string()).collect();
        let next = match waiting.iter().filter_map(|(.., at, _)| *at).min() {
            Some(at) => format!(", the next until {}", output::utc(at)),
            None => String::new(),
        };
        vec![format!(
            "{} pages wait for their promotion{next}: {}, … (rtconfd status --format json lists them all)",
            waiting.len(),
            named.join(", ")
        )]
    }

    /// Returns a sentence on a waiting page: until when it waits, and why.
    fn waits(&self, page: &PageId, leader: &str, at: Option<Instant>, why: &str) -> String {
        let here = self.newest().page(page).map_or(Zone::UTC, zone);
        let when = match at {
            Some(_) if self.is_ripe(at) => "until both pages are next fetched".to_owned(),
            Some(at) => format!("until {}", crate::zone::show(here, at)),
            None => format!("until {leader} has held its change long enough"),
        };
        format!("{page} waits {when}, then takes over the change of {leader}: {why}")
    }

    /// Returns the page of an argument; without one, all pages.
    pub fn pages<'w>(&self, world: &'w World, selected: Option<&PageId>) -> anyhow::Result<Vec<&'w Managed>> {
        self.report_held();
        self.report_promotion(selected);
        let Some(selected) = selected else {
            return Ok(world.pages.iter().collect());
        };
        let found = world.page(selected).ok_or_else(|| {
            let known: Vec<String> =
                world.pages.iter().take(20).map(|managed| managed.page.id.to_string()).collect();
            let unread = self.problems().iter().any(Problem::is_error);
            let hint = match (unread, known.is_empty()) {
                (true, _) => "fix the errors above: what could not be read may define the page".to_owned(),
                (false, true) => "check the settings: they define no valid page".to_owned(),
                (false, false) => format!("the pages are: {}", known.join(", ")),
            };
            anyhow!("unknown page {selected}\n  hint: {hint}")
        })?;
        Ok(vec![found])
    }
}

/// Returns the zone in which a page's times are shown.
pub fn zone(managed: &Managed) -> Zone {
    managed.page.zone.unwrap_or(Zone::UTC)
}

/// Returns the current time.
pub fn now() -> Instant {
    WallClock.now()
}

/// Returns the wall clock.
pub fn wall_clock() -> Arc<dyn Clock> {
    Arc::new(WallClock)
}
