//! Other clients and people: drift, edits beside ours, and overrides.

use chrono::TimeDelta;
use rtconfd::clock::Clock;
use rtconfd::reconcile::{Control, Feed};
use rtconfd::web::OverrideRequest;
use serde_json::{Value, json};

use super::checks::note_hidden_changes;
use super::{RECOVERY, World};
use crate::world::model::{Inputs, Overridden, Place, REGION, REGIONS, WriterEvent};
use crate::world::remote::Page;

impl World {
    /// Causes drift, which the webhook reports or the next resync finds.
    pub(super) async fn drift(&mut self) {
        let place = self.any_place();
        self.figures.drifts += 1;
        let (up, reported) = (self.clock.uptime(), self.random.bool());
        {
            let mut state = self.remote.state();
            let Some(page) = state.pages.get_mut(&place).filter(|page| page.in_flight == 0) else { return };
            let open = page.variables.get("is_open").and_then(Value::as_bool).unwrap_or_default();
            let (items, _) = place.items();
            let (name, theirs) = match self.random.u8(..3) {
                0 if place == Place::Board => ("sites", json!([])),
                0 => ("is_open", json!(!open)),
                1 if place != Place::Board => ("phone", json!("999")),
                // Replaces the whole array, and with it our items.
                _ => (items, json!([])),
            };
            page.variables.insert(name.to_owned(), theirs);
            page.others.retain(|other, _| name != items || !other.starts_with(&format!("{items}.")));
            page.stamp += 1_000_000;
            page.adrift_since = (!reported).then_some(up);
        }
        if reported && self.running.is_some() {
            let fetch = Control::Fetch { agent: Some(place.agent()), environment: None, by: None };
            let _ = self.running.as_ref().unwrap().feed.send(Feed::Control(fetch)).await;
            self.restart_recovery();
        } else {
            self.remote.state().pages.get_mut(&place).unwrap().adrift_since = Some(up);
        }
    }

    /// Causes drift that the settings keep.
    ///
    /// The motto is kept until the desired value changes, the label until it is changed back. This
    /// needs a quiet world: before a page converges, drift and its old values look alike.
    pub(super) fn take_over(&mut self) {
        let up = self.clock.uptime();
        let place = Place::Live(self.random.usize(..self.inputs.sites.len()));
        let is_label = self.random.bool();
        let seen = up + self.seen_within();
        let mut state = self.remote.state();
        let calm = up.saturating_sub(self.well_since) > RECOVERY * 3 && self.running.is_some();
        let (ours, open) = (state.models[0].motto.clone(), state.forbidden.is_none());
        let Some(page) = state.pages.get_mut(&place).filter(|page| page.in_flight == 0) else { return };
        if !calm || !open || page.longest_phone.is_some() || !page.variables.contains_key("motto") {
            return;
        }
        self.figures.drifts += 1;
        page.stamp += 1_000_000;
        if is_label {
            page.is_relabelled = !page.is_relabelled;
            // Promotions wait while it is relabelled.
            page.held_up = seen;
            let label = if page.is_relabelled { "theirs" } else { "L" };
            page.variables.insert("label".to_owned(), json!(label));
        } else {
            page.kept = Some(ours);
            page.variables.insert("motto".to_owned(), json!("theirs"));
        }
    }

    /// Changes a value of another client.
    pub(super) fn edit_elsewhere(&mut self) {
        let value = json!(self.random.u32(..));
        let place = self.random.u8(..5);
        let target = self.any_place();
        let site = self.random.usize(..self.inputs.sites.len());
        let mut state = self.remote.state();
        let Some(page) = state.pages.get_mut(&target).filter(|page| page.in_flight == 0) else { return };
        page.stamp += 1_000_000;
        if place > 1 {
            let item = match (place, target) {
                (2, Place::Board) => format!("s{site}"),
                (2, _) => "main".to_owned(),
                _ => "other".to_owned(),
            };
            return edit_items(page, target.items(), (place < 4).then_some(&item), &value);
        }
        if place == 1 {
            let shared = page.variables.entry("box").or_insert_with(|| json!({}));
            shared["note"] = value.clone();
            page.others.insert("box.note".to_owned(), value);
        } else {
            page.variables.insert("theirs".to_owned(), value.clone());
            page.others.insert("theirs".to_owned(), value);
        }
    }

