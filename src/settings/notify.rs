//! `[[notify]]`: the receivers of notifications.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{Days, NaiveTime};
use serde::{Deserialize, Serialize};

use crate::limits::notifications::{COLLECT, MAX_RECEIVERS, NOTIFY_TIMEOUT};
use crate::limits::settings::MAX_ID;
use crate::model::{Instant, Problem, nearest};
use crate::written::{Fields, Node, Reader};
use crate::zone::{self, Zone};

use super::is_on_this_machine;

/// A receiver of notifications.
#[derive(Clone, Debug, PartialEq)]
pub struct Receiver {
    /// Its name, unique among the receivers.
    pub name: String,
    /// The way to it.
    pub via: Via,
    /// The time limit of one delivery.
    pub timeout: Duration,
    /// The kinds of events that it gets.
    pub events: BTreeSet<EventKind>,
    /// The time in which events are collected for one message.
    pub collect: Duration,
    /// The time of its daily digest, if it gets one.
    pub digest: Option<Daily>,
    /// The hours in which it gets urgent events alone.
    pub quiet: Option<Quiet>,
}

/// The way to a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// A signed POST, as Standard Webhooks specifies it.
    Webhook {
        /// The address.
        url: Address,
        /// The file with the signing secret.
        secret_file: PathBuf,
    },
    /// An incoming webhook of Slack; its URL is a secret.
    Slack(PathBuf),
    /// A Workflows webhook of Microsoft Teams; its URL is a secret.
    Teams(PathBuf),
    /// A program with its arguments, run without a shell.
    Command(Vec<String>),
}

impl Via {
    /// All types, as the settings name them.
    pub const TYPES: [&str; 4] = ["webhook", "slack", "teams", "command"];

    /// Returns the type, as the settings name it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Webhook { .. } => "webhook",
            Self::Slack(_) => "slack",
            Self::Teams(_) => "teams",
            Self::Command(_) => "command",
        }
    }
}

/// The address of a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A URL that may be shown.
    Url(String),
    /// A file with a secret URL.
    File(PathBuf),
}

/// A kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// The API refuses the key, or the key expires soon.
    Key,
    /// Something waits for a person: a held revision, a stopped rollout, an untrusted clock.
    Held,
    /// A page that is not kept right any more.
    Page,
    /// A file, row or definition that cannot be read.
    Input,
    /// Another client changed a value.
    Drift,
    /// An override was set or ended.
    Override,
    /// Data that runs out: calendars, public holidays, lists, the zone database.
    Lint,
    /// Something is right again.
    Recovered,
    /// The daily digest.
    Digest,
}

impl EventKind {
    /// All kinds that `events` may name.
    pub const ALL: [Self; 8] = [
        Self::Key,
        Self::Held,
        Self::Page,
        Self::Input,
        Self::Drift,
        Self::Override,
        Self::Lint,
        Self::Recovered,
    ];

    /// Returns its name in the settings.
    pub fn word(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Held => "held",
            Self::Page => "page",
            Self::Input => "input",
            Self::Drift => "drift",
            Self::Override => "override",
            Self::Lint => "lint",
            Self::Recovered => "recovered",
            Self::Digest => "digest",
        }
    }
}

/// A local time of each day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Daily {
    /// The local time.
    pub at: NaiveTime,
    /// The zone.
    pub zone: Zone,
}

impl Daily {
    /// Returns the first such instant after another.
    pub fn next(&self, after: Instant) -> Instant {
        let date = zone::date(self.zone, after);
        let candidates = (0..3).filter_map(|day| date.checked_add_days(Days::new(day)));
        let instants = candidates.map(|date| zone::instant(self.zone, date.and_time(self.at)));
        // A date that the zone skips has the instant of the date before.
        instants.into_iter().find(|at| *at > after).unwrap_or(Instant::MAX_UTC)
    }
}

