//! Values from rows of tables: hours, joins, conditions and time zones, and rows without use.

use serde_json::{Value, json};

use super::{NOON, check_problems, folder, planned, warnings};
use crate::support::{Api, Folder};

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
        let err = check_problems(&page(hours), NOON);
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
    let reported = check_problems(&folder, NOON);
    assert!(
        reported.contains("unknown time zone `Mars`") && !reported.contains("needs a time zone"),
        "{reported}"
    );
    folder.settings(&api.url, &settings.replace("timezone = \"{{ row.tz }}\"\n", ""));
    assert!(check_problems(&folder, NOON).contains("the page needs a time zone"));
}
