//! Overrides: their values, their sites, their ends, and restarts.

use rtconfd::clock::ManualClock;
use rtconfd::reconcile::{Control, Mode};
use rtconfd::web::OverrideRequest;
use serde_json::{Value, json};

use super::{NOON, asking, set, sites, texts};
use crate::support::{Api, Driving, Folder, SITES, at, desk, until};

#[tokio::test]
async fn a_closed_override_closes_immediately_and_expires_at_its_end() {
    let api = Api::start();
    let settings = desk("A-1").replace(
        "variables = {",
        "variables = { opens = { hours = \"desk\", show = \"opens_at\" }, today = { hours = \"desk\", show = \"today\" },",
    );
    let folder = Folder::new(&api.url, &settings);
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    let done = set(&driving, asking("closed", Some("14:00"))).await.unwrap();
    assert_eq!(done.pages.values().copied().collect::<Vec<_>>(), [Some(at("2026-11-26T14:00:00Z"))]);
    api.until_variable("A-1", "is_open", &json!(false)).await;
    // A consumer model with one interval knows the next opening.
    assert_eq!(api.variables("A-1"), json!({"opens": "14:00", "today": "14:00-17:00", "is_open": false}));
    driving.advance(at("2026-11-26T14:00:00Z")).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    assert_eq!(api.variables("A-1"), json!({"opens": "09:00", "today": "09:00-17:00", "is_open": true}));
    driving.stop().await;
}

#[tokio::test]
async fn an_override_survives_a_restart_and_its_release_restores_the_computed_value() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    let clock = ManualClock::new(at(NOON));
    let driving = Driving::start(&folder, &clock, Mode::Daemon).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    let done = set(&driving, asking("closed", None)).await.unwrap();
    // Not a clean shutdown: an acknowledged override must survive it.
    drop(driving);
    until("the store is free", || !folder.store().is_in_use()).await;
    clock.set(at("2026-11-27T12:00:00Z"));
    let driving = Driving::start(&folder, &clock, Mode::Daemon).await;
    api.until_variable("A-1", "is_open", &json!(false)).await;
    let release = |id| move |answer| Control::Release { id, who: "anna".to_owned(), answer };
    driving.ask(release(done.id)).await.unwrap();
    api.until_variable("A-1", "is_open", &json!(true)).await;
    let again = driving.ask(release(done.id)).await.unwrap_err();
    assert_eq!(again.to_string(), "override 1 is not active (hint: no override is active)");
    driving.stop().await;
}

#[tokio::test]
async fn a_value_is_typed_and_checked_by_the_schema_before_it_is_set() {
    let api = Api::start();
    let folder = Folder::new(&api.url, SITES);
    folder.without_rate();
    folder.write("sites.csv", &sites(3, 0..0));
    api.schema("A-1", &json!({"properties": {"phone": {"type": "integer", "maximum": 9}}}));
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    until("all pages are filled", || api.requests("PATCH").len() == 3).await;
    let mut request = asking("phone=7", Some("2h"));
    request.all = false;
    request.cells = vec!["site=s1".to_owned()];
    set(&driving, request.clone()).await.unwrap();
    api.until_variable("A-1", "phone", &json!(7)).await;
    assert_eq!(api.variables("A-0")["phone"], json!("0"), "another row");
    for (says, reported) in [
        ("phone=77", "phone = 77: 77 is greater than the maximum of 9"),
        ("fax=1", "A-1/live does not own fax (hint: it owns: is_open, phone)"),
        ("phone", "invalid pair \"phone\" (hint: write NAME=VALUE)"),
    ] {
        let refused =
            set(&driving, OverrideRequest { says: says.to_owned(), ..request.clone() }).await.unwrap_err();
        assert!(texts(refused.clone()).contains(reported), "{}", texts(refused));
    }
    for (asking, reported) in [
        (
            OverrideRequest { until: Some("2026-01-01".to_owned()), ..request.clone() },
            "is in the past for A-1/live",
        ),
        (
            OverrideRequest { until: Some("soon".to_owned()), ..request.clone() },
            "invalid end of an override \"soon\"",
        ),
        (OverrideRequest { reason: " ".to_owned(), ..request.clone() }, "an override needs a reason"),
        (
            OverrideRequest { cells: vec!["region=NE".to_owned()], ..request.clone() },
            "no page uses a row with a column \"region\" (hint: the columns are: site, agent, hours, phone)",
        ),
        (
            OverrideRequest { cells: vec!["site=s9".to_owned()], ..request.clone() },
            "no page uses a row with site = \"s9\" (hint: did you mean \"s",
        ),
        (OverrideRequest { cells: Vec::new(), ..request.clone() }, "an override needs pages"),
        (
            OverrideRequest { pages: vec!["A-9/live".to_owned()], ..request.clone() },
            "unknown page A-9/live (hint: did you mean A-",
        ),
    ] {
        let refused = texts(set(&driving, asking).await.unwrap_err());
        assert!(refused.contains(reported), "{refused}");
    }
    assert_eq!(driving.status().await.overrides.len(), 1, "a refused override was set");
    driving.stop().await;
}

