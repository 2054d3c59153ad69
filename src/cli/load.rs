//! What most commands begin with: settings, inputs, the store's knowledge, the API.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::anyhow;
use chrono_tz::Tz;

use crate::agents_api::{Client, KeySource, Timeouts};
use crate::clock::{Clock, WallClock};
use crate::desired::{Managed, World};
use crate::model::{Instant, PageId, Problem};
use crate::settings::{Settings, StorePath};
use crate::sources::{Files, Revision};
use crate::store::{Location, PageState};

use super::{Exit, FAILED, Global, output};

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

/// The key's place, by the settings and the environment.
pub fn key_source(settings: &Settings, global: &Global) -> anyhow::Result<KeySource> {
    let surroundings = global.surroundings();
    let variable = |name: &str| surroundings.variable(name).map(str::to_owned);
    Ok(KeySource::find(settings.api.key_file.as_deref(), variable)?)
}

/// A client of the API that the settings name.
pub fn client(settings: &Settings, source: &KeySource) -> anyhow::Result<Client> {
    let timeouts = Timeouts {
        connect: settings.api.connect_timeout,
        read: settings.api.read_timeout,
        total: settings.api.total_timeout,
    };
    Ok(Client::new(&settings.api.base_url, source.load()?, timeouts)?)
}

/// Who acts, for the history.
pub fn who(command: &str, global: &Global) -> String {
    let surroundings = global.surroundings();
    let user = surroundings.variable("USER").or_else(|| surroundings.variable("LOGNAME"));
    let user = user.map_or_else(|| format!("uid {}", rustix::process::geteuid().as_raw()), str::to_owned);
    format!("{command} as {user}")
}

/// The world as a command that only looks sees it.
pub struct View {
    /// The settings.
    pub settings: Settings,
    /// The inputs.
    pub revision: Revision,
    /// The pages.
    pub world: World,
    /// What the store knows of pages.
    pub stored: BTreeMap<PageId, PageState>,
}

/// Settings, inputs and the store's knowledge, for an instant and up to a later one.
pub fn view(
    global: &Global,
    from: Option<Instant>,
    to: Option<Instant>,
) -> Result<anyhow::Result<View>, Exit> {
    let settings = settings(global)?;
    Ok(look(settings, from, to))
}

fn look(settings: Settings, from: Option<Instant>, to: Option<Instant>) -> anyhow::Result<View> {
    let from = from.unwrap_or_else(now);
    let reading = store(&settings).look()?;
    let (stored, remembered) = match &reading {
        Some(reading) => (reading.pages(&settings.api.base_url)?, reading.inputs()?),
        None => Default::default(),
    };
    let mut files = Files::new(&settings);
    let recalled = files.recall(&remembered);
    let previous = World::over(&settings.blueprint, &recalled.inputs, from, to.unwrap_or(from), None);
    files.settle();
    let revision = files.revision();
    let world = World::over(&settings.blueprint, &revision.inputs, from, to.unwrap_or(from), Some(&previous));
    Ok(View { settings, revision, world, stored })
}

impl View {
    /// Every problem of files and pages, each once.
    pub fn problems(&self) -> Vec<Problem> {
        let mut all: Vec<Problem> = Vec::new();
        let files = self.revision.problems.values().flatten();
        for problem in files.chain(self.world.problems()) {
            if !all.contains(problem) {
                all.push(problem.clone());
            }
        }
        all
    }

    /// The page that an argument names; without one, all.
    pub fn pages(&self, wanted: Option<&PageId>) -> anyhow::Result<Vec<&Managed>> {
        let Some(wanted) = wanted else {
            return Ok(self.world.pages.iter().collect());
        };
        let found = self.world.page(wanted).ok_or_else(|| {
            let known: Vec<String> =
                self.world.pages.iter().take(20).map(|managed| managed.page.id.to_string()).collect();
            anyhow!("no page {wanted} is defined\n  hint: the pages are: {}", known.join(", "))
        })?;
        Ok(vec![found])
    }
}

/// The zone that a page's times are shown in.
pub fn zone(managed: &Managed) -> Tz {
    managed.page.zone.unwrap_or(Tz::UTC)
}

/// The instant that it is.
pub fn now() -> Instant {
    WallClock.now()
}

/// The wall clock.
pub fn wall_clock() -> Arc<dyn Clock> {
    Arc::new(WallClock)
}
