//! Tests of the whole, each against the real thing: files and inotify, HTTP, SQLite, processes and signals.
//!
//! Where a new test belongs: a rule of one module stands beside the module, in `src`. What needs several floors
//! stands here: `watching` (ways a file can change), `api` (the simulator on the wire, and our client against it),
//! `cycle` (the driver in this process, on a clock that the test moves), `people` (overrides,
//! holds, approvals, drift, a clock in doubt), `program` (the program as a process),
//! `commands` (what the commands print and how they end), `adopt` (the same of those that look at agents, pull pages, and compare and put schemas),
//! `control` (the daemon asked by commands and over HTTP), `hostile` (input that means harm, and the fuzz corpora),
//! `odd_answers` (an API that answers strangely once),
//! `lost_rows` (tables that were cut at the end of a line), `holidays` (public holidays without a file), `forecast` (400 days of the demo, in a golden file), `shapes` (pages and tables of every shape), `house` (units, what the repository promises),
//! `layers` (floors and circles of the code), `docs` (the reference that is generated from the code),
//! `world` (a simulated world with everything that can go wrong), `crash` (the process killed again and again), `zone_oracle` (every clock change against Python's zoneinfo).

mod adopt;
mod api;
mod commands;
mod control;
mod crash;
mod cycle;
mod docs;
mod emergency;
mod exported;
mod follow;
mod forecast;
mod holidays;
mod hostile;
mod house;
mod layers;
mod lost_rows;
mod odd_answers;
mod people;
mod program;
mod shapes;
mod support;
mod watching;
mod world;
mod zone_oracle;
