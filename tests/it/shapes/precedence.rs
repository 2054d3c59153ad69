//! Precedence among published weeks, seasons, special dates, holidays and a closed status.

use serde_json::{Value, json};

use super::{CALENDAR, GOOGLE, NOON, SCHEMA_ORG, check_problems, folder, planned, published};
use crate::support::Api;

#[test]
fn a_google_location_keeps_its_other_keys_and_honours_its_closed_status() {
    let api = Api::start();
    let mut place = json!({
        "name": "locations/1", "languageCode": "en", "storeCode": "1", "title": "Leeds", "phoneNumbers": {}, "categories": {},
        "storefrontAddress": {}, "websiteUri": "x", "serviceArea": {}, "labels": [], "adWordsLocationExtensions": {}, "latlng": {},
        "metadata": {}, "profile": {}, "relationshipData": {}, "serviceItems": [], "openInfo": {"status": "OPEN", "canReopen": true},
        "regularHours": {"periods": [
            {"openDay": "SUNDAY", "openTime": {"hours": 22}, "closeDay": "MONDAY", "closeTime": {"hours": 2}},
            {"openDay": "MONDAY", "openTime": {"hours": 9}, "closeDay": "MONDAY", "closeTime": {"hours": 24}},
            {"openDay": "THURSDAY", "openTime": {"hours": 9}, "closeDay": "THURSDAY", "closeTime": {"hours": 23}},
        ]},
        "specialHours": {"specialHourPeriods": [
            {"startDate": {"year": 2026, "month": 11, "day": 27}, "openTime": {"hours": 22}, "endDate": {"year": 2026, "month": 11, "day": 28}, "closeTime": {"hours": 2}},
        ]},
    });
    let open = planned(&published(&api, GOOGLE, &place), NOON);
    assert_eq!(
        (
            &open["open"],
            &open["hours"]["07_sunday"],
            &open["hours"]["01_monday"],
            &open["hours"]["04_thursday"]
        ),
        (&json!(true), &json!("22:00-02:00"), &json!("09:00-00:00"), &json!("09:00-23:00"))
    );
    assert_eq!(open["hours"]["08_special_dates"][0], json!({"date": "2026-11-27", "hours": "22:00-02:00"}));
    // Opening a date, there or in the settings, does not open a closed location.
    let with_special = format!("{GOOGLE}, special = {{ \"2026-11-26\" = \"09:00-17:00\" }}");
    for status in ["CLOSED_TEMPORARILY", "CLOSED_PERMANENTLY"] {
        place["openInfo"]["status"] = json!(status);
        let folder = published(&api, &with_special, &place);
        let closed = planned(&folder, NOON);
        assert_eq!((&closed["open"], &closed["hours"]["04_thursday"]), (&json!(false), &json!("closed")));
        let dates = closed["hours"]["08_special_dates"].as_array().unwrap();
        assert!(dates.iter().all(|date| date["hours"] == json!("closed")), "{dates:?}");
        let why = folder.run(&["explain", "A-1/live", "open", "--at", NOON]).expect(0).out;
        assert!(why.contains(&format!("closed: its openInfo says {status}")), "{why}");
    }
}

