//! Integration tests against real files and inotify, HTTP, SQLite, processes and signals.
//!
//! A rule of a single module is tested beside that module, in `src`. Tests that need several layers
//! belong here:
//!
//! - `adopt`: commands that list agents, pull pages, and compare and push schemas
//! - `api`: the simulator over HTTP, and our client against it
//! - `claims`: daemons of one user that own the same variables
//! - `commands`: output and exit codes of the commands
//! - `control`: the daemon, queried by commands
//! - `crash`: the process killed at random instants
//! - `cycle`: the driver in this process, on a clock that the test moves
//! - `docs`: the reference generated from the code, and links between documents
//! - `emergency`: commands during failures, from broken settings to a held revision
//! - `exported`: files from spreadsheets, web pages and public services
//! - `follow`: promotions
//! - `forecast`: 400 days of the demo, compared with a golden file
//! - `holidays`: public holidays without a file
//! - `guides`: folders, commands and outputs of the guides, runbooks and README
//! - `hostile`: hostile input, and the fuzz corpora
//! - `house`: the systemd units and the settings reference
//! - `http`: the daemon over HTTP: routes, probes, metrics, misbehaving clients
//! - `layers`: layers and cycles of the code
//! - `listings`: `status`, `preview`, `history` and `calendar`
//! - `logging`: the forms of the log, and what is logged once
//! - `lost_rows`: tables truncated at the end of a line
//! - `manual`: man pages and completions, generated from the commands
//! - `monitoring`: the metrics, alerts, runbooks and dashboard, checked by promtool
//! - `notify`: notifications as a real receiver gets them, from the daemon and the test command
//! - `odd_answers`: anomalous answers of the API
//! - `operations`: health, versions, and backups of the store
//! - `people`: overrides, held revisions, drift, an untrusted clock
//! - `program`: the program as a process
//! - `replicas`: processes that share a store in PostgreSQL, paused, killed and cut off
//! - `shapes`: pages and tables of every shape
//! - `simulator`: its state file and web page
//! - `status_page`: the status page over HTTP, and what people do with its forms
//! - `systemd`: notifications and the journal
//! - `terminal`: widths, progress and colours on a terminal
//! - `watching`: every way a file can change
//! - `world`: a simulated world with every kind of fault
//! - `zone_oracle`: every clock change, compared with Python's zoneinfo
//! - `zone_updates`: updates of the zone database

mod adopt;
mod api;
mod claims;
mod commands;
mod control;
mod crash;
mod cycle;
mod docs;
mod emergency;
mod exported;
mod follow;
mod forecast;
mod guides;
mod holidays;
mod hostile;
mod house;
mod http;
mod layers;
mod listings;
mod logging;
mod lost_rows;
mod manual;
mod monitoring;
mod notify;
mod odd_answers;
mod operations;
mod people;
mod program;
mod replicas;
mod shapes;
mod simulated_projects;
mod simulator;
mod status_page;
mod support;
mod systemd;
mod terminal;
mod variants;
mod watching;
mod world;
mod zone_oracle;
mod zone_updates;
