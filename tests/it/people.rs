//! People in control: overrides, held revisions, drift, and an untrusted clock.

use chrono::TimeDelta;
use rtconfd::clock::{Clock, ManualClock};
use rtconfd::model::{Environment, Problem};
use rtconfd::pages::Override;
use rtconfd::reconcile::{Control, Held, Mode, Status};
use serde_json::{Value, json};

use rtconfd::listener::Asking;

use crate::support::{Api, Driving, Folder, SITES, at, desk, until};

/// Thursday noon in London.
const NOON: &str = "2026-11-26T12:00:00Z";

fn asking(says: &str, until: Option<&str>) -> Asking {
    Asking {
        all: true,
        says: says.to_owned(),
        until: until.map(str::to_owned),
        reason: "snow".to_owned(),
        who: "anna".to_owned(),
        ..Asking::default()
    }
}

async fn set(driving: &Driving, asking: Asking) -> Result<Override, Vec<Problem>> {
    let draft = Box::new(asking.read()?);
    driving.ask(|answer| Control::Set(draft, answer)).await
}

fn texts(problems: Vec<Problem>) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Returns a table of sites open 09:00 to 17:00; those that `differ` close at 16:00.
fn sites(count: usize, differ: std::ops::Range<usize>) -> String {
    let rows = (0..count).map(|number| {
        let end = if differ.contains(&number) { 16 } else { 17 };
        format!("s{number},A-{number},Mo-Fr 09:00-{end}:00,{number}\n")
    });
    format!("site,agent,hours,phone\n{}", rows.collect::<String>())
}

/// Starts a driver over a number of sites and waits until all pages converge.
async fn driving(api: &Api, count: usize) -> (Folder, Driving) {
    let folder = Folder::new(&api.url, SITES);
    folder.without_rate();
    folder.write("sites.csv", &sites(count, 0..0));
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    until("all pages are right", || api.requests("PATCH").len() == count).await;
    (folder, driving)
}

