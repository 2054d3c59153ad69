//! Event lengths: by DTEND, by DURATION, or by default.

use crate::model::Problem;
use crate::zone::Zone;

use super::component::Component;
use super::lines::Property;
use super::notes::Notes;
use super::stamp::{Context, Stamp};
use super::timezones::EventZone;

/// The length of an event (RFC 5545, 3.8.5.3).
///
/// A DTEND gives an exact length; the days of a DURATION are nominal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Length {
    pub(super) days: i64,
    pub(super) seconds: i64,
}

/// Returns the length by DTEND or DURATION, or else the default of RFC 5545, 3.6.1.
pub(super) fn length(
    component: &Component,
    start: &Stamp,
    start_property: &Property,
    context: &Context,
) -> Result<Length, Problem> {
    let end = component.single("DTEND")?;
    let by_end = || end.map(|end| length_until(start, &context.end(end, start)?, end)).transpose();
    let by_duration = component
        .single("DURATION")?
        .map(|property| Ok((length_of(property, start, context.notes)?, property)))
        .transpose()?;
    match (by_end()?, by_duration) {
        (Some(length), Some((duration, property))) => {
            // Thunderbird exports an empty DURATION together with DTEND.
            let is_nothing = (duration.days, duration.seconds) == (0, 0);
            if !is_nothing && (duration.days, duration.seconds) != (length.days, length.seconds) {
                return Err(property
                    .problem("conflicts with DTEND; an event can have only one of them")
                    .hint("keep one of them"));
            }
            context.notes.note(
                "two ends",
                &property.origin,
                "DURATION: ignored, because the event has a DTEND",
            );
            Ok(length)
        }
        (Some(length), None) | (None, Some((length, _))) => Ok(length),
        (None, None) if start_property.param("VALUE") == Some("DATE") || matches!(start, Stamp::Date(_)) => {
            Ok(Length { days: 1, seconds: 0 })
        }
        (None, None) => Ok(Length { days: 0, seconds: 0 }),
    }
}

/// Returns the length given by a DURATION.
///
/// Some programs write the DURATION of an all-day event in seconds.
fn length_of(property: &Property, start: &Stamp, notes: &Notes) -> Result<Length, Problem> {
    let length = duration(&property.value).ok_or_else(|| {
        property
            .problem(format!("invalid duration \"{}\"", property.value))
            .hint("write days, hours and minutes as in P1DT2H30M, weeks alone as in P2W")
    })?;
    if !matches!(start, Stamp::Date(_)) || length.seconds == 0 {
        return Ok(length);
    }
    if length.seconds % 86_400 != 0 {
        return Err(property
            .problem("an all-day event must last whole days")
            .hint("write days alone, as in P1D, or give DTSTART a time"));
    }
    let days = length.days + length.seconds / 86_400;
    notes.note(
        "seconds",
        &property.origin,
        format!("DURATION: {} is read as {days} whole days", property.value.trim()),
    );
    Ok(Length { days, seconds: 0 })
}

pub(super) fn length_until(start: &Stamp, end: &Stamp, property: &Property) -> Result<Length, Problem> {
    let length = match (start, end) {
        (Stamp::Date(start), Stamp::Date(end)) => Length {
            // Some programs write DTEND equal to DTSTART for a single day.
            days: (*end - *start).num_days() + i64::from(start == end),
            seconds: 0,
        },
        (Stamp::Time(start, EventZone::Floating), Stamp::Time(end, _))
        | (Stamp::Time(start, _), Stamp::Time(end, EventZone::Floating)) => {
            Length { days: 0, seconds: (*end - *start).num_seconds() }
        }
        (Stamp::Time(start, from), Stamp::Time(end, to)) => Length {
            days: 0,
            seconds: (to.instant(*end, Zone::UTC) - from.instant(*start, Zone::UTC)).num_seconds(),
        },
        _ => {
            return Err(property
                .problem("must be a date if DTSTART is a date, and a time if DTSTART is a time")
                .hint("write both as dates, or both as times"));
        }
    };
    match length.days < 0 || length.seconds < 0 {
        true => Err(property.problem("is before DTSTART").hint("correct one of them")),
        false => Ok(length),
    }
}

/// Parses a duration such as `P1DT2H30M` or `P2W` (RFC 5545, 3.3.6).
///
/// Negative durations and those longer than ten years are rejected.
pub(super) fn duration(text: &str) -> Option<Length> {
    let text = text.trim();
    let mut rest = text.strip_prefix('+').unwrap_or(text).strip_prefix('P')?;
    let mut length = Length { days: 0, seconds: 0 };
    let mut in_time = false;
    while !rest.is_empty() {
        if let Some(time) = rest.strip_prefix('T') {
            (in_time, rest) = (true, time);
            continue;
        }
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        let unit = rest[digits..].chars().next()?;
        rest = &rest[digits + unit.len_utf8()..];
        match (in_time, unit) {
            (false, 'W') => length.days = length.days.checked_add(number.checked_mul(7)?)?,
            (false, 'D') => length.days = length.days.checked_add(number)?,
            (true, 'H') => length.seconds = length.seconds.checked_add(number.checked_mul(3600)?)?,
            (true, 'M') => length.seconds = length.seconds.checked_add(number.checked_mul(60)?)?,
            (true, 'S') => length.seconds = length.seconds.checked_add(number)?,
            _ => return None,
        }
    }
    // `P` and `PT` alone are invalid, and weeks cannot be combined with other units.
    let says_something = text.ends_with(|c: char| c.is_ascii_alphabetic() && c != 'P' && c != 'T');
    let weeks_alone = !text.contains('W') || (text.ends_with('W') && !text.contains('D'));
    (says_something && weeks_alone && length.days <= 3_660 && length.seconds <= 3_660 * 86_400)
        .then_some(length)
}
