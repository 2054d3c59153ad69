//! A time zone: a name, and the offsets that one zone database defines for it.

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{LazyLock, Mutex, OnceLock, PoisonError};

use chrono::{
    Datelike, FixedOffset, LocalResult, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, Offset,
    TimeZone, Timelike, Utc,
};
use jiff::civil;
use jiff::tz::{AmbiguousOffset, TimeZone as Tzif};

use crate::model::Instant;

/// A time zone of one zone database.
///
/// This is a handle: cheap to copy, and two are equal if their names and rules are equal. The rules
/// are kept for the life of the process: a database update brings few new ones, and a held revision
/// still needs the previous ones.
#[derive(Clone, Copy)]
pub struct Zone(&'static Rules);

struct Rules {
    name: String,
    /// The rules as stored in the database, in TZif (RFC 9636); empty for UTC.
    tzif: Vec<u8>,
    parsed: Tzif,
    /// The changes in the years that are usually queried.
    ///
    /// Evaluating the rules for each query takes many times as long.
    table: OnceLock<Table>,
}

/// The changes of a zone's offset in [`TABLE_YEARS`].
///
/// All times are in seconds since 1970, all offsets in seconds.
struct Table {
    first: i32,
    changes: Vec<Change>,
}

/// One change of an offset.
#[derive(Clone, Copy)]
struct Change {
    at: i64,
    before: i32,
    after: i32,
}

/// The years 1970 to 2099, in seconds since 1970.
const TABLE_YEARS: std::ops::Range<i64> = 0..4_102_444_800;
/// The largest difference between local time and UTC, in seconds, with some margin.
const LARGEST_OFFSET: i64 = 2 * 86_400;

/// The rules in use so far, by name and TZif data.
type Known = HashMap<(&'static str, &'static [u8]), &'static Rules>;
static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);

static UTC: Rules =
    Rules { name: String::new(), tzif: Vec::new(), parsed: Tzif::UTC, table: OnceLock::new() };

/// The interpretation of a local time.
enum Local {
    Once(FixedOffset),
    /// The clock shows it twice: the offset of the first time, and that of the second.
    Twice(FixedOffset, FixedOffset),
    /// The clock skips it: the offset before the change, and the instant of the change.
    Skipped(FixedOffset, Option<Instant>),
}

impl Zone {
    /// Coordinated Universal Time, the same in every database.
    pub const UTC: Self = Self(&UTC);

    /// Parses the rules of a zone from TZif data; returns none if the data is invalid.
    pub(super) fn parse(name: &str, tzif: &[u8]) -> Option<Self> {
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rules) = known.get(&(name, tzif)) {
            return Some(Self(rules));
        }
        let parsed = Tzif::tzif(name, tzif).ok()?;
        let rules: &'static Rules = Box::leak(Box::new(Rules {
            name: name.to_owned(),
            tzif: tzif.to_vec(),
            parsed,
            table: OnceLock::new(),
        }));
        known.insert((&rules.name, &rules.tzif), rules);
        Some(Self(rules))
    }

    /// Returns the name in the IANA database, such as `Europe/London`.
    pub fn name(self) -> &'static str {
        if self.0.name.is_empty() { "UTC" } else { &self.0.name }
    }

    /// Returns the TZif data; none for UTC, which needs none.
    pub fn tzif(self) -> Option<&'static [u8]> {
        Some(&self.0.tzif[..]).filter(|tzif| !tzif.is_empty())
    }

    /// Returns the offset from UTC at an instant.
    pub fn offset_at(self, at: Instant) -> FixedOffset {
        match self.0.table().offset_at(at.timestamp()) {
            Some(offset) => offset,
            None => fixed(self.0.parsed.to_offset(timestamp(at))),
        }
    }

    /// Returns the instants in `(from, to]` at which the offset changes, in chronological order.
    pub fn changes(self, from: Instant, to: Instant) -> Vec<Instant> {
        let mut offset = self.offset_at(from);
        let mut changes = Vec::new();
        for change in self.0.parsed.following(timestamp(from)) {
            let Some(at) = instant_of(change.timestamp()).filter(|at| *at <= to) else { break };
            let after = fixed(change.offset());
            if after != offset {
                changes.push(at);
                offset = after;
            }
        }
        changes
    }

    /// Returns the offset at the first occurrence of a local time.
    ///
    /// For a skipped time, returns the offset before the change and the instant of the change.
    pub(super) fn first_offset(self, local: NaiveDateTime) -> (FixedOffset, Option<Instant>) {
        match self.local(local) {
            Local::Once(offset) | Local::Twice(offset, _) => (offset, None),
            Local::Skipped(before, change) => (before, change),
        }
    }

    fn local(self, local: NaiveDateTime) -> Local {
        if let Some(known) = self.0.table().local(local.and_utc().timestamp()) {
            return known;
        }
        let Some(civil) = civil_of(local) else { return Local::Once(self.offset_at(local.and_utc())) };
        match self.0.parsed.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } => Local::Once(fixed(offset)),
            AmbiguousOffset::Fold { before, after } => Local::Twice(fixed(before), fixed(after)),
            AmbiguousOffset::Gap { before, after } => {
                Local::Skipped(fixed(before), self.change_around(local, fixed(before), fixed(after)))
            }
        }
    }

    /// Returns the clock change that skips a local time.
    ///
    /// Read with the offset after the change, the local time is an instant before the change. Read
    /// with the offset before the change, it is an instant after it.
    fn change_around(self, local: NaiveDateTime, before: FixedOffset, after: FixedOffset) -> Option<Instant> {
        let from = local.checked_sub_offset(after)?.and_utc();
        let to = local.checked_sub_offset(before)?.and_utc();
        self.changes(from, to).into_iter().next()
    }
}

