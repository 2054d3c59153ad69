//! Tests of requests for overrides.

use std::path::Path;

use serde_json::Value;

use super::*;
use crate::compile::Inputs;
use crate::model::RemotePage;
use crate::schema::Schemas;
use crate::settings::{Settings, Surroundings};
use crate::tables::{Table, parse_csv};

const SETTINGS: &str = r#"
timezone = "Europe/London"
[api]
region = "uk"
[sources.sites]
path = "sites.csv"
key = "site"
[sources.desks]
path = "desks.csv"
key = "desk"
[hours.always]
weekly = "24/7"
[[page]]
agent = "ALL"
environment = "live"
create_items = true
[page.variables]
own = { hours = "always", show = "is_open" }
phones = { each = "sites", item = { name = "{{ row.site }}", phone = { column = "phone" } } }
[page.variables.sites]
each = "sites"
hours = { timezone = "{{ row.zone }}", weekly = "24/7" }
item = { name = "{{ row.site }}", open = { show = "is_open" }, desks = { each = "desks", item = { name = "{{ row.desk }}", open = { show = "is_open" } } } }
[[page.each]]
source = "sites"
variables = { "/flags[site={{ row.site }}]/open" = { hours = "always", show = "is_open" } }
[[page]]
for_each = "sites"
agent = "{{ row.site }}"
environment = "sandbox"
hours = "always"
[page.variables]
own = { show = "is_open" }
[page.variables.branches]
each = "sites"
unless = { site = "{{ row.site }}" }
item = { name = "{{ row.site }}", open = { show = "is_open" } }
"#;
const SITES: &str =
    "site,region,zone,phone\nLeeds,NE,Europe/London,1\nYork,NE,Europe/London,2\nGent,BE,Europe/Brussels,3\n";
const NOW: &str = "2026-11-26T12:00:00Z";

fn at(text: &str) -> Instant {
    text.parse().unwrap()
}

fn world(sites: &str) -> World {
    world_of(SETTINGS, &[("sites", sites, "site"), ("desks", "desk,region\nToys,BE\nBooks,NO\n", "desk")])
}

fn world_of(settings: &str, tables: &[(&str, &str, &str)]) -> World {
    let settings = Settings::parse(Path::new("x.toml"), settings.as_bytes(), &Surroundings::default());
    let settings = settings.unwrap_or_else(|report| panic!("{}", report.render(false)));
    let mut inputs = Inputs::default();
    for (name, text, key) in tables {
        let rows = parse_csv(&format!("{name}.csv").into(), text, b',', Some(*key)).unwrap();
        inputs.tables.insert((*name).to_owned(), Arc::new(Table::Rows(rows).of_source(name)));
    }
    let world = World::new(&settings.blueprint, &inputs, at(NOW), None);
    assert_eq!(world.problems().collect::<Vec<_>>(), Vec::<&Problem>::new());
    world
}

fn draft(kind: &str, cells: &str, until: &str) -> Draft {
    let pair = |text: &str| {
        let (name, value) = text.split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    };
    let kind = match kind {
        "closed" => OverrideKind::Closed,
        _ => {
            let (variable, value) = kind.rsplit_once('=').unwrap();
            let value = value.to_owned();
            OverrideKind::Set { variable: variable.parse().unwrap(), value }
        }
    };
    let cells = cells.split(' ').filter(|text| !text.is_empty()).map(pair).collect::<Vec<_>>();
    let until = if until.is_empty() { Until::Released } else { until.parse().unwrap() };
    let pages = Selection { all: cells.is_empty(), cells, ..Selection::default() };
    Draft { pages, kind, until, reason: "snow".to_owned(), who: "anna".to_owned() }
}

