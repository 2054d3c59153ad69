//! The reconcile cycle: observe a page, decide, act.
//!
//! `plan`, `apply` and `run` share this code. The cause of a wake-up matters to the log only.

mod act;
mod agents;
mod backoff;
mod board;
mod control;
mod decide;
mod doubt;
mod driver;
mod gaps;
mod gate;
mod overrule;
mod page_state;
mod revision;
mod trail;

pub use act::{Acted, Actor};
pub use board::Board;
pub use control::{Control, Counts, PageStatus, Status};
pub use decide::{Decision, Knowledge, Observed, decide};
pub use doubt::Doubt;
pub use driver::{Driver, Ended, Feed, Mode, PageReport, Setup, Standing, Supervisor, Unsupervised};
pub use gate::{Gate, Limits, Urgency};
pub use overrule::{Draft, Selection, Until, prepare};
pub use revision::{Held, InForce, revision_id};
pub use trail::{Following, Trail};
