//! Tests of the whole, each against the real thing: files and inotify, HTTP, SQLite, processes and signals.
//!
//! Where a new test belongs: a rule of one module stands beside the module, in `src`. What needs several floors
//! stands here: `watching` (ways a file can change), `api` (the simulator on the wire, and our client against it),
//! `cycle` (the driver in this process, on a clock that the test moves), `program` (the program as a process),
//! `commands` (what the commands print and how they end), `hostile` (input that means harm, and the fuzz corpora),
//! `house` (layering, units, what the repository promises).

mod api;
mod commands;
mod cycle;
mod hostile;
mod house;
mod program;
mod support;
mod watching;