/// Hours of each day in which only urgent events are sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Quiet {
    /// Their local start.
    pub from: NaiveTime,
    /// Their local end; not after the start if it is on the next date.
    pub to: NaiveTime,
    /// The zone.
    pub zone: Zone,
    /// The kinds that are sent nevertheless.
    pub urgent: BTreeSet<EventKind>,
}

impl Quiet {
    /// Returns the end of the quiet hours that contain an instant.
    pub fn end(&self, now: Instant) -> Option<Instant> {
        let today = zone::date(self.zone, now);
        let ends = [today.pred_opt(), Some(today)].into_iter().flatten().map(|date| {
            let last = if self.to <= self.from { zone::next(date) } else { date };
            let start = zone::instant(self.zone, date.and_time(self.from));
            (start, zone::instant(self.zone, last.and_time(self.to)))
        });
        ends.into_iter().find(|(start, end)| (*start..*end).contains(&now)).map(|(_, end)| end)
    }
}

const KEYS: &[&str] = &[
    "name",
    "type",
    "url",
    "url_file",
    "secret_file",
    "command",
    "timeout",
    "events",
    "collect",
    "digest",
    "quiet",
    "urgent",
    "timezone",
];

/// Reads all `[[notify]]` blocks; `zone` is the default time zone.
pub(super) fn read(
    reader: &Reader,
    fields: &Fields,
    directory: &Path,
    zone: Option<Zone>,
) -> Option<Vec<Receiver>> {
    let Some(node) = fields.get("notify") else { return Some(Vec::new()) };
    let blocks = reader.list(node, "notify")?;
    if let Some(beyond) = blocks.get(MAX_RECEIVERS) {
        let message = format!("more than {MAX_RECEIVERS} [[notify]] blocks");
        reader.note(Problem::at(&beyond.origin, message).hint("send to one receiver that passes it on"));
        return None;
    }
    let mut names = BTreeSet::new();
    let receivers = blocks.iter().map(|node| {
        let block = Block { reader, fields: reader.table(node, "notify", KEYS)?, directory };
        let receiver = block.receiver(zone)?;
        if !names.insert(receiver.name.clone()) {
            let problem = Problem::at(&node.origin, format!("duplicate notify name `{}`", receiver.name));
            reader.note(problem.hint("give each [[notify]] block its own name"));
            return None;
        }
        Some(receiver)
    });
    // Each block is read, so that one run reports all problems.
    receivers.collect::<Vec<_>>().into_iter().collect()
}

/// One block that is being read.
struct Block<'a> {
    reader: &'a Reader<'a>,
    fields: Fields<'a>,
    directory: &'a Path,
}

