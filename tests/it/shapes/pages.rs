//! Pages in every shape that agents read: objects, lists, arrays of rows, and values of other
//! clients.

use serde_json::{Value, json};

use super::{NOON, check_problems, folder, planned};
use crate::support::{Api, Folder};

/// Reads a file of `tests/pages`: a schema, and values that meet it or not.
fn shape(name: &str) -> Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
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
    let mut expected = page["valid"].clone();
    expected["opening_hours"]["special_dates"][0]["special_date_name"] = json!("Christmas Day");
    assert_eq!(planned(&folder, NOON), expected);
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
    let reported = check_problems(&folder, NOON);
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
        let err = check_problems(&folder, "2026-11-26T12:45:00Z");
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
    assert_eq!(api.variables("A-1"), theirs, "a page with a problem gets no value");

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
    let mut expected = moved;
    expected["site_hours"][0]["hours"] = json!("closed");
    assert_eq!(api.variables("A-1"), expected);
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
    let reported = check_problems(&folder(&api, &block("live")), NOON);
    assert!(reported.contains("`ahead` cannot be set for a live page"), "{reported}");
    let reported = check_problems(&folder(&api, &block("sandbox").replace("\"7d\"", "7")), NOON);
    assert!(reported.contains("ahead: 7 has no unit") && reported.contains("\"7h\" or \"7d\""), "{reported}");
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
    crate::support::until("the fetch is answered", || api.simulator.log().len() > before).await;
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
