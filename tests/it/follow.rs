//! Promotions: when a change reaches live, and the reasons for which it waits.

use chrono::TimeDelta;
use rtconfd::clock::{Clock, ManualClock};
use rtconfd::compile::{Inputs, World};
use rtconfd::listener::Asking;
use rtconfd::model::{Environment, Instant};
use rtconfd::reconcile::{Control, Mode, Standing, Status};
use serde_json::{Value, json};

use crate::support::{Api, Driving, Folder, at, until};

const SITES: &str = r#"
[hold]
pages_percent = 100
rows_percent = 100
closed_percent = 100
[sources.sites]
path = "sites.csv"
key = "site"
[[page]]
for_each = "sites"
agent = "{{ row.agent }}"
environment = ["sandbox", "live"]
follow = "sandbox"
after = "2h"
hours = { timezone = "Europe/London", weekly = "{{ row.hours }}" }
variables = { is_open = { show = "is_open" }, phone = { column = "phone" } }
"#;

/// Returns a Thursday noon in London.
fn noon() -> Instant {
    at("2026-11-26T12:00:00Z")
}

fn after(minutes: i64) -> Instant {
    noon() + TimeDelta::minutes(minutes)
}

struct Scene {
    api: Api,
    folder: Folder,
    clock: ManualClock,
    driving: Option<Driving>,
}

impl Scene {
    async fn begin(sites: &str) -> Self {
        let api = Api::start();
        let folder = Folder::new(&api.url, SITES);
        let mut scene = Self { api, folder, clock: ManualClock::new(noon()), driving: None };
        scene.write(sites);
        scene.start().await;
        scene
    }

    fn write(&self, sites: &str) {
        self.folder.write("sites.csv", &format!("site,agent,hours,phone\n{sites}"));
    }

    async fn start(&mut self) {
        self.driving = Some(Driving::start(&self.folder, &self.clock, Mode::Daemon).await);
    }

    /// Restarts the program with the state in the store.
    async fn restart(&mut self) {
        self.driving.take().unwrap().stop().await;
        self.start().await;
    }

    /// Advances the clock to a number of minutes after noon.
    async fn at(&self, minutes: i64) -> &Self {
        self.driving.as_ref().unwrap().advance(after(minutes)).await;
        until("the driver is quiet", || self.driving.as_ref().unwrap().is_quiet()).await;
        self
    }

    /// Returns the opening state and phone number on a page of A-1.
    fn page(&self, environment: Environment) -> String {
        let variables: Value =
            self.api.simulator.with_pages(|pages| pages.page("A-1", environment)["variables"].clone());
        format!("{} {}", variables["is_open"], variables["phone"])
    }

    fn both(&self) -> [String; 2] {
        [self.page(Environment::Sandbox), self.page(Environment::Live)]
    }

    async fn until_sandbox(&self, wanted: &str) {
        until(&format!("the sandbox holds {wanted}"), || self.page(Environment::Sandbox) == wanted).await;
        until("the driver is quiet", || self.driving.as_ref().unwrap().is_quiet()).await;
    }

    async fn until_promotion_is_due_at(&self, minutes: i64) {
        let waits = async {
            while self.status().await.following.first().and_then(|waits| waits.at) != Some(after(minutes)) {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), waits).await.expect("the wait begins anew");
    }

    async fn until_pages(&self, count: usize) {
        let waits = async {
            while self.status().await.pages.len() != count {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), waits).await.expect("so many pages");
    }

    async fn status(&self) -> Status {
        self.driving.as_ref().unwrap().status().await
    }

    /// Changes a value on the sandbox, as a person would.
    fn edit(&self, variable: &str, value: &Value) {
        let edit = json!({variable: value});
        self.api
            .simulator
            .with_pages(|pages| {
                pages
                    .patch("A-1", Environment::Sandbox, edit.as_object().unwrap(), self.clock_now())
                    .map(drop)
            })
            .unwrap();
    }

    /// Sets the type that the schema of a page requires for the phone number.
    fn want(&self, environment: Environment, kind: &str) {
        let schema = json!({"type": "object", "properties": {"is_open": {"type": "boolean"}, "phone": {"type": "string", "pattern": kind}}});
        self.api
            .simulator
            .with_pages(|pages| pages.put_schema("A-1", environment, &schema, self.clock_now()).map(drop))
            .unwrap();
    }

