//! What most commands begin with: settings, inputs, the store's knowledge, the API.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use anyhow::anyhow;

use crate::agents_api::{Client, KeySource, Timeouts};
use crate::clock::{Clock, WallClock};
use crate::compile::{Gone, Managed, World};
use crate::model::{Instant, PageId, Problem, Variable, each_once};
use crate::pages::{Override, Page};
use crate::plan::{Recent, Side, weigh};
use crate::reconcile::{Following, Held, InForce, Trail, revision_id};
use crate::settings::{Api, Settings, StorePath};
use crate::sources::{Files, Revision};
use crate::store::{Location, PageState, Reading, Remembered, Writer};
use crate::zone::Zone;

use super::global::{Exit, FAILED, Global};
use super::output;

/// Waiting pages that are described one by one; of more there is one line.
const MAX_WAITING: usize = 3;

/// Pages and variables that are told of that nothing defines any more.
pub const MAX_GONE: usize = 20;

/// The settings; on failure the report was shown.
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

/// Where the settings keep the state.
pub fn store(settings: &Settings) -> Location {
    match &settings.store {
        StorePath::Memory => Location::new(None),
        StorePath::File(path) => Location::new(Some(path)),
    }
}

/// Opens the store to write.
pub fn open_store(settings: &Settings, accept_empty: bool) -> anyhow::Result<Writer> {
    let location = store(settings);
    Ok(if accept_empty { location.open_or_begin_anew()? } else { location.open()? })
}

/// The key's place, by the settings and the environment.
pub fn key_source(api: &Api, global: &Global) -> anyhow::Result<KeySource> {
    let surroundings = global.surroundings();
    let variable = |name: &str| surroundings.variable(name).map(str::to_owned);
    Ok(KeySource::find(api.key_file.as_deref(), variable)?)
}

/// A client of the API that the settings name.
pub fn client(api: &Api, source: &KeySource) -> anyhow::Result<Client> {
    let timeouts =
        Timeouts { connect: api.connect_timeout, read: api.read_timeout, total: api.total_timeout };
    Ok(Client::new(&api.base_url, source.load()?, timeouts)?)
}

/// Who acts, for the history.
pub fn who(command: &str, global: &Global) -> String {
    let surroundings = global.surroundings();
    let user = surroundings.variable("USER").or_else(|| surroundings.variable("LOGNAME"));
    format!("{command} as {}", user.map_or_else(user_id, str::to_owned))
}

/// The user that this process has the rights of.
pub fn user_id() -> String {
    format!("uid {}", rustix::process::geteuid().as_raw())
}

/// The world as a command that only looks sees it.
pub struct View {
    /// The settings.
    pub settings: Settings,
    /// The inputs.
    pub revision: Revision,
    /// The pages: as they are in force where a revision is held or they follow others, else as they are written now; with
    /// overrides.
    pub world: World,
    /// The pages as they are written now, when some are not in force.
    pub newest: Option<World>,
    /// The pages that are not yet as they are written, because they follow others.
    pub trail: Trail,
    /// What is held.
    pub held: Option<Held>,
    /// What was in force and is no longer defined.
    pub gone: Vec<Gone>,
    /// The overrides in force.
    pub overrides: Vec<Override>,
    /// What the store knows of pages.
    pub stored: BTreeMap<PageId, PageState>,
    /// The instant that it is seen as of.
    at: Instant,
}

/// Settings, inputs and the store's knowledge, for an instant and up to a later one.
pub fn view(
    global: &Global,
    from: Option<Instant>,
    to: Option<Instant>,
) -> Result<anyhow::Result<View>, Exit> {
    let settings = settings(global)?;
    Ok(view_of(settings, from, to))
}

/// The same by settings that were read already.
pub fn view_of(settings: Settings, from: Option<Instant>, to: Option<Instant>) -> anyhow::Result<View> {
    let from = from.unwrap_or_else(now);
    let to = to.unwrap_or(from);
    let reading = store(&settings).look()?;
    let known = reading.as_ref().map(|reading| Known::read(reading, &settings, from)).transpose()?;
    let Known { stored, remembered, recent, approved, overrides } = known.unwrap_or_default();
    let mut files = Files::new(&settings);
    files.recall(&remembered.newest.inputs);
    let in_force = InForce::recall(&settings, &remembered, from, to);
    files.settle();
    let revision = files.revision();
    let mut newest = World::over(&settings.blueprint, &revision.inputs, from, to, Some(&in_force.world));
    let side = Side { world: &newest, inputs: &revision.inputs };
    let weighed = weigh(in_force.side(), side, &recent, settings.hold, from);
    let id = revision_id(&settings.written, &revision, &settings.blueprint.zones);
    let gone = newest.gone(&in_force.world);
    let held = match weighed.reasons.is_empty() || approved.contains(&id) {
        true => None,
        false => Some(Held { revision: id, since: from, reasons: weighed.reasons }),
    };
    let (mut world, trail) = match held {
        Some(_) => (in_force.pages(), in_force.trail),
        None => {
            let is_managed = |page: &PageId| stored.get(page).is_some_and(|stored| !stored.base.is_empty());
            let trail = in_force.behind(&newest, is_managed, from);
            (trail.in_force(&newest), trail)
        }
    };
    let is_in_force = held.is_none() && trail.behind().is_empty();
    world.overrule(&overrides);
    newest.overrule(&overrides);
    let newest = (!is_in_force).then_some(newest);
    Ok(View { settings, revision, world, newest, trail, held, gone, overrides, stored, at: from })
}

