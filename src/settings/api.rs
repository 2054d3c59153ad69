//! `[api]`: the API, its key, the request rate and the timeouts.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{Days, NaiveDate};

use crate::limits::api::{BURST, CONCURRENCY, CONNECT_TIMEOUT, RATE, READ_TIMEOUT, TOTAL_TIMEOUT};
use crate::limits::notifications::KEY_WARNED_DAYS;
use crate::limits::pages::MAX_FETCHED_MIB;
use crate::model::Problem;
use crate::written::{Fields, Node, Raw, Reader, Text};

use super::layers;

const KEYS: &[&str] = &[
    "region",
    "base_url",
    "allow_http",
    "key_file",
    "key_expires",
    "concurrency",
    "rate",
    "burst",
    "max_fetched_mib",
    "connect_timeout",
    "read_timeout",
    "total_timeout",
];
pub(super) const REGIONS: &[&str] = &["us", "eu", "uk", "studio"];

/// The remote API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api {
    /// Scheme, host and port, without a trailing slash.
    pub base_url: String,
    /// The file with the key; checked before the credentials directory and the environment.
    pub key_file: Option<PathBuf>,
    /// The date on which the key expires, as its creator saw it; the API does not tell.
    pub key_expires: Option<NaiveDate>,
    /// Maximum pages processed concurrently.
    pub concurrency: usize,
    /// Sustained requests per second.
    pub rate: u32,
    /// Maximum burst of requests after an idle period.
    pub burst: u32,
    /// Maximum memory for all fetched pages, in MiB.
    pub max_fetched_mib: usize,
    /// Time limit for connecting.
    pub connect_timeout: Duration,
    /// Time limit between two parts of a response.
    pub read_timeout: Duration,
    /// Time limit for a whole request.
    pub total_timeout: Duration,
}

impl Api {
    /// Returns a problem if the key expires soon, or has expired, on a date.
    pub fn key_ending(&self, on: NaiveDate) -> Option<Problem> {
        let expires = self.key_expires?;
        let warned = expires.checked_sub_days(Days::new(KEY_WARNED_DAYS)).unwrap_or(expires);
        let verb = if expires <= on { "expired" } else { "expires" };
        (warned <= on).then(|| {
            let problem = Problem::new(format!("the API key {verb} on {expires} (api.key_expires)"));
            problem.hint("make a new key, replace the key file, and set the new date").warning()
        })
    }
}

/// Defaults for unset keys.
pub(super) const DEFAULT: Api = Api {
    base_url: String::new(),
    key_file: None,
    key_expires: None,
    concurrency: CONCURRENCY,
    rate: RATE,
    burst: BURST,
    max_fetched_mib: MAX_FETCHED_MIB,
    connect_timeout: CONNECT_TIMEOUT,
    read_timeout: READ_TIMEOUT,
    total_timeout: TOTAL_TIMEOUT,
};

/// Reads `[api]`.
pub(super) fn read(
    reader: &Reader,
    root: &Node,
    fields: &Fields,
    directory: &Path,
    warnings: &mut Vec<Problem>,
) -> Option<Api> {
    let empty = Node { origin: root.origin.clone(), raw: Raw::Table(Vec::new()) };
    let node = fields.get("api").unwrap_or(&empty);
    let api = reader.table(node, "api", KEYS)?;
    let duration = |key: &str, default: Duration| match api.get(key) {
        Some(node) => reader.duration(node, key),
        None => Some(default),
    };
    let connect = duration("connect_timeout", DEFAULT.connect_timeout);
    let read = duration("read_timeout", DEFAULT.read_timeout);
    let total = duration("total_timeout", DEFAULT.total_timeout);
    let number = |key: &str, most: u64, default: u32| match api.get(key) {
        Some(node) => reader.integer(node, key, 1, most).and_then(|number| u32::try_from(number).ok()),
        None => Some(default),
    };
    let count = |key: &str, most: u64, default: usize| match api.get(key) {
        Some(node) => reader.integer(node, key, 1, most).and_then(|number| usize::try_from(number).ok()),
        None => Some(default),
    };
    let concurrency = count("concurrency", 256, DEFAULT.concurrency);
    let max_fetched_mib = count("max_fetched_mib", 1 << 20, DEFAULT.max_fetched_mib);
    let (rate, burst) = (number("rate", 100_000, DEFAULT.rate), number("burst", 100_000, DEFAULT.burst));
    let key_file = api.get("key_file").map(|node| reader.text(node, "key_file"));
    let key_expires = match api.get("key_expires") {
        Some(node) => reader.text(node, "key_expires").and_then(|text| reader.date_named(&text)).map(Some),
        None => Some(None),
    };
    let base_url = base_url(reader, &api, warnings);
    Some(Api {
        base_url: base_url?,
        key_file: match key_file {
            Some(text) => Some(directory.join(text?.value)),
            None => None,
        },
        key_expires: key_expires?,
        concurrency: concurrency?,
        rate: rate?,
        burst: burst?,
        max_fetched_mib: max_fetched_mib?,
        connect_timeout: connect?,
        read_timeout: read?,
        total_timeout: total?,
    })
}

