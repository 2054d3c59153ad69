//! Every shape that real agents read and every table layout that people keep: settings in, JSON
//! out. The values are checked against the schema of the page and the consumer model.

use serde_json::{Value, json};

use crate::support::{Api, Folder};

/// Thursday noon in London.
const NOON: &str = "2026-11-26T12:00:00Z";

const CALENDAR: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//y//EN\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20260101T000000Z\r\nDTSTART;VALUE=DATE:20261225\r\nRRULE:FREQ=YEARLY\r\nSUMMARY:Christmas Day\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";

/// Reads a file of `tests/pages`: a schema, and values that meet it or not.
fn shape(name: &str) -> Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Creates a folder with these settings and a calendar of Christmas.
fn folder(api: &Api, settings: &str) -> Folder {
    let calendar = "[calendars.holidays]\npath = \"holidays.ics\"\n";
    let folder = Folder::new(&api.url, &format!("timezone_marker\n{settings}\n{calendar}"));
    let text = std::fs::read_to_string(folder.path("rtconfd.toml")).unwrap();
    folder.write(
        "rtconfd.toml",
        &format!("timezone = \"Europe/London\"\n{}", text.replace("timezone_marker\n", "")),
    );
    folder.write("holidays.ics", CALENDAR);
    folder
}

/// Returns the values that would be sent at an instant.
#[track_caller]
fn planned(folder: &Folder, at: &str) -> Value {
    let plan = folder.run(&["plan", "--format", "json", "--at", at]).expect(2).lines();
    Value::Object(
        plan.iter().map(|row| (row["variable"].as_str().unwrap().to_owned(), row["to"].clone())).collect(),
    )
}

/// Returns the problems that `check` reports at an instant, without their count.
#[track_caller]
fn complaints(folder: &Folder, at: &str) -> String {
    folder.run(&["check", "--at", at]).expect(1).err
}

#[test]
fn the_weekday_page_gets_its_week_and_its_special_dates() {
    let api = Api::start();
    let page = shape("weekdays.json");
    api.schema("A-1", &page["schema"]);
    let folder = folder(
        &api,
        r#"
[hours.desk]
weekly = "Mo-Fr 09:00-17:00; Sa 10:00-14:00"
closed_on = ["holidays"]
[[page]]
agent = "A-1"
environment = "live"
hours = "desk"
[page.variables]
timezone = "US/Central"
opening_hours = { show = "weekdays" }
settings = { object = { force_ooh_enabled = { show = "is_closed" } } }
"#,
    );
    let mut wanted = page["valid"].clone();
    wanted["opening_hours"]["special_dates"][0]["special_date_name"] = json!("Christmas Day");
    assert_eq!(planned(&folder, NOON), wanted);
    folder.run(&["check", "--at", NOON]).expect(0);
}

#[test]
fn the_page_of_lists_gets_regular_and_special_hours() {
    let api = Api::start();
    let page = shape("lists.json");
    api.schema("A-1", &page["schema"]);
    let folder = folder(
        &api,
        r#"
[[page]]
agent = "A-1"
environment = "live"
hours = { weekly = "Mo-Fr 09:00-17:30", closed_on = ["holidays"] }
[page.variables]
regular_hours = { show = "regular_hours" }
special_hours = { show = "special_hours" }
flags = { object = { ooh_enabled = true, ooh_forced = false } }
"#,
    );
    assert_eq!(planned(&folder, NOON), page["valid"]);
    folder.run(&["check", "--at", NOON]).expect(0);
}

#[test]
fn the_page_of_many_sites_is_built_from_the_rows_of_a_table() {
    let api = Api::start();
    let page = shape("sites.json");
    api.schema("A-1", &page["schema"]);
    let folder = folder(
        &api,
        r#"
[sources.sites]
path = "sites.csv"
key = "site"
[[page]]
agent = "A-1"
environment = "live"
[page.variables.site_hours]
each = { source = "sites", where = { status = ["open", "soft"] } }
unless = { site = "Hull" }
hours = { weekly = "{{ row.hours }}", closed_on = ["holidays"] }
item = { site_name = "{{ row.site }}", hours = { show = "today" }, is_open = { show = "is_open" }, next_change = { show = "next_change_at" }, phone = { column = "phone" } }
[page.variables.ooh_transfers]
list = [{ object = { "00_type" = "booking", "04_opening_hours" = { hours = "bar", show = "numbered" } } }]
[hours.bar]
weekly = "Mo 11:00-22:00, 23:00-01:00"
closed_on = ["holidays"]
"#,
    );
    folder.write(
        "sites.csv",
        "site,status,hours,phone\nLeeds,open,Mo-Su 09:00-17:00,+441130000000\nHull,open,Mo-Su 09:00-17:00,+441130000001\nYork,soft,\"Mo-Su 18:00-23:00\",+441130000002\nBath,closed,off,+441130000003\n",
    );
    let planned = planned(&folder, NOON);
    assert_eq!(
        planned["site_hours"],
        json!([
            {"site_name": "Leeds", "hours": "09:00-17:00", "is_open": true, "next_change": "2026-11-26T17:00:00+00:00", "phone": "+441130000000"},
            {"site_name": "York", "hours": "18:00-23:00", "is_open": false, "next_change": "2026-11-26T18:00:00+00:00", "phone": "+441130000002"},
        ])
    );
    assert_eq!(
        planned["ooh_transfers"][0]["04_opening_hours"],
        json!({
            "00_timezone": "Europe/London", "01_monday": "11:00-22:00;23:00-01:00", "02_tuesday": "closed",
            "03_wednesday": "closed", "04_thursday": "closed", "05_friday": "closed", "06_saturday": "closed",
            "07_sunday": "closed", "08_special_dates": [{"date": "2026-12-25", "hours": "closed", "name": "Christmas Day"}],
        })
    );
    folder.run(&["check", "--at", NOON]).expect(0);
    // An invalid cell is named by its position in the table.
    folder.write("sites.csv", "site,status,hours,phone\nLeeds,open,Mo-Su 09:00-17:00,0113\n");
    let reported = complaints(&folder, NOON);
    assert!(reported.contains("site_hours") && reported.contains("0113"), "{reported}");
}

#[test]
fn the_flat_page_gets_hours_flags_and_messages_by_shape_and_by_expression() {
    let api = Api::start();
    let page = shape("flat.json");
    api.schema("A-1", &page["schema"]);
    let folder = folder(
        &api,
        r#"
[[page]]
agent = "A-1"
environment = "live"
hours = { weekly = "Mo-Su 08:00-22:00", closed_on = ["holidays"] }
[page.variables]
open_hour = { show = "opens_at", format = "hour", otherwise = 0 }
close_hour = { show = "closes_at", format = "hour", otherwise = 0 }
is_open = { show = "is_open" }
holiday_flag = { calendar = "holidays", show = "is_today" }
holiday_name = { calendar = "holidays", show = "name" }
seasonal_message = { expression = "'' if open else 'We are ' ~ spoken ~ '.'", with = { open = { show = "is_open" }, spoken = { show = "spoken" } } }
fallback_number = "+442071234567"
"#,
    );
    assert_eq!(planned(&folder, NOON), page["valid"]);
    let night = planned(&folder, "2026-12-24T23:00:00Z");
    assert_eq!(
        night["seasonal_message"],
        json!("We are closed, open again on Saturday at eight in the morning.")
    );
    let christmas = planned(&folder, "2026-12-25T12:00:00Z");
    assert_eq!((&christmas["holiday_name"], &christmas["is_open"]), (&json!("Christmas Day"), &json!(false)));
    folder.run(&["check", "--at", NOON]).expect(0);
}

#[test]
fn a_value_that_would_be_misread_is_refused_with_the_minute_and_a_better_shape() {
    let api = Api::start();
    let page = |weekly: &str, variables: &str| {
        let settings = format!(
            "[[page]]\nagent = \"A-1\"\nenvironment = \"live\"\nhours = {{ weekly = \"{weekly}\", closed_on = [\"holidays\"] }}\n[page.variables]\n{variables}\n"
        );
        folder(&api, &settings)
    };
    for (weekly, variables, reported) in [
        (
            "Mo-Fr 09:00-12:30, 13:30-17:00",
            "opening_hours = { show = \"weekdays\" }",
            "opening_hours would be read as closed on Thu 2026-11-26 13:30:00 Europe/London (2026-11-26T13:30:00Z), but the page is open then",
        ),
        (
            "Fr 22:00-02:00",
            "opening_hours = { show = \"weekdays\" }",
            "would be read as closed on Fri 2026-11-27 22:00:00",
        ),
        (
            "Fr 22:00-02:00",
            "open = { show = \"opens_at\" }\nclose = { show = \"closes_at\" }",
            "close would be read as closed on Fri 2026-11-27 22:00:00",
        ),
        (
            "24/7",
            "hours = { show = \"weekdays\" }",
            "hint: show is_open, because no consumer model for such texts supports a day that is open throughout;",
        ),
        (
            "Mo-Su 09:00-17:00",
            "x = { when = [{ from = \"2026-12-01\", value = { object = { msg = \"Hello\", r = { show = \"regular_hours\" } } } }], otherwise = \"x\" }",
            "r would be read as open on Fri 2026-12-25 09:00:00",
        ),
        // The same hours, written for each of the two.
        (
            "Mo-Su 09:00-17:00",
            "open = { hours = { weekly = \"Fr 22:00-02:00\" }, show = \"opens_at\" }\nclose = { hours = { weekly = \"Fr 22:00-02:00\" }, show = \"closes_at\" }",
            "close would be read as closed on Fri 2026-11-27 22:00:00",
        ),
        (
            "Mo-Su 09:00-17:00",
            "regular_hours = { show = \"regular_hours\" }",
            "regular_hours would be read as open on Fri 2026-12-25 09:00:00",
        ),
        (
            "Mo-Fr 09:00-17:00",
            "times = { list = [{ object = { week = { show = \"week\", reader = \"one_interval\" } } }, { object = { week = { hours = \"late\", show = \"week\", reader = \"one_interval\" } } }] }\n[hours.late]\nweekly = \"Sa 23:00-01:00\"",
            "week would be read as closed on Sat 2026-11-28 23:00:00",
        ),
    ] {
        let folder = page(weekly, variables);
        let err = complaints(&folder, "2026-11-26T12:45:00Z");
        assert!(err.contains(reported), "{variables}: {err}");
        assert!(err.contains("hint: "), "{err}");
    }
    // The same hours, in shapes whose consumers understand them.
    for (weekly, variables) in [
        ("Mo-Fr 09:00-12:30, 13:30-17:00", "hours = { show = \"numbered\" }"),
        ("Fr 22:00-02:00", "hours = { show = \"numbered\" }"),
        ("Mo-Su 18:00-24:00", "hours = { show = \"numbered\" }"),
        ("Mo-Su 18:00-24:00", "hours = { show = \"weekdays\", reader = \"intervals\" }"),
        (
            "Fr 22:00-02:00",
            "is_open = { show = \"is_open\" }\nweekdays = { show = \"weekdays\", reader = \"none\" }",
        ),
        (
            "Mo-Su 09:00-17:00",
            "regular = { show = \"regular_hours\" }\nspecial = { show = \"special_hours\" }",
        ),
        (
            "Mo-Fr 09:00-12:30, 13:30-17:00",
            "open = { show = \"opens_at\" }\nclose = { show = \"closes_at\" }",
        ),
        ("Mo-Su 00:00-24:00", "hours = { show = \"week\", reader = \"none\" }"),
    ] {
        page(weekly, variables).run(&["check", "--at", NOON]).expect(0);
    }
}