#[test]
fn a_location_with_a_future_opening_date_is_closed_until_then() {
    let api = Api::start();
    let special = format!("{GOOGLE}, special = {{ \"2026-11-26\" = \"09:00-17:00\" }}");
    let open = |opening: Value, at: &str| {
        let period = |day: &str| json!({"openDay": day, "openTime": {"hours": 9}, "closeDay": day, "closeTime": {"hours": 17}});
        let place = json!({"regularHours": {"periods": [period("THURSDAY"), period("FRIDAY")]}, "openInfo": {"status": "OPEN", "openingDate": opening}});
        let folder = published(&api, &special, &place);
        let why = folder.run(&["explain", "A-1/live", "open", "--at", at]).expect(0).out;
        (planned(&folder, at)["open"].clone(), why)
    };
    for (opening, at, expected) in [
        (json!({"year": 2026, "month": 11, "day": 27}), NOON, false),
        (json!({"year": 2026, "month": 11, "day": 27}), "2026-11-27T12:00:00Z", true),
        (json!({"year": 2026, "month": 11, "day": 26}), NOON, true),
        // The opening day of the month is missing: it is open by the last day at the latest.
        (json!({"year": 2026, "month": 11}), NOON, false),
        (json!({"year": 2026, "month": 11, "day": 0}), NOON, false),
        (json!({"year": 2026, "month": 11, "day": 0}), "2026-12-03T12:00:00Z", true),
        (json!({"year": 2026, "month": 11}), "2026-12-03T12:00:00Z", true),
        (json!({"year": 1998, "month": 2, "day": 28}), NOON, true),
    ] {
        let (found, why) = open(opening.clone(), at);
        assert_eq!(found, json!(expected), "{opening} {at}: {why}");
        assert!(expected || why.contains("its openInfo says that it opens on 2026-11-"), "{why}");
    }
}

#[test]
fn calendars_override_seasonal_hours_and_the_narrower_season_wins() {
    let api = Api::start();
    let week = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    let spec = |from: &str, through: &str, opens: &str, closes: &str| json!({"dayOfWeek": week, "validFrom": from, "validThrough": through, "opens": opens, "closes": closes});
    let place = json!([
        {"dayOfWeek": week, "opens": "09:00", "closes": "17:00"},
        spec("2026-12-20", "2026-12-31", "10:00", "12:00"),
        spec("2026-12-20", "2026-12-31", "13:00", "14:00"),
        spec("2026-12-23", "2026-12-23", "11:00", "12:00"),
        spec("2026-12-24", "2026-12-24", "00:00", "00:00"),
        {"validFrom": "2026-12-28", "validThrough": "2026-12-30", "opens": "00:00", "closes": "00:00"},
        {"validFrom": "2026-12-29", "validThrough": "2026-12-29", "opens": "15:00", "closes": "16:00"},
    ]);
    let folder = published(&api, SCHEMA_ORG, &place);
    let planned_dates = planned(&folder, "2026-12-20T00:00:00Z")["hours"]["08_special_dates"].clone();
    let hours: Vec<String> = planned_dates
        .as_array()
        .unwrap()
        .iter()
        .map(|date| format!("{} {}", &date["date"].as_str().unwrap()[8..], date["hours"].as_str().unwrap()))
        .collect();
    let season = "10:00-12:00;13:00-14:00";
    let expected = [
        format!("20 {season}"),
        format!("21 {season}"),
        format!("22 {season}"),
        "23 11:00-12:00".to_owned(),
        "24 closed".to_owned(),
        // Christmas Day, by the calendar.
        "25 closed".to_owned(),
        format!("26 {season}"),
        format!("27 {season}"),
        "28 closed".to_owned(),
        "29 15:00-16:00".to_owned(),
        "30 closed".to_owned(),
        format!("31 {season}"),
    ];
    assert_eq!(hours, expected);
    assert_eq!(planned(&folder, "2026-12-25T11:00:00Z")["open"], json!(false));
    folder.run(&["check", "--at", NOON]).expect(0);
    let why = folder.run(&["explain", "A-1/live", "open", "--at", "2026-12-22T11:00:00Z"]).expect(0).out;
    assert!(why.contains("open 10:00-12:00 on Tue 2026-12-22 from 2026-12-20 to 2026-12-31"), "{why}");

    // A range without weekdays overrides the calendar, as other dated exceptions do.
    let dated = json!([{"validFrom": "2026-12-20", "validThrough": "2026-12-31", "opens": "10:00", "closes": "12:00"}]);
    assert_eq!(planned(&published(&api, SCHEMA_ORG, &dated), "2026-12-25T11:00:00Z")["open"], json!(true));
}

