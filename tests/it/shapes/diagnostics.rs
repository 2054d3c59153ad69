//! Errors and warnings about settings, their clauses and the schema, with places and hints.

use serde_json::json;

use super::{CALENDAR, NOON, check_problems, folder, planned, warnings};
use crate::support::Api;

/// The report uses the schema in the store and sends no request.
#[test]
fn status_reports_unknown_variables_and_required_ones_without_an_owner() {
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
    let missing = "A-1/live: fax is required by the page's schema, but is neither on the page nor owned";
    let all = reported(1);
    for expected in unknown_names.iter().chain([&missing]) {
        assert!(all.iter().any(|line| line.contains(expected)), "{expected}: {all:#?}");
    }
    assert_eq!(all.len(), 3, "{all:#?}");
    // Variables set by other clients count as present, even if no setting owns them.
    api.schema("A-1", &schema(&[]));
    api.edit("A-1", &json!({"fax": "1"}));
    api.schema("A-1", &schema(&["fax"]));
    folder.run(&["apply"]).expect(0);
    let all = reported(0);
    assert!(all.len() == 2 && !all.iter().any(|line| line.contains("fax")), "{all:#?}");
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
        let err = check_problems(&page(&settings), NOON);
        assert!(err.contains(reported) && err.contains("hint: "), "{settings}: {err}");
    }
    let both_closed = page(&hours("weekly_from = { source = \"t\", match = { site = \"g\" } }"));
    assert_eq!(planned(&both_closed, NOON), json!({"a": "closed"}));
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
        let err = check_problems(&folder, NOON);
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
    let err = check_problems(&folder, NOON);
    assert!(err.contains("or set create_items = true to create missing items"), "{err}");
    assert!(err.contains("this is not JSON") && err.contains("  hint: fix it there"), "{err}");
    folder.write("t.csv", "id,group,group\nx,1,2\n");
    let err = check_problems(&folder, NOON);
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
        let err = check_problems(&folder(&api, &settings), NOON);
        assert!(err.contains(reported) && err.contains("hint: "), "{settings}: {err}");
    }
    let calendar = page(
        "[calendars.bh]\npublic_holidays = \"GB-EGN\"\n[sources.s]\npath = 7\n",
        "a = { calendar = \"bh\", show = \"name\" }\nb = { source = \"s\", row = \"x\", column = \"y\" }",
    );
    let err = check_problems(&folder(&api, &calendar), NOON);
    assert!(
        err.contains("GB-EGN") && !err.contains("unknown calendar") && !err.contains("unknown source"),
        "{err}"
    );
    // Escaped names and names from a row are accepted.
    let good = page("", "\"/a~2x=1/y~0~1\" = 5\n\"odd[x\" = 1\n\"~3\" = 1");
    folder(&api, &good).run(&["check", "--at", NOON]).expect(0);
}
