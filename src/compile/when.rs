//! Values that apply under conditions: dates, cron windows, calendars, hours.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use croner::parser::{CronParser, Seconds, Year};

use crate::limits::settings::MAX_CRON_LENGTH;
use crate::model::Problem;
use crate::pages::conditions::{Condition, Conditions, CronWindow, ever_starts};
use crate::pages::definition::{Clause, Definition};
use crate::written::{Fields, Node, Reader, Text};
use crate::zone::{self, Zone};

use super::compiler::Compiler;
use super::context::Context;

impl Compiler<'_> {
    pub(super) fn when(&self, reader: &Reader, fields: &Fields, context: &Context) -> Option<Definition> {
        let zone = self.zone(reader, fields, context, None);
        let nodes = reader.list(fields.get("when")?, "when")?;
        let clauses: Vec<Option<Clause>> =
            nodes.iter().map(|node| self.clause(reader, node, context, zone)).collect();
        let otherwise =
            fields.require(reader, "otherwise").and_then(|node| self.definition(reader, node, context));
        Some(Definition::When {
            clauses: clauses.into_iter().collect::<Option<_>>()?,
            otherwise: Box::new(otherwise?),
        })
    }

    fn clause(&self, reader: &Reader, node: &Node, context: &Context, zone: Option<Zone>) -> Option<Clause> {
        const KEYS: &[&str] =
            &["from", "until", "calendar", "summary", "category", "hours", "state", "cron", "for", "value"];
        let fields = reader.table(node, "a clause of when", KEYS)?;
        let definition =
            fields.require(reader, "value").and_then(|node| self.definition(reader, node, context));
        let mut conditions = Vec::new();
        let problems = reader.problem_count();
        if fields.has_any(&["from", "until"]) {
            conditions.push(self.dates(reader, &fields, zone));
        }
        if let Some(node) = fields.get("calendar") {
            conditions.push(self.calendar_condition(reader, node, &fields, zone));
        }
        if fields.has_any(&["hours", "state"]) {
            conditions.push(self.hours_condition(reader, &fields, context));
        }
        if fields.has_any(&["cron", "for"]) {
            conditions.push(cron(reader, &fields, zone));
        }
        if conditions.is_empty() && problems == reader.problem_count() {
            reader.note(
                Problem::at(&node.origin, "this clause has no condition and would always hold").hint(
                    "give it from and until, calendar, hours, or cron with for; or write it as otherwise",
                ),
            );
        }
        Some(Clause {
            conditions: Conditions(conditions.into_iter().collect::<Option<_>>()?),
            definition: definition?,
            origin: node.origin.clone(),
        })
    }

    fn dates(&self, reader: &Reader, fields: &Fields, zone: Option<Zone>) -> Option<Condition> {
        let moment = |key: &str| {
            let node = fields.get(key)?;
            let text = reader.text(node, key)?;
            Some((local_time(reader, &text)?, text))
        };
        let (from, until) = (moment("from"), moment("until"));
        if let (Some((from, _)), Some((until, text))) = (&from, &until)
            && from >= until
        {
            reader.note(
                Problem::at(&text.origin, "until is not after from")
                    .hint("until is the first moment that no longer counts"),
            );
        }
        let words = |end: &Option<(NaiveDateTime, Text)>, word: &str| {
            end.as_ref().map(|(_, text)| format!("{word} {}", text.value))
        };
        let text = [words(&from, "from"), words(&until, "until")];
        let complete = from.is_some() == fields.get("from").is_some()
            && until.is_some() == fields.get("until").is_some();
        let zone = zone?;
        let instant = |(local, _): (NaiveDateTime, Text)| zone::instant(zone, local);
        complete.then(|| Condition::Dates {
            from: from.map(instant),
            until: until.map(instant),
            text: text.into_iter().flatten().collect::<Vec<_>>().join(" "),
        })
    }

    fn calendar_condition(
        &self,
        reader: &Reader,
        node: &Node,
        fields: &Fields,
        zone: Option<Zone>,
    ) -> Option<Condition> {
        let name = reader.text(node, "calendar")?;
        if !self.knows_calendar(reader, &name) {
            return None;
        }
        let filter = self.filter(reader, fields, &name.value);
        let zone = zone?;
        Some(Condition::Calendar {
            agenda: self.agenda(reader, &name, filter, zone)?,
            zone,
            name: name.value,
        })
    }

    fn hours_condition(&self, reader: &Reader, fields: &Fields, context: &Context) -> Option<Condition> {
        let open = match fields.get("state") {
            None => Some(true),
            Some(node) => {
                let text = reader.text(node, "state")?;
                match text.value.as_str() {
                    "open" => Some(true),
                    "closed" => Some(false),
                    other => {
                        let message = format!("invalid state \"{other}\" of hours");
                        reader.note(Problem::at(&text.origin, message).hint("write open or closed"));
                        None
                    }
                }
            }
        };
        let hours = self.hours_for(reader, "state", fields, context);
        Some(Condition::Hours { hours: hours?, open: open? })
    }
}

/// Parses `2026-12-24` (its first moment) or `2026-12-24T18:00`, in local time.
fn local_time(reader: &Reader, text: &Text) -> Option<NaiveDateTime> {
    let value = text.value.trim().replace(' ', "T");
    let date = value.parse::<NaiveDate>().map(|date| date.and_time(NaiveTime::MIN)).ok();
    let time = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(&value, format).ok());
    reader.ok(date.or(time).ok_or_else(|| {
        Problem::at(&text.origin, format!("\"{}\" is not a date", text.value))
            .hint("write YYYY-MM-DD or YYYY-MM-DDTHH:MM, in local time")
    }))
}

/// Reads `cron = "0 8 * * FRI", for = "4h"`.
///
/// The window opens by the pattern and stays open for the length.
fn cron(reader: &Reader, fields: &Fields, zone: Option<Zone>) -> Option<Condition> {
    let pattern = fields.require(reader, "cron").and_then(|node| reader.text(node, "cron"));
    let length = fields.require(reader, "for").and_then(|node| {
        let length = TimeDelta::from_std(reader.duration(node, "for")?).ok()?;
        let in_range = length <= MAX_CRON_LENGTH;
        reader.ok(in_range.then_some(length).ok_or_else(|| {
            let days = MAX_CRON_LENGTH.num_days();
            Problem::at(&node.origin, format!("a cron window lasts at most {days} days"))
                .hint("use from and until")
        }))
    });
    let pattern = pattern?;
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    let cron = reader.ok(parser.parse(pattern.value.trim()).map_err(|error| {
        Problem::at(&pattern.origin, format!("invalid cron pattern \"{}\": {error}", pattern.value))
            .hint("write minute, hour, day, month and weekday, as in 0 8 * * FRI")
    }));
    let cron = cron.and_then(|cron| {
        let never = || {
            Problem::at(&pattern.origin, format!("cron pattern \"{}\" matches no date", pattern.value))
                .hint("write a day that the month has")
        };
        reader.ok(ever_starts(&cron).then_some(cron).ok_or_else(never))
    });
    let (cron, length, zone) = (cron?, length?, zone?);
    Some(Condition::Cron(Box::new(CronWindow {
        text: format!("by cron \"{}\" for {}", pattern.value, crate::model::length(length.to_std().ok()?)),
        cron,
        length,
        zone,
    })))
}
