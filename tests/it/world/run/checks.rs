//! Checks of the pages at rest and of the history in the store.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use rtconfd::clock::Clock;
use serde_json::{Value, json};

use super::{RECOVERY, World};
use crate::world::model::{AFTER, At, Place, part};
use crate::world::remote::{Page, State};

impl World {
    /// Checks that every page holds its desired values after a while without faults.
    pub(super) fn judge_pages(&mut self) {
        let up = self.clock.uptime();
        let remote = self.remote.clone();
        let mut state = remote.state();
        let judged_at = std::mem::replace(&mut self.judged_at, self.clock.now());
        note_hidden_changes(&mut state, judged_at.min(self.judged_at), up);
        if let Some(until) = state.fault_rates.storm_until {
            // The driver may not have woken up since it ended.
            self.well_since = self.well_since.max(until.min(up));
            self.undisturbed_since = self.undisturbed_since.max(until.min(up));
        }
        let calm = up.saturating_sub(self.well_since);
        if state.fault_rates.failing + state.fault_rates.late > 0
            || state.fault_rates.storm_until.is_some_and(|until| up < until)
        {
            drop(state);
            return self.disturb();
        }
        let slack = self.slack();
        if calm < RECOVERY + slack || self.running.is_none() || state.forbidden.is_some() {
            return;
        }
        let now = self.clock.now();
        let resync = self.seen_within();
        for (place, page) in &mut state.pages {
            page.unsure = false;
            // The time of an edit is unknown while the page is not managed.
            if page.adrift_since.is_some() && !self.inputs.defines(*place) {
                page.adrift_since = Some(up);
            }
            if page.adrift_since.is_some_and(|since| up > since + resync) {
                page.adrift_since = None;
            }
        }
        let undisturbed = up.saturating_sub(self.undisturbed_since);
        // While a row is bad, promotions from its page wait.
        if self.broken.is_none() && undisturbed > AFTER + 2 * (RECOVERY + slack) {
            self.figures.arrivals += note_arrivals(&mut state, up - AFTER - 2 * (RECOVERY + slack));
        }
        let lately = (!slack.is_zero()).then(|| now - TimeDelta::from_std(slack).unwrap());
        let quiet = state.pages.iter().filter(|(_, page)| page.adrift_since.is_none() && page.in_flight == 0);
        let wrong: Vec<String> =
            quiet.flat_map(|(place, page)| judge_page(&state, *place, page, (now, lately), up)).collect();
        self.figures.judged += 1;
        drop(state);
        for what in wrong {
            self.violation(what);
        }
    }

    /// Returns the time in which a change on a page is detected.
    pub(super) fn seen_within(&self) -> Duration {
        self.settings.resync.mul_f64(1.1) + self.slack()
    }

    /// Checks that every PATCH was recorded first and that a replay gives the baseline.
    pub(super) async fn judge_history(&mut self) {
        let database = self.database.lock().unwrap();
        let count = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        let writes = count("SELECT coalesce(sum(tries), 0) FROM writes");
        let applied = count("SELECT count(*) FROM writes WHERE outcome = 'applied'");
        let open = count("SELECT count(*) FROM writes WHERE outcome IN ('intended', 'unknown')");
        let sql = "SELECT page, variable, after FROM writes JOIN changes ON changes.write = writes.id
            WHERE outcome = 'applied' ORDER BY writes.settled_at, writes.id";
        let mut statement = database.prepare(sql).unwrap();
        let text = |row: &rusqlite::Row, index| row.get::<_, String>(index);
        let rows = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, text(row, 1)?, text(row, 2)?)));
        let mut replayed: BTreeMap<(i64, String), String> = BTreeMap::new();
        for (page, variable, after) in rows.unwrap().map(Result::unwrap) {
            replayed.insert((page, variable), after);
        }
        drop(statement);
        let mut statement = database.prepare("SELECT page, variable, value FROM bases").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, text(row, 1)?, text(row, 2)?)));
        let bases: BTreeMap<(i64, String), String> = rows
            .unwrap()
            .map(Result::unwrap)
            .map(|(page, variable, value)| ((page, variable), value))
            .collect();
        let missing = replayed.keys().filter(|key| !bases.contains_key(*key)).count();
        let integrity: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        drop(statement);
        drop(database);
        let (patches, taken) = {
            let state = self.remote.state();
            (state.patches, state.applied)
        };
        if applied > i64::try_from(taken).unwrap() {
            self.violation(format!("history: {applied} applied, but the API applied {taken}"));
        }
        // A page without permission to write keeps its open intent.
        let calm = self.clock.uptime().saturating_sub(self.well_since);
        if open > 0 && calm > RECOVERY * 200 && self.running.is_some() {
            self.violation(format!("history: {open} outcomes were never looked up"));
        }
        if i64::try_from(patches).unwrap() > writes {
            self.violation(format!("history: {patches} PATCHes, but {writes} intents"));
        }
        if missing > 0 {
            self.violation(format!("history: {missing} applied values are missing from the baseline"));
        }
        if integrity != "ok" {
            self.violation(format!("history: {integrity}"));
        }
    }
}