    fn clock_now(&self) -> Instant {
        rtconfd::clock::Clock::now(&self.clock)
    }
}

#[tokio::test]
async fn a_change_reaches_live_after_two_hours_on_the_sandbox_despite_restarts() {
    let mut scene = Scene::begin("a,A-1,Mo-Fr 09:00-17:00,1\n").await;
    scene.until_sandbox("true \"1\"").await;
    scene.at(60).await;
    scene.restart().await;
    scene.at(119).await;
    assert_eq!(scene.both(), ["true \"1\"", "null null"], "a page is new on live like any change");
    scene.at(120).await;
    assert_eq!(scene.both(), ["true \"1\"", "true \"1\""]);

    // It now closes at half past three; the change reaches live at half past four.
    scene.at(150).await;
    scene.write("a,A-1,Mo-Fr 09:00-15:30,2\n");
    scene.until_sandbox("true \"2\"").await;
    scene.restart().await;
    scene.at(211).await;
    assert_eq!(scene.both(), ["false \"2\"", "true \"1\""]);
    scene.restart().await;
    scene.at(269).await;
    assert_eq!(scene.both(), ["false \"2\"", "true \"1\""]);
    let following = scene.status().await.following;
    assert_eq!((following[0].at, &*following[0].why), (Some(after(270)), "A-1/sandbox holds the change"));
    scene.at(270).await;
    assert_eq!(scene.both(), ["false \"2\"", "false \"2\""]);
    assert!(scene.status().await.following.is_empty());
    let remembered = scene.folder.look().remembered(&scene.api.url).unwrap();
    assert!(remembered.older.is_empty() && remembered.behind.is_empty(), "{remembered:?}");

    // Transitions are not promoted: both pages open in the morning.
    scene.at(21 * 60).await;
    assert_eq!(scene.both(), ["true \"2\"", "true \"2\""]);
    scene.driving.unwrap().stop().await;
}

#[tokio::test]
async fn live_keeps_its_hours_while_waiting_and_a_new_change_restarts_the_wait() {
    let mut scene = Scene::begin("a,A-1,Mo-Fr 09:00-17:00,1\n").await;
    scene.at(240).await;
    assert_eq!(scene.both(), ["true \"1\"", "true \"1\""]);
    scene.write("a,A-1,Mo-Fr 09:00-18:00,2\n");
    scene.until_sandbox("true \"2\"").await;
    scene.at(300).await;
    assert_eq!(scene.both(), ["true \"2\"", "false \"1\""], "live closes at five, as it did");
    // Another change of the same page before the first is due.
    scene.at(350).await;
    scene.write("a,A-1,Mo-Fr 09:00-20:00,2\n");
    scene.until_promotion_is_due_at(470).await;
    scene.restart().await;
    scene.at(469).await;
    assert_eq!(scene.both(), ["true \"2\"", "false \"1\""]);
    scene.at(470).await;
    assert_eq!(scene.both(), ["true \"2\"", "true \"2\""]);
    // A reverted change never reaches live.
    scene.write("a,A-1,Mo-Fr 09:00-20:00,3\n");
    scene.until_sandbox("true \"3\"").await;
    scene.write("a,A-1,Mo-Fr 09:00-20:00,2\n");
    scene.until_sandbox("true \"2\"").await;
    assert!(scene.status().await.following.is_empty());
    scene.driving.unwrap().stop().await;
}

