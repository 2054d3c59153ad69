//! Warnings about inputs that run out, gaps between dates, and filters that match no event.

use serde_json::json;

use super::{CALENDAR, NOON, folder, warnings};
use crate::support::{Api, Folder};

#[test]
fn inputs_that_run_out_are_reported_in_advance_and_fail_no_command() {
    let api = Api::start();
    api.schema("A-1", &json!({"properties": {"is_open": {}, "phone": {}}, "required": ["is_open"]}));
    let folder = folder(
        &api,
        r#"
[calendars.works]
path = "works.ics"
[hours.desk]
weekly = "Mo-Fr 09:00-17:00"
closed_on = ["works"]
[hours.never]
weekly = "off"
[[page]]
agent = "A-1"
environment = "live"
[page.variables]
is_open = { hours = "desk", show = "is_open" }
opn = { hours = "never", show = "is_open" }
phone = { when = [{ from = "2026-01-01", until = "2026-02-01", value = "1" }, { calendar = "works", value = "2" }], otherwise = "3" }
"#,
    );
    let event = "BEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20260101T000000Z\r\nDTSTART;VALUE=DATE:20261207\r\nDTEND;VALUE=DATE:20261221\r\nSUMMARY:Works\r\nEND:VEVENT\r\n";
    folder.write(
        "works.ics",
        &CALENDAR
            .replace("BEGIN:VEVENT", &format!("{event}BEGIN:VEVENT"))
            .replace("RRULE:FREQ=YEARLY\r\n", ""),
    );
    let reported = folder.run(&["check", "--at", NOON]).expect(0);
    let lines: Vec<&str> = reported.err.lines().filter(|line| line.starts_with("warning: ")).collect();
    assert_eq!(
        lines,
        [
            "warning: rtconfd.toml:11:1: A-1/live: hours \"desk\" is closed on all 16 dates from 2026-12-05 to 2026-12-20",
            "warning: rtconfd.toml:22:19: A-1/live phone: clause 1 will not hold again: from 2026-01-01 until 2026-02-01",
            "warning: calendar \"works\": its last event is on 2026-12-25",
            "warning: A-1/live: opn is owned but unknown to the page's schema",
        ],
        "{}",
        reported.err
    );
    let later = folder.run(&["check", "--at", "2026-12-26T12:00:00Z"]).expect(0).err;
    assert!(
        later.contains("clause 2 will not hold again") && later.contains("its last event is on 2026-12-25"),
        "{later}"
    );
    api.schema("A-1", &json!({"required": ["fax"]}));
    let reported = folder.run(&["check", "--at", NOON]).expect(1).err;
    assert!(
        reported
            .contains("A-1/live: fax is required by the page's schema, but is neither on the page nor owned"),
        "{reported}"
    );
    let status = folder.run(&["status", "--format", "json"]).lines();
    assert!(status.last().unwrap()["running_out"].is_array());
}

/// Returns a calendar of events, each a date and a name.
///
/// For example: `2026-12-25 Christmas; 2026-12-26 yearly Boxing Day`.
fn calendar(events: &str) -> String {
    let event = |(number, event): (usize, &str)| {
        let (date, name) = event.split_once(' ').unwrap();
        let (date, yearly) = (date.replace('-', ""), name.strip_prefix("yearly "));
        let rule = if yearly.is_some() { "RRULE:FREQ=YEARLY\r\n" } else { "" };
        let name = yearly.unwrap_or(name);
        format!(
            "BEGIN:VEVENT\r\nUID:{number}\r\nDTSTAMP:20260101T000000Z\r\nDTSTART;VALUE=DATE:{date}\r\n{rule}SUMMARY:{name}\r\nEND:VEVENT\r\n"
        )
    };
    let events: String = events.split("; ").enumerate().map(event).collect();
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//y//EN\r\n{events}END:VCALENDAR\r\n")
}