/// What the store knows that commands that look need.
#[derive(Default)]
struct Known {
    stored: BTreeMap<PageId, PageState>,
    remembered: Remembered,
    recent: Recent,
    approved: BTreeSet<String>,
    overrides: Vec<Override>,
}

impl Known {
    fn read(reading: &Reading, settings: &Settings, now: Instant) -> anyhow::Result<Self> {
        let api = &settings.api.base_url;
        let recent = reading.fact(Recent::FACT)?.and_then(|fact| serde_json::from_str(&fact).ok());
        let mut overrides = reading.overrides(Some(api), now, false)?;
        overrides.reverse();
        Ok(Self {
            stored: reading.pages(api)?,
            remembered: reading.remembered(api)?,
            recent: recent.unwrap_or_default(),
            approved: reading.approvals()?,
            overrides: overrides.into_iter().map(|row| row.set).collect(),
        })
    }
}

impl View {
    /// The pages of the active revision, without overrides.
    pub fn active(&self) -> World {
        self.world.map(|managed| Some(Managed { page: managed.computed.clone(), ..managed.clone() }))
    }

    /// Every problem of files and pages, each once.
    pub fn problems(&self) -> Vec<Problem> {
        each_once(self.revision.problems.values().flatten().chain(self.newest().problems()))
    }

    /// Public holidays that at an instant are not known much further, or no longer.
    pub fn ending(&self, at: Instant) -> Vec<Problem> {
        self.settings.blueprint.ending(at.date_naive())
    }

    /// The pages with those that wait for their first promotion, which overrides may concern too.
    pub fn world_with_waiting(&self) -> World {
        let mut world = self.world.clone();
        let first = self.trail.behind().iter().filter(|(_, behind)| behind.as_of.is_none());
        let waiting = first.filter_map(|(id, _)| {
            let newest = self.newest().page(id)?;
            Some(Managed { found: Some(BTreeMap::new()), problems: Vec::new(), ..newest.clone() })
        });
        world.set_waiting(waiting.collect());
        world
    }

    /// The pages as they are written now, whether or not they are in force.
    pub fn newest(&self) -> &World {
        self.newest.as_ref().unwrap_or(&self.world)
    }

    /// The pages as a cycle would decide on them: those in force, and where the time of one that follows has come, as it is
    /// written.
    pub fn due(&self) -> Vec<&Managed> {
        let ripe = self.following(None).into_iter().filter(|following| self.is_ripe(following.at));
        let ripe: BTreeMap<PageId, &Managed> = ripe
            .filter_map(|following| self.newest().page(&following.page))
            .map(|managed| (managed.page.id.clone(), managed))
            .collect();
        let in_force = self.world.pages.iter().filter(|managed| !ripe.contains_key(&managed.page.id));
        in_force.chain(ripe.values().copied()).collect()
    }

    /// Whether what a page waits for has come, should the page that it follows still hold it.
    fn is_ripe(&self, at: Option<Instant>) -> bool {
        self.held.is_none() && at.is_some_and(|at| at <= self.at)
    }

    /// Tells what the settings and their inputs no longer define.
    pub fn tell_gone(&self) {
        self.gone.iter().take(MAX_GONE).for_each(|gone| output::remark(&gone.to_string()));
        if let Some(more) = self.gone.len().checked_sub(MAX_GONE).filter(|more| *more > 0) {
            output::remark(&format!("and {more} more"));
        }
    }

    /// What stands in the store as put on pages, and no settings define any more.
    pub fn left_behind(&self) -> Vec<Gone> {
        let mut left = Vec::new();
        for (page, stored) in self.stored.iter().filter(|(_, stored)| !stored.base.is_empty()) {
            match self.newest().page(page) {
                None => left.push(Gone { page: page.clone(), variable: None }),
                Some(managed) => {
                    let known: HashSet<&Variable> =
                        managed.page.variables.iter().map(|owned| &owned.variable).collect();
                    let lost = stored.base.keys().filter(|variable| !known.contains(variable));
                    left.extend(
                        lost.map(|variable| Gone { page: page.clone(), variable: Some(variable.clone()) }),
                    );
                }
            }
        }
        left
    }

    /// Reports a held revision, if there is one.
    pub fn tell_held(&self) {
        if let Some(held) = &self.held {
            output::remark(&format!("held: {}", held.describe()));
        }
    }

