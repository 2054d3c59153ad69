//! Promotions: when a change reaches live, and the reasons for which it waits.

mod commands;
mod failures;
mod overrides;
mod waits;

use chrono::TimeDelta;
use rtconfd::clock::ManualClock;
use rtconfd::model::{Environment, Instant};
use rtconfd::reconcile::{Mode, Status};
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

    async fn until_sandbox(&self, expected: &str) {
        until(&format!("the sandbox holds {expected}"), || self.page(Environment::Sandbox) == expected).await;
        until("the driver is quiet", || self.driving.as_ref().unwrap().is_quiet()).await;
    }

    async fn until_promotion_is_due_at(&self, minutes: i64) {
        let waits = async {
            while self.status().await.following.first().and_then(|waits| waits.at) != Some(after(minutes)) {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), waits)
            .await
            .expect("the promotion is due at this time");
    }

    async fn until_pages(&self, count: usize) {
        let waits = async {
            while self.status().await.pages.len() != count {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), waits).await.expect("this number of pages");
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
    fn require_type(&self, environment: Environment, kind: &str) {
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