/// Returns the warnings about hours that close on such a calendar.
fn calendar_warnings(closed_on: &str, events: &str) -> Vec<String> {
    let api = Api::start();
    let settings = format!(
        "[calendars.works]\npath = \"works.ics\"\n[hours.desk]\nweekly = \"Mo-Su 09:00-17:00\"\nclosed_on = {closed_on}\n[[page]]\nagent = \"A-1\"\nenvironment = \"live\"\nvariables = {{ is_open = {{ hours = \"desk\", show = \"is_open\" }} }}\n"
    );
    let folder = folder(&api, &settings);
    folder.write("works.ics", &calendar(events));
    warnings(&folder, NOON)
}

#[test]
fn a_gap_between_holidays_is_reported() {
    let days = ["01-01", "04-03", "04-06", "05-04", "05-25", "08-31", "12-25", "12-28"];
    let year = |year: &str, count: usize| {
        let days = days.iter().take(count).map(|day| format!("{year}-{day} Holiday"));
        days.collect::<Vec<_>>().join("; ")
    };
    let years = |count: usize| {
        let years = [("2025", 8), ("2026", 8), ("2027", count), ("2028", 8)];
        years.map(|(name, count)| year(name, count)).join("; ")
    };
    let (broken, complete) = (years(5), years(8));
    let easter = "2020-12-25 yearly Christmas; 2025-04-21 Easter Monday 2025; 2026-04-06 Easter Monday 2026";
    let all = "[\"works\"]";
    for (events, expected) in [
        ("2026-12-25 Christmas; 2028-12-25 Christmas", "it has no event in 2027, but some in 2026 and 2028"),
        (
            easter,
            "its last event with a single date is on 2026-04-06, but some of these came every year, such as \"Easter Monday\"",
        ),
        (
            &broken,
            "it has no event between 2027-05-25 and 2028-01-01, but was never without one for more than 116 days before",
        ),
    ] {
        let reported = calendar_warnings(all, events);
        assert!(
            reported.len() == 1 && reported[0].starts_with(&format!("calendar \"works\": {expected}")),
            "{reported:#?}"
        );
    }
    for events in [
        &complete,
        "2020-12-25 yearly Christmas",
        &format!("{easter}; 2027-03-29 Easter Monday 2027"),
        // An irregular list of events is not a yearly one.
        "2020-12-25 yearly Christmas; 2025-09-01 Works; 2026-02-03 Stocktaking; 2026-05-05 Party",
        "2020-12-25 yearly Christmas; 2025-02-01 A; 2025-05-02 B; 2025-08-03 C; 2025-11-04 D; 2026-02-05 E; 2026-05-06 F; 2026-08-07 G",
        "2026-01-05 Works; 2026-01-20 Works; 2027-05-01 Works",
    ] {
        assert_eq!(calendar_warnings(all, events), Vec::<String>::new(), "{events}");
    }
}

#[test]
fn a_filter_with_a_typo_does_not_hide_the_end_of_its_calendar() {
    let slip = "{ calendar = \"works\", summary = \"Chrismas\" }";
    let end = "calendar \"works\": its last event is on 2026-12-25";
    for (closed_on, count, is_reported) in [
        (format!("[{slip}, \"works\"]"), 2, true),
        ("\"works\"".to_owned(), 1, true),
        (format!("[{slip}]"), 1, false),
        ("[{ calendar = \"works\", summary = \"Christmas\" }]".to_owned(), 1, false),
    ] {
        let reported = calendar_warnings(&closed_on, "2026-12-25 Christmas");
        let found = reported.iter().any(|line| line.starts_with(end));
        assert!(reported.len() == count && found == is_reported, "{closed_on}: {reported:#?}");
    }
}