    pub(super) async fn apply_override(&mut self) {
        let now = self.clock.now();
        let release = {
            let state = self.remote.state();
            let lasting = state.overrides.iter().find(|set| set.until.is_none_or(|until| until > now));
            lasting.map(|set| set.id).filter(|_| self.random.bool())
        };
        self.figures.overrides += 1;
        if let Some(id) = release {
            // The computed value may be sent before the acknowledgement arrives.
            self.remote.state().overrides_before.retain(|set| set.id != id);
            let released = self.ask(|answer| Control::Release { id, who: "anna".to_owned(), answer }).await;
            if released.is_some_and(|released| released.is_ok()) {
                let (mut state, now, up) = (self.remote.state(), self.clock.now(), self.clock.uptime());
                note_hidden_changes(&mut state, now, up);
                state.overrides.retain(|set| set.id != id);
            }
            return self.restart_recovery();
        }
        let (says, said) = match self.random.u8(..3) {
            0 => ("closed".to_owned(), WriterEvent::Closed),
            1 => ("open".to_owned(), WriterEvent::Open),
            _ => {
                let phone = format!("7{}", self.random.u8(..));
                (format!("phone={phone}"), WriterEvent::Phone(phone))
            }
        };
        let minutes = self.random.i64(1..2000);
        let region = REGIONS[self.random.usize(..2)];
        let asking = OverrideRequest {
            cells: vec![format!("region={region}")],
            says,
            until: self.random.bool().then(|| format!("{minutes}m")),
            reason: "snow".to_owned(),
            who: "anna".to_owned(),
            ..OverrideRequest::default()
        };
        let until = asking.until.is_some().then(|| now + TimeDelta::minutes(minutes));
        let draft = Box::new(asking.read().unwrap());
        let mut places = self.chosen(region);
        // The board has rows of a region but no phone number.
        let of_region = self.inputs.sites.iter().enumerate().filter(|(_, site)| site.region == region);
        let on_board: Vec<usize> = match said {
            WriterEvent::Phone(_) => Vec::new(),
            _ if region != REGION || !self.inputs.has.region => Vec::new(),
            _ => of_region.map(|(number, _)| number).collect(),
        };
        places.extend((!on_board.is_empty()).then_some(Place::Board));
        // The value may be sent before the acknowledgement arrives.
        self.remote.state().overrides.push(Overridden {
            id: 0,
            places,
            on_board,
            says: said,
            from: now,
            until,
        });
        let set = self.ask(|answer| Control::Set(draft, answer)).await;
        match set {
            Some(Ok(set)) => self.judge_chosen(set.id, set.pages.keys().map(Place::of).collect()),
            _ => drop(self.remote.state().overrides.pop()),
        }
        self.restart_recovery();
        // An acknowledged override survives every later event.
        if self.random.u8(..4) == 0 {
            self.kill_now().await;
        }
    }

    /// Returns the pages with rows of a region.
    ///
    /// For promoted pages these are all candidates, since only the program knows their active row.
    fn chosen(&self, region: &str) -> Vec<Place> {
        let (state, up) = (self.remote.state(), self.clock.uptime());
        let is_chosen = |place: &Place| {
            let is_of = |model: &Inputs| model.is_of(*place, region);
            is_of(&self.inputs) || state.possible_models(*place, up).any(is_of)
        };
        self.inputs.places().into_iter().filter(is_chosen).collect()
    }

    /// Checks that an acknowledged override affects exactly the intended pages.
    fn judge_chosen(&self, id: i64, answered: Vec<Place>) {
        let mut state = self.remote.state();
        let set = state.overrides.last_mut().unwrap();
        let may_not = |place: &&Place| matches!(place, Place::Follower(_)) && !answered.contains(place);
        let meant: Vec<Place> = set.places.iter().filter(|place| !may_not(place)).copied().collect();
        let is_right = meant.len() == answered.len() && answered.iter().all(|place| meant.contains(place));
        (set.id, set.places) = (id, answered.clone());
        if !is_right {
            state.violation(format!("override: {answered:?} are chosen, not {meant:?}"));
        }
    }

    /// Drops overrides that ended before any time the clock can step back to.
    pub(super) fn forget_ended_overrides(&mut self) {
        let long_ago = self.clock.now() - TimeDelta::days(2);
        let mut state = self.remote.state();
        state.overrides.retain(|set| set.until.is_none_or(|until| until > long_ago));
        state.overrides_before = state.overrides.clone();
    }

    /// Starts overrides set by a clock that was ahead as soon as the clock is corrected.
    pub(super) fn begin_overrides(&mut self) {
        let now = self.clock.now();
        self.remote.state().overrides.iter_mut().for_each(|set| set.from = set.from.min(now));
    }
}

/// Changes a field of our item, another item, or their order.
fn edit_items(page: &mut Page, (key, named): (&str, &str), item: Option<&String>, value: &Value) {
    let items = page.variables.entry(key).or_insert_with(|| json!([])).as_array_mut().unwrap();
    let Some(item) = item else { return items.reverse() };
    match items.iter_mut().find(|found| found[named] == json!(item)) {
        Some(found) => found["note"] = value.clone(),
        None if item == "other" => items.insert(0, json!({named: "other", "note": value})),
        None => return,
    }
    page.others.insert(format!("{key}.{item}/note"), value.clone());
}
