//! Coming values as an iCalendar file, for calendar programs.

use calcard::common::PartialDateTime;
use calcard::icalendar::{
    ICalendar, ICalendarComponent, ICalendarComponentType, ICalendarProperty, ICalendarValue,
};
use chrono::{Datelike, Timelike};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::model::{Instant, shorten};

use super::row::Row;

/// Returns a calendar with an event for each period in which a variable has a value.
///
/// A period ends with the next change of its variable, or with the window. Null and false give no
/// event: `is_open` is then an event for each time at which a site is open.
pub(super) fn calendar(rows: &[Row], to: Instant, now: Instant) -> String {
    let mut calendar = ICalendarComponent::new(ICalendarComponentType::VCalendar);
    calendar.add_property(ICalendarProperty::Version, text("2.0"));
    calendar.add_property(ICalendarProperty::Prodid, text("-//rtconfd//preview//EN"));
    let mut events = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let is_same = |later: &&Row| (later.order.1, later.order.2) == (row.order.1, row.order.2);
        let end = rows[index + 1..].iter().find(is_same).map_or(to, |later| later.order.0);
        if !matches!(row.to, Value::Null | Value::Bool(false)) && row.order.0 < end {
            events.push(event(row, end, now));
        }
    }
    calendar.component_ids = (1..).take(events.len()).collect();
    ICalendar { components: [vec![calendar], events].concat() }.to_string()
}

fn event(row: &Row, end: Instant, now: Instant) -> ICalendarComponent {
    let mut event = ICalendarComponent::new(ICalendarComponentType::VEvent);
    let name = format!("{} {} {}", row.page, row.variable, row.at);
    let uid: String = Sha256::digest(name)[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    event.add_uid(&format!("{uid}@rtconfd"));
    event.add_dtstamp(date_time(now));
    event.add_property(ICalendarProperty::Dtstart, date_time(row.order.0));
    event.add_property(ICalendarProperty::Dtend, date_time(end));
    let value = match &row.to {
        Value::Bool(true) => String::new(),
        value => format!(" = {}", shorten(value, 60)),
    };
    event.add_property(ICalendarProperty::Summary, text(&format!("{}{value} ({})", row.variable, row.page)));
    event.add_property(ICalendarProperty::Description, text(&row.because));
    // It says nothing about the time of the person who subscribes to it.
    event.add_property(ICalendarProperty::Transp, text("TRANSPARENT"));
    event
}

fn text(text: &str) -> ICalendarValue {
    ICalendarValue::Text(text.to_owned())
}

/// Returns an instant in UTC.
fn date_time(at: Instant) -> PartialDateTime {
    let small = |number: u32| u8::try_from(number).ok();
    PartialDateTime {
        year: u16::try_from(at.year()).ok(),
        month: small(at.month()),
        day: small(at.day()),
        hour: small(at.hour()),
        minute: small(at.minute()),
        second: small(at.second()),
        tz_hour: Some(0),
        tz_minute: Some(0),
        tz_minus: false,
    }
}
