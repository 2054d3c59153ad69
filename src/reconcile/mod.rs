//! The reconcile cycle: observe a page, decide, act.
//!
//! `plan`, `apply` and `run` share this code. The cause of a wake-up matters to the log only.

mod act;
mod agents;
mod backoff;
mod board;
mod clock_trust;
mod control;
mod decide;
mod drift_report;
mod driver;
mod gaps;
mod gate;
mod own_requests;
mod page_state;
mod promotions;
mod refusals;
mod revision;
mod set_override;

pub use act::{Acted, Actor};
pub use board::Board;
pub use clock_trust::Distrust;
pub use control::{Control, Counts, PageStatus, Status};
pub use decide::{Decision, Knowledge, Observed, decide};
pub use driver::{
    Driver, Ended, Feed, Mode, Newest, Pace, PageReport, Setup, Standing, Supervisor, Unsupervised,
};
pub use gate::{Gate, Limits, Urgency};
pub use promotions::{Promotion, Promotions};
pub use revision::{ActiveRevision, Held, revision_id};
pub use set_override::{Draft, Selection, Until, prepare};