/// Polls the status until `pick` returns a value.
async fn reported<T>(driving: &Driving, what: &str, pick: impl Fn(Status) -> Option<T>) -> T {
    let start = std::time::Instant::now();
    loop {
        if let Some(reported) = pick(driving.status().await) {
            return reported;
        }
        assert!(start.elapsed() < std::time::Duration::from_secs(60), "waited in vain until {what}");
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

async fn held(driving: &Driving) -> Held {
    reported(driving, "something is held", |status| status.held).await
}

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
    assert_eq!(again.to_string(), "no override 1 is in force (hint: none is in force)");
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
    until("all pages are right", || api.requests("PATCH").len() == 3).await;
    let mut wanted = asking("phone=7", Some("2h"));
    wanted.all = false;
    wanted.cells = vec!["site=s1".to_owned()];
    set(&driving, wanted.clone()).await.unwrap();
    api.until_variable("A-1", "phone", &json!(7)).await;
    assert_eq!(api.variables("A-0")["phone"], json!("0"), "another row");
    for (says, reported) in [
        ("phone=77", "phone = 77: 77 is greater than the maximum of 9"),
        ("fax=1", "A-1/live does not own fax (hint: it owns: is_open, phone)"),
        ("phone", "\"phone\" is not a pair (hint: write NAME=VALUE)"),
    ] {
        let refused = set(&driving, Asking { says: says.to_owned(), ..wanted.clone() }).await.unwrap_err();
        assert!(texts(refused.clone()).contains(reported), "{}", texts(refused));
    }
    for (asking, reported) in [
        (Asking { until: Some("2026-01-01".to_owned()), ..wanted.clone() }, "is in the past for A-1/live"),
        (
            Asking { until: Some("soon".to_owned()), ..wanted.clone() },
            "\"soon\" is not a valid end of an override",
        ),
        (Asking { reason: " ".to_owned(), ..wanted.clone() }, "an override needs a reason"),
        (
            Asking { cells: vec!["region=NE".to_owned()], ..wanted.clone() },
            "no page uses a row with a column \"region\" (hint: the columns are: site, agent, hours, phone)",
        ),
        (
            Asking { cells: vec!["site=s9".to_owned()], ..wanted.clone() },
            "no page uses a row with site = \"s9\" (hint: did you mean \"s",
        ),
        (Asking { cells: Vec::new(), ..wanted.clone() }, "an override needs pages"),
        (
            Asking { pages: vec!["A-9/live".to_owned()], ..wanted.clone() },
            "unknown page A-9/live (hint: did you mean A-",
        ),
    ] {
        let refused = texts(set(&driving, asking).await.unwrap_err());
        assert!(refused.contains(reported), "{refused}");
    }
    assert_eq!(driving.status().await.overrides.len(), 1, "what was refused was set nowhere");
    driving.stop().await;
}

/// Settings of one page that shows all sites, as an array and as items beside others.
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
    let is = |wanted: Value| {
        let api = &api;
        async move { until(&format!("the page is {wanted}"), || api.variables("A-1") == wanted).await }
    };
    let clock = ManualClock::new(at(NOON));
    let driving = Driving::start(&folder, &clock, Mode::Daemon).await;
    is(page(true, "09:00-17:00", true)).await;
    let wanted =
        Asking { all: false, cells: vec!["site=Leeds".to_owned()], ..asking("closed", Some("next opening")) };
    let done = set(&driving, wanted.clone()).await.unwrap();
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
    let leeds = set(&driving, Asking { until: None, ..wanted.clone() }).await.unwrap();
    let york = Asking { cells: vec!["site=York".to_owned()], until: None, ..wanted };
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

#[tokio::test]
async fn a_large_change_is_held_and_once_approved_rolls_out_in_stages() {
    let api = Api::start();
    let (folder, driving) = driving(&api, 40).await;
    folder.write("sites.csv", &sites(40, 0..40));
    let held = held(&driving).await;
    assert_eq!(
        held.describe().replace(&held.revision, "R"),
        "revision R is held: the next 14 days change for 40 of 40 pages (more than 10% and more than 5) (hint: see what it changes with rtconfd diff, then approve it with rtconfd approve R, or correct the files)"
    );
    driving.advance(at("2026-11-26T16:30:00Z")).await;
    assert_eq!(api.requests("PATCH").len(), 40, "nothing of the held revision is sent");
    driving.advance(at("2026-11-26T17:00:00Z")).await;
    until("all close by the last good schedule", || api.requests("PATCH").len() == 80).await;
    driving.advance(at("2026-11-27T16:30:00Z")).await;
    assert_eq!(api.variables("A-7")["is_open"], json!(true));

    let approve = |revision: String| |answer| Control::Approve { revision, who: "anna".to_owned(), answer };
    let wrong = driving.ask(approve("r000000000000".to_owned())).await.unwrap_err().to_string();
    assert!(wrong.starts_with("revision r000000000000 is not what is held"), "{wrong}");
    let before = api.requests("PATCH").len();
    driving.ask(approve(held.revision.clone())).await.unwrap();
    until("all sites are closed", || {
        (0..40).all(|number| api.variables(&format!("A-{number}"))["is_open"] == json!(false))
    })
    .await;
    // The first page alone, then two, then the rest.
    let order: Vec<String> =
        api.requests("PATCH")[before..].iter().map(|request| request.path.clone()).collect();
    assert_eq!(order.len(), 40);
    assert!(order[0].contains("/A-0/"), "{order:?}");
    let second: Vec<bool> =
        order[1..3].iter().map(|path| path.contains("/A-1/") || path.contains("/A-2/")).collect();
    assert_eq!(second, [true, true], "{order:?}");
    reported(&driving, "it is out on all pages", |status| status.rollout.is_none().then_some(())).await;
    assert!(driving.status().await.held.is_none());

    // The approval is valid for that revision only, and once.
    folder.write("sites.csv", &sites(40, 0..0));
    let back = self::held(&driving).await.revision;
    assert_ne!(back, held.revision);
    driving.ask(approve(back.clone())).await.unwrap();
    until("all sites are open", || {
        (0..40).all(|number| api.variables(&format!("A-{number}"))["is_open"] == json!(true))
    })
    .await;
    reported(&driving, "it is out on all pages", |status| status.rollout.is_none().then_some(())).await;
    folder.write("sites.csv", &sites(40, 0..40));
    assert_eq!(self::held(&driving).await.revision, held.revision);
    driving.stop().await;
}

/// A restart, or the next run from cron, reverts no page.
#[tokio::test]
async fn a_stopped_rollout_continues_after_a_restart() {
    let api = Api::start();
    let (folder, driving) = driving(&api, 40).await;
    let clock = driving.clock.clone();
    api.schema("A-1", &json!({"properties": {"is_open": {"const": true}}}));
    driving.advance(at("2026-11-26T12:10:00Z")).await;
    folder.write("sites.csv", &sites(40, 0..40).replace("09:00", "13:00"));
    let revision = held(&driving).await.revision;
    let approve = |answer| Control::Approve { revision: revision.clone(), who: "anna".to_owned(), answer };
    driving.ask(approve).await.unwrap();
    let stopped = |status: Status| status.rollout.and_then(|rollout| rollout.2);
    assert_eq!(reported(&driving, "the change stops", stopped).await.to_string(), "A-1/live");
    until("the others of its stage have it", || api.requests("PATCH").len() == 42).await;
    driving.stop().await;
    let driving = Driving::start(&folder, &clock, Mode::Daemon).await;
    assert_eq!(reported(&driving, "it stops there again", stopped).await.to_string(), "A-1/live");
    until("the driver is quiet", || driving.is_quiet()).await;
    assert_eq!(api.requests("PATCH").len(), 42, "no page is taken back, and none is sent to again");
    api.schema("A-1", &json!({}));
    driving.advance(at("2026-11-26T12:20:00Z")).await;
    until("all pages have it", || api.requests("PATCH").len() == 80).await;
    reported(&driving, "it is out on all pages", |status| status.rollout.is_none().then_some(())).await;
    driving.stop().await;
}

#[tokio::test]
async fn an_override_survives_a_clock_that_is_temporarily_ahead() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    let clock = ManualClock::new(at(NOON));
    let driving = Driving::start(&folder, &clock, Mode::Daemon).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    set(&driving, asking("closed", Some("40m"))).await.unwrap();
    api.until_variable("A-1", "is_open", &json!(false)).await;
    driving.stop().await;
    // By less than makes the clock untrusted.
    clock.set(at("2026-11-26T12:50:00Z"));
    let driving = Driving::start(&folder, &clock, Mode::Daemon).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    until("the driver is quiet", || driving.is_quiet()).await;
    clock.step(at("2026-11-26T12:05:00Z"));
    api.until_variable("A-1", "is_open", &json!(false)).await;
    driving.advance(at("2026-11-26T12:40:00Z")).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    // An override set by such a clock is active once the clock is correct again.
    clock.step(at("2026-11-26T13:30:00Z"));
    set(&driving, asking("closed", None)).await.unwrap();
    api.until_variable("A-1", "is_open", &json!(false)).await;
    until("the driver is quiet", || driving.is_quiet()).await;
    let before = api.requests("PATCH").len();
    clock.step(at("2026-11-26T12:45:00Z"));
    // One full cycle lies between two answers.
    driving.status().await;
    driving.status().await;
    until("the driver is quiet", || driving.is_quiet()).await;
    driving.advance(at("2026-11-26T13:00:00Z")).await;
    until("the driver is quiet", || driving.is_quiet()).await;
    assert_eq!(api.requests("PATCH").len(), before, "it stays closed");
    driving.stop().await;
}

