//! The settings needed to connect to the API, from settings that may contain nothing else or may be
//! missing.

use std::path::Path;

use serde_json::Value;

use crate::model::Problem;
use crate::written::{Node, Reader, Scope};
use crate::zone::Database;

use super::api::{self, Api, DEFAULT, REGIONS};
use super::{Log, Report, Surroundings, is_on_this_machine, layers, log};

/// The API and log settings, without pages.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The remote API.
    pub api: Api,
    /// The log settings.
    pub log: Log,
    /// True if the settings define pages.
    pub has_pages: bool,
    /// Warnings about valid settings.
    pub warnings: Vec<Problem>,
}

impl Connection {
    /// Reads `[api]` and `[log]` only, so that the rest may be unfinished.
    ///
    /// Without a file the environment and flags must name the API.
    ///
    /// # Errors
    /// Every problem in these two sections, each with its place.
    pub fn load(file: Option<&Path>, surroundings: &Surroundings) -> Result<Self, Report> {
        let bytes = file.map(layers::read_file).transpose()?.unwrap_or_default();
        let nominal = file.unwrap_or(Path::new("rtconfd.toml"));
        let (root, report) = layers::read(nominal, &bytes, surroundings)?;
        if file.is_none() && !names_an_api(&root) {
            let problem = Problem::new(
                "missing API: no settings file was found, and neither region nor base_url is set",
            );
            let hint = "add --region us, eu, uk or studio, or name the settings with --config FILE";
            return Err(report.with(vec![problem.hint(hint)]));
        }
        // None of the settings read here is a time zone.
        let zones = Database::embedded();
        let reader = Reader::new(Scope::Plain, &zones);
        let mut warnings = Vec::new();
        let read = reader.open_table(&root, "the settings file").and_then(|fields| {
            let at = std::path::absolute(nominal).unwrap_or_else(|_| nominal.to_owned());
            let directory = at.parent().unwrap_or(Path::new("/"));
            let api = api::read(&reader, &root, &fields, directory, &mut warnings);
            let log = log::read(&reader, &fields);
            Some((api?, log?))
        });
        let problems = reader.into_problems();
        match read {
            Some((api, log)) if problems.is_empty() => {
                Ok(Self { api, log, has_pages: root.get("page").is_some(), warnings })
            }
            _ => Err(report.with(problems)),
        }
    }
}

fn names_an_api(root: &Node) -> bool {
    let api = root.get("api");
    ["region", "base_url"].iter().any(|key| api.and_then(|api| api.get(key)).is_some())
}

impl Api {
    /// Returns TOML lines for `[api]` that configure the same connection; defaults are omitted.
    ///
    /// The location of the key is not included.
    pub fn written(&self) -> String {
        let mut lines = vec![match region_of(&self.base_url) {
            Some(region) => format!("region = \"{region}\""),
            None => format!("base_url = {}", quoted(&self.base_url)),
        }];
        let url = reqwest::Url::parse(&self.base_url).ok();
        let host = url.as_ref().filter(|url| url.scheme() == "http").and_then(reqwest::Url::host_str);
        // Without `allow_http` the URL that was accepted here would be refused.
        lines.extend(
            host.filter(|_| !is_on_this_machine(&self.base_url))
                .map(|host| format!("allow_http = [{}]", quoted(host))),
        );
        let numbers = [
            ("concurrency", self.concurrency.to_string(), self.concurrency == DEFAULT.concurrency),
            ("rate", self.rate.to_string(), self.rate == DEFAULT.rate),
            ("burst", self.burst.to_string(), self.burst == DEFAULT.burst),
            (
                "max_fetched_mib",
                self.max_fetched_mib.to_string(),
                self.max_fetched_mib == DEFAULT.max_fetched_mib,
            ),
        ];
        let lengths = [
            ("connect_timeout", self.connect_timeout, DEFAULT.connect_timeout),
            ("read_timeout", self.read_timeout, DEFAULT.read_timeout),
            ("total_timeout", self.total_timeout, DEFAULT.total_timeout),
        ]
        .map(|(key, length, default)| (key, quoted(&crate::model::length(length)), length == default));
        let others = numbers.into_iter().chain(lengths).filter(|(.., is_default)| !is_default);
        lines.extend(others.map(|(key, value, _)| format!("{key} = {value}")));
        lines.iter().map(|line| format!("{line}\n")).collect()
    }
}

/// Returns the region of a base URL.
fn region_of(base_url: &str) -> Option<&str> {
    let name = base_url.strip_prefix("https://api.")?.strip_suffix(".poly.ai")?;
    REGIONS.contains(&name).then_some(name)
}

/// Quotes text for TOML. JSON escapes are valid in TOML; only DEL, which JSON leaves as is, must be
/// escaped.
pub fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Flag, Settings};

    fn with(flags: &[&str]) -> Surroundings {
        let flags = flags.iter().map(|flag| flag.parse::<Flag>().unwrap());
        Surroundings { flags: flags.collect(), ..Surroundings::default() }
    }

    #[test]
    fn written_api_settings_survive_a_round_trip() {
        let cases: &[(&[&str], &str)] = &[
            (&["api.region=uk"], "region = \"uk\"\n"),
            (&["api.base_url=https://api.uk.poly.ai/"], "region = \"uk\"\n"),
            (&["api.base_url=http://127.0.0.1:1"], "base_url = \"http://127.0.0.1:1\"\n"),
            (
                &["api.base_url=https://x.example/y", "api.rate=3", "api.total_timeout=1m 30s"],
                "base_url = \"https://x.example/y\"\nrate = 3\ntotal_timeout = \"1m 30s\"\n",
            ),
        ];
        for (flags, expected) in cases {
            let api = Connection::load(None, &with(flags)).unwrap().api;
            assert_eq!(api.written(), *expected);
            let text = format!("[api]\n{expected}");
            let again = Settings::parse(
                Path::new("/x/rtconfd.toml"),
                format!("{text}[[page]]\nagent = \"A\"\nenvironment = \"live\"\nvariables = {{ a = 1 }}\n")
                    .as_bytes(),
                &Surroundings::default(),
            );
            assert_eq!(again.unwrap().api, api);
        }
        let plain = Api { base_url: "http://simulator.internal:4010".to_owned(), ..DEFAULT };
        assert_eq!(
            plain.written(),
            "base_url = \"http://simulator.internal:4010\"\nallow_http = [\"simulator.internal\"]\n"
        );
    }

    #[test]
    fn without_a_file_flags_or_environment_must_name_an_api() {
        let reported = Connection::load(None, &with(&[])).unwrap_err().render(false);
        assert!(
            reported.contains("no settings file was found") && reported.contains("--region"),
            "{reported}"
        );
        let reported = Connection::load(None, &with(&["api.region=ku"])).unwrap_err().render(false);
        assert!(reported.contains("unknown region \"ku\""), "{reported}");
    }

    #[test]
    fn quoted_text_survives_a_round_trip() {
        for text in ["", "a\"b\\c", "line\nbreak\ttab", "\u{0}\u{1b}\u{7f}", "é~/{}#'"] {
            let document =
                toml_edit::ImDocument::parse(format!("{} = {}", quoted(text), quoted(text))).unwrap();
            let (key, value) = document.as_table().iter().next().unwrap();
            assert_eq!((key, value.as_str()), (text, Some(text)));
        }
    }
}
