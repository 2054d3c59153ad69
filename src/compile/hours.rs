//! Builds hours from the settings and the tables and calendars that they name.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::NaiveDate;

use crate::calendar::{Agenda, Filter};
use crate::hours::{Day, Hours, Recent, settle};
use crate::limits::settings::HOURS_WEIGHT;
use crate::model::Problem;
use crate::written::{Fields, Node, Raw, Reader, Text, one_or_more};
use crate::zone::Zone;

use super::compiler::Compiler;
use super::context::{Context, WrittenZone};
use super::formats::Published;
use super::{special, weekly};

/// The keys of hours besides those of the weekly hours.
const KEYS: &[&str] = &["timezone", "special", "special_from", "closed_on"];

impl Compiler<'_> {
    /// Returns hours by name, or hours written in place.
    pub(super) fn hours(
        &self,
        reader: &Reader,
        node: &Node,
        zone: WrittenZone,
        name: Option<&str>,
    ) -> Option<Arc<Hours>> {
        if let Raw::Table(_) = &node.raw {
            let name = name.unwrap_or("the page");
            return self.build_hours(reader, node, name, zone).map(Arc::new);
        }
        let name = reader.text(node, "hours")?;
        if !self.blueprint.hours.contains_key(&name.value) {
            self.note_unknown(reader, "hours", &name.value, &name.origin, self.blueprint.hours.keys());
            return None;
        }
        self.named_hours(reader, &name.value, zone)
    }

    /// Returns the hours that a table names, or else those of its page; the key `needs` them.
    pub(super) fn hours_for(
        &self,
        reader: &Reader,
        needs: &str,
        fields: &Fields,
        context: &Context,
    ) -> Option<Arc<Hours>> {
        if let Some(node) = fields.get("hours") {
            return self.hours(reader, node, context.zone, None);
        }
        if context.hours.is_none() && !context.has_hours {
            reader.note(
                Problem::at(fields.origin, format!("`{needs}` requires `hours`"))
                    .hint("set hours = \"NAME\" here or in the block"),
            );
        }
        context.hours.clone()
    }

    pub(super) fn build_hours(
        &self,
        reader: &Reader,
        node: &Node,
        name: &str,
        zone: WrittenZone,
    ) -> Option<Hours> {
        let keys: Vec<&str> = KEYS.iter().copied().chain(weekly::keys()).collect();
        let fields = reader.table(node, "hours", &keys)?;
        if self.repeats.is_inside() {
            self.repeats.spend(reader, &node.origin, HOURS_WEIGHT)?;
        }
        let problems = reader.problem_count();
        let zone = self.zone_of_hours(reader, &fields, name, zone);
        let published = self.published(reader, &fields);
        let is_read = published.is_some();
        let Published { mut weekly, mut seasons, mut special, holidays, opens } =
            published.unwrap_or_default();
        if let Some((_, window)) = self.inputs {
            settle(&mut weekly, &mut seasons, window.from);
        }
        if let Some(holidays) = &holidays
            && one_or_more(fields.get("closed_on")).is_empty()
        {
            reader.note(
                Problem::at(
                    &holidays.origin,
                    "these hours apply on public holidays, but no calendar lists the public holidays",
                )
                .hint("set closed_on to a calendar of public holidays"),
            );
        }
        if let Some(node) = fields.get("special") {
            special::inline(reader, node, &mut special);
        }
        for node in one_or_more(fields.get("special_from")) {
            self.or_mark_all(node, || self.special_from(reader, node, &mut special));
        }
        let closures = self.closures(reader, one_or_more(fields.get("closed_on")), zone, holidays.as_ref());
        if reader.problem_count() > problems || !is_read {
            return None;
        }
        if let Some(opens) = opens {
            special = special.split_off(&opens);
        }
        Some(Hours {
            name: name.to_owned(),
            zone: zone?,
            weekly: weekly.into(),
            seasons,
            special: special.into(),
            holidays: holidays.filter(|day| !day.intervals.is_empty()),
            closures: closures.all,
            closed_holidays: closures.closed_holidays,
            forced: Vec::new(),
            recent: Recent::default(),
            origin: node.origin.clone(),
        })
    }

    /// Returns the zone of hours: their own, the inherited one, or the default.
    fn zone_of_hours(&self, reader: &Reader, fields: &Fields, name: &str, zone: WrittenZone) -> Option<Zone> {
        match fields.get("timezone") {
            Some(node) => reader.zone(node, "timezone"),
            None if zone == WrittenZone::Unknown => None,
            None => zone.known().or(self.blueprint.zone).or_else(|| {
                reader.note(
                    Problem::at(fields.origin, format!("{name} needs a time zone"))
                        .hint("set timezone = \"Europe/London\", here or at the top of the settings"),
                );
                None
            }),
        }
    }

    /// Returns the closures of the calendars of `closed_on`.
    ///
    /// If public holidays have hours, one of these calendars must hold the holidays. The dates of
    /// the other calendars also close holidays.
    fn closures(
        &self,
        reader: &Reader,
        nodes: &[Node],
        zone: Option<Zone>,
        holidays: Option<&Day>,
    ) -> Closures {
        let mut closures = Closures::default();
        let mut has_holidays = nodes.len() < 2;
        for node in nodes {
            let Some((name, filter)) = self.closing_calendar(reader, node) else {
                // The name comes from a row that is not read yet, or it was noted as invalid.
                has_holidays = true;
                continue;
            };
            let named = self.blueprint.calendars.get(&name.value);
            let is_public = nodes.len() < 2 || named.is_some_and(|calendar| calendar.public.is_some());
            has_holidays |= is_public;
            if !self.knows_calendar(reader, &name) {
                continue;
            }
            let Some(agenda) = zone.and_then(|zone| self.agenda(reader, &name, filter, zone)) else {
                continue;
            };
            // One calendar alone is shared by all hours that it closes.
            match closures.all.is_empty() {
                true => closures.all = agenda.clone(),
                false => Arc::make_mut(&mut closures.all).merge(&agenda),
            }
            if !is_public {
                closures.closed_holidays.extend(agenda.days.keys());
            }
        }
        if let Some(holidays) = holidays.filter(|day| !day.intervals.is_empty() && !has_holidays) {
            reader.note(
                Problem::at(
                    &holidays.origin,
                    "public holidays have hours, but it is unknown which calendar in closed_on lists them",
                )
                .hint("use a calendar with public_holidays, or move the other closures to special"),
            );
        }
        closures
    }
}