/// No other clock has confirmed the new time yet.
#[tokio::test]
async fn an_override_survives_a_start_with_a_clock_that_is_days_ahead() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    let clock = ManualClock::new(at(NOON));
    let driving = Driving::start(&folder, &clock, Mode::Daemon).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    set(&driving, asking("closed", Some("4h"))).await.unwrap();
    api.until_variable("A-1", "is_open", &json!(false)).await;
    driving.stop().await;
    clock.set(at("2026-11-30T12:00:00Z"));
    let driving = Driving::start(&folder, &clock, Mode::Daemon).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    until("the driver is quiet", || driving.is_quiet()).await;
    clock.step(at("2026-11-26T12:05:00Z"));
    reported(&driving, "the clock is untrusted", |status| status.withheld).await;
    let approve_clock =
        |answer| Control::Approve { revision: "clock".to_owned(), who: "anna".to_owned(), answer };
    driving.ask(approve_clock).await.unwrap();
    api.until_variable("A-1", "is_open", &json!(false)).await;
    driving.stop().await;
}

/// Closures of tomorrow seem past to a clock that jumped ahead.
#[tokio::test]
async fn inputs_received_while_the_clock_is_untrusted_are_checked_once_it_is_trusted() {
    let api = Api::start();
    let (folder, driving) = driving(&api, 40).await;
    driving.clock.step(at("2027-01-26T12:00:00Z"));
    reported(&driving, "the clock is untrusted", |status| status.withheld).await;
    folder.write("sites.csv", &format!("{}s99,A-99\n", sites(40, 0..40)));
    reported(&driving, "the bad row is told", |status| (!status.problems.is_empty()).then_some(())).await;
    assert!(driving.status().await.held.is_none());
    let refused = set(&driving, asking("closed", Some("14:00"))).await.unwrap_err();
    assert!(
        texts(refused).starts_with("nothing is sent while the clock is untrusted"),
        "set by such a clock"
    );
    driving.clock.step(at("2026-11-26T12:00:10Z"));
    held(&driving).await;
    // An approval does not evaluate a revision by such a clock either.
    driving.clock.step(at("2027-01-26T12:00:00Z"));
    reported(&driving, "the clock is untrusted", |status| status.withheld).await;
    let revision = held(&driving).await.revision;
    folder.write("sites.csv", &format!("{}s99,A-99\ns98,A-98\n", sites(40, 0..39)));
    reported(&driving, "both bad rows are told", |status| (status.problems.len() == 2).then_some(())).await;
    let approve = |answer| Control::Approve { revision: revision.clone(), who: "anna".to_owned(), answer };
    driving.ask(approve).await.unwrap();
    until("the driver is quiet", || driving.is_quiet()).await;
    driving.clock.step(at("2026-11-26T12:00:20Z"));
    let of_39 = |status: Status| status.held.filter(|held| held.reasons.join("").contains("39 of 40 pages"));
    reported(&driving, "the other revision is held", of_39).await;
    driving.stop().await;
}