impl Block<'_> {
    fn receiver(&self, zone: Option<Zone>) -> Option<Receiver> {
        let name = self.name();
        let via = self.via();
        let length = |key: &str, default| match self.fields.get(key) {
            Some(node) => self.reader.duration_below(node, key, 1),
            None => Some(default),
        };
        let (timeout, collect) = (length("timeout", NOTIFY_TIMEOUT), length("collect", COLLECT));
        let events = self.kinds("events").map(|kinds| kinds.unwrap_or(EventKind::ALL.into()));
        let zone = match self.fields.get("timezone") {
            Some(node) => self.reader.zone(node, "timezone"),
            None if zone.is_none() && self.fields.has_any(&["digest", "quiet"]) => {
                let problem = Problem::at(self.fields.origin, "digest and quiet need a time zone");
                self.reader.note(problem.hint("set timezone here, or at the top of the settings"));
                None
            }
            None => Some(zone.unwrap_or(Zone::UTC)),
        };
        let (digest, quiet) = (self.digest(zone), self.quiet(zone));
        Some(Receiver {
            name: name?,
            via: via?,
            timeout: timeout?,
            events: events?,
            collect: collect?,
            digest: digest?,
            quiet: quiet?,
        })
    }

    fn name(&self) -> Option<String> {
        let text = self.reader.text(self.fields.require(self.reader, "name")?, "name")?;
        let is_plain = |c: char| c.is_alphanumeric() || "-_.".contains(c);
        if text.value.is_empty() || text.value.len() > MAX_ID || !text.value.chars().all(is_plain) {
            let problem = Problem::at(&text.origin, format!("invalid notify name `{}`", text.value));
            self.reader.note(problem.hint("write letters, digits, `-`, `_` and `.`, as in on-call"));
            return None;
        }
        Some(text.value)
    }

    fn via(&self) -> Option<Via> {
        let hint = "set type = \"webhook\", \"slack\", \"teams\" or \"command\"";
        let text = self.reader.text(self.fields.require_or(self.reader, "type", hint)?, "type")?;
        let allowed: &[&str] = match text.value.as_str() {
            "webhook" => &["url", "url_file", "secret_file"],
            "slack" | "teams" => &["url_file"],
            "command" => &["command"],
            other => {
                let problem = Problem::at(&text.origin, format!("unknown notify type `{other}`"));
                self.reader.note(problem.did_you_mean(other, Via::TYPES, hint));
                return None;
            }
        };
        for key in ["url", "url_file", "secret_file", "command"] {
            if let (Some(node), false) = (self.fields.get(key), allowed.contains(&key)) {
                let mut problem =
                    Problem::at(&node.origin, format!("`{key}` does not belong to type `{}`", text.value));
                // People paste a secret URL here.
                problem.secret = key == "url";
                self.reader.note(problem.hint(format!("set {} instead", allowed.join(" or "))));
                return None;
            }
        }
        match text.value.as_str() {
            "webhook" => {
                let (url, secret_file) = (self.address(), self.file("secret_file"));
                Some(Via::Webhook { url: url?, secret_file: secret_file? })
            }
            "slack" => self.file("url_file").map(Via::Slack),
            "teams" => self.file("url_file").map(Via::Teams),
            _ => self.command().map(Via::Command),
        }
    }

    fn file(&self, key: &str) -> Option<PathBuf> {
        let hint = "name a file with mode 600 that holds the secret";
        let node = self.fields.require_or(self.reader, key, hint)?;
        Some(self.directory.join(self.reader.text(node, key)?.value))
    }

    fn address(&self) -> Option<Address> {
        let Some(node) = self.fields.get("url") else { return self.file("url_file").map(Address::File) };
        let text = self.reader.text(node, "url")?;
        let refuse = |message: &str, hint: &str| {
            let mut problem = Problem::at(&text.origin, message).hint(hint);
            problem.secret = true;
            self.reader.note(problem);
            None
        };
        if self.fields.get("url_file").is_some() {
            return refuse("url and url_file are both set", "keep one of them");
        }
        match check_url(&text.value) {
            Ok(()) => Some(Address::Url(text.value)),
            Err(message) => refuse(
                &format!("url: {message}"),
                "write scheme, host and path, as in https://ops.example/hook; put a URL that is secret into url_file",
            ),
        }
    }

    fn command(&self) -> Option<Vec<String>> {
        let hint = "write the program and its arguments, as in [\"/usr/local/bin/page-me\", \"--urgent\"]";
        let node = self.fields.require_or(self.reader, "command", hint)?;
        let words: Option<Vec<String>> = self
            .reader
            .list(node, "command")?
            .iter()
            .map(|word| self.reader.text(word, "command").map(|text| text.value))
            .collect();
        let mut words = words?;
        let is_bad = |word: &String| word.contains('\0');
        let Some(program) = words.first_mut().filter(|program| !program.is_empty()) else {
            self.reader.note(Problem::at(&node.origin, "command names no program").hint(hint));
            return None;
        };
        if program.contains('/') {
            *program = self.directory.join(&program).display().to_string();
        }
        if words.iter().any(is_bad) {
            self.reader.note(Problem::at(&node.origin, "command contains a NUL character").hint(hint));
            return None;
        }
        Some(words)
    }

    /// Reads a list of kinds; an inner `None` means that it is not set.
    #[allow(clippy::option_option, reason = "None means wrong, Some(None) means nothing is set")]
    fn kinds(&self, key: &str) -> Option<Option<BTreeSet<EventKind>>> {
        let Some(node) = self.fields.get(key) else { return Some(None) };
        let kinds = self.reader.list(node, key)?.iter().map(|item| self.kind(item, key));
        kinds.collect::<Option<_>>().map(Some)
    }

    fn kind(&self, node: &Node, key: &str) -> Option<EventKind> {
        let text = self.reader.text(node, key)?;
        let known = EventKind::ALL.into_iter().find(|kind| kind.word() == text.value);
        self.reader.ok(known.ok_or_else(|| {
            let words = EventKind::ALL.map(EventKind::word);
            let problem = Problem::at(&text.origin, format!("unknown kind of event `{}`", text.value));
            match (text.value.as_str(), nearest(&text.value, words)) {
                ("digest", _) => problem.hint("set digest = \"08:00\" for a daily digest"),
                (_, Some(known)) => problem.hint(format!("did you mean \"{known}\"?")),
                (_, None) => problem.hint(format!("the kinds are: {}", words.join(", "))),
            }
        }))
    }

    #[allow(clippy::option_option, reason = "None means wrong, Some(None) means nothing is set")]
    fn digest(&self, zone: Option<Zone>) -> Option<Option<Daily>> {
        let Some(node) = self.fields.get("digest") else { return Some(None) };
        let text = self.reader.text(node, "digest")?;
        let at = self.reader.ok(time(&text.value).ok_or_else(|| {
            Problem::at(&text.origin, format!("invalid time `{}`", text.value))
                .hint("write HH:MM, for example 08:00")
        }))?;
        zone.map(|zone| Some(Daily { at, zone }))
    }

    #[allow(clippy::option_option, reason = "None means wrong, Some(None) means nothing is set")]
    fn quiet(&self, zone: Option<Zone>) -> Option<Option<Quiet>> {
        let urgent = self.kinds("urgent")?;
        let Some(node) = self.fields.get("quiet") else {
            if let Some(node) = self.fields.get("urgent") {
                let problem = Problem::at(&node.origin, "`urgent` has no effect without `quiet`");
                self.reader.note(problem.hint("set quiet = \"22:00-07:00\", or remove urgent"));
                return None;
            }
            return Some(None);
        };
        let text = self.reader.text(node, "quiet")?;
        let times = text.value.split_once('-');
        let times = times.and_then(|(from, to)| Some((time(from.trim())?, time(to.trim())?)));
        let (from, to) = self.reader.ok(times.filter(|(from, to)| from != to).ok_or_else(|| {
            Problem::at(&text.origin, format!("invalid quiet hours `{}`", text.value))
                .hint("write two times, as in 22:00-07:00")
        }))?;
        zone.map(|zone| Some(Quiet { from, to, zone, urgent: urgent.unwrap_or_default() }))
    }
}

fn time(text: &str) -> Option<NaiveTime> {
    let is_padded = text.len() == "HH:MM".len();
    NaiveTime::parse_from_str(text, "%H:%M").ok().filter(|_| is_padded)
}

/// Checks the URL of a webhook.
///
/// Secrets and signed messages cross the network with TLS only.
///
/// # Errors
/// The reason as text, without the URL.
pub fn check_url(text: &str) -> Result<(), &'static str> {
    let url = reqwest::Url::parse(text).map_err(|_| "this is not a URL")?;
    match url.scheme() {
        "https" => {}
        "http" if is_on_this_machine(text) => {}
        "http" => return Err("the messages would cross the network unencrypted; use https"),
        _ => return Err("the URL must begin with https://"),
    }
    match url.username().is_empty() && url.password().is_none() {
        true => Ok(()),
        false => Err("the URL holds a user name or password"),
    }
}

#[cfg(test)]
mod tests;
