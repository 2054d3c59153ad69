//! The exit codes, global arguments and output formats of all commands.

use std::path::PathBuf;

use chrono::{NaiveDate, NaiveDateTime};
use clap::{Args, ValueEnum};

use crate::limits::time::YEARS;
use crate::model::Instant;
use crate::settings::{Flag, Surroundings};
use crate::zone::{self, Zone};
use crate::zoneinfo;

/// The exit code of a command.
pub type Exit = u8;

/// Success.
pub(super) const OK: Exit = 0;
/// An error.
pub(super) const FAILED: Exit = 1;
/// `plan` and `diff`: there are changes; `schema`: the schemas differ.
pub(super) const CHANGES: Exit = 2;
/// A held revision or page, or an unfinished rollout.
pub(super) const HELD: Exit = 3;
/// Stored without effect, because no daemon is running.
pub(super) const NO_EFFECT: Exit = 4;

#[derive(Args, Clone)]
pub(super) struct Global {
    /// The settings file [default: ./rtconfd.toml, else /etc/rtconfd/rtconfd.toml]
    #[arg(long, global = true, env = "RTCONFD_CONFIG", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The format of the log
    #[arg(long, global = true, value_name = "FORMAT")]
    pub(super) log_format: Option<LogFormat>,
    /// Sets a single setting, as in --set api.region=uk; takes precedence over file and environment
    #[arg(long = "set", global = true, value_name = "SETTING=VALUE")]
    pub(super) flags: Vec<Flag>,
    #[arg(skip)]
    pub(super) environment: Vec<(String, String)>,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
}

/// The output format of data.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    #[default]
    Table,
    /// For programs: one JSON object per line
    Json,
}

#[derive(Args, Clone, Copy)]
pub(super) struct Shown {
    /// The format of the output
    #[arg(long, default_value = "table")]
    pub(super) format: Format,
}

/// The zone in which tables show times.
#[derive(Args, Clone, Copy)]
pub(super) struct Times {
    /// Show times in UTC instead of the local time of each page
    #[arg(long)]
    utc: bool,
}

impl Times {
    /// Formats an instant of a page in this zone.
    pub(super) fn show(self, zone: Zone, at: Instant) -> String {
        zone::show_local(if self.utc { Zone::UTC } else { zone }, at)
    }
}

impl Global {
    /// Returns the sources of settings besides the file.
    pub(super) fn surroundings(&self) -> Surroundings {
        let mut flags = self.flags.clone();
        flags.extend(self.log_format.map(|format| Flag {
            path: "log.format".to_owned(),
            value: match format {
                LogFormat::Text => "text".to_owned(),
                LogFormat::Json => "json".to_owned(),
            },
        }));
        let zoneinfo = Some(system_zoneinfo(&self.environment));
        Surroundings { environment: self.environment.clone(), flags, zoneinfo }
    }

    pub(super) fn config(&self) -> PathBuf {
        let here = PathBuf::from("rtconfd.toml");
        match &self.config {
            Some(path) => path.clone(),
            None if here.exists() => here,
            None => PathBuf::from("/etc/rtconfd/rtconfd.toml"),
        }
    }

    /// Returns the settings file; `None` if the user named none and the default path has none.
    pub(super) fn config_if_any(&self) -> Option<PathBuf> {
        Some(self.config()).filter(|path| self.config.is_some() || path.exists())
    }
}

/// Returns the folder of the system's zone database, which `TZDIR` may name.
pub(super) fn system_zoneinfo(environment: &[(String, String)]) -> PathBuf {
    let named = environment.iter().find(|(name, value)| name == "TZDIR" && !value.is_empty());
    named.map_or(zoneinfo::SYSTEM, |(_, folder)| folder).into()
}

/// Parses an instant of the command line: RFC 3339, or a date or time without offset, in UTC.
pub(super) fn parse_instant(text: &str) -> Result<Instant, String> {
    let with_offset = chrono::DateTime::parse_from_rfc3339(text).map(|at| at.to_utc()).ok();
    let date = || text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0);
    let time = || {
        ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
    };
    with_offset
        .or_else(|| Some(date().or_else(time)?.and_utc()))
        .filter(|at| YEARS.contains(&chrono::Datelike::year(at)))
        .ok_or_else(|| "write an instant as in 2026-12-24T17:00:00Z, or a date (UTC)".to_owned())
}
