//! Public holidays of countries and their subdivisions, by ISO 3166 code.
//!
//! They come from a table embedded in the program. Reads no files and does not use the current
//! time.

use std::collections::BTreeMap;
use std::fmt;

use chrono::NaiveDate;

use crate::limits::calendars::HOLIDAYS_WARNED_DAYS;
use crate::model::{Origin, Problem, nearest};
use crate::zone;

use super::{Calendar, Entry, Occurrence, Span};

/// The table of holidays; its header describes the format and how to regenerate it.
///
/// It stays text, so that only the requested regions are parsed.
const TABLE: &str = include_str!("public_holidays.txt");

/// The category of every holiday, for filters by category.
const CATEGORY: &str = "Public holiday";
/// Maximum codes in a hint; Italy alone has over a hundred.
const LISTED: usize = 20;
/// Maximum holidays near a date in a hint.
const NEAR: usize = 3;

/// The source of the table and the years that it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edition {
    /// The version of the package `holidays`.
    pub version: &'static str,
    /// The first year.
    pub first_year: i32,
    /// The last year; fewer years may be known for some regions.
    pub last_year: i32,
}

impl Edition {
    /// Returns the edition of this program's table.
    pub fn here() -> Self {
        let head = TABLE.lines().next().unwrap_or_default();
        let mut words = head.split(' ').skip(1);
        let version = words.next().unwrap_or_default();
        let mut year = || words.next().and_then(|word| word.parse().ok()).unwrap_or_default();
        Self { version, first_year: year(), last_year: year() }
    }
}

/// Formats the edition as `holidays 0.109, 2025 to 2037`.
impl fmt::Display for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "holidays {}, {} to {}", self.version, self.first_year, self.last_year)
    }
}

/// A country or subdivision whose public holidays are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its code: ISO 3166-1 (`GB`) or ISO 3166-2 (`GB-ENG`).
    pub code: &'static str,
    /// Its name.
    pub name: &'static str,
    /// The last year for which all of its holidays are known.
    ///
    /// Tables of lunar calendars end earlier than tables of solar calendars.
    pub last_year: i32,
    /// Its lines in the table; those of a subdivision amend its country's.
    lines: &'static str,
}

impl Region {
    /// Returns the region with a code.
    ///
    /// # Errors
    /// Fails for an unknown code, with a suggestion as the hint.
    pub fn named(code: &str) -> Result<Self, Problem> {
        Self::find(code).ok_or_else(|| {
            Problem::new(format!("unknown public holiday region \"{code}\"")).hint(meant(code))
        })
    }

    /// Returns all regions, each country before its subdivisions.
    pub fn all() -> impl Iterator<Item = Self> {
        blocks(TABLE)
    }

    /// Returns the subdivisions in the table.
    fn subdivisions(&self) -> impl Iterator<Item = Self> {
        let prefix = format!("{}-", self.code);
        let behind = position(self.code).and_then(|at| TABLE.get(at + 1..)).unwrap_or_default();
        blocks(behind).take_while(move |region| region.code.starts_with(&prefix))
    }

    /// Returns a warning if every subdivision has holidays beyond those of the country.
    ///
    /// Naming the country alone then misses holidays wherever the business is.
    pub fn incomplete(&self) -> Option<Problem> {
        let mut subdivisions = self.subdivisions().peekable();
        subdivisions.peek()?;
        subdivisions.all(|region| region.lines.starts_with('+')).then(|| {
            let message =
                format!("every subdivision of {} has more public holidays than {0} alone", self.code);
            Problem::new(message).warning().hint(format!("name the subdivision: {}", listed(self)))
        })
    }

