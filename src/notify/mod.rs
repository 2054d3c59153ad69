//! Notifications: tells people of changes of state, by webhook, Slack, Teams or a command.
//!
//! - `snapshot` turns the driver's status into conditions, and `changes` compares them with those
//!   reported before. Both are plain functions.
//! - `ledger` collects events for each receiver and makes messages of them. It is stored as one
//!   fact, so a restart continues where the last run ended.
//! - `render` writes a message for one type of receiver, and `deliver` sends it.
//! - `task` connects them. It never waits for the driver, and the driver never waits for it.

mod changes;
mod deliver;
mod event;
mod ledger;
mod message;
mod outbox;
mod render;
mod snapshot;
mod task;

pub(crate) use deliver::{Outcome, deliver, problem};
pub(crate) use task::test_message;
pub use task::{Links, Notifier};