/// A change that the sandbox never showed was not tested there.
#[tokio::test]
async fn only_an_override_or_edit_that_covers_a_change_restarts_its_wait() {
    let api = Api::start();
    let folder =
        Folder::new(&api.url, &SITES.replace("after = \"2h\"", "after = \"2h\"\non_drift = \"keep\""));
    let mut scene = Scene { api, folder, clock: ManualClock::new(noon()), driving: None };
    scene.write("a,A-1,Mo-Fr 09:00-17:00,1\n");
    scene.start().await;
    scene.at(121).await;
    assert_eq!(scene.both(), ["true \"1\"", "true \"1\""]);
    scene.at(130).await;
    scene.write("a,A-1,Mo-Fr 09:00-18:00,1\n");
    scene.until_promotion_is_due_at(250).await;
    scene.at(140).await;
    let closed = Asking {
        pages: vec!["A-1/sandbox".to_owned()],
        says: "closed".to_owned(),
        until: Some("1h".to_owned()),
        reason: "snow".to_owned(),
        who: "anna".to_owned(),
        ..Asking::default()
    };
    let draft = Box::new(closed.read().unwrap());
    scene.driving.as_ref().unwrap().ask(|answer| Control::Set(draft, answer)).await.unwrap();
    scene.until_sandbox("false \"1\"").await;
    let waits = &scene.status().await.following[0];
    let covered =
        "A-1/sandbox does not hold the change: is_open is overruled: override 1: closed, by anna: snow";
    assert_eq!((waits.at, &*waits.why), (None, covered));
    // The wait starts at its end: two hours after twenty past three.
    scene.at(319).await;
    assert_eq!(scene.both(), ["true \"1\"", "false \"1\""], "live closes at five, as it did");
    scene.at(320).await;
    assert_eq!(scene.both(), ["true \"1\"", "true \"1\""]);

    // The edited phone number is kept; the hours do not wait for it.
    scene.edit("phone", &json!("9"));
    scene.write("a,A-1,Mo-Fr 09:00-17:50,1\n");
    scene.until_promotion_is_due_at(440).await;
    scene.at(340).await;
    scene.until_sandbox("true \"9\"").await;
    assert_eq!(scene.status().await.following[0].at, Some(after(440)));
    // The edited opening state is kept too, so the new hours stay hidden until nine in the morning.
    scene.at(400).await;
    scene.edit("is_open", &json!(true));
    scene.at(439).await;
    let waits = &scene.status().await.following[0];
    let covered = "A-1/sandbox does not hold the change: is_open is kept as others changed it";
    assert_eq!((waits.at, &*waits.why), (None, covered));
    scene.driving.unwrap().stop().await;
}

/// Callers of the sandbox hear a different value meanwhile.
#[tokio::test]
async fn drift_on_the_sandbox_restarts_the_wait_even_if_it_is_restored() {
    let scene = Scene::begin("a,A-1,Mo-Fr 09:00-17:00,1\n").await;
    scene.until_sandbox("true \"1\"").await;
    scene.at(121).await;
    assert_eq!(scene.page(Environment::Live), "true \"1\"");
    scene.write("a,A-1,Mo-Fr 09:00-17:00,2\n");
    scene.until_sandbox("true \"2\"").await;
    scene.at(181).await;
    let theirs = json!({"phone": "9"});
    let now = scene.clock.now();
    let edit = |pages: &mut rtconfd::simulator::Pages| {
        pages.patch("A-1", Environment::Sandbox, theirs.as_object().unwrap(), now).map(drop)
    };
    scene.api.simulator.with_pages(edit).unwrap();
    scene.at(190).await;
    assert_eq!(scene.page(Environment::Sandbox), "true \"2\"", "it is restored");
    scene.at(260).await;
    assert_eq!(scene.page(Environment::Live), "true \"1\"");
    scene.at(320).await;
    assert_eq!(scene.both(), ["false \"2\"", "false \"2\""], "closed since five, and the change is there");
}

/// The active revision is stored as it is, with its bad rows.
#[tokio::test]
async fn a_restart_with_a_bad_row_neither_reverts_nor_abandons_live() {
    let good = "a,A-1,Mo-Fr 09:00-17:00,1\nb,A-2,Mo-Fr 09:00-17:00,1\n";
    let mut scene = Scene::begin(good).await;
    scene.at(121).await;
    scene.write("a,A-1,Mo-Fr 09:00-17:00,2\nb,A-2,Mo-Fr 09:00-25:00,1\n");
    scene.until_sandbox("true \"2\"").await;
    scene.at(242).await;
    assert_eq!(scene.both(), ["true \"2\"", "true \"2\""]);
    let before = scene.api.requests("PATCH").len();
    scene.restart().await;
    scene.at(300).await;
    assert_eq!(scene.both(), ["false \"2\"", "false \"2\""]);
    let closed = scene.api.requests("PATCH").len() - before;
    assert_eq!(closed, 4, "all four pages close at five, and nothing else is sent");
    assert!(scene.status().await.following.is_empty());

    // A row that returns after a moment does not make a new page.
    scene.write("b,A-2,Mo-Fr 09:00-25:00,1\n");
    scene.until_pages(2).await;
    scene.write("a,A-1,Mo-Fr 09:00-17:00,2\nb,A-2,Mo-Fr 09:00-25:00,1\n");
    scene.until_pages(4).await;
    assert!(scene.status().await.following.is_empty());
    scene.driving.unwrap().stop().await;
}