    /// Returns its holidays in the years that the table covers, with their names.
    fn holidays(&self) -> BTreeMap<NaiveDate, Vec<&'static str>> {
        let edition = Edition::here();
        let country = self.code.split_once('-').and_then(|(country, _)| Self::find(country));
        let mut days: BTreeMap<NaiveDate, Vec<&str>> = BTreeMap::new();
        for line in country.iter().chain([self]).flat_map(|region| region.lines.lines()) {
            let Some(Line { is_added, name, columns }) = Line::read(line) else { continue };
            for date in dates(columns, &edition) {
                let names = days.entry(date).or_default();
                match is_added {
                    true => names.push(name),
                    false => names.retain(|known| *known != name),
                }
            }
        }
        days.retain(|_, names| !names.is_empty());
        days
    }

    /// Returns the calendar of its holidays, without the removed dates and with the added ones.
    ///
    /// A date in both lists keeps only the added name. Removed dates before the first year of the
    /// table are ignored, so that settings stay valid when a newer table begins later.
    ///
    /// # Errors
    /// Returns a problem for each removed date that is not a holiday, listing the holidays near it.
    pub fn calendar(
        &self,
        added: &[(NaiveDate, Entry)],
        removed: &[(NaiveDate, Origin)],
    ) -> Result<Calendar, Vec<Problem>> {
        let mut days = self.holidays();
        let edition = Edition::here();
        let is_wrong = |(date, _): &&(NaiveDate, Origin)| {
            !days.contains_key(date) && chrono::Datelike::year(date) >= edition.first_year
        };
        let wrong = removed.iter().filter(is_wrong);
        let problems: Vec<Problem> =
            wrong.map(|(date, origin)| self.no_holiday(&days, *date, origin)).collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        for (date, _) in removed {
            days.remove(date);
        }
        // The user's name for a day comes before the table's.
        let listed = added.iter().map(|(date, entry)| occurrence(*date, &entry.name, entry.origin.clone()));
        let known = days.iter().flat_map(|(date, names)| {
            names.iter().map(|name| occurrence(*date, name, self.origin(*date, &edition)))
        });
        Ok(Calendar { listed: listed.chain(known).collect(), ..Calendar::default() })
    }

    /// Returns the last day on which a holiday would be known.
    pub fn last_day(&self) -> Option<NaiveDate> {
        NaiveDate::from_ymd_opt(self.last_year, 12, 31)
    }

    /// Returns a problem if the known holidays end soon after a date, or before it.
    ///
    /// It is a warning from 90 days before the end, and an error once the end has passed.
    pub fn ending(&self, on: NaiveDate) -> Option<Problem> {
        let end = NaiveDate::from_ymd_opt(self.last_year + 1, 1, 1)?;
        let days_left = (end - on).num_days();
        let Edition { version, .. } = Edition::here();
        let known = format!("the public holidays of {} are known up to {}", self.code, self.last_year);
        let problem = match days_left {
            ..=0 => Problem::new(format!(
                "{known} only (holidays {version}): later public holidays close nothing"
            )),
            1..=HOLIDAYS_WARNED_DAYS => {
                Problem::new(format!("{known} (holidays {version}), which ends in {days_left} day(s)"))
                    .warning()
            }
            _ => return None,
        };
        Some(problem.hint("install a newer rtconfd, or name a calendar file with path instead"))
    }

    fn find(code: &str) -> Option<Self> {
        let region = blocks(TABLE.get(position(code)?..)?).next()?;
        (region.code == code).then_some(region)
    }

    /// Parses a block of the table, without the sign that begins it.
    fn read(block: &'static str) -> Option<Self> {
        let (head, lines) = block.split_once('\n').unwrap_or((block, ""));
        let mut words = head.splitn(3, ' ');
        let (code, year, name) = (words.next()?, words.next()?, words.next()?);
        Some(Self { code, name, last_year: year.parse().ok()?, lines })
    }

    fn origin(&self, date: NaiveDate, edition: &Edition) -> Origin {
        Origin::named(format!("public holidays {} {date} (holidays {})", self.code, edition.version))
    }

    fn no_holiday(
        &self,
        days: &BTreeMap<NaiveDate, Vec<&'static str>>,
        date: NaiveDate,
        origin: &Origin,
    ) -> Problem {
        let before = days.range(..date).rev().take(NEAR);
        let mut near: Vec<_> = before.chain(days.range(date..).take(NEAR)).collect();
        near.sort_by_key(|(day, _)| (**day - date).num_days().abs());
        near.truncate(NEAR);
        near.sort();
        let near: Vec<String> =
            near.iter().map(|(day, names)| format!("{day} ({})", names.join(", "))).collect();
        Problem::at(origin, format!("{date} is not a public holiday of {}", self.code))
            .hint(format!("correct the date; the nearest public holidays are {}", near.join(", ")))
    }
}

