//! `[log]`: format and level of the log.

use crate::model::Problem;
use crate::written::{Fields, Reader};

/// Format and level of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// True for one JSON object per line instead of text.
    pub json: bool,
    /// The minimum level that is logged.
    pub level: tracing::Level,
}

/// Reads the log settings; the default is text at level info.
pub(super) fn read(reader: &Reader, fields: &Fields) -> Option<Log> {
    let Some(node) = fields.get("log") else {
        return Some(Log { json: false, level: tracing::Level::INFO });
    };
    let fields = reader.table(node, "log", &["format", "level"])?;
    let format = fields.get("format").map(|node| {
        let text = reader.text(node, "format")?;
        let known = ["text", "json"].contains(&text.value.as_str());
        reader.ok(known.then(|| text.value == "json").ok_or_else(|| {
            Problem::at(&text.origin, format!("unknown log format \"{}\"", text.value))
                .hint("write text or json")
        }))
    });
    let level = fields.get("level").map(|node| {
        let text = reader.text(node, "level")?;
        reader.ok(text.value.parse().map_err(|_| {
            Problem::at(&text.origin, format!("unknown log level \"{}\"", text.value))
                .hint("write error, warn, info, debug or trace")
        }))
    });
    Some(Log { json: format.unwrap_or(Some(false))?, level: level.unwrap_or(Some(tracing::Level::INFO))? })
}
