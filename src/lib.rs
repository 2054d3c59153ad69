//! rtconfd keeps real-time config pages correct. From local files and calendars it computes the
//! desired value of every variable and its next transition, and writes it to the page on the
//! second.
//!
//! `ARCHITECTURE.md` lists the layers; a module uses only the layers below its own. A layer exports
//! with `pub use` what the program, tests, benchmarks or fuzz targets use, else with `pub(crate) use`,
//! so that the compiler reports unused items.

#![deny(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::todo, clippy::dbg_macro, clippy::print_stdout, clippy::print_stderr)
)]

pub mod agents_api;
pub mod calendar;
pub mod cli;
pub mod clock;
pub mod compile;
pub mod hours;
pub mod limits;
mod lint;
pub mod model;
pub mod notify;
pub mod pages;
pub mod plan;
pub mod process;
pub mod pulse;
pub mod reconcile;
mod redact;
mod regular_file;
pub mod schema;
pub mod settings;
pub mod shapes;
pub mod simulator;
pub mod sources;
pub mod store;
pub mod tables;
pub mod web;
mod written;
pub mod zone;
pub mod zoneinfo;
