//! Public holidays as a calendar without a file: values on pages, and warnings about the end of the
//! table.

use rtconfd::calendar::{Edition, Region};
use rtconfd::clock::{Clock, WallClock};
use rtconfd::model::Severity;
use serde_json::{Value, json};

use crate::support::{Api, Folder, Ran, until};

/// A port without a listener.
const UNUSED_PORT: &str = "http://127.0.0.1:9";

/// Settings of a desk that closes on public holidays; `lines` configure the calendar.
fn desk(lines: &str) -> String {
    format!(
        "[calendars.hols]\n{lines}\n[hours.desk]\ntimezone = \"Europe/London\"\nweekly = {{ mon-sun = \"09:00-17:00\" }}\nclosed_on = [\"hols\"]\n[[page]]\nagent = \"A-1\"\nenvironment = \"live\"\n[page.variables]\nis_open = {{ hours = \"desk\", show = \"is_open\" }}\nis_today = {{ calendar = \"hols\", show = \"is_today\" }}\nname = {{ calendar = \"hols\", show = \"name\", otherwise = \"-\" }}\nnext_date = {{ calendar = \"hols\", show = \"next_date\", otherwise = \"-\" }}\n"
    )
}

/// Returns the values at 10:00 of a date: open or not, holiday or not, its name, the next one.
fn at_ten(folder: &Folder, date: &str) -> String {
    let at = format!("{date}T10:00:00Z");
    let rows = folder.run(&["preview", "--format", "json", "--from", &at, "--to", &at]).expect(0).lines();
    let value = |name: &str| rows.iter().find(|row| row["variable"] == name).unwrap()["to"].clone();
    let word =
        |value: Value, yes: &'static str, no: &'static str| if value == json!(true) { yes } else { no };
    format!(
        "{} {} {} {}",
        word(value("is_open"), "open", "closed"),
        word(value("is_today"), "holiday", "workday"),
        value("name").as_str().unwrap(),
        value("next_date").as_str().unwrap()
    )
}

#[test]
fn pages_close_on_public_holidays_and_added_dates_but_not_on_removed_ones() {
    let england = "public_holidays = \"GB-ENG\"";
    let changed =
        "public_holidays = \"GB-ENG\"\nadd = { \"2026-12-29\" = \"Stocktaking\" }\nremove = [\"2026-12-26\"]";
    for (lines, date, expected) in [
        (england, "2026-12-24", "open workday - 2026-12-25"),
        (england, "2026-12-25", "closed holiday Christmas Day 2026-12-25"),
        (england, "2026-12-26", "closed holiday Boxing Day 2026-12-26"),
        (england, "2026-12-28", "closed holiday Boxing Day (observed) 2026-12-28"),
        (england, "2026-12-29", "open workday - 2027-01-01"),
        (england, "2026-01-02", "open workday - 2026-04-03"),
        ("public_holidays = \"GB-SCT\"", "2026-01-02", "closed holiday New Year Holiday 2026-01-02"),
        (changed, "2026-12-26", "open workday - 2026-12-28"),
        (changed, "2026-12-29", "closed holiday Stocktaking 2026-12-29"),
        ("public_holidays = \"GB-ENG\"\nsummary = \"easter\"", "2026-12-25", "open workday - 2027-03-29"),
        (
            "public_holidays = \"GB-ENG\"\ncategory = \"public holiday\"",
            "2026-12-25",
            "closed holiday Christmas Day 2026-12-25",
        ),
        ("public_holidays = \"GB-ENG\"\ncategory = \"party\"", "2026-12-25", "open workday - -"),
    ] {
        let folder = Folder::new(UNUSED_PORT, &desk(lines));
        assert_eq!(at_ten(&folder, date), expected, "{lines} {date}");
    }
}