#[tokio::test]
async fn a_rollout_stops_at_the_first_page_that_refuses_it() {
    let api = Api::start();
    let (folder, driving) = driving(&api, 40).await;
    let nobody = json!({"properties": {"is_open": {"const": true}}});
    api.schema("A-0", &nobody);
    driving.advance(at("2026-11-26T12:10:00Z")).await;
    folder.write("sites.csv", &sites(40, 0..40).replace("09:00", "13:00"));
    let revision = held(&driving).await.revision;
    let approve = |answer| Control::Approve { revision: revision.clone(), who: "anna".to_owned(), answer };
    driving.ask(approve).await.unwrap();
    let stopped = |status: Status| status.rollout.filter(|rollout| rollout.2.is_some());
    let (_, to_come, stopped_at) = reported(&driving, "the change stops", stopped).await;
    assert_eq!((to_come, stopped_at.unwrap().to_string()), (40, "A-0/live".to_owned()));
    assert_eq!(api.requests("PATCH").len(), 40, "no other page was touched");
    api.schema("A-0", &json!({}));
    driving.advance(at("2026-11-26T12:20:00Z")).await;
    until("it goes on", || api.variables("A-39")["is_open"] == json!(false)).await;
    driving.stop().await;
}

/// An approved change that was reverted needs a new approval when it returns.
#[tokio::test]
async fn an_abandoned_approval_is_no_longer_valid() {
    let api = Api::start();
    let (folder, driving) = driving(&api, 40).await;
    api.schema("A-0", &json!({"properties": {"is_open": {"const": true}}}));
    let change = sites(40, 0..40).replace("09:00", "13:00");
    folder.write("sites.csv", &change);
    let revision = held(&driving).await.revision;
    let approve = |answer| Control::Approve { revision: revision.clone(), who: "anna".to_owned(), answer };
    driving.ask(approve).await.unwrap();
    reported(&driving, "the change stops", |status| status.rollout?.2).await;
    folder.write("sites.csv", &sites(40, 0..0));
    reported(&driving, "it is given up", |status| status.rollout.is_none().then_some(())).await;
    api.schema("A-0", &json!({}));
    folder.write("sites.csv", &change);
    assert_eq!(held(&driving).await.revision, revision);
    assert_eq!(api.requests("PATCH").len(), 40, "no page was touched");
    driving.stop().await;
}