impl Rules {
    fn table(&self) -> &Table {
        self.table.get_or_init(|| {
            let start = jiff::Timestamp::from_second(TABLE_YEARS.start).unwrap_or(jiff::Timestamp::MIN);
            let first = self.parsed.to_offset(start).seconds();
            let (mut changes, mut before) = (Vec::new(), first);
            for change in self.parsed.following(start) {
                let (at, after) = (change.timestamp().as_second(), change.offset().seconds());
                if !TABLE_YEARS.contains(&at) {
                    break;
                }
                // Some changes affect only the name.
                if after != before {
                    changes.push(Change { at, before, after });
                    before = after;
                }
            }
            Table { first, changes }
        })
    }
}

impl Table {
    /// Returns the offset at a time; none outside of the table's years.
    fn offset_at(&self, at: i64) -> Option<FixedOffset> {
        if !TABLE_YEARS.contains(&at) {
            return None;
        }
        let past = self.changes.partition_point(|change| change.at <= at);
        let offset = past.checked_sub(1).map_or(self.first, |last| self.changes[last].after);
        FixedOffset::east_opt(offset)
    }

    /// Returns the interpretation of a local time; none outside of the table's years.
    ///
    /// `local` is the local time in seconds since 1970, as if it were UTC.
    fn local(&self, local: i64) -> Option<Local> {
        if !(TABLE_YEARS.start + LARGEST_OFFSET..TABLE_YEARS.end - LARGEST_OFFSET).contains(&local) {
            return None;
        }
        // A change skips or repeats the times between the two local times that the clock shows at
        // it.
        let times = |change: &Change| {
            let (before, after) = (change.at + i64::from(change.before), change.at + i64::from(change.after));
            (before.min(after), before.max(after))
        };
        let past = self.changes.partition_point(|change| times(change).1 <= local);
        let Some(next) = self.changes.get(past).filter(|change| times(change).0 <= local) else {
            let offset = past.checked_sub(1).map_or(self.first, |last| self.changes[last].after);
            return FixedOffset::east_opt(offset).map(Local::Once);
        };
        let (before, after) = (FixedOffset::east_opt(next.before)?, FixedOffset::east_opt(next.after)?);
        Some(match next.after > next.before {
            true => Local::Skipped(before, chrono::DateTime::<Utc>::from_timestamp(next.at, 0)),
            false => Local::Twice(before, after),
        })
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for Zone {}

impl Hash for Zone {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::ptr::hash(self.0, state);
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The offset of a zone at one time, in the form that chrono requires.
#[derive(Clone, Copy)]
pub struct ZoneOffset {
    zone: Zone,
    offset: FixedOffset,
}

impl Offset for ZoneOffset {
    fn fix(&self) -> FixedOffset {
        self.offset
    }
}

impl fmt::Debug for ZoneOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.offset.fmt(f)
    }
}

impl fmt::Display for ZoneOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.offset.fmt(f)
    }
}

impl TimeZone for Zone {
    type Offset = ZoneOffset;

    fn from_offset(offset: &ZoneOffset) -> Self {
        offset.zone
    }

    fn offset_from_local_date(&self, local: &NaiveDate) -> MappedLocalTime<ZoneOffset> {
        self.offset_from_local_datetime(&local.and_time(NaiveTime::MIN))
    }

    fn offset_from_local_datetime(&self, local: &NaiveDateTime) -> MappedLocalTime<ZoneOffset> {
        let of = |offset| ZoneOffset { zone: *self, offset };
        match self.local(*local) {
            Local::Once(offset) => LocalResult::Single(of(offset)),
            Local::Twice(first, second) => LocalResult::Ambiguous(of(first), of(second)),
            Local::Skipped(..) => LocalResult::None,
        }
    }

    fn offset_from_utc_date(&self, utc: &NaiveDate) -> ZoneOffset {
        self.offset_from_utc_datetime(&utc.and_time(NaiveTime::MIN))
    }

    fn offset_from_utc_datetime(&self, utc: &NaiveDateTime) -> ZoneOffset {
        ZoneOffset { zone: *self, offset: self.offset_at(utc.and_utc()) }
    }
}

/// Converts an instant for jiff.
///
/// The library cannot represent times before the year -9999 or after 9999; its first and last
/// instant are used instead.
fn timestamp(at: Instant) -> jiff::Timestamp {
    let end = if at.timestamp() < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    jiff::Timestamp::from_second(at.timestamp()).unwrap_or(end)
}

fn instant_of(timestamp: jiff::Timestamp) -> Option<Instant> {
    chrono::DateTime::<Utc>::from_timestamp(timestamp.as_second(), 0)
}

fn civil_of(local: NaiveDateTime) -> Option<civil::DateTime> {
    let small = |number: u32| i8::try_from(number).ok();
    let (year, month, day) = (i16::try_from(local.year()).ok()?, small(local.month())?, small(local.day())?);
    let (hour, minute, second) = (small(local.hour())?, small(local.minute())?, small(local.second())?);
    civil::DateTime::new(year, month, day, hour, minute, second, 0).ok()
}

fn fixed(offset: jiff::tz::Offset) -> FixedOffset {
    FixedOffset::east_opt(offset.seconds()).unwrap_or_else(|| Utc.fix())
}