#[test]
fn explain_names_the_holiday_table_and_the_settings_as_origins() {
    let folder = Folder::new(
        UNUSED_PORT,
        &desk("public_holidays = \"GB-ENG\"\nadd = { \"2026-12-29\" = \"Stocktaking\" }"),
    );
    let because = |variable: &str, date: &str| {
        let at = format!("{date}T10:00:00Z");
        let reported =
            folder.run(&["explain", "A-1/live", variable, "--at", &at, "--format", "json"]).expect(0);
        reported.lines()[0]["because"].as_str().unwrap().to_owned()
    };
    let place = format!("public holidays GB-ENG 2026-12-25 (holidays {})", Edition::here().version);
    for variable in ["is_open", "is_today"] {
        let reported = because(variable, "2026-12-25");
        assert!(reported.contains("Christmas Day") && reported.contains(&place), "{reported}");
        let reported = because(variable, "2026-12-29");
        assert!(reported.contains("Stocktaking") && reported.contains("rtconfd.toml:9:"), "{reported}");
    }
}

#[test]
fn check_warns_from_90_days_before_the_last_year_ends() {
    let folder = Folder::new(UNUSED_PORT, &desk("public_holidays = \"GB-ENG\""));
    let Edition { version, last_year, .. } = Edition::here();
    let place = "rtconfd.toml:8:19";
    let remedy = "install a newer rtconfd, or name a calendar file with path instead";
    let check = |year: i32, day: &str, code: i32| {
        let at = format!("{year}-{day}T00:00:00Z");
        let ran = folder.run(&["check", "--offline", "--at", &at]).expect(code);
        // By then the current zone database is old as well.
        let zones = ran.err.find("warning: the zone database").unwrap_or(ran.err.len());
        Ran { err: ran.err[..zones].to_owned(), ..ran }
    };
    let well = check(last_year, "10-02", 0);
    assert!(well.err.is_empty() && well.out.starts_with("All is well"), "{}{}", well.err, well.out);
    assert_eq!(
        check(last_year, "10-03", 0).err,
        format!(
            "warning: {place}: calendar \"hols\": the public holidays of GB-ENG are known up to {last_year} (holidays {version}), which ends in 90 day(s)\n  hint: {remedy}\n"
        )
    );
    assert_eq!(
        check(last_year + 1, "01-01", 1).err,
        format!(
            "error: {place}: calendar \"hols\": the public holidays of GB-ENG are known up to {last_year} only (holidays {version}): later public holidays close nothing\n  hint: {remedy}\n"
        )
    );
}

/// Uses the region whose table ends first, since `status` uses the real clock.
///
/// The table may end soon or have ended.
#[test]
fn status_reports_a_holiday_table_that_ends_soon() {
    let first_to_end = Region::all().min_by_key(|region| region.last_year).unwrap();
    let folder = Folder::new(UNUSED_PORT, &desk(&format!("public_holidays = \"{}\"", first_to_end.code)));
    let ending = first_to_end.ending(WallClock.now().date_naive());
    let has_ended = ending.as_ref().is_some_and(|problem| problem.severity == Severity::Error);
    let ran = folder.run(&["status"]).expect(i32::from(has_ended));
    match ending {
        Some(problem) => assert!(ran.err.contains(&problem.message), "{}", ran.err),
        None => assert!(ran.err.is_empty(), "{}", ran.err),
    }
}

#[tokio::test]
async fn the_log_lists_the_public_holidays_in_use_and_those_that_end_soon() {
    let api = Api::start();
    let Edition { version, first_year, last_year } = Edition::here();
    for (lines, is_reported) in [("public_holidays = \"GB-ENG\"", true), ("path = \"x.ics\"", false)] {
        let folder = Folder::new(&api.url, &desk(lines));
        folder.write("x.ics", "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:1\nDTSTART;VALUE=DATE:20261225\nSUMMARY:x\nEND:VEVENT\nEND:VCALENDAR\n");
        let at = format!("{last_year}-11-02T12:00:00Z");
        let mut running = folder.spawn(&["run", "--at", &at]);
        api.until_variable("A-1", "is_open", &json!(true)).await;
        running.signal("TERM");
        assert_eq!(running.ends().await, 0);
        let log = running.log();
        let reported = format!("holidays {version}, {first_year} to {last_year}");
        assert_eq!(log.contains(&reported), is_reported, "{log}");
        let warned =
            format!("GB-ENG are known up to {last_year} (holidays {version}), which ends in 60 day(s)");
        assert_eq!(log.contains(&warned), is_reported, "{log}");
        assert_eq!(log.contains("install a newer rtconfd"), is_reported, "{log}");
        api.edit("A-1", &json!({"is_open": null}));
    }
}

