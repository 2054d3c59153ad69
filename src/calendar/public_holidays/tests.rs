//! Tests of the table of public holidays.

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
        ("GB-ENG", "2026-01-01 2026-04-03 2026-04-06 2026-05-04 2026-05-25 2026-08-31 2026-12-25 2026-12-28"),
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
            let (expected, day) = word.strip_prefix('!').map_or((true, word), |day| (false, day));
            assert_eq!(holidays.contains_key(&date(day)), expected, "{code} {day}: {holidays:?}");
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
    let expected = "\
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
    assert_eq!(reported("2026-01-01", "2028-01-01"), expected);
}

#[test]
fn every_line_of_the_table_is_parsed() {
    let edition = Edition::here();
    let years = usize::try_from(edition.last_year - edition.first_year + 1).unwrap();
    let headers = TABLE.lines().filter(|line| line.starts_with('@'));
    let regions: Vec<Region> = Region::all().collect();
    assert_eq!(headers.count(), regions.len());
    let codes: BTreeSet<&str> = regions.iter().map(|region| region.code).collect();
    assert_eq!(codes.len(), regions.len(), "a code is listed twice");
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
        ("GB 2037", "write an ISO 3166 code, as in FR, DE-BY or GB-ENG; rtconfd calendar --codes lists them"),
    ] {
        let problem = Region::named(code).unwrap_err();
        assert_eq!(problem.message, format!("unknown public holiday region \"{code}\""));
        assert_eq!(problem.hint.as_deref(), Some(hint), "{code}");
    }
    // A long list is shortened, and the hint says how to list all codes.
    let hint = Region::named("IT-99").unwrap_err().hint.unwrap();
    assert_eq!(hint.matches("IT-").count(), LISTED, "{hint}");
    let more = region("IT").subdivisions().count() - LISTED;
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
    let found = calendar.occurrences(Window { from: date("2026-12-01"), to: date("2027-01-01") }).unwrap();
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
        for (years, day, expected) in [
            (-1, "12-31", None),
            (0, "10-02", None),
            (0, "10-03", Some((Severity::Warning, "which ends in 90 day(s)"))),
            (0, "12-31", Some((Severity::Warning, "which ends in 1 day(s)"))),
            (1, "01-01", Some((Severity::Error, "later public holidays close nothing"))),
            (9, "06-01", Some((Severity::Error, "later public holidays close nothing"))),
        ] {
            let reported = ending(years, day);
            assert_eq!(reported.is_some(), expected.is_some(), "{code} {years} {day}: {reported:?}");
            let (Some(reported), Some((severity, words))) = (reported, expected) else { continue };
            assert_eq!(reported.severity, severity, "{code} {years} {day}");
            let known = format!("the public holidays of {code} are known up to {}", region.last_year);
            assert!(reported.message.starts_with(&known) && reported.message.contains(words), "{reported}");
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
    for (code, expected) in [
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
        assert_eq!(region(code).incomplete().is_some(), expected, "{code}");
    }
    let reported = region("GB").incomplete().unwrap();
    assert_eq!(reported.severity, Severity::Warning);
    assert_eq!(
        reported.to_string(),
        "every subdivision of GB has more public holidays than GB alone (hint: name the subdivision: GB-ENG (England), GB-NIR (Northern Ireland), GB-SCT (Scotland), GB-WLS (Wales))"
    );
}