#[test]
fn the_daemon_does_not_send_a_misleading_value() {
    let api = Api::start();
    let folder = folder(
        &api,
        "[[page]]\nagent = \"A-1\"\nenvironment = \"live\"\nhours = { weekly = \"Mo-Su 00:00-12:00, 12:30-24:00\" }\nvariables = { opening_hours = { show = \"weekdays\" } }\n",
    );
    let applied = folder.run(&["apply", "--format", "json"]).expect(1).lines();
    assert!(applied[0]["problem"].as_str().unwrap().contains("would be read as closed"), "{applied:?}");
    assert!(api.requests("PATCH").is_empty());
}

#[test]
fn hours_come_from_another_table_by_cell_by_column_and_by_row() {
    let api = Api::start();
    let page = |hours: &str| {
        let folder = folder(
            &api,
            &format!(
                r#"
[sources.sites]
path = "sites.csv"
key = "site"
[sources.hours]
path = "hours.csv"
key = "place"
[sources.rows]
path = "rows.csv"
key = "id"
[[page]]
for_each = "sites"
join = {{ hours = "{{{{ row.place }}}}" }}
agent = "{{{{ row.agent }}}}"
environment = "live"
[page.hours]
{hours}
[page.variables]
week = {{ show = "week" }}
note = "{{{{ hours.note }}}}"
"#
            ),
        );
        folder.write("sites.csv", "site,agent,place\na,A-1,p1\n");
        folder.write(
            "hours.csv",
            "place,all,Monday,Sat,note\np1,\"Mo 09:00-17:00; Sa 10:00-14:00\",09:00-17:00,10:00-14:00,ring twice\np2,off,closed,closed,\n",
        );
        folder.write(
            "rows.csv",
            "id,site,day,open,close\n1,a,Mon,09:00,17:00\n2,a,Sat,10:00,14:00\n3,a,Sun,closed,\n4,b,Sun,09:00,17:00\n",
        );
        folder
    };
    for hours in [
        r#"weekly_from = { source = "hours", row = "{{ row.place }}", column = "all" }"#,
        r#"weekly_from = { source = "hours", row = "{{ row.place }}", columns = { mon = "Monday", sat = "Sat" } }"#,
        r#"weekly_from = { source = "rows", match = { site = "{{ row.site }}" } }"#,
        r#"weekly = "{{ hours.all }}""#,
        r#"weekly = { mon = "{{ hours.Monday }}", sat = "{{ hours.Sat }}" }"#,
    ] {
        let planned = planned(&page(hours), NOON);
        assert_eq!(
            (&planned["week"]["monday"], &planned["note"]),
            (&json!("09:00-17:00"), &json!("ring twice")),
            "{hours}"
        );
        assert_eq!(
            (&planned["week"]["saturday"], &planned["week"]["sunday"]),
            (&json!("10:00-14:00"), &json!("closed"))
        );
    }
    for (hours, reported) in [
        (
            r#"weekly_from = { source = "hours", row = "p7", column = "all" }"#,
            "hours.csv has no row \"p7\" (for row \"a\")\n",
        ),
        (
            r#"weekly_from = { source = "hours", row = "p1", column = "al" }"#,
            "hours.csv has no column \"al\"",
        ),
        (
            r#"weekly_from = { source = "rows", match = { site = "zz" } }"#,
            "source \"rows\" has no row for these hours",
        ),
        (
            "weekly = \"off\"\nweekly_from = { source = \"rows\", match = { site = \"a\" } }",
            "the weekly hours are set more than once: weekly and weekly_from",
        ),
        ("special = {}", "hours needs \"weekly\""),
        ("weekly = \"Mo-Fr 09:00-17:00; PH off\"", "no calendar lists the public holidays"),
    ] {
        let err = complaints(&page(hours), NOON);
        assert!(err.contains(reported), "{hours}: {err}");
    }
}

#[test]
fn a_filtered_row_or_one_without_its_joined_row_affects_only_its_page() {
    let api = Api::start();
    let folder = folder(
        &api,
        r#"
[sources.sites]
path = "sites.csv"
key = "site"
[sources.phones]
path = "phones.csv"
key = "site"
[[page]]
for_each = { source = "sites", where = { brand = "north" } }
join = { phones = "{{ row.site }}" }
agent = "A-{{ row.site }}"
environment = ["sandbox", "live"]
variables = { phone = "{{ phones.phone }}" }
[hold]
rows_percent = 100
pages_percent = 100
"#,
    );
    folder.write("sites.csv", "site,brand\na,north\nb,south\nc,north\n");
    folder.write("phones.csv", "site,phone\na,1\n");
    let plan = folder.run(&["plan", "--format", "json"]).expect(1);
    let pages: Vec<Value> = plan.lines().iter().map(|row| row["page"].clone()).collect();
    assert_eq!(pages, [json!("A-a/sandbox"), json!("A-a/live")]);
    assert!(plan.err.contains("phones.csv has no row \"c\""), "{}", plan.err);
    folder.write("phones.csv", "site,phone\na,1\nc,3\n");
    folder.run(&["apply"]).expect(0);
    assert_eq!(api.variables("A-c"), json!({"phone": "3"}));
    assert_eq!(api.variables("A-b"), json!({}));
}

#[test]
fn a_table_that_lost_many_rows_is_not_searched_for_each_of_them() {
    let api = Api::start();
    let folder = folder(
        &api,
        r#"
[sources.sites]
path = "sites.csv"
key = "site"
[sources.phones]
path = "phones.csv"
key = "site"
[[page]]
for_each = "sites"
join = { phones = "{{ row.site }}" }
agent = "{{ row.site }}"
environment = "live"
variables = { phone = "{{ phones.phone }}" }
"#,
    );
    let sites: String = (1000..1500).map(|site| format!("S-{site}\n")).collect();
    let phones: String = (1000..1500).map(|site| format!("T-{site},1\n")).collect();
    folder.write("sites.csv", &format!("site\n{sites}"));
    folder.write("phones.csv", &format!("site,phone\n{phones}"));
    let reported = folder.run(&["check", "--offline"]).expect(1).err;
    let hinted = |hint: &str| reported.lines().filter(|line| line.contains(hint)).count();
    assert_eq!((hinted("did you mean \"T-"), hinted("its rows are \"T-1000\", ")), (400, 100));
}