fn prepared(draft: Draft, world: &World) -> Result<Override, String> {
    prepare(draft, world, &[], |_| None, at(NOW))
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

/// Returns the false values as AGENT:variable, with the names of their items.
fn closed(world: &World, at: Instant) -> String {
    fn walk(place: &str, value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Bool(false) => found.push(place.to_owned()),
            Value::Array(items) => items.iter().for_each(|item| walk(place, item, found)),
            Value::Object(entries) => {
                let name = value["name"].as_str().map(|name| format!("{place}.{name}"));
                let place = name.as_deref().unwrap_or(place);
                entries.values().for_each(|value| walk(place, value, found));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    for managed in &world.pages {
        for value in managed.page.desired(at).unwrap().values {
            let place = format!("{}:{}", managed.page.id.agent, value.variable);
            walk(&place, &value.value.to_json(), &mut found);
        }
    }
    found.join(" ").replace("/flags[site=", "flags.").replace("]/open", "")
}

/// London shows 01:30 twice on 25 October 2026, at 00:30 and 01:30 UTC.
#[test]
fn an_ambiguous_local_end_means_its_first_future_occurrence() {
    let london = crate::zone::Database::embedded().zone("Europe/London").unwrap();
    for (now, until, expected) in [
        ("2026-10-25T00:10:00Z", "01:30", "2026-10-25T00:30:00Z"),
        ("2026-10-25T00:40:00Z", "01:30", "2026-10-25T01:30:00Z"),
        ("2026-10-25T01:40:00Z", "01:30", "2026-10-26T01:30:00Z"),
        ("2026-10-25T00:40:00Z", "2026-10-25T01:30", "2026-10-25T01:30:00Z"),
        ("2026-10-24T20:00:00Z", "2026-10-25T01:30", "2026-10-25T00:30:00Z"),
    ] {
        let end = end(until.parse().unwrap(), &[], london, &"the page", at(now)).unwrap();
        assert_eq!(end, Some(at(expected)), "{until} at {now}");
    }
}

#[test]
fn an_override_by_cells_affects_only_values_of_matching_rows() {
    let mut world = world(SITES);
    for (cells, expected) in [
        (
            "site=Leeds",
            "ALL:sites.Leeds ALL:sites.Leeds.Toys ALL:sites.Leeds.Books ALL:flags.Leeds Leeds:own York:branches.Leeds Gent:branches.Leeds",
        ),
        // The desks have their own region column, but their key is another source's.
        (
            "region=BE site=Gent",
            "ALL:sites.Gent ALL:sites.Gent.Toys ALL:sites.Gent.Books ALL:flags.Gent Leeds:branches.Gent York:branches.Gent Gent:own",
        ),
        ("desk=Toys", "ALL:sites.Leeds.Toys ALL:sites.York.Toys ALL:sites.Gent.Toys"),
    ] {
        let set = prepared(draft("closed", cells, ""), &world).unwrap();
        world.apply_override(&[set]);
        assert_eq!(closed(&world, at(NOW)), expected, "{cells}");
    }
    // Several overrides at once, each with its own end.
    let leeds = prepared(draft("closed", "site=Leeds", "1h"), &world).unwrap();
    let york = prepared(draft("closed", "site=York", "2h"), &world).unwrap();
    world.apply_override(&[leeds, york]);
    let of_page = |at: Instant| {
        closed(&world, at).split(' ').filter(|text| text.contains("flags")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(of_page(at(NOW)), "ALL:flags.Leeds ALL:flags.York");
    assert_eq!(of_page(at("2026-11-26T13:30:00Z")), "ALL:flags.York");
    assert_eq!(closed(&world, at("2026-11-26T14:00:00Z")), "");
}

#[test]
fn rows_of_different_sources_with_the_same_key_are_distinct() {
    let settings = r#"
timezone = "Europe/London"
[api]
region = "uk"
[sources.sites]
path = "sites.csv"
key = "id"
[sources.vans]
path = "vans.csv"
key = "id"
[sources.desks]
path = "desks.csv"
key = "desk"
[hours.always]
weekly = "24/7"
[[page]]
agent = "ALL"
environment = "live"
hours = "always"
create_items = true
[page.variables]
sites = { each = "sites", item = { name = "{{ row.site }}", open = { show = "is_open" } } }
desks = { each = "desks", item = { name = "{{ row.desk }}", open = { show = "is_open" } } }
[[page.each]]
source = "vans"
variables = { "/flags[site={{ row.van }}]/open" = { show = "is_open" } }
[[page]]
for_each = "sites"
agent = "{{ row.site }}"
environment = "sandbox"
hours = "always"
variables = { vans = { each = "vans", item = { name = "{{ row.van }}", open = { show = "is_open" } } } }
"#;
    let vans = ("vans", "id,van\n1,Hull\n2,Bath\n", "id");
    let desks = ("desks", "desk,id\nToys,1\nBooks,2\n", "desk");
    let mut world = world_of(settings, &[("sites", "id,site\n1,Leeds\n2,York\n", "id"), vans, desks]);
    for (cells, expected) in [
        // Vans have their own `id`, so all of them belong to the page of Leeds. Desks give the
        // `id` of their site.
        ("site=Leeds", "ALL:sites.Leeds ALL:desks.Toys Leeds:vans.Hull Leeds:vans.Bath"),
        // Nothing says which table's `id` the desks refer to.
        ("van=Hull", "ALL:desks.Toys ALL:flags.Hull Leeds:vans.Hull York:vans.Hull"),
    ] {
        let set = prepared(draft("closed", cells, ""), &world).unwrap();
        world.apply_override(&[set]);
        assert_eq!(closed(&world, at(NOW)), expected, "{cells}");
    }
}

#[test]
fn renaming_a_source_keeps_the_overrides_of_its_rows() {
    let (before, desks) = (world(SITES), ("desks", "desk,region\nToys,BE\nBooks,NO\n", "desk"));
    let settings = SETTINGS.replace("[sources.sites]", "[sources.shops]").replace("\"sites\"", "\"shops\"");
    for cells in ["site=Leeds", "site=Gent", "region=NE"] {
        let set = [prepared(draft("closed", cells, ""), &before).unwrap()];
        let (mut before, mut after) =
            (before.clone(), world_of(&settings, &[("shops", SITES, "site"), desks]));
        before.apply_override(&set);
        after.apply_override(&set);
        assert_eq!(closed(&after, at(NOW)), closed(&before, at(NOW)), "{cells}");
    }
}

#[test]
fn an_override_on_a_page_that_runs_ahead_starts_now_and_keeps_earlier_intervals() {
    let settings = r#"
timezone = "Europe/London"
[api]
region = "uk"
[[page]]
agent = "A"
environment = "sandbox"
ahead = "1d"
hours = { weekly = "09:00-11:00, 11:30-18:00" }
variables = { today = { show = "today" } }
"#;
    let settings = Settings::parse(Path::new("x.toml"), settings.as_bytes(), &Surroundings::default());
    let mut world = World::new(&settings.unwrap().blueprint, &Inputs::default(), at(NOW), None);
    let today = |world: &World, time: &str| {
        let desired = world.pages[0].page.desired(at(&format!("2026-11-26T{time}Z"))).unwrap();
        desired.values[0].value.to_json()
    };
    assert_eq!(today(&world, "12:00:00"), "09:00-11:00, 11:30-18:00");
    let set = prepared(draft("closed", "", "3h"), &world).unwrap();
    world.apply_override(&[set]);
    assert_eq!(today(&world, "12:00:00"), "09:00-11:00, 15:00-18:00");
    assert_eq!(today(&world, "14:59:59"), "09:00-11:00, 15:00-18:00");
    assert_eq!(today(&world, "15:00:00"), "09:00-11:00, 11:30-18:00");
}

#[test]
fn an_unchanged_page_is_reused_under_the_same_overrides() {
    let mut before = world(SITES);
    let sets = [prepared(draft("closed", "region=NE", "14:00"), &before).unwrap()];
    before.apply_override(&sets);
    let mut same = before.clone();
    same.override_like(&before, &sets);
    let pages = same.pages.iter().zip(&before.pages);
    assert!(pages.into_iter().all(|(after, before)| Arc::ptr_eq(&after.page, &before.page)));
    let mut anew = world(SITES);
    anew.override_like(&before, &sets);
    assert_eq!(closed(&anew, at(NOW)), closed(&before, at(NOW)));
}

#[test]
fn an_override_keeps_the_keys_of_the_rows_it_matched_and_ends_in_the_zone_of_each() {
    let set = prepared(draft("closed", "region=NE", "14:00"), &world(SITES)).unwrap();
    assert_eq!(set.describe(), "the override: closed for site=Leeds, site=York, by anna: snow");
    let edited = "site,region,zone,phone\nLeeds,BE,Europe/London,1\nHull,NE,Europe/London,4\n";
    let mut after = world(edited);
    after.apply_override(&[set]);
    assert_eq!(
        closed(&after, at(NOW)),
        "ALL:sites.Leeds ALL:sites.Leeds.Toys ALL:sites.Leeds.Books ALL:flags.Leeds Leeds:own"
    );
    let set = prepared(draft("closed", "phone=3", "14:00"), &world(SITES)).unwrap();
    let ends: Vec<String> = set
        .reach()
        .into_iter()
        .filter(|(page, ..)| page.agent == "ALL")
        .map(|(_, row, until)| format!("{} {}", row.unwrap(), until.unwrap().format("%H:%M")))
        .collect();
    assert_eq!(ends, ["site=Gent 13:00"]);
}

#[test]
fn an_override_that_the_schema_refuses_for_one_site_is_set_for_none() {
    let world = world(SITES);
    let open =
        serde_json::json!({"properties": {"sites": {"items": {"properties": {"open": {"const": true}}}}}});
    let page = RemotePage { schema: Some(open.into()), ..RemotePage::default() };
    let observed =
        |id: &PageId| (id.agent == "ALL").then(|| Observed::new(page.clone(), &mut Schemas::default()));
    let refused = prepare(draft("closed", "site=Gent", "1h"), &world, &[], observed, at(NOW)).unwrap_err();
    let reported = refused[0].to_string();
    assert!(
        reported.contains("ALL/live at ")
            && reported.contains("/properties/sites/items/properties/open/const"),
        "{reported}"
    );
}

/// The schema of a page may have changed since the override was set.
#[test]
fn an_extension_that_the_schema_refuses_is_refused() {
    let world = world(SITES);
    let set = prepared(draft("closed", "site=Gent", "1h"), &world).unwrap();
    let extended = |schema: Value| {
        let page = RemotePage { schema: Some(schema.into()), ..RemotePage::default() };
        let observed =
            |id: &PageId| (id.agent == "ALL").then(|| Observed::new(page.clone(), &mut Schemas::default()));
        let until = "2h".parse().unwrap();
        let active = std::slice::from_ref(&set);
        let extended = extend(&set, (active, &world), until, "bert", observed, at(NOW));
        extended.map(|set| set.who).map_err(|problems| problems[0].to_string())
    };
    assert_eq!(extended(serde_json::json!({})).unwrap(), "bert");
    let open =
        serde_json::json!({"properties": {"sites": {"items": {"properties": {"open": {"const": true}}}}}});
    let refused = extended(open).unwrap_err();
    assert!(refused.contains("/properties/sites/items/properties/open/const"), "{refused}");
}

#[test]
fn an_error_that_exists_without_the_override_does_not_block_it() {
    let settings = r#"
timezone = "Europe/London"
[api]
region = "uk"
[sources.sites]
path = "sites.csv"
key = "site"
[hours.always]
weekly = "24/7"
[[page]]
agent = "ALL"
environment = "live"
[[page.each]]
source = "sites"
variables = { "/flags[site={{ row.site }}]/open" = { hours = "always", show = "is_open" } }
"#;
    let world = world_of(settings, &[("sites", "site\nLeeds\nYork\n", "site")]);
    let reported = |schema: Value| {
        // York was removed from the page.
        let variables = serde_json::json!({"flags": [{"site": "Leeds", "open": true}]});
        let page = RemotePage {
            variables: variables.as_object().unwrap().clone(),
            schema: Some(schema.into()),
            ..RemotePage::default()
        };
        let observed = |_: &PageId| Some(Observed::new(page.clone(), &mut Schemas::default()));
        let prepared = prepare(draft("closed", "site=Leeds", "1h"), &world, &[], observed, at(NOW));
        prepared.map(|set| set.describe()).map_err(|problems| problems[0].to_string())
    };
    assert_eq!(
        reported(serde_json::json!({})).unwrap(),
        "the override: closed for site=Leeds, by anna: snow"
    );
    let open =
        serde_json::json!({"properties": {"flags": {"items": {"properties": {"open": {"const": true}}}}}});
    let refused = reported(open).unwrap_err();
    assert!(refused.contains("/flags[site=Leeds]/open = false: "), "{refused}");
}

#[test]
fn unknown_cells_and_unsupported_row_overrides_are_reported_with_a_hint() {
    let world = world(SITES);
    for (kind, cells, reported) in [
        ("closed", "site=Leds", "no page uses a row with site = \"Leds\" (hint: did you mean \"Leeds\"?)"),
        (
            "closed",
            "town=Leeds",
            "no page uses a row with a column \"town\" (hint: the columns are: site, region, zone, phone, desk)",
        ),
        (
            "closed",
            "site=Leeds region=BE",
            "no page has hours for a row with site=Leeds and region=BE (hint:",
        ),
        (
            "sites=[]",
            "desk=Toys",
            "no page has sites for only the row with desk=Toys (hint: close or open one site with",
        ),
    ] {
        let refused = prepared(draft(kind, cells, ""), &world).unwrap_err();
        assert!(refused.starts_with(reported), "{refused}");
    }
    for (kind, page) in [("/flags[site=York]/open=false", "ALL/live"), ("own=false", "York/sandbox")] {
        let set = prepared(draft(kind, "site=York", ""), &world).unwrap();
        assert_eq!(set.pages.keys().map(ToString::to_string).collect::<Vec<_>>(), [page], "{kind}");
    }
}
