//! The state that must outlive the process, in SQLite: baselines, intents and their outcomes,
//! history, the active settings and inputs. One writer, WAL, `synchronous=FULL`: acknowledged data
//! survives a power cut.

mod claims;
mod error;
mod file;
mod location;
mod migrations;
mod opening;
mod queue;
mod reading;
mod retention;
mod texts;
mod writer;

pub use claims::{Claim, Taken};
pub use error::StoreError;
pub use location::Location;
pub use queue::Written;
pub use reading::{
    Accepted, Behind, DriftRow, HistoryRow, OpenIntent, OverrideRow, PageState, Reading, Remembered,
};
pub use writer::{Acceptance, Intent, Outcome, Writer};

#[cfg(test)]
mod tests;