#[tokio::test]
async fn small_changes_within_an_hour_add_up_to_a_large_one() {
    let api = Api::start();
    let (folder, driving) = driving(&api, 40).await;
    folder.write("sites.csv", &sites(40, 0..4));
    // Only after the first change is active.
    driving.advance(at("2026-11-26T16:00:00Z")).await;
    until("the first piece is out", || api.variables("A-3")["is_open"] == json!(false)).await;
    folder.write("sites.csv", &sites(40, 0..8));
    driving.advance(at("2026-11-26T16:10:00Z")).await;
    until("the second piece is out, hours after the first", || {
        api.variables("A-7")["is_open"] == json!(false)
    })
    .await;
    folder.write("sites.csv", &sites(40, 0..11));
    assert_eq!(
        held(&driving).await.reasons.join("; "),
        "the next 14 days change for 7 of 40 pages, including those of the last hour (more than 10% and more than 5)"
    );
    driving.stop().await;
}

#[tokio::test]
async fn the_webhook_detects_drift_immediately_and_history_records_it() {
    let api = Api::start();
    let policy = "on_drift = { \"*\" = \"restore\", seats = \"report\" }";
    let settings = desk("A-1").replace("variables = {", &format!("{policy}\nvariables = {{ seats = 40,"));
    let folder = Folder::new(&api.url, &settings);
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    until("the driver is quiet", || driving.is_quiet()).await;
    api.edit("A-1", &json!({"seats": 42, "is_open": false}));
    let look = Control::Look {
        agent: Some("A-1".to_owned()),
        environment: None,
        by: Some("bert@example.com".to_owned()),
    };
    driving.feed.send(rtconfd::reconcile::Feed::Control(look)).await.unwrap();
    until("the drift is recorded", || !folder.look().drifts(None, true, 10).unwrap().is_empty()).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    assert_eq!(api.variables("A-1")["seats"], json!(42), "that is only told");
    let drift = folder.look().drifts(None, true, 10).unwrap().remove(0);
    assert_eq!(
        (drift.variable.as_str(), &drift.baseline, &drift.found, drift.answer.as_str(), drift.by.as_deref()),
        ("seats", &json!(40), &json!(42), "reported", Some("bert@example.com"))
    );
    // A manual fix ends the drift.
    api.edit("A-1", &json!({"seats": 40}));
    driving.advance(at("2026-11-26T12:10:00Z")).await;
    until("the drift is over", || folder.look().drifts(None, true, 10).unwrap().is_empty()).await;
    assert!(folder.look().drifts(None, false, 10).unwrap()[0].ended_at.is_some());
    driving.stop().await;
}

#[tokio::test]
async fn a_clock_jump_stops_writes_until_it_is_reverted_or_the_api_agrees() {
    let clock = ManualClock::new(at(NOON));
    let api = Api::with(Vec::new(), std::sync::Arc::new(ManualClock::new(at(NOON))));
    let folder = Folder::new(&api.url, &desk("A-1"));
    let driving = Driving::start(&folder, &clock, Mode::Daemon).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    clock.step(at("2027-03-01T20:00:00Z"));
    assert_eq!(
        reported(&driving, "the clock is untrusted", |status| status.withheld).await,
        "nothing is sent while the clock is untrusted: it jumped from 2026-11-26T12:00:00Z to 2027-03-01T20:00:00Z (hint: correct the clock; if it is right, run rtconfd approve clock)"
    );
    driving.advance(clock.now() + TimeDelta::hours(1)).await;
    assert_eq!(api.variables("A-1"), json!({"is_open": true}), "closed by that clock, and not sent");
    let approve = |answer| Control::Approve { revision: "clock".to_owned(), who: "anna".to_owned(), answer };
    driving.ask(approve).await.unwrap();
    api.until_variable("A-1", "is_open", &json!(false)).await;
    // Going back is another jump; the API's clock confirms that time.
    clock.step(at("2026-11-26T12:01:00Z"));
    api.until_variable("A-1", "is_open", &Value::Bool(true)).await;
    assert_eq!(driving.status().await.withheld, None);
    driving.stop().await;
}