#[test]
fn gaps_in_dated_hours_and_the_end_of_special_dates_are_reported() {
    let api = Api::start();
    let settings = |hours: &str, special: &str| {
        format!(
            "[hours.desk]\n{hours}\nspecial = {{ {special} }}\n[[page]]\nagent = \"A-1\"\nenvironment = \"live\"\nvariables = {{ is_open = {{ hours = \"desk\", show = \"is_open\" }} }}\n"
        )
    };
    let dates = |first: &str, count: u64, step: usize, hours: &str| {
        let first: chrono::NaiveDate = first.parse().unwrap();
        let dates = first.iter_days().step_by(step).take(usize::try_from(count).unwrap());
        dates.map(|date| format!("\"{date}\" = \"{hours}\"")).collect::<Vec<_>>().join(", ")
    };
    let (dated, weekly) = ("weekly = \"off\"", "weekly = \"Mo-Su 09:00-17:00\"");
    let closing = "weekly = \"Mo-Su 09:00-17:00\"\nclosed_on = [\"holidays\"]";
    let open = |first, count, step| dates(first, count, step, "09:00-17:00");
    let december = open("2026-12-01", 31, 1);
    for (hours, special, expected) in [
        (
            dated,
            format!("{december}, {}", open("2027-01-20", 60, 1)),
            "hours \"desk\" is closed on all 19 dates from 2027-01-01 to 2027-01-19",
        ),
        (
            weekly,
            dates("2026-01-01", 8, 50, "closed"),
            "the last special date of hours \"desk\" is 2026-12-17",
        ),
        (
            weekly,
            dates("2025-11-20", 8, 50, "closed"),
            "the last special date of hours \"desk\" is 2026-11-05",
        ),
    ] {
        let reported = warnings(&folder(&api, &settings(hours, &special)), NOON);
        assert!(reported.len() == 1 && reported[0].contains(expected), "{special}: {reported:?}");
    }
    for (hours, special) in [
        // A market once a month, and all days of many weeks.
        (dated, open("2026-11-07", 12, 28)),
        (dated, open("2026-11-20", 120, 1)),
        // A few dates are not a list, an open-ended one never ends, and calendars cover holidays.
        (weekly, dates("2026-12-24", 1, 1, "closed")),
        (weekly, dates("2026-12-24", 6, 1, "closed")),
        (weekly, dates("2026-01-01", 12, 50, "closed")),
        (closing, dates("2026-01-01", 8, 50, "closed")),
    ] {
        let reported = warnings(&folder(&api, &settings(hours, &special)), NOON);
        assert_eq!(reported, Vec::<String>::new(), "{special}");
    }
}

#[test]
fn a_filter_that_matches_no_event_is_reported_with_a_suggestion() {
    let api = Api::start();
    let folder = folder(
        &api,
        r#"
[calendars.works]
path = "works.ics"
summary = "bnk holiday"
[calendars.public]
public_holidays = "GB-ENG"
summary = "Chrismas"
[sources.sites]
path = "sites.csv"
key = "site"
[hours.desk]
weekly = "Mo-Fr 09:00-17:00"
closed_on = [{ calendar = "works", category = "Holliday" }, "public", { calendar = "works", summary = "bank holiday" }]
[[page]]
agent = "A-1"
environment = "live"
variables = { is_open = { hours = "desk", show = "is_open" }, text = { when = [{ calendar = "works", summary = "party", value = { calendar = "works", summary = "parade", show = "name" } }], otherwise = "" } }
[[page]]
for_each = "sites"
agent = "{{ row.site }}"
environment = "live"
hours = { weekly = "Mo-Fr 09:00-17:00", closed_on = { calendar = "works", category = "{{ row.closes }}" } }
variables = { is_open = { show = "is_open" } }
"#,
    );
    folder.write("sites.csv", "site,closes\nleeds,Holiday\nyork,Holday\n");
    let event = |uid, date, summary, category| {
        format!(
            "BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:20260101T000000Z\r\nDTSTART;VALUE=DATE:{date}\r\nSUMMARY:{summary}\r\nCATEGORIES:{category}\r\nEND:VEVENT\r\n"
        )
    };
    let events = event(1, "20261228", "Winter bank holiday", "Holiday")
        + &event(2, "20270830", "Summer fête", "Party")
        + &event(3, "20200101", "Parade", "Party");
    let calendar =
        format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//y//EN\r\n{events}END:VCALENDAR\r\n");
    folder.write("works.ics", &calendar);
    let reported = warnings(&folder, NOON);
    let events = "its events are \"Parade\", \"Summer fête\", \"Winter bank holiday\"";
    let categories = "its categories are \"Holiday\", \"Party\"";
    let none = "calendar \"works\" has no such event in the coming 500 days, so it has no effect";
    for expected in [
        format!(
            "rtconfd.toml:11:11: summary = \"bnk holiday\": {none}  hint: did you mean \"bank holiday\"? {events}"
        ),
        format!(
            "rtconfd.toml:20:47: category = \"Holliday\": {none}  hint: did you mean \"Holiday\"? {categories}"
        ),
        format!("rtconfd.toml:24:112: summary = \"party\": {none}  hint: did you mean \"Parade\"? {events}"),
        "calendar \"works\", summary = \"parade\": its last event is on 2020-01-01  hint: get a newer file: events that it lacks close nothing".to_owned(),
        format!(
            "sites.csv:3, column \"closes\": category = \"Holday\": {none}  hint: did you mean \"Holiday\"? {categories}"
        ),
    ] {
        assert!(reported.contains(&expected), "{expected}\nis not in {reported:#?}");
    }
    let public = reported.iter().find(|line| line.contains("Chrismas")).unwrap();
    assert!(
        public
            .starts_with("rtconfd.toml:14:11: summary = \"Chrismas\": calendar \"public\" has no such event")
    );
    assert!(public.contains("hint: did you mean \"Christmas\"? its events are \"Boxing Day\""), "{public}");
    // The calendar runs until August, but the filtered closures end earlier.
    for filter in ["category = \"Holiday\"", "summary = \"bank holiday\""] {
        let expected = format!("calendar \"works\", {filter}: its last event is on 2026-12-28");
        assert!(reported.iter().any(|line| line.starts_with(&expected)), "{reported:#?}");
    }
    assert_eq!(reported.len(), 9, "{reported:#?}");
}