/// Returns the base URL from `region` or `base_url`. The higher layer wins; within one layer only
/// one may be set.
fn base_url(reader: &Reader, api: &Fields, warnings: &mut Vec<Problem>) -> Option<String> {
    let (region, url) = (api.get("region"), api.get("base_url"));
    let url = match (region, url) {
        (Some(region), Some(url)) if layers::rank(&region.origin) == layers::rank(&url.origin) => {
            reader
                .note(Problem::at(&url.origin, "region and base_url are both set").hint("keep one of them"));
            return None;
        }
        (Some(region), Some(url)) if layers::rank(&region.origin) > layers::rank(&url.origin) => None,
        (_, url) => url,
    };
    let allowed = api.get("allow_http").map(|node| http_hosts(reader, node)).unwrap_or_default();
    if let Some(node) = url {
        return checked_url(reader, node, &allowed, warnings);
    }
    let Some(node) = region else {
        if !["region", "base_url"].iter().any(|key| api.is_misspelled(reader, key)) {
            reader.note(
                Problem::at(api.origin, "missing API: neither region nor base_url is set")
                    .hint("set region = \"us\", \"eu\", \"uk\" or \"studio\" under [api]"),
            );
        }
        return None;
    };
    let region = reader.text(node, "region")?;
    if REGIONS.contains(&region.value.as_str()) {
        return Some(format!("https://api.{}.poly.ai", region.value));
    }
    let problem = Problem::at(&region.origin, format!("unknown region \"{}\"", region.value));
    reader.note(problem.did_you_mean(&region.value, REGIONS.iter().copied(), "write us, eu, uk or studio"));
    None
}

/// Returns true if a URL points to this machine.
pub fn is_on_this_machine(url: &str) -> bool {
    let url = reqwest::Url::parse(url).ok();
    let host = url.as_ref().and_then(reqwest::Url::host_str).unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Returns the host names that may be contacted without TLS.
fn http_hosts(reader: &Reader, node: &Node) -> Vec<String> {
    let names = reader.list(node, "allow_http").unwrap_or_default();
    let names = names.iter().filter_map(|name| reader.text(name, "allow_http"));
    let host = |text: Text| {
        let name = text.value.trim();
        let url = reqwest::Url::parse(&format!("http://{name}/")).ok();
        // As a URL writes it, and a name only: neither a port nor a pattern.
        let host = url
            .as_ref()
            .and_then(reqwest::Url::host_str)
            .filter(|host| host.eq_ignore_ascii_case(name) && !host.contains('*'));
        reader.ok(host.map(str::to_owned).ok_or_else(|| {
            Problem::at(&text.origin, "allow_http: this is not a host name")
                .hint("write the name alone, without scheme and port, as in simulator.internal")
        }))
    };
    names.filter_map(host).collect()
}

fn checked_url(
    reader: &Reader,
    node: &Node,
    allowed: &[String],
    warnings: &mut Vec<Problem>,
) -> Option<String> {
    let text = reader.text(node, "base_url")?;
    let bad = |message: &str, secret: bool| {
        let mut problem = Problem::at(&text.origin, message)
            .hint("write scheme, host and port, as in https://api.uk.poly.ai");
        problem.secret = secret;
        reader.note(problem);
        None
    };
    let Ok(url) = reqwest::Url::parse(text.value.trim()) else {
        return bad("base_url is not a URL", true);
    };
    if !url.username().is_empty() || url.password().is_some() {
        return bad("base_url holds a user name or password", true);
    }
    if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || url.fragment().is_some() {
        return bad("base_url must be http or https, without a query", false);
    }
    if url.scheme() == "http" && !is_on_this_machine(url.as_str()) {
        let host = url.host_str().unwrap_or_default();
        if !allowed.iter().any(|allowed| allowed == host) {
            let problem = Problem::at(&text.origin, "the API key would cross the network unencrypted");
            reader.note(problem.hint(format!("use https, or set allow_http = [\"{host}\"] under [api]")));
            return None;
        }
        warnings.push(
            Problem::at(&text.origin, "the API key will cross the network unencrypted")
                .hint("use https")
                .warning(),
        );
    }
    Some(url.as_str().trim_end_matches('/').to_owned())
}