/// Returns the violations of a page at rest.
fn judge_page(
    state: &State,
    place: Place,
    page: &Page,
    (now, lately): (At, Option<At>),
    up: Duration,
) -> Vec<String> {
    if page.arrived.is_none() && page.variables.is_empty() {
        // No value has reached it yet.
        return Vec::new();
    }
    let mut wrong = wrong_values(state, place, page, now, up);
    let is_late = |lately| state.explanations(place, lately, up).ne(state.explanations(place, now, up));
    if !wrong.is_empty() && lately.is_some_and(is_late) {
        wrong.clear();
    }
    for (name, value) in &page.others {
        let found = part(&page.variables, name);
        if found != Some(value) {
            wrong.push(format!("owned: {place} lost {name} = {value}, has {found:?}"));
        }
    }
    wrong
}

/// Returns the values that no model explains, by the closest model.
///
/// Kept drift belongs to other clients, and values that the schema refuses are not sent.
fn wrong_values(state: &State, place: Place, page: &Page, now: At, up: Duration) -> Vec<String> {
    let is_theirs = |name: &str, ours: &Value| match name {
        "motto" => page.kept.as_ref().is_some_and(|kept| *ours == **kept),
        "label" => page.is_relabelled,
        _ => false,
    };
    let (theirs, mut least) = (json!("theirs"), None::<Vec<String>>);
    for expected in state.explanations(place, now, up) {
        let mut wrong = Vec::new();
        for (name, ours) in &expected {
            if name == "phone" && page.longest_phone.is_some_and(|most| ours.as_str().unwrap().len() > most) {
                return Vec::new();
            }
            let expected = if is_theirs(name, ours) { &theirs } else { ours };
            let found = part(&page.variables, name);
            if found != Some(expected) {
                wrong.push(format!("level: {place} has {name} = {found:?}, not {expected}"));
            }
        }
        if wrong.is_empty() {
            return wrong;
        }
        least = least.filter(|least| least.len() <= wrong.len()).or(Some(wrong));
    }
    least.unwrap_or_default()
}

/// Records that an override or kept drift hides a change, which delays its promotion.
pub(super) fn note_hidden_changes(state: &mut State, lately: At, up: Duration) {
    let lasting = state.overrides.iter().filter(|set| set.until.is_none_or(|until| until > lately));
    let overridden: Vec<Place> = lasting.flat_map(|set| set.places.iter().copied()).collect();
    for (place, page) in &mut state.pages {
        if page.kept.is_some() || overridden.contains(place) {
            page.held_up = page.held_up.max(up);
        }
    }
}

/// Marks promoted pages without delays since `undisturbed` as holding the newest model.
///
/// Returns the number of newly marked pages.
fn note_arrivals(state: &mut State, undisturbed: Duration) -> u64 {
    let newest = state.activations.last().unwrap().at;
    let is_free = |page: &Page| {
        let is_as_settled =
            page.adrift_since.is_none() && page.longest_phone.is_none() && !page.is_relabelled;
        is_as_settled && page.held_up < undisturbed
    };
    let is_there = |(place, page): (&Place, &Page)| match place {
        Place::Follower(site) => is_free(page) && is_free(&state.pages[&Place::Live(*site)]),
        _ => false,
    };
    let there: Vec<Place> = state
        .pages
        .iter()
        .filter(|(_, page)| page.arrived < Some(newest))
        .filter(|page| is_there(*page))
        .map(|(place, _)| *place)
        .collect();
    for place in &there {
        state.pages.get_mut(place).unwrap().arrived = Some(newest);
    }
    let followers = state.pages.iter().filter(|(place, _)| matches!(place, Place::Follower(_)));
    let oldest = followers.map(|(_, page)| page.arrived.unwrap_or_default()).min().unwrap_or(newest);
    state.activations.retain(|activation| activation.at >= oldest);
    there.len() as u64
}