#[test]
fn filters_that_match_no_event_are_reported_up_to_a_limit() {
    let api = Api::start();
    let folder = folder(
        &api,
        r#"
[sources.sites]
path = "sites.csv"
key = "site"
[[page]]
for_each = "sites"
agent = "{{ row.site }}"
environment = "live"
hours = { weekly = "Mo-Fr 09:00-17:00", closed_on = { calendar = "{{ row.closes }}", summary = "{{ row.site }}" } }
variables = { is_open = { show = "is_open" } }
"#,
    );
    let sites: String = (0..30).map(|site| format!("A-{site},holidays\n")).collect();
    folder.write("sites.csv", &format!("site,closes\n{sites}"));
    let reported = warnings(&folder, NOON);
    assert_eq!(reported.len(), 21, "{reported:#?}");
    assert_eq!(
        reported.last().unwrap(),
        "sites.csv:22, column \"site\": calendar \"holidays\": 10 more filters match no upcoming event, now or soon  hint: fix the listed filters first, or get a newer file"
    );
}

#[test]
fn a_yearly_event_is_not_reported_as_ending() {
    let api = Api::start();
    let folder = folder(
        &api,
        "[[page]]\nagent = \"A-1\"\nenvironment = \"live\"\nvariables = { a = { calendar = \"holidays\", show = \"name\" } }\n",
    );
    // The next Christmas is in eleven weeks, the one after it more than 400 days away.
    assert_eq!(warnings(&folder, "2026-10-10T12:00:00Z"), Vec::<String>::new());
}