/// Reverting a change that live never had does not put it there.
#[tokio::test]
async fn an_approved_revert_of_a_change_never_promotes_the_change() {
    let rows =
        |phone: usize| (0..8).map(|n| format!("s{n},A-{n},Mo-Fr 09:00-17:00,{phone}\n")).collect::<String>();
    let api = Api::start();
    let settings = SITES.replace("pages_percent = 100", "pages = 1\npages_percent = 1");
    let folder = Folder::new(&api.url, &settings);
    let mut scene = Scene { api, folder, clock: ManualClock::new(noon()), driving: None };
    scene.folder.without_rate();
    scene.write(&rows(1));
    scene.start().await;
    scene.until_sandbox("true \"1\"").await;
    scene.at(121).await;
    for phone in [2, 1] {
        scene.write(&rows(phone));
        let held = loop {
            match scene.status().await.held {
                Some(held) => break held.revision,
                None => tokio::time::sleep(std::time::Duration::from_millis(2)).await,
            }
        };
        let asked = |answer| Control::Approve { revision: held, who: "anna".to_owned(), answer };
        scene.driving.as_ref().unwrap().ask(asked).await.unwrap();
        scene.until_sandbox(&format!("true \"{phone}\"")).await;
    }
    scene.at(180).await;
    let live = scene.api.requests("PATCH").into_iter().filter(|request| request.path.contains("/live/"));
    let phones: Vec<Value> =
        live.map(|request| request.body.unwrap()["variables"]["phone"].clone()).collect();
    assert_eq!(phones, vec![json!("1"); 8]);
    scene.driving.unwrap().stop().await;
}

#[tokio::test]
async fn a_change_that_the_sandbox_refuses_never_reaches_live() {
    let scene = Scene::begin("a,A-1,Mo-Fr 09:00-17:00,1\nb,A-2,Mo-Fr 09:00-17:00,1\n").await;
    scene.at(121).await;
    scene.want(Environment::Sandbox, "^[0-9]$");
    scene.write("a,A-1,Mo-Fr 09:00-16:00,none\nb,A-2,Mo-Fr 09:00-16:00,2\n");
    scene.driving.as_ref().unwrap().feed.send(look()).await.unwrap();
    until("the other page has it", || {
        scene.api.requests("PATCH").iter().any(|request| request.path.contains("A-2"))
    })
    .await;
    scene.at(290).await;
    assert_eq!(scene.page(Environment::Live), "true \"1\"");
    let waits = scene.status().await.following.remove(0);
    assert!(
        waits.at.is_none() && waits.why.starts_with("A-1/sandbox does not hold the change: "),
        "{waits:?}"
    );
    assert_eq!(scene.api.variables("A-2")["phone"], "2", "the other page is none of its concern");
    // Fixed: two hours from then on.
    scene.write("a,A-1,Mo-Fr 09:00-16:00,3\n b,A-2,Mo-Fr 09:00-16:00,2\n".replace(" b", "b").as_str());
    scene.until_sandbox("false \"3\"").await;
    scene.at(409).await;
    assert_eq!(scene.page(Environment::Live), "false \"1\"", "it closed at five");
    scene.at(410).await;
    assert_eq!(scene.page(Environment::Live), "false \"3\"");
    scene.driving.unwrap().stop().await;
}

#[tokio::test]
async fn a_change_that_live_would_refuse_is_reported_and_live_keeps_its_hours() {
    let scene = Scene::begin("a,A-1,Mo-Fr 09:00-17:00,1\n").await;
    scene.at(121).await;
    scene.want(Environment::Live, "^[0-9]$");
    scene.driving.as_ref().unwrap().feed.send(look()).await.unwrap();
    scene.write("a,A-1,Mo-Fr 09:00-19:00,none\n");
    scene.until_sandbox("true \"none\"").await;
    scene.at(305).await;
    assert_eq!(scene.both(), ["true \"none\"", "false \"1\""], "live closes at five, as it did");
    let status = scene.status().await;
    let live = status.pages.iter().find(|page| page.page.environment == Environment::Live).unwrap();
    let problem = "what A-1/sandbox holds can't follow: ";
    assert!(matches!(&live.standing, Standing::Stale(text) if text.starts_with(problem)), "{live:?}");
    assert!(status.following[0].why.starts_with(problem), "{:?}", status.following);
    scene.want(Environment::Live, "^[a-z]*$");
    scene.driving.as_ref().unwrap().feed.send(look()).await.unwrap();
    until("live holds it", || scene.page(Environment::Live) == "true \"none\"").await;
    scene.driving.unwrap().stop().await;
}