/// Returns the days open at 13:00 among 1 to 10 June 2026, which starts on a Monday.
fn open_in_june(api: &Api, general: Value, special: Value) -> String {
    let place = json!({"openingHoursSpecification": general, "specialOpeningHoursSpecification": special});
    let folder = published(api, SCHEMA_ORG, &place);
    let is_open = |day: &u32| planned(&folder, &format!("2026-06-{day:02}T12:00:00Z"))["open"] == json!(true);
    (1..=10).filter(is_open).map(|day| day.to_string()).collect::<Vec<_>>().join(" ")
}

#[test]
fn special_hours_override_general_ones_and_narrower_ranges_override_wider_ones() {
    let api = Api::start();
    let of = |from: &str, through: &str, opens: &str| {
        let closes = if opens == "00:00" { "00:00" } else { "20:00" };
        json!({"validFrom": from, "validThrough": through, "opens": opens, "closes": closes})
    };
    let on = |day: &str, mut spec: Value| {
        spec["dayOfWeek"] = json!(day);
        spec
    };
    let summer = |opens: &str| of("2026-06-01", "2026-08-31", opens);
    let week = json!({"dayOfWeek": ["Monday", "Tuesday"], "opens": "09:00", "closes": "17:00"});
    let closed_for_long = of("2026-05-01", "2026-12-31", "00:00");
    let from_2020 =
        json!({"dayOfWeek": "Wednesday", "validFrom": "2020-01-01", "opens": "09:00", "closes": "17:00"});
    for (general, special, expected) in [
        (json!([week]), json!([]), "1 2 8 9"),
        (json!([week, summer("08:00")]), json!([]), "1 2 3 4 5 6 7 8 9 10"),
        // Special hours override all general hours, including those of narrower ranges.
        (json!([week, summer("08:00")]), json!([closed_for_long]), ""),
        (json!([summer("08:00")]), json!([summer("00:00")]), ""),
        (json!([week]), json!([on("Tuesday", summer("00:00"))]), "1 8"),
        (json!([summer("08:00")]), json!([on("Wednesday", closed_for_long.clone())]), "1 2 4 5 6 7 8 9"),
        (json!([on("Wednesday", of("2026-06-03", "2026-06-03", "08:00"))]), json!([closed_for_long]), ""),
        (json!([from_2020]), json!([on("Wednesday", of("2026-06-01", "2026-06-07", "00:00"))]), "10"),
        (json!([]), json!([of("2026-06-05", "2026-06-06", "08:00")]), "5 6"),
        // The narrower of two general ranges applies, with or without weekdays.
        (
            json!([summer("08:00"), on("Wednesday", of("2026-06-01", "2026-06-09", "00:00"))]),
            json!([]),
            "1 2 4 5 6 7 8 9 10",
        ),
        (json!([on("Wednesday", summer("00:00")), of("2026-06-03", "2026-06-03", "08:00")]), json!([]), "3"),
        (
            json!([
                summer("08:00"),
                of("2026-06-02", "2026-06-04", "08:00"),
                on("Wednesday", of("2026-06-01", "2026-06-30", "00:00")),
            ]),
            json!([]),
            "1 2 3 4 5 6 7 8 9",
        ),
    ] {
        assert_eq!(open_in_june(&api, general.clone(), special.clone()), expected, "{general} {special}");
    }
}

