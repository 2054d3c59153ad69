//! Public holidays of countries and their subdivisions, by ISO 3166 code.
//!
//! They come from a table embedded in the program. Reads no files and does not use the current
//! time.

use std::collections::BTreeMap;
use std::fmt;

use chrono::NaiveDate;

use crate::model::{Origin, Problem, nearest};
use crate::zone;

use super::{Calendar, Entry, Occurrence, Span};

/// The table of holidays; its header describes the format and how to regenerate it.
///
/// It stays text, so that only the requested regions are parsed.
const TABLE: &str = include_str!("public_holidays.txt");

/// The category of every holiday, for filters by category.
const CATEGORY: &str = "Public holiday";
/// Days before the end of the known holidays from which a warning is given.
const WARNED_DAYS: i64 = 90;
/// Maximum codes in a hint; Italy alone has over a hundred.
const MAX_LISTED: usize = 20;
/// Maximum holidays near a date in a hint.
const MAX_NEAR: usize = 3;

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
    pub fn subdivisions(&self) -> impl Iterator<Item = Self> {
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
    pub fn holidays(&self) -> BTreeMap<NaiveDate, Vec<&'static str>> {
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
        Ok(Calendar::listed(&format!("public holidays {}", self.code), listed.chain(known).collect()))
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
            1..=WARNED_DAYS => {
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
        let before = days.range(..date).rev().take(MAX_NEAR);
        let mut near: Vec<_> = before.chain(days.range(date..).take(MAX_NEAR)).collect();
        near.sort_by_key(|(day, _)| (**day - date).num_days().abs());
        near.truncate(MAX_NEAR);
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
        summary: name.to_owned(),
        categories: vec![CATEGORY.to_owned()],
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
    if let Some(more @ 1..) = all.len().checked_sub(MAX_LISTED) {
        all.truncate(MAX_LISTED);
        all.push(format!("and {more} more (rtconfd calendar --codes)"));
    }
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chrono::Datelike;

    use super::*;
    use crate::calendar::Window;
    use crate::model::Severity;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn region(code: &str) -> Region {
        Region::named(code).unwrap()
    }

    #[test]
    fn each_region_has_only_its_own_holidays() {
        // `!` marks a date that is a holiday elsewhere in the country but not here.
        for (code, dates) in [
            (
                "GB-ENG",
                "2026-01-01 2026-04-03 2026-04-06 2026-05-04 2026-05-25 2026-08-31 2026-12-25 2026-12-28",
            ),
            ("GB-ENG", "2027-12-27 2027-12-28 2028-01-03 !2026-01-02 !2026-03-17 !2026-08-03 !2026-11-30"),
            ("GB-SCT", "2026-01-01 2026-01-02 2026-08-03 2026-11-30 !2026-04-06 !2026-08-31 !2026-07-13"),
            ("GB-NIR", "2026-03-17 2026-07-13 2026-04-06 2026-08-31 !2026-01-02"),
            ("GB-WLS", "2026-04-06 2026-08-31 !2026-01-02"),
            ("GB", "2026-12-25 2026-12-28 !2026-04-06 !2026-08-31"),
            ("DE-BY", "2026-01-06 2026-06-04 2026-11-01 2026-10-03 !2026-03-08 !2026-10-31"),
            ("DE-BE", "2026-03-08 2026-10-03 !2026-01-06 !2026-06-04 !2026-11-01"),
            ("DE-SN", "2026-10-31 2026-11-18 !2026-11-01"),
            ("US", "2026-07-03 2026-10-12 2026-11-11 2026-11-26 !2026-03-31 !2026-11-27"),
            ("US-CA", "2026-03-31 2026-11-26 2026-11-27 !2026-10-12"),
            ("FR", "2026-04-06 2026-05-14 2026-07-14 !2026-04-03 !2026-12-26"),
            ("FR-57", "2026-04-03 2026-12-26 2026-07-14"),
            ("FR-6AE", "2026-04-03 2026-12-26"),
            ("ES-MD", "2026-04-02 2026-05-02 2026-10-12 !2026-04-06 !2026-09-11"),
            ("ES-CT", "2026-04-06 2026-09-11 !2026-05-02"),
            ("CA-QC", "2026-05-18 2026-06-24 2026-07-01 !2026-08-03"),
            ("CA-BC", "2026-08-03 !2026-06-24"),
            ("AU-VIC", "2026-11-03 2026-01-26 !2026-06-01"),
            ("CH-ZH", "2026-05-01 2026-08-01 !2026-01-06"),
            ("IT-RM", "2026-06-29 2026-08-15"),
            ("AT", "2026-10-26"),
            // A day between two holidays is a holiday itself.
            ("JP", "2026-09-21 2026-09-22 2026-09-23"),
            ("LK", "2026-05-01"),
        ] {
            let holidays = region(code).holidays();
            for word in dates.split(' ') {
                let (wanted, day) = word.strip_prefix('!').map_or((true, word), |day| (false, day));
                assert_eq!(holidays.contains_key(&date(day)), wanted, "{code} {day}: {holidays:?}");
            }
        }
    }

    #[test]
    fn england_has_exactly_these_holidays_in_2026_and_2027() {
        let reported = |from: &str, to: &str| -> String {
            let days = region("GB-ENG").holidays();
            let days = days.range(date(from)..date(to));
            days.map(|(day, names)| format!("{day} {}\n", names.join(", "))).collect()
        };
        let wanted = "\
2026-01-01 New Year's Day
2026-04-03 Good Friday
2026-04-06 Easter Monday
2026-05-04 May Day
2026-05-25 Spring Bank Holiday
2026-08-31 Late Summer Bank Holiday
2026-12-25 Christmas Day
2026-12-26 Boxing Day
2026-12-28 Boxing Day (observed)
2027-01-01 New Year's Day
2027-03-26 Good Friday
2027-03-29 Easter Monday
2027-05-03 May Day
2027-05-31 Spring Bank Holiday
2027-08-30 Late Summer Bank Holiday
2027-12-25 Christmas Day
2027-12-26 Boxing Day
2027-12-27 Christmas Day (observed)
2027-12-28 Boxing Day (observed)
";
        assert_eq!(reported("2026-01-01", "2028-01-01"), wanted);
    }

    #[test]
    fn every_line_of_the_table_is_parsed() {
        let edition = Edition::here();
        let years = usize::try_from(edition.last_year - edition.first_year + 1).unwrap();
        let headers = TABLE.lines().filter(|line| line.starts_with('@'));
        let regions: Vec<Region> = Region::all().collect();
        assert_eq!(headers.count(), regions.len());
        let codes: BTreeSet<&str> = regions.iter().map(|region| region.code).collect();
        assert_eq!(codes.len(), regions.len(), "a code stands twice");
        for region in &regions {
            assert_eq!(Region::named(region.code).unwrap(), *region);
            assert!((edition.first_year..=edition.last_year).contains(&region.last_year), "{region:?}");
            for line in region.lines.lines() {
                let read = Line::read(line).unwrap_or_else(|| panic!("{}: {line}", region.code));
                let columns = read.columns.split(' ').count();
                assert!([1, years].contains(&columns), "{}: {line}", region.code);
                let written = read.columns.split([' ', ',']).filter(|day| *day != "-").count();
                let each = if columns == 1 { years } else { 1 };
                assert_eq!(dates(read.columns, &edition).count(), written * each, "{}: {line}", region.code);
            }
            let holidays = region.holidays();
            for year in edition.first_year..=region.last_year {
                assert!(holidays.keys().any(|day| day.year() == year), "{} has none in {year}", region.code);
            }
        }
    }

    #[test]
    fn a_subdivision_removes_only_holidays_of_its_country() {
        let edition = Edition::here();
        for subdivision in Region::all().filter(|region| region.code.contains('-')) {
            let country = region(subdivision.code.split_once('-').unwrap().0).holidays();
            for line in subdivision.lines.lines().filter_map(Line::read) {
                for day in dates(line.columns, &edition) {
                    let has = country.get(&day).is_some_and(|names| names.contains(&line.name));
                    assert_ne!(has, line.is_added, "{} {day} {}", subdivision.code, line.name);
                }
            }
        }
    }

    #[test]
    fn an_unknown_code_is_reported_with_suggestions() {
        for (code, hint) in [
            ("gb-eng", "did you mean \"GB-ENG\" (England)?"),
            ("GB_ENG", "did you mean \"GB-ENG\" (England)?"),
            ("UK", "did you mean \"GB\" (United Kingdom)?"),
            ("UK-SCT", "did you mean \"GB-SCT\" (Scotland)?"),
            ("scotland", "did you mean \"GB-SCT\" (Scotland)?"),
            ("Scotlnd", "did you mean \"GB-SCT\" (Scotland)?"),
            (
                "GB-LND",
                "write one of GB-ENG (England), GB-NIR (Northern Ireland), GB-SCT (Scotland), GB-WLS (Wales); elsewhere in United Kingdom write \"GB\"",
            ),
            ("JP-13", "write \"JP\": no holidays of its subdivisions are known"),
            ("XX", "write an ISO 3166 code, as in FR, DE-BY or GB-ENG; rtconfd calendar --codes lists them"),
            ("", "write an ISO 3166 code, as in FR, DE-BY or GB-ENG; rtconfd calendar --codes lists them"),
            (
                "GB 2037",
                "write an ISO 3166 code, as in FR, DE-BY or GB-ENG; rtconfd calendar --codes lists them",
            ),
        ] {
            let problem = Region::named(code).unwrap_err();
            assert_eq!(problem.message, format!("unknown public holiday region \"{code}\""));
            assert_eq!(problem.hint.as_deref(), Some(hint), "{code}");
        }
        // A long list is shortened, and the hint says how to list all codes.
        let hint = Region::named("IT-99").unwrap_err().hint.unwrap();
        assert_eq!(hint.matches("IT-").count(), MAX_LISTED, "{hint}");
        let more = region("IT").subdivisions().count() - MAX_LISTED;
        assert!(hint.contains(&format!("and {more} more (rtconfd calendar --codes)")), "{hint}");
    }

    /// The holidays of December 2026 in England, from a calendar with changes.
    fn december(added: &[(&str, &str)], removed: &[&str]) -> Result<Vec<String>, Vec<String>> {
        let here = Origin::named("settings");
        let entry = |name: &str| Entry { name: name.into(), origin: here.clone() };
        let added: Vec<_> = added.iter().map(|(day, name)| (date(day), entry(name))).collect();
        let removed: Vec<_> = removed.iter().map(|day| (date(day), here.clone())).collect();
        let calendar = region("GB-ENG").calendar(&added, &removed);
        let calendar =
            calendar.map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        let found =
            calendar.occurrences(Window { from: date("2026-12-01"), to: date("2027-01-01") }).unwrap();
        let shown = found.iter().map(|occurrence| match occurrence.span {
            Span::Dates(from, to) => {
                assert_eq!(to, zone::next(from));
                format!("{} {} [{}]", from, occurrence.summary, occurrence.origin)
            }
            Span::Times(..) => panic!("no whole day"),
        });
        let mut shown: Vec<String> = shown.collect();
        shown.sort();
        Ok(shown)
    }

    #[test]
    fn added_and_removed_dates_keep_their_origin() {
        let table = |day: &str, name: &str| {
            let version = Edition::here().version;
            format!("{day} {name} [public holidays GB-ENG {day} (holidays {version})]")
        };
        let (christmas, boxing, observed) = (
            table("2026-12-25", "Christmas Day"),
            table("2026-12-26", "Boxing Day"),
            table("2026-12-28", "Boxing Day (observed)"),
        );
        assert_eq!(december(&[], &[]).unwrap(), [&*christmas, &*boxing, &*observed]);
        assert_eq!(december(&[], &["2026-12-28"]).unwrap(), [&*christmas, &*boxing]);
        assert_eq!(
            december(&[("2026-12-31", "Stocktaking")], &["2026-12-26"]).unwrap(),
            [&*christmas, &*observed, "2026-12-31 Stocktaking [settings]"]
        );
        // A date in both lists has the name from the settings.
        assert_eq!(
            december(&[("2026-12-28", "Inventory")], &["2026-12-28"]).unwrap(),
            [&*christmas, &*boxing, "2026-12-28 Inventory [settings]"]
        );
        // Dates before the table begins are accepted: an older table may have had them.
        assert_eq!(december(&[], &["2019-12-25"]).unwrap(), [&*christmas, &*boxing, &*observed]);
    }

    #[test]
    fn removing_a_date_without_a_holiday_is_reported_with_nearby_holidays() {
        assert_eq!(
            december(&[], &["2026-12-27", "2026-12-25", "2026-06-01"]).unwrap_err(),
            [
                "settings: 2026-12-27 is not a public holiday of GB-ENG (hint: correct the date; the nearest public holidays are 2026-12-25 (Christmas Day), 2026-12-26 (Boxing Day), 2026-12-28 (Boxing Day (observed)))",
                "settings: 2026-06-01 is not a public holiday of GB-ENG (hint: correct the date; the nearest public holidays are 2026-04-06 (Easter Monday), 2026-05-04 (May Day), 2026-05-25 (Spring Bank Holiday))",
            ]
        );
        // After the last year no holidays are known, so none can be removed.
        assert!(december(&[], &["2099-12-25"]).is_err());
    }

    #[test]
    fn the_end_of_the_holiday_table_is_reported_from_90_days_before() {
        for code in ["GB-ENG", "IN-MH", "LK"] {
            let region = region(code);
            let ending =
                |years: i32, day: &str| region.ending(date(&format!("{}-{day}", region.last_year + years)));
            for (years, day, wanted) in [
                (-1, "12-31", None),
                (0, "10-02", None),
                (0, "10-03", Some((Severity::Warning, "which ends in 90 day(s)"))),
                (0, "12-31", Some((Severity::Warning, "which ends in 1 day(s)"))),
                (1, "01-01", Some((Severity::Error, "later public holidays close nothing"))),
                (9, "06-01", Some((Severity::Error, "later public holidays close nothing"))),
            ] {
                let reported = ending(years, day);
                assert_eq!(reported.is_some(), wanted.is_some(), "{code} {years} {day}: {reported:?}");
                let (Some(reported), Some((severity, words))) = (reported, wanted) else { continue };
                assert_eq!(reported.severity, severity, "{code} {years} {day}");
                let known = format!("the public holidays of {code} are known up to {}", region.last_year);
                assert!(
                    reported.message.starts_with(&known) && reported.message.contains(words),
                    "{reported}"
                );
                let remedy = "install a newer rtconfd, or name a calendar file with path instead";
                assert_eq!(reported.hint.as_deref(), Some(remedy));
            }
        }
        // Lunar holidays are known for fewer years, so the end comes earlier.
        for code in ["IN-MH", "LK", "NP"] {
            assert!(region(code).last_year < Edition::here().last_year, "{code}");
        }
    }

    #[test]
    fn a_country_whose_subdivisions_all_have_more_holidays_is_reported() {
        for (code, wanted) in [
            ("GB", true),
            ("DE", true),
            ("ES", true),
            ("GB-ENG", false),
            // Most of France, and some of the United States, have no further ones; Japan has no
            // subdivisions.
            ("FR", false),
            ("US", false),
            ("JP", false),
        ] {
            assert_eq!(region(code).incomplete().is_some(), wanted, "{code}");
        }
        let reported = region("GB").incomplete().unwrap();
        assert_eq!(reported.severity, Severity::Warning);
        assert_eq!(
            reported.to_string(),
            "every subdivision of GB has more public holidays than GB alone (hint: name the subdivision: GB-ENG (England), GB-NIR (Northern Ireland), GB-SCT (Scotland), GB-WLS (Wales))"
        );
    }
}