#[test]
fn hours_with_dates_only_are_reported_before_the_last_date() {
    let api = Api::start();
    let folder = folder(
        &api,
        r#"
[sources.j]
path = "j.json"
[[page]]
agent = "A-1"
environment = "live"
[page.variables]
other = { hours = { weekly = "Mo-Fr 09:00-17:00" }, show = "is_open" }
a = { hours = { weekly = "closed", special = { "2026-12-01" = "09:00-17:00", "2026-12-24" = "closed" } }, show = "is_open" }
[[page]]
agent = "A-2"
environment = "live"
hours = { schema_org = { source = "j" } }
variables = { a = { show = "is_open" } }
[[page]]
agent = "A-3"
environment = "live"
hours = { weekly = "closed", special = { "2026-12-01" = "09:00-17:00", "2027-08-01" = "09:00-17:00" } }
variables = { a = { show = "is_open" } }
[[page]]
agent = "A-4"
environment = "live"
hours = { weekly = "closed", special = { "2026-12-24" = "closed" } }
variables = { a = { show = "is_open" } }
[sources.seasons]
path = "seasons.json"
[[page]]
agent = "A-5"
environment = "live"
hours = { schema_org = { source = "seasons", pointer = "/long" }, special = { "2026-12-24" = "09:00-12:00" } }
variables = { a = { show = "is_open" } }
[[page]]
agent = "A-6"
environment = "live"
hours = { schema_org = { source = "seasons", pointer = "/short" } }
variables = { a = { show = "is_open" } }
"#,
    );
    let season = |through: &str| json!([{"dayOfWeek": ["Monday", "Friday"], "validFrom": "2026-01-01", "validThrough": through, "opens": "09:00", "closes": "17:00"}]);
    let seasons = json!({"long": season("2027-12-31"), "short": season("2026-12-12")});
    folder.write("seasons.json", &format!("{seasons}\n"));
    folder.write(
        "j.json",
        r#"[{"validFrom": "2026-12-02", "validThrough": "2026-12-05", "opens": "10:00", "closes": "12:00"}]"#,
    );
    let reported = warnings(&folder, NOON);
    let last = |place: &str, date: &str| {
        format!(
            "{place} opens on {date} for the last time: it has no hours for any later date  hint: add weekly hours, or more dates; ignore this if it closes for good"
        )
    };
    assert_eq!(
        reported,
        [
            last("rtconfd.toml:16:63: A-1/live: the page", "2026-12-01"),
            last("j.json:1:2: A-2/live: the page", "2026-12-05"),
            "rtconfd.toml:42:9: A-6/live: the page is closed on all 44 dates from 2026-12-12 to 2027-01-24  hint: check its hours, special dates and calendars; ignore this if it is intended".to_owned(),
        ]
    );
    let later = warnings(&folder, "2027-09-01T12:00:00Z");
    assert!(later.iter().any(|line| line.contains("A-3/live") && line.contains("2027-08-01")), "{later:#?}");
}

/// A page for each row that repeats something for another table compiles it many times. Each use is
/// reported once, whichever row comes first.
#[test]
fn uses_inside_of_repeated_rows_are_found_whichever_row_comes_first() {
    let settings = r#"
[calendars.cal]
path = "cal.ics"
[sources.sites]
path = "sites.csv"
key = "site"
[sources.depts]
path = "depts.csv"
key = "dept"
[sources.closures]
path = "closures.csv"
[[page]]
for_each = { source = "sites", where = { live = "yes" } }
agent = "{{ row.agent }}"
environment = "live"
timezone = "Europe/London"
[page.variables]
departments = { each = "depts", item = { name = "{{ row.dept }}", rooms = { each = "depts", where = { dept = "{{ row.twin }}" }, item = { n = "{{ row.dept }}" } }, open = { show = "is_open", hours = { weekly = "Mo-Su 09:00-17:00", closed_on = { calendar = "cal", summary = "Chrismas" }, special_from = { source = "closures", match = { dept = "{{ row.dept }}" } } } } } }
"#;
    let event = "BEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20260101T000000Z\r\nDTSTART;VALUE=DATE:20261225\r\nRRULE:FREQ=YEARLY\r\nSUMMARY:Christmas\r\nEND:VEVENT\r\n";
    let calendar =
        format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//y//EN\r\n{event}END:VCALENDAR\r\n");
    for sites in ["leeds,A-1,no\nyork,A-2,yes\n", "york,A-2,yes\nleeds,A-1,no\n"] {
        let api = Api::start();
        let folder = Folder::new(&api.url, settings);
        folder.write("cal.ics", &calendar);
        folder.write("sites.csv", &format!("site,agent,live\n{sites}"));
        folder.write("depts.csv", "dept,twin\ngoods,food\nfood,none\n");
        folder.write("closures.csv", "dept,date,hours\ngoods,2026-12-26,closed\ngods,2026-12-27,closed\n");
        let reported = warnings(&folder, NOON).join("\n");
        for expected in [
            "summary = \"Chrismas\": calendar \"cal\" has no such event",
            "where: no row of depts.csv has dept = \"none\" (for row \"food\")",
            "no page and no hours use this row: \"gods\"",
        ] {
            assert_eq!(reported.matches(expected).count(), 1, "{expected}\n{reported}");
        }
        assert!(!reported.contains("\"goods\"  hint"), "{reported}");
    }
}