/// A line of the table: a holiday added, or a holiday of the country removed.
struct Line {
    is_added: bool,
    name: &'static str,
    columns: &'static str,
}

impl Line {
    fn read(line: &'static str) -> Option<Self> {
        let (name, columns) = line.split_once('\t')?;
        let (is_added, name) = match name.strip_prefix('+') {
            Some(name) => (true, name),
            None => (false, name.strip_prefix('-')?),
        };
        Some(Self { is_added, name, columns })
    }
}

/// Returns the dates of a line, which has one column for every year or one column per year.
fn dates(columns: &'static str, edition: &Edition) -> impl Iterator<Item = NaiveDate> {
    let years = edition.first_year..=edition.last_year;
    years.zip(columns.split(' ').cycle()).flat_map(|(year, column)| {
        column.split(',').filter_map(move |day| {
            let day: u32 = day.parse().ok()?;
            NaiveDate::from_ymd_opt(year, day / 100, day % 100)
        })
    })
}

/// Returns the offset of a region in the table: the line break before it.
fn position(code: &str) -> Option<usize> {
    TABLE.find(&format!("\n@{code} "))
}

/// Returns the regions in a part of the table.
fn blocks(part: &'static str) -> impl Iterator<Item = Region> {
    part.split("\n@").skip(1).filter_map(Region::read)
}

fn occurrence(date: NaiveDate, name: &str, origin: Origin) -> Occurrence {
    Occurrence {
        span: Span::Dates(date, zone::next(date)),
        summary: name.into(),
        categories: [CATEGORY].iter().collect(),
        recurs: false,
        origin,
    }
}

/// Returns the hint for an unknown code.
fn meant(code: &str) -> String {
    let upper = code.trim().to_uppercase().replace('_', "-");
    // A common mistake: the ISO code is GB.
    let upper = if upper == "UK" { "GB".to_owned() } else { upper.replace("UK-", "GB-") };
    let by_name = |name: &str| Region::all().find(|region| region.name.eq_ignore_ascii_case(name));
    if let Some(Region { code, name, .. }) = Region::find(&upper).or_else(|| by_name(code.trim())) {
        return format!("did you mean \"{code}\" ({name})?");
    }
    let country = upper.split_once('-').and_then(|(country, _)| Region::find(country));
    if let Some(country) = country {
        return known_of(&country);
    }
    // In a short code, every other code is equally similar.
    let close = match upper.len() {
        ..=3 => None,
        _ => nearest(code.trim(), Region::all().map(|region| region.name).filter(|name| alike(code, name))),
    };
    match close.and_then(by_name) {
        Some(Region { code, name, .. }) => format!("did you mean \"{code}\" ({name})?"),
        None => "write an ISO 3166 code, as in FR, DE-BY or GB-ENG; rtconfd calendar --codes lists them"
            .to_owned(),
    }
}

/// Returns true if comparing a word with a name is worth the time.
///
/// They must have similar lengths and the same first letter.
fn alike(word: &str, name: &str) -> bool {
    let first = |text: &str| text.trim().chars().next().map(|c| c.to_ascii_lowercase());
    first(word) == first(name) && word.len().abs_diff(name.len()) <= 3
}

/// Returns the hint listing the codes in a country.
fn known_of(country: &Region) -> String {
    let code = country.code;
    match listed(country) {
        none if none.is_empty() => format!("write \"{code}\": no holidays of its subdivisions are known"),
        known => format!("write one of {known}; elsewhere in {} write \"{code}\"", country.name),
    }
}

/// Lists the subdivisions of a country, for a hint.
fn listed(country: &Region) -> String {
    let all = country.subdivisions().map(|region| format!("{} ({})", region.code, region.name));
    let mut all: Vec<String> = all.collect();
    if let Some(more @ 1..) = all.len().checked_sub(LISTED) {
        all.truncate(LISTED);
        all.push(format!("and {more} more (rtconfd calendar --codes)"));
    }
    all.join(", ")
}

#[cfg(test)]
mod tests;