/// Calendars are expanded around the current date, and again after a large clock change.
#[tokio::test]
async fn holidays_apply_again_after_a_clock_was_years_off() {
    let clock = ManualClock::new(at(NOON));
    let api = Api::with(Vec::new(), std::sync::Arc::new(ManualClock::new(at(NOON))));
    let settings = desk("A-1").replace("weekly =", "closed_on = [\"holidays\"]\nweekly =");
    let folder = Folder::new(&api.url, &format!("[calendars.holidays]\npath = \"holidays.ics\"\n{settings}"));
    folder.write(
        "holidays.ics",
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//y//EN\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20260101T000000Z\r\nDTSTART;VALUE=DATE:20261127\r\nSUMMARY:Holiday\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
    );
    let driving = Driving::start(&folder, &clock, Mode::Daemon).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    let approve = |answer| Control::Approve { revision: "clock".to_owned(), who: "anna".to_owned(), answer };
    clock.step(at("2029-11-25T20:00:00Z"));
    reported(&driving, "the clock is untrusted", |status| status.withheld).await;
    driving.ask(approve).await.unwrap();
    api.until_variable("A-1", "is_open", &json!(false)).await;
    clock.step(at("2026-11-26T12:01:00Z"));
    api.until_variable("A-1", "is_open", &json!(true)).await;
    let patches = api.requests("PATCH").len();
    driving.advance(at("2026-11-27T12:00:00Z")).await;
    until("it closes in the evening", || api.requests("PATCH").len() > patches).await;
    until("the driver is quiet", || driving.is_quiet()).await;
    assert_eq!(api.variables("A-1"), json!({"is_open": false}), "open on a holiday");
    driving.stop().await;
}

/// A site counts once, however many environments it has: it may close for a day.
#[tokio::test]
async fn a_single_site_in_two_environments_may_close() {
    let api = Api::start();
    let settings = SITES.replace("environment = \"live\"", "environment = [\"sandbox\", \"live\"]");
    assert_ne!(settings, SITES);
    let folder = Folder::new(&api.url, &settings);
    folder.write("sites.csv", &sites(1, 0..0));
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    let open = |environment| {
        api.simulator.with_pages(|pages| pages.page("A-0", environment)["variables"]["is_open"].clone())
    };
    let both = |value: bool| {
        [Environment::Sandbox, Environment::Live].iter().all(|environment| open(*environment) == json!(value))
    };
    until("both are open", || both(true)).await;
    folder.write("sites.csv", &sites(1, 0..0).replace("Mo-Fr 09:00-17:00", "off"));
    until("both are closed", || both(false)).await;
    driving.stop().await;
}

/// A page with many sites counts each of them: closing all is a large change.
#[tokio::test]
async fn the_sites_of_one_page_are_counted_individually() {
    let api = Api::start();
    let settings = SITES.split("[[page]]").next().unwrap().to_owned()
        + r#"
[[page]]
agent = "A-1"
environment = "live"
[page.variables.site_hours]
each = "sites"
hours = { timezone = "Europe/London", weekly = "{{ row.hours }}" }
item = { site_name = "{{ row.site }}", hours = { show = "today" }, is_open = { show = "is_open" } }
"#;
    let folder = Folder::new(&api.url, &settings);
    folder.write("sites.csv", &sites(20, 0..0));
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    let open = |count: usize| {
        let found = api.variables("A-1")["site_hours"]
            .as_array()
            .map_or(0, |sites| sites.iter().filter(|site| site["is_open"] == json!(true)).count());
        found == count
    };
    until("all are open", || open(20)).await;
    folder.write("sites.csv", &sites(20, 0..0).replacen("Mo-Fr 09:00-17:00", "off", 1));
    until("one site may close", || open(19)).await;
    folder.write("sites.csv", &sites(20, 0..0).replace("Mo-Fr 09:00-17:00", "off"));
    assert_eq!(
        held(&driving).await.reasons,
        [
            "the next 14 days change for 20 of 20 sites, on 1 of 1 pages, including those of the last hour (more than 10% and more than 5)",
            "20 of 20 sites become closed all day on 2026-11-26, including those of the last hour (more than 20%)",
        ]
    );
    assert!(open(19), "what was last good goes on");
    driving.stop().await;
}