#[test]
fn weekday_hours_with_a_single_date_bound_apply_from_or_until_it() {
    let api = Api::start();
    let hours =
        |spec: Value, at: &str| planned(&published(&api, SCHEMA_ORG, &json!([spec])), at)["hours"].clone();
    let thursday = |key: &str, date: &str| json!({"dayOfWeek": "Thursday", key: date, "opens": "09:00", "closes": "17:00"});
    let begun = hours(thursday("validFrom", "2020-01-01"), NOON);
    assert_eq!(begun["04_thursday"], json!("09:00-17:00"));
    let open =
        |spec: Value, at: &str| planned(&published(&api, SCHEMA_ORG, &json!([spec])), at)["open"].clone();
    for (spec, at, expected) in [
        (thursday("validFrom", "2020-01-01"), NOON, true),
        (thursday("validFrom", "2026-11-26"), NOON, true),
        (thursday("validFrom", "2026-11-27"), NOON, false),
        (thursday("validFrom", "2026-11-27"), "2026-12-03T12:00:00Z", true),
        (thursday("validFrom", "2020-01-01"), "2026-12-24T12:00:00Z", true),
        (thursday("validThrough", "2026-11-26"), NOON, true),
        (thursday("validThrough", "2026-11-25"), NOON, false),
    ] {
        assert_eq!(open(spec.clone(), at), json!(expected), "{spec} {at}");
    }
    // A range of years is handled like any other.
    let mut years = thursday("validFrom", "2024-01-01");
    years["validThrough"] = json!("2028-12-31");
    assert_eq!(open(years, NOON), json!(true));
}

