//! The reconcile cycle: observe a page, decide, act.
//!
//! `plan`, `apply` and `run` share this code. The cause of a wake-up matters to the log only.

mod act;
mod agents;
mod backoff;
mod board;
mod clock_trust;
mod control;
mod counts;
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

pub(crate) use act::Acted;
pub use act::Actor;
pub use board::Board;
pub use control::{Amounts, Control, DaysLeft, LastReload, PageStatus, Proposal, Status};
pub(crate) use control::{Definitions, Restored, Withheld};
pub(crate) use counts::{Counts, Lag, Operation};
pub(crate) use decide::{Decision, Knowledge, Observed, decide};
pub(crate) use driver::PageReport;
pub use driver::{Driver, Ended, Feed, Mode, Newest, Pace, Setup, Standing, Supervisor, Unsupervised};
pub(crate) use gate::{Gate, Limits, Urgency};
pub(crate) use promotions::{Promotion, Promotions};
pub(crate) use revision::Out;
pub use revision::{ActiveRevision, Held};
pub(crate) use revision::{own_files, revision_id};
pub(crate) use set_override::{Draft, Selection, Until, prepare};
