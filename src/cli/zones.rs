//! Warnings about the zone database that the settings use.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde_json::Value;

use crate::limits::time::HORIZON;
use crate::model::{Instant, Origin, Problem};
use crate::settings::Settings;
use crate::web::Daemon;
use crate::zone::{self, Database, Zone};
use crate::zoneinfo::{self, Choice};

use super::emergency::{self, Contact};
use super::global::Global;
use super::{load, output};

pub use crate::lint::old_zone_database as age;

/// Returns the time zones of pages by id, for showing local times.
///
/// They come from the daemon or the settings; without either, there are none.
pub async fn of_pages(global: &Global) -> BTreeMap<String, Zone> {
    if let Ok(Contact::Running(daemon)) = emergency::find(global) {
        return of_daemon(global, &daemon).await.unwrap_or_default();
    }
    let settings = Settings::load(&global.config(), &global.surroundings());
    let view = settings.ok().and_then(|settings| load::view_of(settings, None, None).ok());
    view.map(|view| of_view(&view)).unwrap_or_default()
}

/// Returns the time zones of a daemon's pages.
pub async fn of_daemon(global: &Global, daemon: &Daemon) -> anyhow::Result<BTreeMap<String, Zone>> {
    let database = zoneinfo::open(&Choice::Newest, global.surroundings().zoneinfo.as_deref())
        .map_err(anyhow::Error::msg)?;
    let status = daemon.status().await?.unwrap_or_default();
    let pages = status["pages"].as_array().cloned().unwrap_or_default();
    let zone = |page: &Value| {
        let zone = database.zone(page["timezone"].as_str()?)?;
        Some((page["page"].as_str()?.to_owned(), zone))
    };
    Ok(pages.iter().filter_map(zone).collect())
}

/// Returns the time zones of the pages of settings.
pub fn of_view(view: &load::View) -> BTreeMap<String, Zone> {
    let pages = view.world.pages.iter();
    pages.map(|managed| (managed.page.id.to_string(), load::zone(managed))).collect()
}

/// Returns the warnings on a database and the zones in use.
///
/// They cover its age, damaged zones, names without summer time, and zones that differ in the
/// machine's other database within the coming 400 days.
pub fn problems(settings: &Settings, global: &Global, at: Instant) -> Vec<Problem> {
    let ours = &settings.blueprint.zones;
    let used = ours.used();
    let other = other_database(settings, global);
    let fixed = used.iter().filter_map(|zone| fixed_offset(settings, *zone));
    let differing = used.iter().filter_map(|zone| differs(ours, other.as_deref()?, *zone, at));
    let damaged = ours.damaged().into_iter().map(|name| {
        let message =
            format!("time zone {name} is damaged in the zone database {ours}: the embedded one is used");
        Problem::new(message).hint("install the package tzdata again").warning()
    });
    age(ours, at).into_iter().chain(damaged).chain(fixed).chain(differing).collect()
}

/// Returns the database that is not used: the embedded one or, if that one is used, the system's.
fn other_database(settings: &Settings, global: &Global) -> Option<std::sync::Arc<Database>> {
    if settings.blueprint.zones.folder().is_some() {
        return Some(Database::embedded());
    }
    zoneinfo::open(&Choice::System, global.surroundings().zoneinfo.as_deref()).ok()
}

fn differs(ours: &Database, other: &Database, zone: Zone, from: Instant) -> Option<Problem> {
    let theirs = other.zone(zone.name())?;
    let to = from.checked_add_signed(HORIZON).unwrap_or(from);
    let mut instants: Vec<Instant> = [zone, theirs].iter().flat_map(|zone| zone.changes(from, to)).collect();
    instants.push(from);
    instants.sort_unstable();
    let first = instants.into_iter().find(|at| zone.offset_at(*at) != theirs.offset_at(*at))?;
    let since = if first == from { "already".to_owned() } else { format!("from {} on", output::utc(first)) };
    let by = TimeDelta::seconds(i64::from(
        (theirs.offset_at(first).local_minus_utc() - zone.offset_at(first).local_minus_utc()).abs(),
    ));
    let message = format!(
        "time zone {zone} differs {since} by {} minutes between the zone database {ours}, which is used, \
         and {other}",
        by.num_minutes()
    );
    Some(
        Problem::new(message)
            .hint("update the older of the two; other programs on this machine may be wrong")
            .warning(),
    )
}

fn fixed_offset(settings: &Settings, zone: Zone) -> Option<Problem> {
    let fixed = zone::fixed_offset(zone.name())?;
    let message = format!("time zone `{zone}` has no summer time: it is {} all year", fixed.offset);
    let problem = match place(settings, zone.name()) {
        Some(origin) => Problem::at(&origin, message),
        None => Problem::new(message),
    };
    let hint = match fixed.cities {
        "" => "name a city of the zone, for example Europe/London".to_owned(),
        cities => format!("name a city of the zone: {cities}"),
    };
    Some(problem.hint(hint).warning())
}

/// Returns where the settings name a zone; `None` when only a table or a calendar does.
fn place(settings: &Settings, name: &str) -> Option<Origin> {
    let mut named = Vec::new();
    let blueprint = &settings.blueprint;
    blueprint
        .hours
        .values()
        .chain(&blueprint.pages)
        .for_each(|node| node.texts_under("timezone", &mut named));
    named.into_iter().find(|(zone, _)| zone.trim() == name).map(|(_, origin)| origin.clone())
}
