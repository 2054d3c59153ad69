//! Transcripts of the commands that list agents, pull pages into files, and compare and push
//! schemas.

mod agents;
mod pull;
mod schemas;

use rtconfd::clock::{Clock, WallClock};
use rtconfd::model::Environment;
use rtconfd::simulator::{Fault, Kind};
use serde_json::{Map, Value, json};

use crate::support::{Api, Folder};

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap()
}

/// Puts a schema and values on a page.
fn fill(api: &Api, agent: &str, environment: Environment, schema: Option<&Value>, values: &Value) {
    let now = WallClock.now();
    api.simulator.with_pages(|pages| {
        pages.patch(agent, environment, object(values), now).unwrap();
        if let Some(schema) = schema {
            pages.put_schema(agent, environment, schema, now).unwrap();
        }
    });
}

/// Creates a folder with a key and no settings, as a new user has it.
fn new_user_folder() -> Folder {
    let folder = Folder::new("http://127.0.0.1:9", "");
    std::fs::remove_file(folder.path("rtconfd.toml")).unwrap();
    folder
}

fn fault(kind: Kind, method: &str) -> Fault {
    serde_json::from_value(json!({"kind": "reset", "method": method, "times": 1}))
        .map(|fault: Fault| Fault { kind, ..fault })
        .unwrap()
}