fn look() -> rtconfd::reconcile::Feed {
    let look = rtconfd::reconcile::Control::Look { agent: None, environment: None, by: None };
    rtconfd::reconcile::Feed::Control(look)
}

/// `apply` from cron keeps waiting promotions between runs, and every command shows them.
#[test]
fn commands_show_waiting_promotions_and_their_reasons() {
    let api = Api::start();
    let folder = Folder::new(&api.url, SITES);
    folder.write("sites.csv", "site,agent,hours,phone\na,A-1,daily 00:00-24:00,1\n");
    let waits = "A-1/live waits until ";
    let planned = folder.run(&["plan"]).expect(2);
    assert!(
        planned.err.contains("A-1/live waits until A-1/sandbox has held its change long enough, then takes over the change of A-1/sandbox: A-1/sandbox must hold the change first"),
        "{}",
        planned.err
    );
    assert!(!planned.out.contains("A-1/live"), "{}", planned.out);
    for _ in 0..2 {
        folder.run(&["apply"]).expect(0);
        assert_eq!(api.variables("A-1"), json!({}), "nothing has reached live");
    }
    folder.run(&["plan"]).expect(0);
    let status = folder.run(&["status"]).expect(0);
    assert!(status.out.contains(waits), "{}", status.out);
    assert!(status.out.contains(": A-1/sandbox has held the change since "), "{}", status.out);
    let last = folder.run(&["status", "--format", "json"]).expect(0).lines().pop().unwrap();
    assert_eq!(
        (&last["following"][0]["page"], &last["following"][0]["follows"]),
        (&json!("A-1/live"), &json!("A-1/sandbox"))
    );
    let previewed =
        folder.run(&["preview", "A-1/live", "--variable", "phone", "--format", "json"]).expect(0).lines();
    let at = |row: &Value| at(row["at"].as_str().unwrap());
    assert_eq!((previewed.len(), &previewed[0]["to"]), (1, &json!("1")));
    assert_eq!(at(&previewed[0]), at(&last["following"][0]), "it is shown from when it comes in force");
    let explained = folder.run(&["explain", "A-1/live", "phone", "--format", "json"]).expect(0);
    assert_eq!(
        explained.lines()[0]["value"],
        "1",
        "a page that was never in force is explained as it will be"
    );
    // Once it is due, plan shows the change that apply will make.
    let later = (rtconfd::clock::Clock::now(&rtconfd::clock::WallClock) + TimeDelta::hours(3)).to_rfc3339();
    let plan = |code: i32| {
        let ran = folder.run(&["plan", "--at", &later, "--format", "json"]).expect(code);
        assert!(ran.err.contains(&format!("{waits}both pages are next fetched, ")), "{}", ran.err);
        let rows = ran.lines();
        let shown =
            |row: &Value| format!("{} {} {}", row["page"], row["action"], row["variable"]).replace('"', "");
        rows.iter().map(shown).collect::<Vec<_>>()
    };
    assert_eq!(plan(2), ["A-1/live set is_open", "A-1/live set phone"]);
    api.schema("A-1", &json!({"properties": {"phone": {"type": "string", "pattern": "^x"}}}));
    assert_eq!(plan(1), ["A-1/live fail null"]);
}