    /// Says which revision a command shows, where there is more than one.
    pub fn say_shown(&self, shows_newest: bool) {
        if let Some(held) = &self.held {
            output::remark(&match shows_newest {
                true => format!("shown: the held revision {}, which is not active", held.revision),
                false => format!("shown: the active revision; {} is held", held.revision),
            });
        }
    }

    /// The pages that are not yet as they are written, as far as the store knows; of one page, or all.
    pub fn following(&self, wanted: Option<&PageId>) -> Vec<Following> {
        let behind =
            self.trail.behind().iter().filter(|(page, _)| wanted.is_none_or(|wanted| wanted == *page));
        let following = behind.filter_map(|(page, behind)| {
            let newest = &self.newest().page(page)?.page;
            let (leader, follow) = newest.leader().zip(newest.follow)?;
            let why = match behind.since {
                Some(since) => format!("{leader} has held the change since {}", output::utc(since)),
                None => format!("{leader} is to hold the change first"),
            };
            let at = behind.since.and_then(|since| since.checked_add_signed(follow.after));
            Some(Following { page: page.clone(), leader, at, why })
        });
        following.collect()
    }

    /// What a page is as, one after the other, from one instant to another: as it was while it waits for the page that it
    /// follows, then as it is written.
    pub fn spans<'w>(
        &'w self,
        managed: &'w Managed,
        from: Instant,
        to: Instant,
    ) -> Vec<(&'w Page, Instant, Instant)> {
        let id = &managed.page.id;
        if !self.trail.behind().contains_key(id) {
            return vec![(&managed.page, from, to)];
        }
        let known = self.following(Some(id)).into_iter().find_map(|following| following.at);
        let at = known.map_or(to, |at| at.clamp(from, to));
        let older = self.world.page(id).filter(|_| from < at).map(|older| (&*older.page, from, at));
        older.into_iter().chain((at < to).then_some((&*managed.page, at, to))).collect()
    }

    /// Tells which pages are not yet as they are written.
    pub fn tell_following(&self, wanted: Option<&PageId>) {
        let all = self.following(wanted);
        let each = all
            .iter()
            .map(|Following { page, leader, at, why }| (page, leader.to_string(), *at, why.as_str()));
        self.waiting_lines(each.collect()).iter().for_each(|line| output::remark(line));
    }

    /// Lines on the pages that wait: one for each of a few, one for all of many.
    pub fn waiting_lines(&self, waiting: Vec<(&PageId, String, Option<Instant>, &str)>) -> Vec<String> {
        if waiting.len() <= MAX_WAITING {
            let line = |(page, leader, at, why): (&PageId, String, Option<Instant>, &str)| {
                self.waits(page, &leader, at, why)
            };
            return waiting.into_iter().map(line).collect();
        }
        let named: Vec<String> =
            waiting.iter().take(MAX_WAITING).map(|(page, ..)| page.to_string()).collect();
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

    /// What a page waits for and until when, in words.
    fn waits(&self, page: &PageId, leader: &str, at: Option<Instant>, why: &str) -> String {
        let here = self.newest().page(page).map_or(Zone::UTC, zone);
        let when = match at {
            Some(_) if self.is_ripe(at) => "until both pages are next fetched".to_owned(),
            Some(at) => format!("until {}", crate::zone::show(here, at)),
            None => format!("until {leader} has held its change long enough"),
        };
        format!("{page} waits {when}, then takes over the change of {leader}: {why}")
    }

    /// The page that an argument names; without one, all.
    pub fn pages<'w>(&self, world: &'w World, wanted: Option<&PageId>) -> anyhow::Result<Vec<&'w Managed>> {
        self.tell_held();
        self.tell_following(wanted);
        let Some(wanted) = wanted else {
            return Ok(world.pages.iter().collect());
        };
        let found = world.page(wanted).ok_or_else(|| {
            let known: Vec<String> =
                world.pages.iter().take(20).map(|managed| managed.page.id.to_string()).collect();
            let unread = self.problems().iter().any(Problem::is_error);
            let hint = match (unread, known.is_empty()) {
                (true, _) => {
                    "something could not be read, and it may define the page: see the errors above".to_owned()
                }
                (false, true) => "the settings define no page that could be put together".to_owned(),
                (false, false) => format!("the pages are: {}", known.join(", ")),
            };
            anyhow!("unknown page {wanted}\n  hint: {hint}")
        })?;
        Ok(vec![found])
    }
}

/// The zone that a page's times are shown in.
pub fn zone(managed: &Managed) -> Zone {
    managed.page.zone.unwrap_or(Zone::UTC)
}

/// The instant that it is.
pub fn now() -> Instant {
    WallClock.now()
}

/// The wall clock.
pub fn wall_clock() -> Arc<dyn Clock> {
    Arc::new(WallClock)
}