#[test]
fn calendar_lists_public_holidays_and_region_codes() {
    let folder = Folder::new(UNUSED_PORT, "");
    let edition = Edition::here();
    let window = ["--from", "2026-12-20", "--to", "2027-01-02"];
    let ran = folder.run(&[&["calendar", "--public", "GB-ENG"], &window[..]].concat()).expect(0);
    let expected = "\
START       END         ALL DAY  SUMMARY
2026-12-25  2026-12-26  yes      Christmas Day
2026-12-26  2026-12-27  yes      Boxing Day
2026-12-28  2026-12-29  yes      Boxing Day (observed)
2027-01-01  2027-01-02  yes      New Year's Day
";
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(squeezed(&ran.out), squeezed(expected), "{}", ran.out);
    assert_eq!(ran.err, format!("public holidays of GB-ENG (England): {edition}\n"));

    let rows = folder.run(&["calendar", "--public", "DE-BY", "--format", "json"]).expect(0).lines();
    let years = usize::try_from(edition.last_year - edition.first_year + 1).unwrap();
    assert_eq!(rows.len(), years * 12, "nine of Germany and three of Bavaria");
    assert_eq!(
        rows[0],
        json!({"start": format!("{}-01-01", edition.first_year), "end": format!("{}-01-02", edition.first_year), "all_day": true, "summary": "New Year's Day"})
    );

    let beyond = folder.run(&["calendar", "--public", "FR", "--to", "2099-01-01"]).expect(0);
    let warned =
        format!("public holidays are known only from {} to {}", edition.first_year, edition.last_year);
    assert!(beyond.err.contains(&warned) && beyond.err.contains("hint:"), "{}", beyond.err);

    let ran = folder.run(&["calendar", "--codes", "--format", "json"]).expect(0);
    assert_eq!(ran.err, format!("public holidays: {edition}\n"));
    assert_eq!(ran.lines().len(), Region::all().count());
    let england = json!({"code": "GB-ENG", "name": "England", "last_year": edition.last_year});
    assert!(ran.lines().contains(&england));

    for (arguments, expected) in [
        (&["--public", "UK"][..], "hint: did you mean \"GB\" (United Kingdom)?"),
        (
            &["GB-ENG", "--timezone", "UTC", "--from", "2026-01-01", "--to", "2027-01-01"],
            "(for the public holidays of England, use --public GB-ENG)",
        ),
        (&["x.ics", "--public", "FR"], "cannot be used with"),
        (&["x.ics"], "required arguments were not provided"),
        (&[], "required arguments were not provided"),
    ] {
        let ran = folder.run(&[&["calendar"], arguments].concat()).expect(1);
        assert!(ran.err.contains(expected), "{arguments:?}: {}", ran.err);
    }
}

/// A changed region counts as a change of the schedule, like any other settings.
#[tokio::test]
async fn changing_the_public_holidays_region_changes_the_schedule() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("public_holidays = \"GB-ENG\""));
    let mut running = folder.spawn(&["run", "--at", "2026-01-02T12:00:00Z"]);
    api.until_variable("A-1", "is_open", &json!(true)).await;
    folder.settings(&api.url, &desk("public_holidays = \"GB-SCT\""));
    running.signal("HUP");
    api.until_variable("A-1", "is_open", &json!(false)).await;
    until("the log names the new region", || running.log().contains("GB-SCT")).await;
    running.signal("TERM");
    assert_eq!(running.ends().await, 0);
}