#[test]
fn invalid_promotions_are_refused() {
    let page = |environment: &str, more: &str| {
        format!("[[page]]\nagent = \"A-1\"\nenvironment = {environment}\nvariables = {{ a = 1 }}\n{more}\n")
    };
    let live = |more: &str| page("\"live\"", more);
    for (settings, problem) in [
        (live("follow = \"sandbox\""), "`follow` and `after` must be set together"),
        (live("after = \"2h\""), "`follow` and `after` must be set together"),
        (live("follow = \"sandbox\"\nafter = \"0s\""), "invalid duration \"0s\""),
        (live("follow = \"sandbox\"\nafter = \"40d\""), "a change can wait for at most 31 days"),
        (live("follow = \"live\"\nafter = \"2h\""), "a page in live cannot follow itself"),
        (live("follow = \"prod\"\nafter = \"2h\""), "prod"),
        (live("follow = \"sandbox\"\nafter = \"2h\""), "it follows A-1/sandbox, which is not defined"),
        (
            page("\"sandbox\"", "follow = \"live\"\nafter = \"2h\"")
                + &live("follow = \"sandbox\"\nafter = \"2h\""),
            "which directly or indirectly follows it",
        ),
    ] {
        let folder = Folder::new("http://127.0.0.1:9", &settings);
        let checked = folder.run(&["check", "--offline"]).expect(1);
        assert!(checked.err.contains(problem), "{settings}\n{}", checked.err);
        assert!(checked.err.contains("hint: "), "{}", checked.err);
    }
}

#[test]
fn two_definitions_are_equal_when_they_give_equal_values_over_the_whole_horizon() {
    let world = |variable: &str, more: &str| {
        let page = format!(
            "timezone = \"Europe/London\"\n[[page]]\nagent = \"A-1\"\nenvironment = \"sandbox\"\nvariables = {{ x = {variable} }}\n"
        );
        let folder = Folder::new("http://127.0.0.1:9", "");
        let top = std::fs::read_to_string(folder.path("rtconfd.toml")).unwrap();
        let (zone, page) = page.split_once('\n').unwrap();
        folder.write("rtconfd.toml", &format!("{zone}\n{top}{more}{page}"));
        World::new(&folder.load().blueprint, &Inputs::default(), noon(), None)
    };
    let hours = |week: &str| format!("[hours.desk]\nweekly = \"{week}\"\n");
    let bank =
        |remove: &str| format!("[calendars.bank]\npublic_holidays = \"GB-ENG\"\nremove = [{remove}]\n");
    let nothing = String::new;
    let opens = "{ hours = \"desk\", show = \"opens_at\", format = \"hour\" }";
    let is_open = "{ when = [{ hours = \"desk\", state = \"open\", value = 1 }], otherwise = 0 }";
    let from = |date: &str| format!("{{ when = [{{ from = \"{date}\", value = 1 }}], otherwise = 0 }}");
    let cron = |length: &str| {
        format!("{{ when = [{{ cron = \"0 8 * * FRI\", for = \"{length}\", value = 1 }}], otherwise = 0 }}")
    };
    let holiday = "{ calendar = \"bank\", show = \"is_today\" }";
    for (a, b, alike) in [
        // On Thursdays neither has a value; they differ from Friday on.
        (
            (opens, hours("Th 09:30-17:00; Fr 10:00-17:00")),
            (opens, hours("Th 09:30-17:00; Fr 11:00-17:00")),
            false,
        ),
        ((opens, hours("Th 09:30-17:00")), (opens, hours("Th 09:45-17:00")), true),
        ((is_open, hours("Fr 10:00-17:00")), (is_open, hours("Fr 10:00-12:00, 12:00-17:00")), true),
        ((is_open, hours("Fr 10:00-17:00")), (is_open, hours("Fr 10:00-16:00")), false),
        ((&from("2027-11-01"), nothing()), (&from("2027-11-01T00:00"), nothing()), true),
        ((&from("2027-11-01"), nothing()), (&from("2027-11-02"), nothing()), false),
        ((&from("2029-11-01"), nothing()), (&from("2029-11-02"), nothing()), true),
        ((&cron("4h"), nothing()), (&cron("240m"), nothing()), true),
        ((&cron("4h"), nothing()), (&cron("5h"), nothing()), false),
        ((holiday, bank("")), (holiday, bank("\"2026-12-25\"")), false),
        ((holiday, bank("")), (holiday, bank("")), true),
    ] {
        let (one, other) = (world(a.0, &a.1), world(b.0, &b.1));
        assert_eq!(one.problems().count() + other.problems().count(), 0, "{a:?} {b:?}");
        let (one, other) = (&one.pages[0].page, &other.pages[0].page);
        let until = noon() + TimeDelta::days(400);
        assert_eq!(one.is_equivalent(other, noon(), until), alike, "{a:?} {b:?}");
        assert_eq!(other.is_equivalent(one, noon(), until), alike, "{b:?} {a:?}");
    }
}

