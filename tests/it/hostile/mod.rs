//! Hostile input: files, schemas, answers and settings that cause endless work, memory use, file
//! access or connections. The limits count work, so no test measures time. The only timeout ends
//! a test whose limit does not work.

mod answers;
mod files;
mod schemas;
mod settings;

use std::time::Duration;

use rtconfd::schema::Schema;
use serde_json::Value;

/// A timeout longer than any test here takes on the slowest machine.
const HANG: Duration = Duration::from_secs(60);

/// Runs work that must end by itself, on a stack as large as the daemon's threads have.
#[track_caller]
fn ends<T: Send + 'static>(what: &str, run: impl FnOnce() -> T + Send + 'static) -> T {
    let (report, reported) = std::sync::mpsc::channel();
    std::thread::Builder::new().stack_size(2 << 20).spawn(move || drop(report.send(run()))).unwrap();
    match reported.recv_timeout(HANG) {
        Ok(value) => value,
        Err(error) => panic!("{what}: {error}"),
    }
}

/// The failing cases of a table, collected so that one run shows every missing limit.
#[derive(Default)]
struct Failures(Vec<String>);

impl Failures {
    fn expect(&mut self, holds: bool, case: impl std::fmt::Display) {
        if !holds {
            self.0.push(case.to_string().chars().take(500).collect());
        }
    }
}

impl Drop for Failures {
    fn drop(&mut self) {
        assert!(self.0.is_empty() || std::thread::panicking(), "{}", self.0.join("\n"));
    }
}

fn compiled(schema: &Value) -> Result<Schema, String> {
    let schema = schema.clone();
    ends("a schema", move || Schema::compile(Some(&schema)).map_err(|problem| problem.to_string()))
}
