//! Tables that lost rows: a file truncated at the end of a line is still a valid table. Pages that
//! depend on the lost rows keep their values until a person approves, and the rows are named.

use rtconfd::clock::ManualClock;
use rtconfd::reconcile::{Control, Mode, Standing};
use serde_json::json;

use crate::support::{Api, Driving, Folder, SITES, at, until, write_atomically};

const NOON: &str = "2026-11-26T12:00:00Z";

const CLOSURES: &str = r#"
[hold]
rows_percent = 90
[sources.closures]
path = "closures.csv"
[[page]]
agent = "A-1"
environment = "live"
[page.hours]
timezone = "Europe/London"
weekly = "Mo-Fr 09:00-17:00"
special_from = { source = "closures", date = "date", hours = "hours" }
[page.variables]
is_open = { show = "is_open" }
"#;

async fn until_held(driving: &Driving) -> rtconfd::reconcile::Held {
    for _ in 0..1_000 {
        if let Some(held) = driving.status().await.held {
            return held;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("no revision is held");
}

#[tokio::test]
async fn a_sites_table_that_lost_its_last_rows_keeps_their_pages_as_stale() {
    let api = Api::start();
    let folder = Folder::new(&api.url, SITES);
    folder.without_rate();
    let rows = |count: usize| -> String {
        let rows = (1..=count).map(|n| format!("s{n},A-{n},Mo-Fr 09:00-17:00,{n}\n"));
        std::iter::once("site,agent,hours,phone\n".to_owned()).chain(rows).collect()
    };
    folder.write("sites.csv", &rows(60));
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    until("all pages are filled", || api.requests("PATCH").len() == 60 && driving.is_quiet()).await;
    // Fewer lost rows than the limits of [hold] accept.
    write_atomically(&folder.path("sites.csv"), &rows(58));
    let held = until_held(&driving).await;
    assert_eq!(held.reasons, ["source \"sites\" loses rows s59, s60, which 2 pages depend on"]);
    until("the driver is quiet", || driving.is_quiet()).await;
    let status = driving.status().await;
    let stale = |agent: &str| {
        let page =
            status.pages.iter().find(|page| page.page.agent == agent).expect("a stale page stays defined");
        matches!(&page.standing, Standing::Stale(why) if why.contains("loses rows s59, s60"))
    };
    assert!(stale("A-59") && stale("A-60") && !stale("A-58"), "{:?}", status.pages);
    // The pages still open and close.
    driving.advance(at("2026-11-26T17:00:00Z")).await;
    api.until_variable("A-60", "is_open", &json!(false)).await;
    // A person may approve the removal.
    let answer =
        driving.ask(|answer| Control::Approve { revision: held.revision, who: "anna".to_owned(), answer });
    answer.await.unwrap();
    until("the driver is quiet", || driving.is_quiet()).await;
    assert_eq!(driving.status().await.pages.len(), 58);
    driving.stop().await;
}

/// A future closure is protected at any distance; a past one may disappear.
#[tokio::test]
async fn a_closures_table_is_held_if_it_lost_a_future_row_but_not_a_past_row() {
    let api = Api::start();
    let folder = Folder::new(&api.url, CLOSURES);
    let whole = "date,hours\n2026-11-02,closed\n2026-12-24,09:00-12:00\n2027-03-01,closed\n";
    folder.write("closures.csv", whole);
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    let tidied = whole.replace("2026-11-02,closed\n", "");
    write_atomically(&folder.path("closures.csv"), &tidied);
    let active = || {
        let path = folder.path("closures.csv").display().to_string();
        let remembered = folder.stored().remembered().unwrap();
        remembered.newest.inputs.get(&path).is_some_and(|bytes| *bytes == tidied.as_bytes())
    };
    until("the revision without the past row is active", active).await;
    assert_eq!(driving.status().await.held, None);
    write_atomically(&folder.path("closures.csv"), &tidied.replace("2027-03-01,closed\n", ""));
    let held = until_held(&driving).await;
    let reason = "source \"closures\" loses row 2027-03-01 (closures.csv:3), which 1 page depends on";
    assert_eq!(held.reasons, [reason]);
    driving.stop().await;
}

/// Changes of other files become active while the table waits for approval.
#[tokio::test]
async fn a_table_that_lost_rows_is_held_without_holding_other_files() {
    let api = Api::start();
    let text = "[sources.m]\npath = \"m.json\"\n";
    let page = "text = { source = \"m\", pointer = \"/text\" }, phone =";
    let folder = Folder::new(&api.url, &format!("{text}{}", SITES.replace("phone =", page)));
    let rows = |count: usize, phone: usize| -> String {
        let rows = (1..=count).map(|n| format!("s{n},A-{n},Mo-Fr 09:00-17:00,{phone}\n"));
        std::iter::once("site,agent,hours,phone\n".to_owned()).chain(rows).collect()
    };
    folder.write("sites.csv", &rows(3, 1));
    folder.write("m.json", "{\"text\": \"one\"}");
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    until("all pages are filled", || api.requests("PATCH").len() == 3 && driving.is_quiet()).await;
    write_atomically(&folder.path("sites.csv"), &rows(2, 2));
    let held = until_held(&driving).await;
    write_atomically(&folder.path("m.json"), "{\"text\": \"two\"}");
    for number in 1..=3 {
        api.until_variable(&format!("A-{number}"), "text", &json!("two")).await;
        assert_eq!(api.variables(&format!("A-{number}"))["phone"], json!("1"), "the changed table is held");
    }
    let other = until_held(&driving).await;
    assert_ne!(other.revision, held.revision, "the held revision contains the newest files");
    let answer =
        driving.ask(|answer| Control::Approve { revision: other.revision, who: "anna".to_owned(), answer });
    answer.await.unwrap();
    api.until_variable("A-1", "phone", &json!("2")).await;
    driving.stop().await;
}