/// Settings of a page that shows all sites: an array, and items in an array with other items.
const MANY: &str = r#"
timezone = "Europe/London"
[sources.sites]
path = "sites.csv"
key = "site"
[[page]]
agent = "A-1"
environment = "live"
create_items = true
[page.variables.sites]
each = "sites"
hours = { weekly = "{{ row.hours }}" }
item = { name = "{{ row.site }}", open = { show = "is_open" }, today = { show = "today" } }
[[page.each]]
source = "sites"
hours = { weekly = "{{ row.hours }}" }
variables = { "/flags[site={{ row.site }}]/open" = { show = "is_open" } }
"#;

#[tokio::test]
async fn an_override_of_one_site_survives_a_restart_and_leaves_the_other_sites_alone() {
    let api = Api::start();
    let folder = Folder::new(&api.url, "");
    let settings = std::fs::read_to_string(folder.path("rtconfd.toml")).unwrap();
    let (zone, rest) = MANY.trim_start().split_once('\n').unwrap();
    folder.write("rtconfd.toml", &format!("{zone}\n{settings}{rest}"));
    folder.write("sites.csv", "site,hours\nLeeds,Mo-Fr 09:00-17:00\nYork,Mo-Fr 09:00-16:00\n");
    let page = |leeds: bool, today: &str, york: bool| {
        json!({
            "sites": [
                {"name": "Leeds", "open": leeds, "today": today},
                {"name": "York", "open": york, "today": "09:00-16:00"},
            ],
            "flags": [{"site": "Leeds", "open": leeds}, {"site": "York", "open": york}],
        })
    };
    let is = |request: Value| {
        let api = &api;
        async move { until(&format!("the page is {request}"), || api.variables("A-1") == request).await }
    };
    let clock = ManualClock::new(at(NOON));
    let driving = Driving::start(&folder, &clock, Mode::Daemon).await;
    is(page(true, "09:00-17:00", true)).await;
    let request = OverrideRequest {
        all: false,
        cells: vec!["site=Leeds".to_owned()],
        ..asking("closed", Some("next opening"))
    };
    let done = set(&driving, request.clone()).await.unwrap();
    assert_eq!(done.describe(), "override 1: closed for site=Leeds, by anna: snow");
    is(page(false, "closed", true)).await;

    drop(driving);
    until("the store is free", || !folder.store().is_in_use()).await;
    let listed = folder.run(&["override", "list", "--all", "--format", "json"]).expect(0).lines();
    let end = "2026-11-27T09:00:00Z";
    assert_eq!(
        listed[0]["pages"],
        json!([{"page": "A-1/live", "until": end, "rows": [{"row": "site=Leeds", "until": end}]}])
    );
    let explain = ["explain", "A-1/live", "sites", "--at", "2026-11-26T12:30:00Z"];
    let explained = folder.run(&explain).expect(0).out;
    assert!(
        explained.contains("because    override 1: closed for site=Leeds, by anna: snow\n"),
        "{explained}"
    );
    for part in [
        "part       site=Leeds open: false, because override 1: closed for site=Leeds, by anna: snow, until Fri 2026-11-27 09:00:00",
        "part       site=York open: true, because hours of \"York\" is open 09:00-16:00 on Thu",
    ] {
        assert!(explained.contains(part), "{explained}");
    }
    let driving = Driving::start(&folder, &clock, Mode::Daemon).await;
    driving.advance(at("2026-11-26T16:30:00Z")).await;
    is(page(false, "closed", false)).await;
    driving.advance(at("2026-11-27T09:00:00Z")).await;
    is(page(true, "09:00-17:00", true)).await;

    // One of two overrides is released before its end; the other stays.
    let leeds = set(&driving, OverrideRequest { until: None, ..request.clone() }).await.unwrap();
    let york = OverrideRequest { cells: vec!["site=York".to_owned()], until: None, ..request };
    set(&driving, york).await.unwrap();
    until("both are closed", || api.variables("A-1")["flags"][1]["open"] == json!(false)).await;
    let release = |answer| Control::Release { id: leeds.id, who: "anna".to_owned(), answer };
    driving.ask(release).await.unwrap();
    until("Leeds is open again", || api.variables("A-1")["flags"][0]["open"] == json!(true)).await;
    assert_eq!(api.variables("A-1")["sites"][1], json!({"name": "York", "open": false, "today": "closed"}));
    driving.stop().await;
}

#[tokio::test]
async fn an_override_can_end_at_the_next_opening_and_an_open_override_opens() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    set(&driving, asking("closed", Some("next opening"))).await.unwrap();
    api.until_variable("A-1", "is_open", &json!(false)).await;
    driving.advance(at("2026-11-27T09:00:00Z")).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    driving.advance(at("2026-11-27T18:00:00Z")).await;
    api.until_variable("A-1", "is_open", &json!(false)).await;
    set(&driving, asking("open", Some("90m"))).await.unwrap();
    api.until_variable("A-1", "is_open", &json!(true)).await;
    driving.advance(at("2026-11-27T19:30:00Z")).await;
    api.until_variable("A-1", "is_open", &json!(false)).await;
    driving.stop().await;
}