/// An override closes a page immediately, even while it waits for its first promotion.
#[tokio::test]
async fn a_page_that_waits_for_its_first_promotion_can_be_overridden_and_is_restored() {
    let api = Api::start();
    let live = json!({"is_open": true, "phone": "theirs"});
    api.edit("A-1", &live);
    let folder = Folder::new(&api.url, SITES);
    let mut scene = Scene { api, folder, clock: ManualClock::new(noon()), driving: None };
    scene.write("a,A-1,Mo-Fr 09:00-17:00,1\n");
    scene.start().await;
    scene.until_sandbox("true \"1\"").await;
    let asking = |until: Option<&str>| Asking {
        pages: vec!["A-1/live".to_owned()],
        says: "closed".to_owned(),
        until: until.map(str::to_owned),
        reason: "flood".to_owned(),
        ..Asking::default()
    };
    let set = |draft| scene.driving.as_ref().unwrap().ask(|answer| Control::Set(Box::new(draft), answer));
    set(asking(Some("30m")).read().unwrap()).await.unwrap();
    until("live is closed", || scene.page(Environment::Live) == "false \"theirs\"").await;

    // Neither another change of its definition nor a restart promotes anything early.
    scene.write("a,A-1,Mo-Fr 09:00-18:00,2\n");
    scene.until_sandbox("true \"2\"").await;
    scene.restart().await;
    scene.at(29).await;
    assert_eq!(scene.both(), ["true \"2\"", "false \"theirs\""]);
    scene.at(30).await;
    assert_eq!(scene.both(), ["true \"2\"", "true \"theirs\""], "it is as it was");
    // Afterwards the page belongs to its editors again.
    scene.api.edit("A-1", &json!({"is_open": false}));
    scene.at(60).await;
    assert_eq!(scene.page(Environment::Live), "false \"theirs\"");
    scene.restart().await;
    scene.at(90).await;
    assert_eq!(scene.page(Environment::Live), "false \"theirs\"");

    // A released override also restores the page, and the promotion happens when due.
    let set = |draft| scene.driving.as_ref().unwrap().ask(|answer| Control::Set(Box::new(draft), answer));
    let value = Asking { says: "phone=0800".to_owned(), ..asking(None) };
    let number = set(value.read().unwrap()).await.unwrap().id;
    until("live has the number", || scene.page(Environment::Live) == "false \"0800\"").await;
    let who = "anna".to_owned();
    scene.driving.as_ref().unwrap().ask(|answer| Control::Release { id: number, who, answer }).await.unwrap();
    until("live has its own number", || scene.page(Environment::Live) == "false \"theirs\"").await;
    assert_eq!(scene.status().await.following.len(), 1, "it still waits");
    scene.at(181).await;
    assert_eq!(scene.both(), ["true \"2\"", "true \"2\""]);
    scene.driving.unwrap().stop().await;
}

#[tokio::test]
async fn an_override_value_has_the_type_of_the_value_it_replaces() {
    let scene = Scene::begin("a,A-1,Mo-Fr 09:00-17:00,1\n").await;
    scene.until_sandbox("true \"1\"").await;
    let set = |says: &str| {
        let asking = Asking {
            pages: vec!["A-1/sandbox".to_owned()],
            says: says.to_owned(),
            reason: "x".to_owned(),
            ..Asking::default()
        };
        let draft = asking.read().unwrap();
        let driving = scene.driving.as_ref().unwrap();
        async move { driving.ask(|answer| Control::Set(Box::new(draft), answer)).await }
    };
    let refused = set("is_open=closed").await.unwrap_err();
    let reported = refused[0].to_string();
    assert_eq!(
        reported,
        "invalid value `closed` for is_open: expected true or false (hint: write --value is_open=false)"
    );
    assert_eq!(scene.page(Environment::Sandbox), "true \"1\"");
    // The Python spelling is equally clear.
    set("is_open=False").await.unwrap();
    scene.until_sandbox("false \"1\"").await;
    let refused = set("phone=null").await.unwrap_err()[0].to_string();
    assert!(refused.starts_with("invalid value `null` for phone: expected text"), "{refused}");
    set("phone=[1]").await.unwrap();
    scene.until_sandbox("false \"[1]\"").await;
    set("phone=\"0800\"").await.unwrap();
    scene.until_sandbox("false \"0800\"").await;
    scene.driving.unwrap().stop().await;
}
