//! Pages resulting from settings and tables: values typed by the page's schema, reported problems,
//! and pages kept unchanged.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Settings, Surroundings};
use crate::compile::{Inputs, Managed, World};
use crate::lint::unmet_conditions;
use crate::model::{Instant, RemotePage};
use crate::pages::Page;
use crate::schema::{Schemas, check};
use crate::tables::{Table, parse_csv};

const SITES: &str = "s,st,phone\nLeeds,open,1\nYork,open,2\nHull,shut,3\n";

fn noon() -> Instant {
    "2026-11-26T12:00:00Z".parse().unwrap()
}

fn settings(pages: &str) -> Settings {
    let sources = "[sources.s]\npath = \"s.csv\"\nkey = \"s\"\n[sources.t]\npath = \"t.csv\"\nkey = \"t\"\n";
    let text = format!(
        "timezone = \"Europe/London\"\n[api]\nregion = \"uk\"\n{sources}[hours.never]\nweekly = \"off\"\n{pages}"
    );
    Settings::parse(Path::new("x.toml"), text.as_bytes(), &Surroundings::default())
        .unwrap_or_else(|report| panic!("{}", report.render(false)))
}

fn inputs(s: &str, t: &str) -> Inputs {
    let mut inputs = Inputs::default();
    for (name, text) in [("s", s), ("t", t)].into_iter().filter(|(_, text)| !text.is_empty()) {
        let rows = parse_csv(&format!("{name}.csv").into(), text, b',', Some(name)).unwrap();
        inputs.tables.insert(name.to_owned(), Arc::new(Table::Rows(rows).of_source(name)));
    }
    inputs
}

fn page_of_rows(for_each: &str, rest: &str) -> String {
    format!("[[page]]\nfor_each = {for_each}\nagent = \"{{{{ row.s }}}}\"\nenvironment = \"live\"\n{rest}\n")
}