#[test]
fn instants_keep_their_dates_and_holidays_keep_all_their_hours() {
    let api = Api::start();
    let folder = folder(
        &api,
        r#"
[sources.j]
path = "j.json"
[[page]]
agent = "A-1"
environment = "live"
hours = { schema_org = { source = "j" }, closed_on = ["holidays"] }
[page.variables]
opens = { show = "opens_at", format = "RFC 3339" }
closes = { show = "closes_at", format = "RFC 3339" }
today = { show = "today" }
"#,
    );
    folder.write("j.json", r#"[{"dayOfWeek": "Thursday", "opens": "22:00", "closes": "02:00"}, {"dayOfWeek": "PublicHolidays", "opens": "10:00", "closes": "12:00"}, {"dayOfWeek": "PublicHolidays", "opens": "13:00", "closes": "15:00"}]"#);
    assert_eq!(planned(&folder, NOON)["closes"], json!("2026-11-27T02:00:00+00:00"));
    assert_eq!(planned(&folder, "2026-12-25T11:00:00Z")["today"], json!("10:00-12:00, 13:00-15:00"));
    folder.run(&["check", "--at", NOON]).expect(0);
    folder.write("j.json", r#"[{"dayOfWeek": "Thursday", "opens": "22:00", "closes": "02:00"}, {"validFrom": "2026-12-24T00:00:00", "validThrough": "2026-12-25T23:59:59", "opens": "09:00", "closes": "11:00"}]"#);
    for (date, today) in
        [("2026-12-24", "09:00-11:00"), ("2026-12-25", "09:00-11:00"), ("2026-12-26", "closed")]
    {
        assert_eq!(planned(&folder, &format!("{date}T08:00:00Z"))["today"], json!(today), "{date}");
    }
}

#[test]
fn an_instant_shows_the_ends_of_a_run_of_open_dates() {
    let api = Api::start();
    let run = "Mo 09:00-24:00; Tu-We 00:00-24:00; Th 00:00-01:00";
    for (weekly, at, opens, closes) in [
        (run, "2026-11-23T12:00:00Z", json!("2026-11-23T09:00:00+00:00"), json!("2026-11-26T01:00:00+00:00")),
        (run, "2026-11-25T12:00:00Z", json!("2026-11-23T09:00:00+00:00"), json!("2026-11-26T01:00:00+00:00")),
        (run, "2026-11-23T08:00:00Z", json!("2026-11-23T09:00:00+00:00"), json!("2026-11-26T01:00:00+00:00")),
        (
            "Mo 22:00-24:00; Tu 00:00-02:00",
            "2026-11-23T12:00:00Z",
            json!("2026-11-23T22:00:00+00:00"),
            json!("2026-11-24T02:00:00+00:00"),
        ),
    ] {
        let page = format!(
            r#"
[[page]]
agent = "A-1"
environment = "live"
hours = {{ weekly = "{weekly}" }}
[page.variables]
opens = {{ show = "opens_at", format = "RFC 3339" }}
closes = {{ show = "closes_at", format = "RFC 3339" }}
"#
        );
        assert_eq!(
            planned(&folder(&api, &page), at),
            json!({"opens": opens, "closes": closes}),
            "{weekly} {at}"
        );
    }
}

#[test]
fn public_holiday_hours_apply_only_on_holidays() {
    let api = Api::start();
    let page = |closed_on: &str| {
        format!(
            r#"
[calendars.bank]
public_holidays = "GB-ENG"
[calendars.staff]
path = "staff.ics"
[[page]]
agent = "A-1"
environment = "live"
hours = {{ weekly = "Mo-Fr 09:00-17:00; PH 10:00-14:00", closed_on = {closed_on} }}
variables = {{ today = {{ show = "today" }} }}
"#
        )
    };
    // The staff calendar closes Christmas Day, one hour of Boxing Day, and a Tuesday.
    let staff = CALENDAR.replace("SUMMARY:Christmas Day", "SUMMARY:Refit").replace(
        "END:VCALENDAR",
        "BEGIN:VEVENT\r\nUID:2\r\nDTSTAMP:20260101T000000Z\r\nDTSTART;VALUE=DATE:20261201\r\nSUMMARY:Refit\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nUID:3\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:20261228T110000Z\r\nDTEND:20261228T120000Z\r\nSUMMARY:Drill\r\nEND:VEVENT\r\nEND:VCALENDAR",
    );
    let both = folder(&api, &page(r#"["bank", "staff"]"#));
    both.write("staff.ics", &staff);
    for (date, today) in [
        ("2026-12-01", "closed"),
        ("2026-12-02", "09:00-17:00"),
        ("2026-12-25", "closed"),
        // Boxing Day is a Saturday and observed on the Monday.
        ("2026-12-28", "10:00-11:00, 12:00-14:00"),
        ("2027-01-01", "10:00-14:00"),
    ] {
        assert_eq!(planned(&both, &format!("{date}T12:00:00Z")), json!({"today": today}), "{date}");
    }
    // An event of one hour also closes on holidays, from any calendar.
    let drill = "BEGIN:VEVENT\r\nUID:4\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:20261225T110000Z\r\nDTEND:20261225T120000Z\r\nSUMMARY:Drill\r\nEND:VEVENT\r\nEND:VCALENDAR";
    let alone = folder(&api, &page(r#"["staff"]"#));
    alone.write("staff.ics", &staff.replace("END:VCALENDAR", drill));
    assert_eq!(planned(&alone, "2026-12-25T12:00:00Z"), json!({"today": "10:00-11:00, 12:00-14:00"}));
    // A row may name the calendar.
    let of_rows = page(r#"["{{ row.cal }}", "staff"]"#).replace(
        "[[page]]",
        "[sources.sites]\npath = \"sites.csv\"\nkey = \"site\"\n[[page]]\nfor_each = \"sites\"",
    );
    let of_rows = folder(&api, &of_rows);
    of_rows.write("staff.ics", &staff);
    of_rows.write("sites.csv", "site,cal\nleeds,bank\n");
    assert_eq!(planned(&of_rows, "2027-01-01T12:00:00Z"), json!({"today": "10:00-14:00"}));
    let none = folder(&api, &page("[]"));
    none.write("staff.ics", &staff);
    let reported = check_problems(&none, NOON);
    assert!(reported.contains("no calendar lists the public holidays"), "{reported}");
    let unclear = folder(&api, &page(r#"["holidays", "staff"]"#));
    unclear.write("staff.ics", &staff);
    let reported = check_problems(&unclear, NOON);
    assert!(reported.contains("it is unknown which calendar in closed_on lists them"), "{reported}");
}