/// The closures of `closed_on`.
#[derive(Default)]
struct Closures {
    all: Arc<Agenda>,
    /// The dates that are closed even if they are public holidays with hours.
    closed_holidays: BTreeSet<NaiveDate>,
}

impl Compiler<'_> {
    /// Reads a calendar by name, or `{ calendar, summary, category }`.
    fn closing_calendar(&self, reader: &Reader, node: &Node) -> Option<(Text, Option<Filter>)> {
        let Raw::Table(_) = &node.raw else { return Some((reader.text(node, "closed_on")?, None)) };
        let fields = reader.table(node, "closed_on", &["calendar", "summary", "category"])?;
        let name = fields.require(reader, "calendar").and_then(|node| reader.text(node, "calendar"))?;
        let filter = self.filter(reader, &fields, &name.value);
        Some((name, filter))
    }

    /// Returns the filter written beside the name of a calendar, if any.
    pub(super) fn filter(&self, reader: &Reader, fields: &Fields, calendar: &str) -> Option<Filter> {
        if !fields.has_any(&["summary", "category"]) {
            return None;
        }
        let [summary, category] = ["summary", "category"].map(|key| reader.text(fields.get(key)?, key));
        let origin = summary.as_ref().or(category.as_ref()).map(|text| text.origin.clone());
        let [summary, category] = [summary, category].map(|text| Some(text?.value));
        let filter = Filter { summary, category };
        if let Some(origin) = origin {
            self.record_filter(calendar, &filter, &origin);
        }
        Some(filter)
    }
}