/// Returns the first page as it would be sent with a schema, or all problems.
fn sent(pages: &str, s: &str, schema: Value) -> Result<Value, String> {
    let world = World::new(&settings(pages).blueprint, &inputs(s, ""), noon(), None);
    let problems: Vec<String> = world.problems().map(ToString::to_string).collect();
    if !problems.is_empty() {
        return Err(problems.join("\n"));
    }
    let mut page = RemotePage { schema: Some(Arc::new(schema)), ..RemotePage::default() };
    let schema = Schemas::default().compile(&mut page.schema).unwrap();
    let desired = world.pages[0].page.desired(noon()).unwrap();
    let checked = check(&desired, &Arc::new(page), &schema);
    checked
        .map(|checked| Value::Object(checked.merged()))
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

#[test]
fn a_value_from_a_row_is_typed_by_the_schema_and_names_its_cell_at_any_depth() {
    let integer = json!({"type": "integer"});
    let schema = json!({"properties": {
        "l": {"items": integer}, "v": {"properties": {"a": integer, "b": {"items": integer}}}, "o": integer,
    }});
    for (variable, expected) in [
        (r#"l = [1, "{{ row.n }}"]"#, json!({"l": [1, 7]})),
        (r#"v = { value = { a = "{{ row.n }}", b = ["{{ row.n }}"] } }"#, json!({"v": {"a": 7, "b": [7]}})),
        (r#"v = { value = { "{{ row.a }}" = "{{ row.n }}" } }"#, json!({"v": {"a": 7}})),
        (r#"v = { value = { "{{ row.n }}" = 1 } }"#, json!({"v": {"7": 1}})),
        (
            r#"o = { hours = "never", show = "opens_at", format = "hour", otherwise = "{{ row.n }}" }"#,
            json!({"o": 7}),
        ),
    ] {
        let pages = page_of_rows("\"s\"", &format!("[page.variables]\n{variable}"));
        assert_eq!(sent(&pages, "s,n,a\nLeeds,7,a\n", schema.clone()), Ok(expected), "{variable}");
        let bad = sent(&pages, "s,n,a\nLeeds,seven,a\n", schema.clone());
        if !variable.contains("\" = 1") {
            assert!(bad.as_ref().unwrap_err().contains("s.csv:2, column \"n\""), "{variable}: {bad:?}");
        }
    }
}

#[test]
fn a_number_keeps_its_text_where_json_writes_it_the_same_way() {
    let numbers = "a = 1.10\nb = 12345678901234567890.0\nc = 1_000.5\nd = +1.50";
    let pages = format!("[[page]]\nagent = \"A\"\nenvironment = \"live\"\n[page.variables]\n{numbers}\n");
    let expected = r#"{"a":1.10,"b":12345678901234567890.0,"c":1000.5,"d":1.5}"#;
    assert_eq!(sent(&pages, SITES, json!({})).map(|page| page.to_string()), Ok(expected.to_owned()));
}

#[test]
fn a_cell_in_a_variable_name_is_a_single_segment() {
    for (variable, s, expected) in [
        (r#""{{ row.name }}" = 1"#, "s,name\nLeeds,/help/desk\n", json!({"/help/desk": 1})),
        (r#""{{ row.name }}" = 1"#, "s,name\nLeeds,/x[a=b]\n", json!({"/x[a=b]": 1})),
        (r#""to {{ row.name }}" = 1"#, "s,name\nLeeds,/help\n", json!({"to /help": 1})),
        (r#""/a/{{ row.name }}" = 1"#, "s,name\nLeeds,/help\n", json!({"a": {"/help": 1}})),
        // Blanks around a row's key are not part of it.
        (r#""{{ row.s }}" = "{{ row.s }}""#, "s,name\n Leeds ,x\n", json!({"Leeds": "Leeds"})),
    ] {
        let pages = page_of_rows("\"s\"", &format!("[page.variables]\n{variable}"));
        assert_eq!(sent(&pages, s, json!({})), Ok(expected), "{variable} {s}");
    }
    let pages = page_of_rows("\"s\"", "[page.variables]\n\"{{ row.name }}\" = 1");
    let reported = sent(&pages, "s,name\nLeeds,\n", json!({})).unwrap_err();
    assert!(
        reported.contains("invalid variable name \"\"")
            && reported.contains("(hint: write the name of a key"),
        "{reported}"
    );
}

#[test]
fn create_items_may_come_from_a_row() {
    let pages = page_of_rows("\"s\"", "create_items = \"{{ row.make }}\"\nvariables = { \"/s[n=a]/h\" = 1 }");
    for (make, expected) in [
        ("yes", Ok(json!({"s": [{"n": "a", "h": 1}]}))),
        ("false", Err("the array on the page has no item with n = \"a\"")),
        ("maybe", Err("s.csv:2, column \"make\": create_items: \"maybe\" is not true or false")),
    ] {
        let made = sent(&pages, &format!("s,make\nLeeds,{make}\n"), json!({}));
        match (&made, &expected) {
            (Err(reported), Err(expected)) => assert!(reported.contains(expected), "{reported}"),
            _ => assert_eq!(made.as_ref().ok(), expected.as_ref().ok(), "{make}: {made:?}"),
        }
    }
}

#[test]
fn on_drift_applies_to_variables_named_by_a_row() {
    let page = |named: &str| {
        let variables = "variables = { \"/s[site={{ row.s }}]/h\" = 1 }\ncreate_items = true";
        page_of_rows("\"s\"", &format!("on_drift = {{ \"{named}\" = \"keep\" }}\n{variables}"))
    };
    let made = |named| World::new(&settings(&page(named)).blueprint, &inputs(SITES, ""), noon(), None);
    let world = made("/s[site={{ row.s }}]/h");
    assert_eq!(world.problems().count(), 0);
    let policy = &world.pages[1].page.on_drift;
    assert_eq!(policy.of.keys().map(ToString::to_string).collect::<Vec<_>>(), ["/s[site=York]/h"]);
    let reported: Vec<String> = made("/s[site={{ row.st }}]/h").problems().map(ToString::to_string).collect();
    assert!(
        reported[0].contains("on_drift names /s[site=open]/h, which the page does not own"),
        "{reported:?}"
    );
}

#[test]
fn a_where_filled_in_by_a_row_that_matches_nothing_is_reported_with_its_rows() {
    let each = "[[page.each]]\nsource = \"t\"\nwhere = { st = \"{{ row.st }}\" }\nvariables = { \"{{ row.t }}\" = 1 }";
    let inside = "[page.variables]\na = { each = { source = \"t\", where = { st = [\"{{ row.st }}\"] } }, item = \"{{ row.t }}\" }";
    let twice = "[page.variables]\na = { each = \"s\", item = { b = { each = \"t\", where = { st = \"{{ row.st }}\" }, item = \"{{ row.t }}\" } } }";
    let t = "t,st\n1,open\n2,closed\n";
    for rest in [each, inside, twice] {
        let settings = settings(&page_of_rows("\"s\"", &format!("{rest}\n")));
        let reported: Vec<String> = unmet_conditions(&settings.blueprint, &inputs(SITES, t), noon())
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(reported.len(), 1, "{rest}: {reported:?}");
        let expected = "where: no row of t.csv has st = \"shut\" (for row \"Hull\") (hint: ";
        assert!(reported[0].contains(expected), "{rest}: {reported:?}");
        let all = unmet_conditions(&settings.blueprint, &inputs(SITES, &t.replace("closed", "shut")), noon());
        assert!(all.is_empty(), "{rest}: {all:?}");
    }
}

#[test]
fn values_that_depend_on_an_unread_file_are_reported_once_with_a_hint() {
    let pages = page_of_rows("\"s\"", "join = { t = \"{{ row.s }}\" }\nvariables = { a = \"{{ t.st }}\" }");
    let world = World::new(&settings(&pages).blueprint, &inputs(SITES, ""), noon(), None);
    let reported: Vec<String> = world.problems().map(ToString::to_string).collect();
    assert_eq!(reported.len(), 1, "{reported:?}");
    assert!(
        reported[0].contains("source \"t\" could not be read (hint: see the error for t.csv"),
        "{reported:?}"
    );
}

/// Returns the pages of a block over sites, or none, given an earlier world.
fn world(block: Option<(&str, &str)>, sites: &str, previous: Option<&World>) -> World {
    let other = "[[page]]\nagent = \"other\"\nenvironment = \"live\"\nvariables = { a = 1 }\n";
    let block =
        block.map(|(for_each, value)| page_of_rows(for_each, &format!("variables = {{ a = {value} }}")));
    let settings = settings(&format!("{other}{}", block.unwrap_or_default()));
    World::new(&settings.blueprint, &inputs(sites, ""), noon(), previous)
}

/// Returns the agents of the pages; pages kept unchanged because of a problem are marked.
fn agents(world: &World) -> String {
    let agent = |managed: &Managed| {
        let mark = if managed.problems.is_empty() { "" } else { "!" };
        format!("{}{mark}", managed.page.id.agent)
    };
    world.pages.iter().map(agent).collect::<Vec<_>>().join(" ")
}

const OPEN: &str = r#"{ source = "s", where = { st = "open" } }"#;
const OF_ROW: &str = r#"{ source = "s", row = "{{ row.phone }}", column = "s" }"#;

#[test]
fn a_renamed_block_that_fails_keeps_its_previous_pages_until_it_is_fixed() {
    let before = world(Some(("\"s\"", "{ column = \"phone\" }")), SITES, None);
    assert_eq!(agents(&before), "other Leeds York Hull");
    let bad = world(Some((OPEN, "{ column = \"phon\" }")), SITES, Some(&before));
    assert_eq!(agents(&bad), "other Leeds! York! Hull!");
    assert_eq!((bad.released.len(), bad.gone(&before)), (0, Vec::new()));
    // The same block with other rows, and with one valid row.
    let edited = SITES.replace("York", "Bath");
    let still = world(Some((OPEN, "{ column = \"phon\" }")), &edited, Some(&bad));
    assert_eq!(agents(&still), "other Leeds! York! Hull!");
    let partly = SITES.replace("York,open,2", "York,open,Hull");
    let in_part = world(Some((OPEN, OF_ROW)), &partly, Some(&still));
    assert_eq!(agents(&in_part), "other York Leeds! Hull!");
    let again = world(Some((OPEN, OF_ROW)), &partly, Some(&in_part));
    assert_eq!(agents(&again), "other York Leeds! Hull!");
    let fixed = world(Some((OPEN, "{ column = \"phone\" }")), SITES, Some(&again));
    assert_eq!(agents(&fixed), "other Leeds York");
    let released: Vec<&str> = fixed.released.iter().map(|id| id.agent.as_str()).collect();
    assert_eq!(released, ["Hull"]);
}

#[test]
fn a_new_bad_row_in_an_existing_block_keeps_no_page_of_a_removed_block() {
    let good = "s,st,phone\nLeeds,open,Leeds\n";
    let bad = format!("{good}York,open,x\n");
    let with_another = |mut world: World| {
        let other = &*world.pages[0].page;
        let key = other.key.replace("other", "gone");
        let removed = Arc::new(Page { key, id: "gone/live".parse().unwrap(), ..other.clone() });
        world.pages.push(Managed {
            page: removed.clone(),
            computed: removed,
            problems: Vec::new(),
            found: None,
        });
        world
    };
    // The row is new, or was invalid from the start; or the whole block was.
    let phon = "{ column = \"phon\" }";
    for (value, sites, expected) in
        [(OF_ROW, good, "other Leeds"), (OF_ROW, &bad, "other Leeds"), (phon, &bad, "other")]
    {
        let block = Some(("\"s\"", value));
        let before = world(block, sites, None);
        assert_eq!(agents(&before), expected);
        let after = world(block, &bad, Some(&with_another(before.clone())));
        assert_eq!(agents(&after), expected);
        assert_eq!(agents(&world(None, good, Some(&with_another(before)))), "other");
    }
}
