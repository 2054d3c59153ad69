//! The cycle: observe a page, decide, act. `plan`, `apply` and `run` all go this way; why one woke is for
//! the log alone.

mod act;
mod backoff;
mod decide;
mod driver;
mod gate;
mod page_state;

pub use act::{Acted, Actor};
pub use decide::{Decision, Knowledge, Observed, decide};
pub use gate::{Limits, Urgency};
pub use driver::{Driver, Ended, Feed, Mode, PageReport, Setup, Standing, Supervisor, Unsupervised};
