//! `[log]`: format and level of the log.

use std::path::Path;

use crate::model::Problem;
use crate::written::{Fields, Reader, Scope};
use crate::zone::Database;

use super::{Surroundings, layers};

/// Format and level of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// True for one JSON object per line instead of text.
    pub json: bool,
    /// The minimum level that is logged.
    pub level: tracing::Level,
}

impl Log {
    /// Returns the log settings, even if other settings are invalid.
    ///
    /// If these are invalid too, messages are text at level info.
    pub fn find(file: &Path, surroundings: &Surroundings) -> Self {
        let bytes = layers::read_file(file).unwrap_or_default();
        let is_json = |line: &str| line.split_whitespace().collect::<String>() == "format=\"json\"";
        let text = String::from_utf8_lossy(&bytes);
        let section = text.split_once("[log]").and_then(|(_, after)| after.split("\n[").next());
        // What is not TOML as a whole may still say how to report that.
        let fallback = match section.is_some_and(|section| section.lines().any(is_json)) {
            true => "[log]\nformat = \"json\"\n",
            false => "",
        };
        let zones = Database::embedded();
        let reader = Reader::new(Scope::Plain, &zones);
        layers::read(file, &bytes, surroundings)
            .or_else(|_| layers::read(Path::new("rtconfd.toml"), fallback.as_bytes(), surroundings))
            .ok()
            .and_then(|(root, _)| read(&reader, &reader.open_table(&root, "the settings file")?))
            .unwrap_or(Self { json: false, level: tracing::Level::INFO })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_found_even_if_other_settings_are_broken() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rtconfd.toml");
        let with = |flags: &[&str]| Surroundings {
            flags: flags.iter().map(|flag| flag.parse().unwrap()).collect(),
            ..Surroundings::default()
        };
        for (text, flags, is_json) in [
            ("[log]\nformat = \"json\"\n", &[][..], true),
            ("[log]\nformat = \"json\"\n[[page]]\nagnt = 1\n", &[], true),
            ("[[page\n[log]\nlevel = \"warn\"\nformat = \"json\"\n[api]\n", &[], true),
            ("[[page\n[log]\nformat = \"text\"\n[x]\nformat = \"json\"\n", &[], false),
            ("[[page\n", &["log.format=json"], true),
            ("[log]\nformat = \"json\"\n", &["log.format=text"], false),
            ("[log]\nformat = \"jsno\"\n", &[], false),
            ("", &[], false),
        ] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(Log::find(&file, &with(flags)).json, is_json, "{text}");
        }
        std::fs::remove_file(&file).unwrap();
        assert!(Log::find(&file, &with(&["log.format=json"])).json);
    }
}