#[test]
fn a_condition_that_no_row_meets_is_reported_with_the_values_of_the_column() {
    let api = Api::start();
    let check = |conditions: &str| {
        let settings = format!(
            r#"
[sources.sites]
path = "sites.csv"
key = "site"
[[page]]
agent = "A-1"
environment = "live"
variables.sites = {{ each = "sites", {conditions}, item = "{{{{ row.site }}}}" }}
"#
        );
        let folder = folder(&api, &settings);
        folder.write("sites.csv", "site,status\na,open\nb,closed\n");
        let reported = folder.run(&["check", "--at", NOON]).expect(0).err;
        reported.lines().filter(|line| line.contains("sites.csv")).collect::<Vec<_>>().join("\n")
    };
    for (conditions, reported) in [
        (r#"where = { status = "open" }"#, ""),
        (r#"where = { status = ["open", "soft"] }, unless = { site = "b" }"#, ""),
        (
            r#"where = { status = ["opne", "soft"] }"#,
            "where: no row of sites.csv has status = \"opne\" or \"soft\"",
        ),
        (r#"unless = { site = "Hull" }"#, "unless: no row of sites.csv has site = \"Hull\""),
    ] {
        let found = check(conditions);
        assert_eq!(found.is_empty(), reported.is_empty(), "{found}");
        assert!(found.starts_with("warning: ") || reported.is_empty(), "{found}");
        assert!(found.ends_with(reported), "{found}");
    }
}

#[test]
fn array_items_are_owned_individually_and_created_only_on_request() {
    let api = Api::start();
    let settings = |create: &str| {
        format!(
            r#"
[sources.sites]
path = "sites.csv"
key = "site"
[[page]]
agent = "A-1"
environment = "live"
{create}
[[page.each]]
source = "sites"
hours = {{ weekly = "{{{{ row.hours }}}}" }}
[page.each.variables]
"/site_hours[site_name={{{{ row.site }}}}]/hours" = {{ show = "today" }}
"/site_hours[site_name={{{{ row.site }}}}]/is_open" = {{ show = "is_open" }}
"#
        )
    };
    let folder = folder(&api, &settings(""));
    folder.write("sites.csv", "site,hours\nLeeds,Mo-Su 00:00-24:00\nYork,off\n");
    let theirs = json!({"site_hours": [
        {"site_name": "Bath", "hours": "ask"},
        {"site_name": "Leeds", "hours": "?", "phone": "+44113"},
    ]});
    api.edit("A-1", &theirs);
    let reported = folder.run(&["plan"]).expect(1).out;
    assert!(reported.contains("the array on the page has no item with site_name = \"York\""), "{reported}");
    assert!(reported.contains("create_items = true"), "{reported}");
    folder.run(&["apply"]).expect(1);
    assert_eq!(api.variables("A-1"), theirs, "a page that can't be made right gets nothing at all");

    let folder = self::folder(&api, &settings("create_items = true"));
    folder.write("sites.csv", "site,hours\nLeeds,Mo-Su 00:00-24:00\nYork,off\n");
    folder.run(&["apply"]).expect(0);
    let ours = json!({"site_hours": [
        {"site_name": "Bath", "hours": "ask"},
        {"site_name": "Leeds", "hours": "00:00-24:00", "phone": "+44113", "is_open": true},
        {"site_name": "York", "hours": "closed", "is_open": false},
    ]});
    assert_eq!(api.variables("A-1"), ours);
    assert_eq!(folder.run(&["plan"]).expect(0).out, "");
    // A person reorders the items and edits beside ours: the edits survive, and ours are found.
    let moved = json!({"site_hours": [
        {"site_name": "York", "hours": "09:00-17:00", "is_open": false, "phone": "+44190"},
        {"site_name": "Bath", "hours": "closed"},
        {"site_name": "Leeds", "hours": "00:00-24:00", "phone": "+44999", "is_open": true},
    ]});
    api.edit("A-1", &moved);
    folder.run(&["apply"]).expect(0);
    let mut wanted = moved;
    wanted["site_hours"][0]["hours"] = json!("closed");
    assert_eq!(api.variables("A-1"), wanted);
}

#[test]
fn a_sandbox_may_run_ahead_of_the_clock_and_live_may_not() {
    let api = Api::start();
    let block = |environment: &str| {
        format!(
            "[[page]]\nagent = \"A-1\"\nenvironment = \"{environment}\"\nahead = \"7d\"\nhours = {{ weekly = \"Mo-Fr 09:00-17:00\", special = {{ \"2026-12-03\" = \"closed\" }} }}\nvariables = {{ is_open = {{ show = \"is_open\" }} }}\n"
        )
    };
    let ahead = folder(&api, &block("sandbox"));
    assert_eq!(planned(&ahead, NOON), json!({"is_open": false}), "the third of December");
    assert_eq!(planned(&ahead, "2026-11-27T12:00:00Z"), json!({"is_open": true}));
    let explained = ahead.run(&["explain", "A-1/sandbox", "is_open", "--at", NOON]).expect(0).out;
    assert!(explained.contains("7d ahead: the page is closed on 2026-12-03"), "{explained}");
    let reported = complaints(&folder(&api, &block("live")), NOON);
    assert!(reported.contains("a live page cannot run ahead"), "{reported}");
    let reported = complaints(&folder(&api, &block("sandbox").replace("\"7d\"", "7")), NOON);
    assert!(reported.contains("ahead: 7 has no unit") && reported.contains("\"7h\" or \"7d\""), "{reported}");
}

#[test]
fn published_hours_of_google_and_schema_org_are_read() {
    let api = Api::start();
    let page = |hours: &str, json: &Value| {
        let folder = folder(
            &api,
            &format!(
                "[sources.place]\npath = \"place.json\"\n[[page]]\nagent = \"A-1\"\nenvironment = \"live\"\nhours = {{ {hours}, closed_on = [\"holidays\"] }}\nvariables = {{ hours = {{ show = \"numbered\", days = 90 }} }}\n"
            ),
        );
        folder.write("place.json", &format!("{json}\n"));
        folder
    };
    // The example of the Business Profile reference: TimeOfDay omits zero fields.
    let google = json!({"locations": [{
        "regularHours": {"periods": [
            {"openDay": "MONDAY", "openTime": {"hours": 9}, "closeDay": "MONDAY", "closeTime": {"hours": 17, "minutes": 30}},
            {"openDay": "FRIDAY", "openTime": {"hours": 22}, "closeDay": "SATURDAY", "closeTime": {"hours": 2}},
            {"openDay": "SUNDAY", "openTime": {"hours": 9}, "closeDay": "SUNDAY", "closeTime": {"hours": 24}},
        ]},
        "specialHours": {"specialHourPeriods": [
            {"startDate": {"year": 2026, "month": 12, "day": 24}, "openTime": {"hours": 9}, "endDate": {"year": 2026, "month": 12, "day": 24}, "closeTime": {"hours": 13}},
            {"startDate": {"year": 2027, "month": 1, "day": 1}, "closed": true},
        ]},
        "moreHours": [{"hoursTypeId": "DELIVERY", "periods": [{"openDay": "TUESDAY", "openTime": "11:00", "closeDay": "TUESDAY", "closeTime": "14:00"}]}],
    }]});
    let planned_hours = |hours: &str, json: &Value| planned(&page(hours, json), NOON)["hours"].clone();
    let regular = planned_hours("google = { source = \"place\", pointer = \"/locations/0\" }", &google);
    assert_eq!(
        [&regular["01_monday"], &regular["02_tuesday"], &regular["05_friday"], &regular["07_sunday"]],
        [&json!("09:00-17:30"), &json!("closed"), &json!("22:00-02:00"), &json!("09:00-00:00")]
    );
    assert_eq!(
        regular["08_special_dates"],
        json!([
            {"date": "2026-12-24", "hours": "09:00-13:00"},
            {"date": "2026-12-25", "hours": "closed", "name": "Christmas Day"},
            {"date": "2027-01-01", "hours": "closed"},
        ])
    );
    let delivery = planned_hours(
        "google = { source = \"place\", pointer = \"/locations/0\", more = \"DELIVERY\" }",
        &google,
    );
    assert_eq!((&delivery["01_monday"], &delivery["02_tuesday"]), (&json!("closed"), &json!("11:00-14:00")));

    // From schema.org's examples and Google's guidance for closed days and whole days.
    let schema_org = json!({"@type": "Store", "openingHoursSpecification": [
        {"@type": "OpeningHoursSpecification", "dayOfWeek": ["Monday", "https://schema.org/Tuesday"], "opens": "09:00", "closes": "17:00:00"},
        {"dayOfWeek": "http://schema.org/Saturday", "opens": "00:00", "closes": "23:59"},
        {"dayOfWeek": "Friday", "opens": "18:00", "closes": "02:00"},
        {"dayOfWeek": "PublicHolidays", "opens": "10:00", "closes": "12:00"},
        {"validFrom": "2026-12-30", "validThrough": "2026-12-31", "opens": "00:00", "closes": "00:00"},
    ], "specialOpeningHoursSpecification": {"validFrom": "2027-01-04", "validThrough": "2027-01-10", "dayOfWeek": "Monday", "opens": "12:00", "closes": "14:00"}});
    let read = planned_hours("schema_org = { source = \"place\" }", &schema_org);
    assert_eq!(
        [
            &read["01_monday"],
            &read["02_tuesday"],
            &read["05_friday"],
            &read["06_saturday"],
            &read["07_sunday"]
        ],
        [
            &json!("09:00-17:00"),
            &json!("09:00-17:00"),
            &json!("18:00-02:00"),
            &json!("00:00-00:00"),
            &json!("closed")
        ]
    );
    assert_eq!(
        read["08_special_dates"],
        json!([
            {"date": "2026-12-25", "hours": "10:00-12:00", "name": "Christmas Day"},
            {"date": "2026-12-30", "hours": "closed"}, {"date": "2026-12-31", "hours": "closed"},
            {"date": "2027-01-04", "hours": "12:00-14:00"},
        ])
    );
    for (hours, json, reported) in [
        ("google = { source = \"place\" }", json!({}), "a location needs \"regularHours\""),
        (
            "google = { source = \"place\", more = \"X\" }",
            json!({"moreHours": []}),
            "no moreHours of type \"X\"",
        ),
        (
            "google = { source = \"place\" }",
            json!({"regularHours": {"periods": [{"openDay": "FUNDAY", "openTime": {}, "closeDay": "MONDAY", "closeTime": {}}]}}),
            "invalid day of the week \"FUNDAY\"",
        ),
        (
            "google = { source = \"place\" }",
            json!({"regularHours": {"periods": [{"openDay": "MONDAY", "openTime": {"hours": 25}, "closeDay": "MONDAY", "closeTime": {}}]}}),
            "hours: 25 is out of range",
        ),
        ("schema_org = { source = \"place\" }", json!([]), "there is no OpeningHoursSpecification here"),
        (
            "schema_org = { source = \"place\" }",
            json!([{"opens": "09:00", "closes": "17:00"}]),
            "these hours have no days or dates",
        ),
        (
            "schema_org = { source = \"place\" }",
            json!([{"dayOfWeek": "Monday", "opens": "9am", "closes": "17:00"}]),
            "\"9am\" is not a time",
        ),
        ("schema_org = { source = \"place\", pointer = \"/x\" }", json!([]), "has nothing at \"/x\""),
    ] {
        let err = complaints(&page(hours, &json), NOON);
        assert!(err.contains(reported), "{hours} {json}: {err}");
    }
}

#[test]
fn an_item_with_the_keys_of_a_definition_makes_a_plain_array() {
    let api = Api::start();
    let sites = "[sources.sites]\npath = \"sites.csv\"\nkey = \"site\"\n";
    let variables = r#"
today = { each = "sites", hours = { weekly = "{{ row.hours }}" }, item = { show = "today" } }
names = { each = "sites", item = "{{ row.site }}" }
shown = { each = "sites", item = { object = { show = "{{ row.site }}" } } }
"#;
    let folder = folder(
        &api,
        &format!("{sites}[[page]]\nagent = \"A-1\"\nenvironment = \"live\"\n[page.variables]{variables}"),
    );
    folder.write("sites.csv", "site,hours\na,Mo-Su 09:00-17:00\nb,off\n");
    assert_eq!(
        planned(&folder, NOON),
        json!({"today": ["09:00-17:00", "closed"], "names": ["a", "b"], "shown": [{"show": "a"}, {"show": "b"}]})
    );
}

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
        reported.contains("A-1/live: fax is required by the page's schema, but has no owner"),
        "{reported}"
    );
    let status = folder.run(&["status", "--format", "json"]).lines();
    assert!(status.last().unwrap()["running_out"].is_array());
}

/// The report uses the schema in the store and sends no request.
#[test]
fn status_reports_unknown_variables_and_required_ones_that_nobody_owns() {
    let api = Api::start();
    let folder = folder(
        &api,
        "[[page]]\nagent = \"A-1\"\nenvironment = \"live\"\nvariables = { opn = true, box = { value = { a = 1 } } }\n",
    );
    let schema = |required: &[&str]| json!({"properties": {"open": {}, "fax": {}, "box": {"properties": {"b": {}}}}, "required": required});
    let reported = |code: i32| {
        let status = folder.run(&["status", "--format", "json"]).expect(code).lines();
        let reported = status.last().unwrap()["running_out"].clone();
        reported.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    api.schema("A-1", &schema(&["fax"]));
    folder.run(&["apply"]).expect(1);
    let unknown_names = [
        "A-1/live: opn is owned but unknown to the page's schema",
        "A-1/live: box has the key \"a\", which is unknown to the page's schema",
    ];
    let missing = "A-1/live: fax is required by the page's schema, but has no owner";
    let all = reported(1);
    for wanted in unknown_names.iter().chain([&missing]) {
        assert!(all.iter().any(|line| line.contains(wanted)), "{wanted}: {all:#?}");
    }
    assert_eq!(all.len(), 3, "{all:#?}");
    // Variables set by others count as present, even if no setting owns them.
    api.schema("A-1", &schema(&[]));
    api.edit("A-1", &json!({"fax": "1"}));
    api.schema("A-1", &schema(&["fax"]));
    folder.run(&["apply"]).expect(0);
    let all = reported(0);
    assert!(all.len() == 2 && !all.iter().any(|line| line.contains("fax")), "{all:#?}");
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
    for (events, wanted) in [
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
            reported.len() == 1 && reported[0].starts_with(&format!("calendar \"works\": {wanted}")),
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
    for (hours, special, wanted) in [
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
        assert!(reported.len() == 1 && reported[0].contains(wanted), "{special}: {reported:?}");
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

/// A person edits beside ours before the fetch, between fetch and PATCH, and after it.
///
/// The middle case is a race that the API leaves open, since it has no ETag.
#[tokio::test]
async fn neighbouring_edits_survive_except_between_fetch_and_patch() {
    use rtconfd::simulator::{Fault, Kind};
    let api = Api::start();
    let settings = "[[page]]\nagent = \"A-1\"\nenvironment = \"live\"\nvariables = { \"/box/ours\" = \"VALUE\", \"/list[name=ours]/x\" = \"VALUE\" }\n";
    let theirs = |note: i32, ours: &str| json!({"box": {"note": note, "ours": ours}, "list": [{"name": "theirs", "x": note}, {"name": "ours", "x": ours, "note": note}]});
    let state = |api: &Api| api.variables("A-1");
    let write = |folder: &Folder, value: &str| {
        folder.settings(&api.url, &settings.replace("VALUE", value));
    };
    let folder = Folder::new(&api.url, &settings.replace("VALUE", "0"));
    // Before the fetch.
    api.edit("A-1", &theirs(1, "?"));
    folder.run(&["apply"]).expect(0);
    assert_eq!(state(&api), theirs(1, "0"));
    // After the PATCH, and then a change of ours.
    api.edit("A-1", &theirs(2, "0"));
    write(&folder, "1");
    folder.run(&["apply"]).expect(0);
    assert_eq!(state(&api), theirs(2, "1"));
    // While the answer to the fetch is delayed: its content is as old as the answer.
    write(&folder, "2");
    let before = api.simulator.log().len();
    api.simulator.inject(Fault::new(Kind::AppliedThenLatency { ms: 400 }).method("GET"));
    let mut applying = folder.spawn(&["apply"]);
    crate::support::until("the look is answered", || api.simulator.log().len() > before).await;
    api.edit("A-1", &theirs(3, "1"));
    assert_eq!(applying.ends().await, 0, "{}", applying.log());
    api.simulator.heal();
    let seen = state(&api);
    // The answer predates the edit. Either it is stale and the fetch is repeated, or this is the
    // race.
    assert!(seen == theirs(3, "2") || seen == theirs(2, "2"), "{seen}");
    // While the PATCH is unanswered: the edit comes later and survives.
    write(&folder, "3");
    let patches = api.requests("PATCH").len();
    api.simulator.inject(Fault::new(Kind::AppliedThenLatency { ms: 500 }).method("PATCH"));
    let mut applying = folder.spawn(&["apply"]);
    crate::support::until("the PATCH arrives", || api.requests("PATCH").len() > patches).await;
    crate::support::until("the PATCH is applied", || state(&api)["box"]["ours"] == json!("3")).await;
    api.edit("A-1", &theirs(4, "3"));
    assert_eq!(applying.ends().await, 0, "{}", applying.log());
    api.simulator.heal();
    assert_eq!(state(&api), theirs(4, "3"));
    assert_eq!(folder.run(&["plan"]).expect(0).out, "");
}

#[test]
fn a_cell_with_a_slash_is_a_single_name_in_an_item_path() {
    let api = Api::start();
    let settings = r#"
[sources.sites]
path = "sites.csv"
key = "Site Name"
[[page]]
agent = "A-1"
environment = "live"
create_items = true
[[page.each]]
source = "sites"
[page.each.variables]
"/sites[name={{ row['Site Name'] }}]/phone" = { column = "phone" }
"#;
    let folder = folder(&api, settings);
    folder.write("sites.csv", "Site Name,phone\nLeeds/York,1\n\"A]b=[c~1d\",2\n");
    folder.run(&["apply"]).expect(0);
    let made = json!({"sites": [{"name": "Leeds/York", "phone": "1"}, {"name": "A]b=[c~1d", "phone": "2"}]});
    assert_eq!(api.variables("A-1"), made);
    assert_eq!(folder.run(&["plan"]).expect(0).out, "");
}

#[test]
fn ambiguous_settings_are_refused_with_a_hint() {
    let api = Api::start();
    let page = |settings: &str| {
        let environment = if settings.starts_with("environment") { "" } else { "environment = \"live\"" };
        let folder = folder(
            &api,
            &format!(
                "[sources.t]\npath = \"t.csv\"\nkey = \"id\"\n[sources.j]\npath = \"j.json\"\n[[page]]\nagent = \"A-1\"\n{environment}\n{settings}\n"
            ),
        );
        folder.write(
            "t.csv",
            "id,site,day,open,close,wd\n1,a,Mon,closed,,09:00-17:00\n2,a,Mon,09:00,12:00,closed\n3,b,Mon,9:00,,\n4,c,Mon,,9:00,\n5,d,Mon,closed,9:00,\n6,e,Mon,9:00,25:00,\n7,f,Mon,nine,17:00,\n8,g,Mon,closed,closed,\n",
        );
        folder.write("j.json", r#"[{"dayOfWeek": "PublicHolidays", "opens": "10:00", "closes": "12:00"}, {"dayOfWeek": "PublicHolidays", "opens": "13:00", "closes": "15:00"}, {"validFrom": "2026-12-24", "validThrough": "2026-12-24", "opens": "00:00", "closes": "00:00"}, {"validFrom": "2026-12-24", "validThrough": "2026-12-24", "opens": "09:00", "closes": "12:00"}]"#);
        folder
    };
    let hours = |hours: &str| {
        format!(
            "hours = {{ {hours}, closed_on = [\"holidays\"] }}\nvariables = {{ a = {{ show = \"today\" }} }}"
        )
    };
    for (settings, reported) in [
        ("environment = []\nvariables = { a = 1 }".to_owned(), "the page has no environment"),
        (
            "environment = [\"live\", \"live\"]\nvariables = { a = 1 }".to_owned(),
            "duplicate environment live",
        ),
        ("variables = { a = { expression = \"1\", with = {} } }".to_owned(), "`with` has no values"),
        ("join = { t = \"1\" }\nvariables = { a = 1 }".to_owned(), "join requires for_each"),
        ("variables = { \"s[n=a]/x\" = 1 }".to_owned(), "invalid array item \"s[n=a]/x\""),
        ("variables = { \"/s[n]/x\" = 1 }".to_owned(), "invalid array item \"/s[n]/x\""),
        (
            "variables = { \"/s[n=a]\" = { value = { b = 1 } } }\ncreate_items = true".to_owned(),
            "the item with n = \"a\" would lose its n",
        ),
        (hours("weekly_from = { source = \"t\" }"), "weekly_from needs \"row\" or \"match\""),
        (hours("weekly_from = { source = \"t\", row = \"1\" }"), "needs \"column\" or \"columns\""),
        (
            hours("weekly_from = { source = \"t\", row = \"1\", match = { site = \"a\" } }"),
            "both row and match",
        ),
        (
            hours(
                "weekly_from = { source = \"t\", row = \"1\", columns = { mon-fri = \"wd\", mon = \"wd\" } }",
            ),
            "Mon has hours already",
        ),
        (hours("weekly_from = { source = \"t\", match = { site = \"a\" } }"), "Mon is both open and closed"),
        (hours("weekly_from = { source = \"t\", match = { sit = \"a\" } }"), "did you mean \"site\"?"),
        (
            hours("weekly_from = { source = \"t\", match = { site = \"b\" } }"),
            "t.csv:4, column \"close\": it opens at 9:00, but its closing time is missing",
        ),
        (
            hours("weekly_from = { source = \"t\", match = { site = \"c\" } }"),
            "t.csv:5, column \"open\": it closes at \"9:00\", but its opening time is missing",
        ),
        (
            hours("weekly_from = { source = \"t\", match = { site = \"d\" } }"),
            "t.csv:6, column \"close\": \"closed\" and \"9:00\" cannot be combined",
        ),
        (
            hours("weekly_from = { source = \"t\", match = { site = \"e\" } }"),
            "t.csv:7, column \"close\": \"25:00\" is not a time",
        ),
        (
            hours("weekly_from = { source = \"t\", match = { site = \"f\" } }"),
            "t.csv:8, column \"open\": \"nine\" is not a time",
        ),
        (hours("schema_org = { source = \"j\" }"), "2026-12-24 is both open and closed"),
    ] {
        let err = complaints(&page(&settings), NOON);
        assert!(err.contains(reported) && err.contains("hint: "), "{settings}: {err}");
    }
    let both_closed = page(&hours("weekly_from = { source = \"t\", match = { site = \"g\" } }"));
    assert_eq!(planned(&both_closed, NOON), json!({"a": "closed"}));
}

/// Creates a page whose hours are published in `place.json`.
fn published(api: &Api, format: &str, json: &Value) -> Folder {
    let folder = folder(
        api,
        &format!(
            "[sources.place]\npath = \"place.json\"\n[[page]]\nagent = \"A-1\"\nenvironment = \"live\"\nhours = {{ {format}, closed_on = [\"holidays\"] }}\nvariables = {{ hours = {{ show = \"numbered\", days = 40 }}, open = {{ show = \"is_open\" }} }}\n"
        ),
    );
    folder.write("place.json", &format!("{json}\n"));
    folder
}

const GOOGLE: &str = "google = { source = \"place\" }";
const SCHEMA_ORG: &str = "schema_org = { source = \"place\" }";

#[test]
fn contradictory_or_empty_published_hours_are_refused_with_a_hint() {
    let api = Api::start();
    let period = |open: Value, last: &str, close: Value| json!({"openDay": "MONDAY", "openTime": open, "closeDay": last, "closeTime": close});
    let day = || period(json!({"hours": 9}), "MONDAY", json!({"hours": 17}));
    let regular = |period: Value| json!({"regularHours": {"periods": [period]}});
    let special = |period: Value| json!({"regularHours": {"periods": [day()]}, "specialHours": {"specialHourPeriods": [period]}});
    let date = |day: u32| json!({"year": 2026, "month": 12, "day": day});
    let dated = |from: &str, through: &str, opens: &str, closes: &str| json!({"validFrom": from, "validThrough": through, "opens": opens, "closes": closes});
    let on = |days: &str, mut spec: Value| {
        spec["dayOfWeek"] = json!(days);
        spec
    };
    let hours = |opens: &str, closes: &str| json!({"opens": opens, "closes": closes});
    let delivery = "google = { source = \"place\", more = \"DELIVERY\" }";
    for (format, json, reported) in [
        // Google: "The closing time must occur after the opening time". It would be six days open.
        (
            GOOGLE,
            regular(period(json!({"hours": 22}), "MONDAY", json!({"hours": 2}))),
            "set closeDay to TUESDAY",
        ),
        (
            GOOGLE,
            regular(period(json!({"hours": 9}), "MONDAY", json!({}))),
            "a period of Monday closes no later",
        ),
        (GOOGLE, regular(period(json!({}), "MONDAY", json!({}))), "a period of Monday closes no later"),
        (
            GOOGLE,
            special(json!({"startDate": date(24), "openTime": {"hours": 22}, "closeTime": {"hours": 2}})),
            "set endDate to the next date",
        ),
        (GOOGLE, special(json!({"startDate": date(24)})), "\"closed\": true"),
        (GOOGLE, special(json!({"closed": true})), "a special period needs \"startDate\""),
        // Google ignores the end of a closed period.
        (
            GOOGLE,
            special(json!({"startDate": date(24), "endDate": date(26), "closed": true})),
            "a closed special period covers only its startDate, but this one ends on 2026-12-26",
        ),
        (
            GOOGLE,
            special(json!({"startDate": date(24), "endDate": date(23), "closed": true})),
            "this one ends on 2026-12-23 (hint: write a closed period for each date",
        ),
        (GOOGLE, regular(period(Value::Null, "MONDAY", json!({}))), "openTime must be a table, not null"),
        (GOOGLE, special(json!({"startDate": "2026-12-24", "closed": true})), "a date must be a table"),
        (GOOGLE, json!({}), "a location needs \"regularHours\""),
        (GOOGLE, json!({"regularHours": {}}), "regularHours needs \"periods\""),
        (GOOGLE, json!({"regularHours": {"periods": [day()], "x": 1}}), "unknown key `x` in regularHours"),
        (
            GOOGLE,
            json!({"regularHours": {"periods": [day()]}, "specialHours": {"specialHourPeriods": [], "periods": []}}),
            "unknown key `periods` in specialHours",
        ),
        (
            GOOGLE,
            json!({"regularHours": {"periods": [day()]}, "specialHour": {"specialHourPeriods": []}}),
            "hint: did you mean \"specialHours\"?",
        ),
        (
            GOOGLE,
            json!({"regularHours": {"periods": [day()]}, "openInfo": {"status": "CLOSED"}}),
            "invalid openInfo status \"CLOSED\"",
        ),
        (
            GOOGLE,
            json!({"regularHours": {"periods": [day()]}, "openinfo": {"status": "CLOSED_PERMANENTLY"}}),
            "hint: did you mean \"openInfo\"?",
        ),
        (
            GOOGLE,
            json!({"regularHours": {"periods": [day()]}, "openInfo": {"Status": "CLOSED_PERMANENTLY"}}),
            "unknown key `Status` in openInfo",
        ),
        (
            GOOGLE,
            json!({"regularHours": {"periods": [day()]}, "openInfo": {"openingDate": {"month": 3}}}),
            "a date needs \"year\"",
        ),
        (
            delivery,
            json!({"moreHours": [{"hoursTypeId": "DELIVERY", "periods": [day()]}, {"hoursTypeId": "DELIVERY", "periods": []}]}),
            "duplicate moreHours of type \"DELIVERY\"",
        ),
        (
            delivery,
            json!({"moreHours": [{"hoursTypeId": "DELIVERY", "periods": [day()], "x": 1}]}),
            "unknown key `x` in moreHours",
        ),
        (delivery, json!({"regularHours": {"periods": []}}), "a location needs \"moreHours\""),
        // schema.org
        (SCHEMA_ORG, json!([on("Monday", hours("09:00", "09:00"))]), "it opens and closes at the same time"),
        (SCHEMA_ORG, json!([on("Monday", hours("23:59", "23:59"))]), "it opens and closes at the same time"),
        (
            SCHEMA_ORG,
            json!([on("Monday", hours("09:00", "12:00")), on("Monday", hours("00:00", "00:00"))]),
            "Monday is both open and closed",
        ),
        (
            SCHEMA_ORG,
            json!([
                on("PublicHolidays", hours("00:00", "00:00")),
                on("PublicHolidays", hours("09:00", "12:00"))
            ]),
            "PublicHolidays is both open and closed",
        ),
        (
            SCHEMA_ORG,
            json!([
                on("Monday", dated("2026-12-01", "2026-12-31", "09:00", "12:00")),
                on("Monday", dated("2026-12-01", "2026-12-31", "00:00", "00:00")),
            ]),
            "Monday is both open and closed",
        ),
        (
            SCHEMA_ORG,
            json!([
                on("Monday", dated("2026-12-01", "2026-12-20", "09:00", "12:00")),
                on("Monday", dated("2026-12-10", "2026-12-31", "09:00", "13:00")),
            ]),
            "2026-12-14 has hours from two date ranges, and neither is inside the other",
        ),
        (
            SCHEMA_ORG,
            json!([
                dated("2026-12-01", "2026-12-20", "09:00", "12:00"),
                dated("2026-12-10", "2026-12-31", "00:00", "00:00"),
            ]),
            "2026-12-10 has hours from two date ranges, and neither is inside the other",
        ),
        (
            SCHEMA_ORG,
            json!([on("PublicHolidays", dated("2026-12-01", "2026-12-31", "09:00", "12:00"))]),
            "hours of PublicHolidays cannot be limited to dates",
        ),
        (
            SCHEMA_ORG,
            json!([{"validFrom": "2026-12-24", "opens": "00:00", "closes": "00:00"}]),
            "these hours have validFrom but neither validThrough nor dayOfWeek",
        ),
        (
            SCHEMA_ORG,
            json!([{"validThrough": "2026-12-24", "opens": "00:00", "closes": "00:00"}]),
            "these hours have validThrough but neither validFrom nor dayOfWeek",
        ),
        (
            SCHEMA_ORG,
            json!([on("Monday", dated("2026-12-24", "2026-12-23", "09:00", "12:00"))]),
            "these hours end on 2026-12-23, before they begin on 2026-12-24",
        ),
        (
            SCHEMA_ORG,
            json!({"openingHoursSpecification": [on("Monday", hours("09:00", "12:00"))], "specialOpeningHoursSpecifications": []}),
            "hint: did you mean \"specialOpeningHoursSpecification\"?",
        ),
        (
            SCHEMA_ORG,
            json!([on("Monday", dated("2026-12-01", "9999-12-31", "09:00", "12:00"))]),
            "leave out an end that never comes",
        ),
        // Christmas Day is a Friday.
        (
            SCHEMA_ORG,
            json!([on("Thursday", dated("2026-12-25", "2026-12-25", "00:00", "00:00"))]),
            "no day in dayOfWeek falls within 2026-12-25 to 2026-12-25",
        ),
        // The input does not say if the 26th is included, nor the local date.
        (
            SCHEMA_ORG,
            json!([dated("2026-12-24", "2026-12-26T00:00:00", "09:00", "12:00")]),
            "validThrough \"2026-12-26T00:00:00\" is not the end of a date",
        ),
        (
            SCHEMA_ORG,
            json!([dated("2026-12-23T23:00:00Z", "2026-12-26", "09:00", "12:00")]),
            "validFrom \"2026-12-23T23:00:00Z\" is not the start of a date",
        ),
        (
            SCHEMA_ORG,
            json!([dated("2026-01-01", "2027-12-31", "09:00", "12:00")]),
            "not a range of at most 400 days",
        ),
        (SCHEMA_ORG, json!([{"dayOfWeek": [], "opens": "09:00", "closes": "12:00"}]), "dayOfWeek has no day"),
        (
            SCHEMA_ORG,
            json!([{"dayOfWeek": "Monday", "closes": "17:00"}]),
            "an OpeningHoursSpecification needs \"opens\"",
        ),
        (
            SCHEMA_ORG,
            json!([on("Monday", json!({"opens": 9, "closes": 17}))]),
            "opens must be text, not a number",
        ),
        (
            SCHEMA_ORG,
            json!([on("Monday/Tuesday", hours("09:00", "17:00"))]),
            "invalid day of the week \"Monday/Tuesday\"",
        ),
        // In New York it is 20:00 of the day before.
        (
            SCHEMA_ORG,
            json!([dated("2026-12-24T00:00:00Z", "2026-12-26", "09:00", "12:00")]),
            "validFrom \"2026-12-24T00:00:00Z\" is not the start of a date in local time",
        ),
        (
            SCHEMA_ORG,
            json!([dated("2026-12-24", "2026-12-26T23:59foo", "09:00", "12:00")]),
            "validThrough \"2026-12-26T23:59foo\" is not the end of a date",
        ),
        // Ranges with and without weekdays are the same kind.
        (
            SCHEMA_ORG,
            json!([
                dated("2026-12-01", "2026-12-15", "09:00", "12:00"),
                on("Monday", dated("2026-12-08", "2026-12-30", "00:00", "00:00")),
            ]),
            "2026-12-14 has hours from two date ranges, and neither is inside the other",
        ),
        (
            SCHEMA_ORG,
            json!([
                dated("2026-12-01", "2026-12-15", "09:00", "12:00"),
                on("Monday", dated("2026-12-01", "2026-12-15", "00:00", "00:00")),
            ]),
            "2026-12-01 to 2026-12-15 has hours with dayOfWeek and hours without",
        ),
        (
            SCHEMA_ORG,
            json!({"openingHoursSpecification": [on("Monday", hours("09:00", "12:00"))], "specialOpeningHoursSpecification": [on("Monday", hours("00:00", "00:00"))]}),
            "special hours of a weekday need both validFrom and validThrough",
        ),
        (
            SCHEMA_ORG,
            json!({"openingHoursSpecification": [on("Monday", hours("09:00", "12:00"))], "specialOpeningHoursSpecification": {"dayOfWeek": "Monday", "validFrom": "2026-12-01", "opens": "00:00", "closes": "00:00"}}),
            "special hours of a weekday need both validFrom and validThrough",
        ),
        // A location without general hours.
        (
            SCHEMA_ORG,
            json!({"@type": "Store", "specialOpeningHoursSpecification": [dated("2026-12-24", "2026-12-24", "00:00", "00:00")]}),
            "a thing needs \"openingHoursSpecification\" (hint: special hours override general ones; add those",
        ),
        (
            SCHEMA_ORG,
            json!({"@type": "Store", "openingHoursSpecifcation": [on("Monday", hours("09:00", "12:00"))]}),
            "unknown key \"openingHoursSpecifcation\" in a thing (hint: did you mean \"openingHoursSpecification\"?",
        ),
        (
            SCHEMA_ORG,
            json!({"@type": "Store", "openingHours": "Mo-Fr 09:00-17:00"}),
            "a thing needs \"openingHoursSpecification\" (hint: its openingHours are text; write them as weekly",
        ),
        (SCHEMA_ORG, json!({"@context": "https://schema.org", "@graph": []}), "pointer = \"/@graph/0\""),
        (SCHEMA_ORG, json!({"@type": "Store"}), "a thing needs \"openingHoursSpecification\""),
    ] {
        let err = complaints(&published(&api, format, &json), NOON).replace("\n  hint: ", " (hint: ");
        assert!(err.contains(reported) && err.contains(" (hint: "), "{format} {json}: {err}");
    }
}

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
    for (opening, at, wanted) in [
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
        assert_eq!(found, json!(wanted), "{opening} {at}: {why}");
        assert!(wanted || why.contains("its openInfo says that it opens on 2026-11-"), "{why}");
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
    let wanted = [
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
    assert_eq!(hours, wanted);
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
    for (general, special, wanted) in [
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
        assert_eq!(open_in_june(&api, general.clone(), special.clone()), wanted, "{general} {special}");
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
    for (spec, at, wanted) in [
        (thursday("validFrom", "2020-01-01"), NOON, true),
        (thursday("validFrom", "2026-11-26"), NOON, true),
        (thursday("validFrom", "2026-11-27"), NOON, false),
        (thursday("validFrom", "2026-11-27"), "2026-12-03T12:00:00Z", true),
        (thursday("validFrom", "2020-01-01"), "2026-12-24T12:00:00Z", true),
        (thursday("validThrough", "2026-11-26"), NOON, true),
        (thursday("validThrough", "2026-11-25"), NOON, false),
    ] {
        assert_eq!(open(spec.clone(), at), json!(wanted), "{spec} {at}");
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

/// Returns the warnings of `check`, which must find no error.
#[track_caller]
fn warnings(folder: &Folder, at: &str) -> Vec<String> {
    let reported = folder.run(&["check", "--at", at]).expect(0).err;
    let mut warnings: Vec<String> = Vec::new();
    for line in reported.lines() {
        match line.strip_prefix("warning: ") {
            Some(warning) => warnings.push(warning.to_owned()),
            None => warnings.last_mut().into_iter().for_each(|warning| warning.push_str(line)),
        }
    }
    warnings
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
    for wanted in [
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
        assert!(reported.contains(&wanted), "{wanted}\nis not in {reported:#?}");
    }
    let public = reported.iter().find(|line| line.contains("Chrismas")).unwrap();
    assert!(
        public
            .starts_with("rtconfd.toml:14:11: summary = \"Chrismas\": calendar \"public\" has no such event")
    );
    assert!(public.contains("hint: did you mean \"Christmas\"? its events are \"Boxing Day\""), "{public}");
    // The calendar runs until August, but the filtered closures end earlier.
    for filter in ["category = \"Holiday\"", "summary = \"bank holiday\""] {
        let wanted = format!("calendar \"works\", {filter}: its last event is on 2026-12-28");
        assert!(reported.iter().any(|line| line.starts_with(&wanted)), "{reported:#?}");
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
        "sites.csv:22, column \"site\": calendar \"holidays\": 10 more filters match no upcoming event, now or soon  hint: fix the others first, or get a newer file"
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
fn a_row_that_no_page_uses_is_reported_with_a_suggestion() {
    let api = Api::start();
    let folder = folder(
        &api,
        r#"
[sources.sites]
path = "sites.csv"
key = "site"
[sources.more]
path = "more.csv"
key = "site"
[sources.closures]
path = "closures.csv"
[sources.week]
path = "week.csv"
[sources.all]
path = "all.csv"
[hours.desk]
weekly = "Mo-Fr 09:00-17:00"
special_from = { source = "closures", match = { site = "desk" } }
[[page]]
for_each = "sites"
agent = "{{ row.site }}"
environment = "live"
hours = { weekly_from = { source = "week", match = { place = "{{ row.site }}", kind = "bar" } }, special_from = [{ source = "closures", match = { site = "{{ row.site }}" } }, { source = "all" }] }
variables = { is_open = { show = "is_open" }, desk = { hours = "desk", show = "is_open" } }
[[page]]
agent = "A-9"
environment = "live"
[page.variables.sites]
each = "more"
hours = { weekly = "Mo 09:00-17:00", special_from = { source = "closures", match = { site = "{{ row.site }}" } } }
item = { open = { show = "is_open" } }
"#,
    );
    folder.write("sites.csv", "site\nleeds\nyork\n");
    folder.write("more.csv", "site\nhull\n");
    folder.write("all.csv", "site,date,hours\nnowhere,2026-12-23,closed\n");
    folder.write("week.csv", "place,kind,day,open,close\nleeds,bar,Mo,09:00,17:00\nyork,bar,Mo,09:00,17:00\nyork,baar,Tu,09:00,17:00\n");
    folder.write(
        "closures.csv",
        "site,date,hours\nleeds,2026-12-24,closed\n desk ,2026-12-24,closed\nhull,2026-12-24,closed\nyrok,2026-12-24,closed\nLeeds,2026-12-24,closed\n\"\",2026-12-24,closed\nyrok,2026-12-25,closed\nBath,2026-11-20,closed\n",
    );
    let ask = "pages and hours use \"desk\", \"hull\", \"leeds\", \"york\"";
    let row = "no page and no hours use this row";
    assert_eq!(
        warnings(&folder, NOON),
        [
            format!(
                "closures.csv:5, column \"site\": {row}: \"yrok\" (2 rows)  hint: did you mean \"york\"? {ask}"
            ),
            format!("closures.csv:6, column \"site\": {row}: \"Leeds\"  hint: did you mean \"leeds\"? {ask}"),
            format!("closures.csv:7, column \"site\": {row}: \"\"  hint: {ask}"),
            format!(
                "week.csv:4, column \"kind\": {row}: \"baar\"  hint: did you mean \"bar\"? pages and hours use \"bar\""
            ),
        ]
    );
}

#[test]
fn rows_excluded_on_purpose_or_used_elsewhere_are_not_reported() {
    let api = Api::start();
    let folder = folder(
        &api,
        r#"
[sources.sites]
path = "sites.csv"
key = "site"
[sources.week]
path = "week.csv"
[sources.info]
path = "info.csv"
key = "id"
[sources.news]
path = "news.csv"
key = "id"
[sources.phones]
path = "phones.csv"
key = "id"
[[page]]
for_each = { source = "sites", where = { status = "open" } }
join = { info = "{{ row.site }}" }
agent = "{{ row.site }}"
environment = "live"
hours = { weekly_from = { source = "week", match = { site = "{{ row.site }}" } }, special_from = [{ source = "info", match = { site = "{{ row.site }}" } }, { source = "news", match = { site = "{{ row.site }}" } }, { source = "phones", match = { site = "{{ row.site }}" } }] }
variables = { is_open = { show = "is_open" }, name = "{{ info.name }}", news = { each = "news", item = "{{ row.name }}" }, phone = { source = "phones", row = "p", column = "name" } }
[sources.regions]
path = "regions.csv"
key = "region"
[sources.closures]
path = "closures.csv"
[[page]]
for_each = "regions"
agent = "R-{{ row.region }}"
environment = "live"
[page.variables.sites]
each = "sites"
where = { region = "{{ row.region }}" }
hours = { weekly = "Mo 09:00-17:00", special_from = { source = "closures", match = { site = "{{ row.site }}" } } }
item = { open = { show = "is_open" } }
"#,
    );
    folder.write("regions.csv", "region\nnorth\n");
    folder.write("closures.csv", "site,date,hours\nleeds,2026-12-24,closed\nbath,2026-12-24,closed\n");
    folder.write("sites.csv", "site,status,region\nleeds,open,north\nhull,shut,north\nbath,shut,south\n");
    folder.write(
        "week.csv",
        "site,day,open,close\nleeds,Mo,09:00,17:00\nhull,Mo,09:00,17:00\nyork,Mo,09:00,17:00\n",
    );
    for (file, key) in [("info.csv", "leeds"), ("news.csv", "n"), ("phones.csv", "p")] {
        folder.write(file, &format!("id,site,name,date,hours\n{key},all,Leeds,2026-12-24,closed\n"));
    }
    // Hull is excluded on purpose, York is not a site, and the south has no page.
    let reported = warnings(&folder, NOON);
    assert_eq!(
        reported,
        [
            "closures.csv:3, column \"site\": no page and no hours use this row: \"bath\"  hint: pages and hours use \"hull\", \"leeds\"",
            "week.csv:4, column \"site\": no page and no hours use this row: \"york\"  hint: pages and hours use \"bath\", \"hull\", \"leeds\"",
        ]
    );
}

#[test]
fn a_time_zone_may_come_from_a_row_and_applies_to_nested_hours() {
    let api = Api::start();
    let settings = r#"
[sources.sites]
path = "sites.csv"
key = "site"
[[page]]
for_each = "sites"
agent = "{{ row.site }}"
environment = "live"
timezone = "{{ row.tz }}"
hours = { weekly = "{{ row.hours }}", special = { "{{ row.day }}" = "closed" } }
variables = { a = { show = "opens_at", format = "RFC 3339" }, b = { hours = { weekly = "Th 10:00-17:00" }, show = "opens_at", format = "RFC 3339" } }
[[page]]
agent = "B"
environment = "live"
[page.variables.own]
each = "sites"
timezone = "{{ row.tz }}"
hours = { weekly = "{{ row.hours }}" }
item = { show = "opens_at", format = "RFC 3339" }
[[page.each]]
source = "sites"
timezone = "{{ row.tz }}"
hours = { weekly = "{{ row.hours }}" }
variables = { "{{ row.site }}" = { show = "opens_at", format = "RFC 3339" } }
[[page]]
agent = "C"
environment = "live"
timezone = "Asia/Tokyo"
[page.variables.inherited]
each = "sites"
hours = { weekly = "{{ row.hours }}" }
item = { show = "opens_at", format = "RFC 3339" }
[[page.each]]
source = "sites"
hours = { weekly = "{{ row.hours }}" }
variables = { "{{ row.site }}" = { show = "opens_at", format = "RFC 3339" } }
"#;
    let folder = Folder::new(&api.url, settings);
    folder.write("sites.csv", "site,tz,hours,day\nX-1,America/New_York,Th 09:00-17:00,2026-12-03\nX-2,Asia/Tokyo,Th 09:00-17:00,2026-11-26\n");
    let plan = folder.run(&["plan", "--format", "json", "--at", NOON]).expect(2).lines();
    let value = |page: &str, variable: &str| {
        let row = plan.iter().find(|row| row["page"] == json!(page) && row["variable"] == json!(variable));
        row.unwrap_or_else(|| panic!("{page} {variable}: {plan:?}"))["to"].clone()
    };
    let (boston, tokyo) = (json!("2026-11-26T09:00:00-05:00"), json!("2026-11-26T09:00:00+09:00"));
    assert_eq!(value("X-1/live", "a"), boston);
    assert_eq!(value("X-1/live", "b"), json!("2026-11-26T10:00:00-05:00"));
    assert_eq!(value("X-2/live", "a"), json!(null));
    assert_eq!(value("B/live", "own"), json!([boston, tokyo]));
    assert_eq!((value("B/live", "X-1"), value("B/live", "X-2")), (boston, tokyo.clone()));
    assert_eq!(value("C/live", "inherited"), json!([tokyo, tokyo]));
    assert_eq!(value("C/live", "X-1"), tokyo);
    // An invalid zone is one problem, and so are hours without a zone.
    folder.write("sites.csv", "site,tz,hours,day\nX-1,Mars,Th 09:00-17:00,2026-12-03\n");
    let reported = complaints(&folder, NOON);
    assert!(
        reported.contains("unknown time zone `Mars`") && !reported.contains("needs a time zone"),
        "{reported}"
    );
    folder.settings(&api.url, &settings.replace("timezone = \"{{ row.tz }}\"\n", ""));
    assert!(complaints(&folder, NOON).contains("the page needs a time zone"));
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

#[test]
fn keys_unknown_to_the_schema_are_reported_at_any_depth() {
    let api = Api::start();
    let site = json!({"type": "object", "properties": {"site_name": {}, "hours": {}, "phones": {"additionalProperties": {}, "properties": {"desk": {}}}}});
    api.schema(
        "A-1",
        &json!({
            "definitions": {"site": site},
            "properties": {
                "site_hours": {"type": "array", "items": {"$ref": "#/definitions/site"}},
                "settings": {"properties": {"force_ooh_enabled": {}, "list": {"items": {"properties": {"x": {}}}}}},
                "free": {"type": "object"},
                "any": {"properties": {"a": {}}, "additionalProperties": true},
                "some": {"properties": {"a": {}}, "patternProperties": {"^x": {}}},
            },
        }),
    );
    let folder = folder(
        &api,
        r#"
[sources.sites]
path = "sites.csv"
key = "site"
[[page]]
agent = "A-1"
environment = "live"
create_items = true
[page.variables]
"/settings/force_ooh_enable" = true
"/settings/list" = { value = [{ x = 1 }, { y = 1 }, { y = 2 }] }
"/free/a" = { value = { b = 1 } }
"/any/b" = 1
"/some/xy" = 1
setings = 1
[[page.each]]
source = "sites"
[page.each.variables]
"/site_hours[site_name={{ row.site }}]/hurs" = "x"
"/site_hours[site_name={{ row.site }}]/hours" = "x"
"/site_hours[site_name={{ row.site }}]/phones" = { value = { bar = 1 } }
"#,
    );
    folder.write("sites.csv", "site\nLeeds\nYork\n");
    let add = "if not, add it to the schema";
    assert_eq!(
        warnings(&folder, NOON),
        [
            format!("A-1/live: /settings/force_ooh_enable is owned but unknown to the page's schema  hint: did you mean \"force_ooh_enabled\"? {add}"),
            "A-1/live: /settings/list has the key \"y\", which is unknown to the page's schema (and 1 more like it)  hint: did you mean \"x\"? if not, add it to the schema".to_owned(),
            format!("A-1/live: setings is owned but unknown to the page's schema  hint: did you mean \"settings\"? {add}"),
            format!("A-1/live: /site_hours[site_name=Leeds]/hurs is owned but unknown to the page's schema (and 1 more like it)  hint: did you mean \"hours\"? {add}"),
        ]
    );
}

#[test]
fn an_unreachable_clause_is_reported() {
    let api = Api::start();
    let busy =
        (0..24).step_by(3).map(|hour| format!("{hour:02}:00-{hour:02}:30")).collect::<Vec<_>>().join(", ");
    let settings = |clauses: &str| {
        format!(
            "[calendars.works]\npath = \"works.ics\"\n[hours.always]\nweekly = \"24/7\"\n[hours.desk]\nweekly = \"Mo-Fr 09:00-17:00\"\n[hours.most]\nweekly = \"Mo-Su 09:00-17:00\"\nclosed_on = [\"works\"]\n[hours.busy]\nweekly = {{ mon-sun = \"{busy}\" }}\n[[page]]\nagent = \"A-1\"\nenvironment = \"live\"\nvariables = {{ a = {{ when = [{clauses}], otherwise = \"\" }} }}\n"
        )
    };
    let dates =
        |from: &str, until: &str| format!("{{ from = \"{from}\", until = \"{until}\", value = \"x\" }}, ");
    let reported_for = |clauses: &str| {
        let folder = folder(&api, &settings(clauses));
        folder.write("works.ics", CALENDAR);
        warnings(&folder, NOON)
    };
    let state =
        |hours: &str, state: &str| format!("{{ hours = \"{hours}\", state = \"{state}\", value = \"x\" }}, ");
    let with = |dates: &str, more: &str| dates.replace("value", &format!("{more}, value"));
    let cron = |pattern: &str| format!("cron = \"{pattern}\", for = \"1h\"");
    let since = "{ from = \"2020-12-01\", value = \"x\" }, ";
    let desk = "{ hours = \"desk\", value = \"x\" }, ";
    let christmas = dates("2026-12-24", "2026-12-27");
    for (clauses, reported) in [
        (format!("{since}{christmas}"), "clause 2 is never reached: the clauses before it always hold"),
        (format!("{since}{desk}"), "clause 2 is never reached"),
        (dates("2026-12-01", "2027-01-02") + &christmas, "clause 2 is never reached"),
        (
            dates("2026-12-20", "2026-12-25") + &dates("2026-12-25", "2026-12-30") + &christmas,
            "clause 3 is never reached",
        ),
        (format!("{{ hours = \"always\", value = \"x\" }}, {christmas}"), "clause 2 is never reached"),
        (
            "{ hours = \"always\", state = \"closed\", value = \"x\" }".to_owned(),
            "clause 1 will not hold: hours \"always\" is closed",
        ),
        (dates("2026-11-01", "2026-11-02"), "clause 1 will not hold again"),
        (state("desk", "open") + &state("desk", "closed") + &christmas, "clause 3 is never reached"),
        (
            state("desk", "open") + &state("desk", "closed") + "{ calendar = \"works\", value = \"x\" }",
            "clause 3 is not reached before 20",
        ),
        (
            format!("{{ {0}, value = \"x\" }}, {{ {0}, value = \"y\" }}", cron("0 8 * * FRI")),
            "clause 2 is not reached before 20",
        ),
        // A weekend, a Tuesday, weeks without an event, and a time outside the hours.
        (
            with(&dates("2026-12-05", "2026-12-07"), "hours = \"desk\""),
            "clause 1 will not hold: from 2026-12-05 until 2026-12-07 and hours \"desk\" is open",
        ),
        (with(&dates("2026-12-15", "2026-12-16"), &cron("0 8 * * FRI")), "clause 1 will not hold: "),
        (with(&dates("2027-02-01", "2027-03-01"), "calendar = \"works\""), "clause 1 will not hold: "),
        (
            format!("{{ hours = \"desk\", {}, value = \"x\" }}", cron("0 3 * * *")),
            "clause 1 will not hold before 20",
        ),
        (with(&dates("2029-12-08", "2029-12-10"), "hours = \"desk\""), "clause 1 will not hold: "),
    ] {
        let reported_for = reported_for(&clauses);
        assert!(reported_for.len() == 1 && reported_for[0].contains(reported), "{clauses}: {reported_for:?}");
    }
    for clauses in [
        format!("{christmas}{since}"),
        format!("{desk}{christmas}"),
        dates("2026-12-20", "2026-12-25") + &christmas,
        dates("2026-12-20", "2026-12-25") + &dates("2026-12-26", "2026-12-30") + &christmas,
        format!("{{ from = \"2020-12-01\", hours = \"desk\", value = \"x\" }}, {christmas}"),
        state("desk", "open") + &christmas + &state("desk", "closed"),
        with(&dates("2026-12-05", "2026-12-08"), "hours = \"desk\""),
        with(&dates("2026-12-15", "2026-12-19"), &cron("0 8 * * FRI")),
        format!("{{ hours = \"desk\", {}, value = \"x\" }}", cron("30 8 * * *")),
        format!("{{ {}, value = \"x\" }}, {{ {}, value = \"x\" }}", cron("0 8 * * *"), cron("30 8 * * *")),
        format!("{{ {}, value = \"x\" }}", cron("0 8 29 2 *")),
        // Calendars are unknown that far ahead.
        with(&dates("2029-12-25", "2029-12-26"), "calendar = \"works\""),
        with("{ from = \"2027-12-27\", value = \"x\" }, ", "calendar = \"works\""),
        // Checks that would take too long are skipped.
        state("busy", "open") + &state("busy", "closed") + &state("always", "open"),
        state("most", "open") + &with(&dates("2029-12-25", "2029-12-26"), &cron("0 12 * * *")),
    ] {
        assert_eq!(reported_for(&clauses), Vec::<String>::new(), "{clauses}");
    }
}

#[test]
fn a_problem_names_its_rows_and_gives_a_useful_hint() {
    let api = Api::start();
    let start = "[sources.t]\npath = \"t.csv\"\nkey = \"id\"\n[sources.h]\npath = \"h.csv\"\n[sources.m]\npath = \"m.json\"\n[[page]]\nenvironment = \"live\"\n";
    let own =
        |variables: &str| format!("agent = \"A-1\"\ncreate_items = true\nvariables = {{ {variables} }}");
    let rows = "for_each = \"t\"\nagent = \"{{ row.id }}\"\nhours = { weekly_from = { source = \"h\", match = { site = \"{{ row.id }}\" } } }\nvariables = { a = { show = \"today\" } }".to_owned();
    let items = "agent = \"A-1\"\n[page.variables.a]\neach = \"t\"\nhours = { weekly_from = { source = \"h\", match = { site = \"{{ row.id }}\" } } }\nitem = { show = \"today\" }".to_owned();
    let same = "agent = \"A-1\"\ncreate_items = true\n[[page.each]]\nsource = \"t\"\nvariables = { \"/f[g={{ row.group }}]/o\" = 1 }".to_owned();
    let edited = json!({"list": [{"n": "a"}, {"n": "a"}], "text": "x"});
    api.edit("A-1", &edited);
    for (settings, reported) in [
        (rows, "source \"h\" has no row for these hours (for rows \"x\", \"y\")\n  hint: for a site"),
        (items, "source \"h\" has no row for these hours (for rows \"x\", \"y\")\n  hint: for a site"),
        (same, "/f[g=1]/o of t.csv:2 and /f[g=1]/o of t.csv:3 overlap\n  hint: give each row a name"),
        (
            own("a = { source = \"t\", row = \"nothing like it\", column = \"group\" }"),
            "has no row \"nothing like it\"\n  hint: its rows are \"x\", \"y\"",
        ),
        (
            own("a = { source = \"t\", row = \"xx\", column = \"group\" }"),
            "has no row \"xx\"\n  hint: did you mean \"x\"?",
        ),
        (
            own("a = { source = \"m\", pointer = \"/x\" }"),
            "m.json: the file is missing\n  hint: put the file there",
        ),
        (own("\"/list[n=a]/x\" = 1"), "several items with n = \"a\"\n  hint: remove all but one of them"),
        (own("\"/text[n=a]/x\" = 1"), "in a value that is not an array\n  hint: make it an array"),
        (own("\"/text/x\" = 1"), "in a value that is not an object\n  hint: make it an object"),
        (own("\"/list/7\" = 1"), "no item \"7\"\n  hint: correct the page or the name"),
        (own("\"/new[n=a]\" = 1"), "would lose its n\n  hint: give the value that field too"),
    ] {
        let folder = folder(&api, &format!("{start}{settings}\n"));
        folder.write("t.csv", "id,group\nx,1\ny,1\n");
        folder.write("h.csv", "site,day,open,close\nz,Mo,09:00,17:00\n");
        if !settings.contains("\"m\"") {
            folder.write("m.json", "{}");
        }
        let err = complaints(&folder, NOON);
        assert!(
            err.contains(reported) && err.matches("has no row for these hours").count() <= 1,
            "{settings}: {err}"
        );
        if !settings.contains("create_items") || !reported.contains("missing") {
            assert!(!err.contains("set create_items"), "{err}");
        }
    }
    let missing = own("\"/list[n=b]/x\" = 1").replace("create_items = true\n", "");
    let folder = folder(&api, &format!("{start}{missing}\n"));
    folder.write("t.csv", "id,group\nx,1\n");
    folder.write("h.csv", "site\nz\n");
    folder.write("m.json", "{]");
    let err = complaints(&folder, NOON);
    assert!(err.contains("or set create_items = true to create missing items"), "{err}");
    assert!(err.contains("this is not JSON") && err.contains("  hint: fix it there"), "{err}");
    folder.write("t.csv", "id,group,group\nx,1,2\n");
    let err = complaints(&folder, NOON);
    assert!(err.contains("duplicate column \"group\"\n  hint: give each column a name"), "{err}");
}

#[test]
fn an_error_in_the_settings_is_reported_once_with_a_hint() {
    let api = Api::start();
    let page = |more: &str, variables: &str| {
        format!("{more}\n[[page]]\nagent = \"A-1\"\nenvironment = \"live\"\n[page.variables]\n{variables}\n")
    };
    for (settings, reported) in [
        (page("", "\"/a[x=1/y\" = 5"), "invalid array item \"/a[x=1/y\""),
        (page("", "\"/a[x/y\" = 5"), "invalid array item \"/a[x/y\""),
        (page("", "\"/a~3/c\" = 5"), "invalid ~ escape in \"/a~3/c\""),
        (page("", "\"/a~\" = 5"), "invalid ~ escape in \"/a~\""),
        (
            page("", "a = { hours = { weekly = \"24/7\" }, show = \"today\", language = \"de\" }"),
            "language applies only to spoken",
        ),
        (
            page("", "a = 1").replace("[page.variables]", "create_items = \"yes\"\n[page.variables]"),
            "create_items must be true or false",
        ),
        (page("", "a = { hours = \"dsk\", show = \"today\" }"), "add [hours.dsk]"),
    ] {
        let err = complaints(&folder(&api, &settings), NOON);
        assert!(err.contains(reported) && err.contains("hint: "), "{settings}: {err}");
    }
    let calendar = page(
        "[calendars.bh]\npublic_holidays = \"GB-EGN\"\n[sources.s]\npath = 7\n",
        "a = { calendar = \"bh\", show = \"name\" }\nb = { source = \"s\", row = \"x\", column = \"y\" }",
    );
    let err = complaints(&folder(&api, &calendar), NOON);
    assert!(
        err.contains("GB-EGN") && !err.contains("unknown calendar") && !err.contains("unknown source"),
        "{err}"
    );
    // Escaped names and names from a row are accepted.
    let good = page("", "\"/a~2x=1/y~0~1\" = 5\n\"odd[x\" = 1\n\"~3\" = 1");
    folder(&api, &good).run(&["check", "--at", NOON]).expect(0);
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
    let reported = complaints(&none, NOON);
    assert!(reported.contains("no calendar lists the public holidays"), "{reported}");
    let unclear = folder(&api, &page(r#"["holidays", "staff"]"#));
    unclear.write("staff.ics", &staff);
    let reported = complaints(&unclear, NOON);
    assert!(reported.contains("it is unknown which calendar in closed_on lists them"), "{reported}");
}
