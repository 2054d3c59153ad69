//! The inputs and settings of one moment: their ID, and their state as active, held, or rolled out
//! in stages.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::compile::{Blueprint, Inputs, Managed, World};
use crate::limits::changes::SECOND_STAGE_PERCENT;
use crate::model::{Instant, PageId};
use crate::plan::{Recent, Side};
use crate::settings::Settings;
use crate::sources::{Files, Revision};
use crate::store::relay::OwnFiles;
use crate::store::{Accepted, Remembered};
use crate::zone::{Database, Zone};

use super::Promotions;

/// Names of facts in the store: recently accepted changes, the held revision, the rollout's
/// progress.
pub(super) const RECENT: &str = Recent::FACT;
pub(super) const HELD: &str = Held::FACT;
pub(super) const OUT: &str = Out::FACT;

/// The active revision: definitions, their inputs, and the resulting pages.
#[derive(Debug, Default)]
pub struct ActiveRevision {
    /// Number of revisions activated so far; 0 if none.
    pub number: i64,
    /// The pages as the settings define them.
    pub blueprint: Blueprint,
    /// The sources and calendars.
    pub inputs: Inputs,
    /// The pages, without overrides.
    pub world: World,
    /// The promoted pages that are still behind.
    pub promotions: Promotions,
    /// Pages kept as an older revision made them because of a problem, with its number.
    pub kept: BTreeMap<PageId, i64>,
}

impl ActiveRevision {
    /// Restores the active revision of the previous run from the store.
    ///
    /// Anything not stored comes from the current settings. `inputs` are the newest stored ones, as
    /// the current settings read them.
    pub fn recall(
        settings: &Settings,
        remembered: &Remembered,
        inputs: &Inputs,
        from: Instant,
        to: Instant,
    ) -> Self {
        Self::recall_ahead(settings, remembered, (inputs, World::default()), from, to)
    }

    /// Restores the active revision, and uses pages that were compiled ahead if they are the same.
    pub fn recall_ahead(
        settings: &Settings,
        remembered: &Remembered,
        (inputs, ahead): (&Inputs, World),
        from: Instant,
        to: Instant,
    ) -> Self {
        // A page that keeps an older definition must not get one of these files.
        let is_usable = remembered.kept.is_empty() && ahead.is_fresh(from) && ahead.is_fresh(to);
        let ahead = Cell::new(Some(ahead).filter(|_| is_usable));
        let recall = |accepted: &Accepted, before: Option<&World>| {
            let older = as_accepted(settings, accepted);
            let is_newest = std::ptr::eq(accepted, &remembered.newest);
            let inputs = match &older {
                // Parsing large files twice takes time and memory.
                None if is_newest => inputs.clone(),
                older => Files::new(older.as_ref().unwrap_or(settings)).recall(&accepted.inputs).inputs,
            };
            let settings = older.as_ref().unwrap_or(settings);
            let ahead = if is_newest { ahead.take() } else { None };
            let same = ahead.filter(|ahead| ahead.is_of(&settings.blueprint, &inputs));
            if let Some(ahead) = &same {
                tracing::info!(pages = ahead.pages.len(), "the pages were compiled before");
            }
            let compile = || World::over(&settings.blueprint, &inputs, from, to, before);
            let world = same.unwrap_or_else(compile);
            (settings.blueprint.clone(), inputs, world)
        };
        let has_followers = |number| remembered.behind.values().any(|behind| behind.as_of == Some(number));
        let older = remembered.older.iter().map(|(number, accepted)| {
            let (_, _, world) = recall(accepted, None);
            let is_kept = |id: &PageId| remembered.kept.get(id) == Some(number);
            let kept = |managed: &Managed| is_kept(&managed.computed.id).then(|| managed.clone());
            // Keeps only these pages: a few bad rows from different days would otherwise need a
            // world each.
            (*number, if has_followers(*number) { world } else { world.map(kept) })
        });
        let older: BTreeMap<i64, World> = older.collect();
        let kept = remembered.kept.iter();
        let kept = kept.filter_map(|(page, as_of)| older.get(as_of)?.page(page).cloned());
        let before = World::of(kept.collect());
        let (blueprint, inputs, world) = recall(&remembered.newest, Some(&before));
        let promotions = Promotions::recall(remembered.behind.clone(), older);
        Self {
            number: remembered.number,
            blueprint,
            inputs,
            world,
            promotions,
            kept: remembered.kept.clone(),
        }
    }

    /// Returns the pages that keep their old definition under `newest`, with its revision number.
    pub fn keeps(&self, newest: &World) -> BTreeMap<PageId, i64> {
        let as_before = newest.pages.iter().filter(|managed| {
            let id = &managed.computed.id;
            let before =
                self.world.page(id).is_some_and(|before| Arc::ptr_eq(&before.computed, &managed.computed));
            before && !managed.problems.is_empty()
        });
        let as_of = |id: &PageId| self.kept.get(id).copied().unwrap_or(self.number);
        as_before.map(|managed| (managed.computed.id.clone(), as_of(&managed.computed.id))).collect()
    }

    /// Returns this revision for [`assess`](crate::plan::assess).
    pub fn side(&self) -> Side<'_> {
        Side { world: &self.world, inputs: &self.inputs }
    }

    /// Returns the promoted pages that would be behind if `newest` became active.
    pub fn behind(&self, newest: &World, is_managed: impl Fn(&PageId) -> bool, now: Instant) -> Promotions {
        let as_of = |page: &PageId| self.kept.get(page).copied().unwrap_or(self.number);
        self.promotions.extended((&as_of, &self.world), newest, is_managed, now)
    }

    /// Returns the pages in effect, without overrides.
    pub fn pages(&self) -> World {
        self.promotions.active(&self.world)
    }
}

/// Returns the settings and zones as accepted; none if they equal the current ones.
fn as_accepted(settings: &Settings, accepted: &Accepted) -> Option<Settings> {
    let zones = zones_of(&accepted.inputs);
    let database = &settings.blueprint.zones;
    let zones = match database.differs_in(&zones) {
        true => Arc::new(database.with(zones)),
        false => database.clone(),
    };
    let written = accepted.settings.as_ref().unwrap_or(&settings.written);
    let is_same = deciding(written) == deciding(&settings.written) && Arc::ptr_eq(&zones, database);
    if is_same { None } else { Settings::remembered(written, &settings.file, &zones) }
}

/// The prefix of zone names among the stored inputs. Other inputs are files with absolute paths.
const ZONE: &str = "zone ";

/// Returns the zones among stored inputs, by name.
fn zones_of(inputs: &BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    let named = inputs.iter().filter_map(|(name, tzif)| Some((name.strip_prefix(ZONE)?, tzif)));
    named.map(|(name, tzif)| (name.to_owned(), tzif.clone())).collect()
}

/// Returns the inputs to store with a revision: all files, and the rules of all zones used.
///
/// A zone database updated while the program was off is then checked like any other change.
pub(super) fn inputs_of(revision: &Revision, zones: &Database) -> BTreeMap<String, Arc<[u8]>> {
    let files = revision.contents.iter().map(|file| (file.path.clone(), file.bytes.clone()));
    let rules = |zone: Zone| Some((format!("{ZONE}{}", zone.name()), Arc::from(zone.tzif()?)));
    files.chain(zones.used().into_iter().filter_map(rules)).collect()
}

/// Settings that do not affect values.
///
/// Differences between commands in these must not change the revision ID.
const APART: [&str; 9] = ["api", "hold", "listen", "log", "notify", "resync", "restat", "store", "variants"];

fn deciding(written: &str) -> String {
    let mut root: serde_json::Map<String, Value> = serde_json::from_str(written).unwrap_or_default();
    APART.iter().for_each(|key| drop(root.remove(*key)));
    Value::Object(root).to_string()
}

/// Returns a revision's ID: a hash of the settings that affect values, all files, and the zone
/// database version.
pub fn revision_id(written: &str, revision: &Revision, zones: &Database) -> String {
    let mut hasher = Sha256::new();
    let mut add = |part: &[u8]| {
        // The length comes first, so that different lists of parts never hash the same bytes.
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    };
    add(deciding(written).as_bytes());
    add(zones.version().map(ToString::to_string).unwrap_or_default().as_bytes());
    for (path, digest) in &revision.digests {
        add(path.as_bytes());
        add(digest);
    }
    let digest = hasher.finalize();
    let start: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("r{start}")
}

/// Returns the versions of the settings that affect values, and of each file, each with its name.
pub fn parts_of(written: &str, revision: &Revision) -> BTreeSet<String> {
    let version = |name: &str, digest: &[u8]| {
        let start: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        format!("{name} {start}")
    };
    let settings = version("settings", &Sha256::digest(deciding(written).as_bytes()));
    let files = revision.digests.iter().map(|(path, digest)| version(path, digest));
    files.chain([settings]).collect()
}

/// Describes the settings and files of a replica; `errors` is the number of errors in them.
pub fn own_files(settings: &Settings, revision: &Revision, errors: Option<usize>) -> OwnFiles {
    let zones = &settings.blueprint.zones;
    let parts = parts_of(&settings.written, revision);
    let named = parts.iter().filter_map(|part| part.rsplit_once(' '));
    let files = named.map(|(name, digest)| (name.to_owned(), digest.to_owned()));
    let zone_database = zones.version().map(|version| ("time zone database".to_owned(), version.to_string()));
    OwnFiles {
        revision: revision_id(&settings.written, revision, zones),
        errors,
        digests: files.chain(zone_database).collect(),
    }
}

/// A revision that waits for approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The revision ID.
    pub revision: String,
    /// The time since which it is held.
    pub since: Instant,
    /// The changes that are too large.
    pub reasons: Vec<String>,
    /// The people who approved it, while more approvals are required.
    #[serde(default)]
    pub approvals: Vec<String>,
    /// The person who rejected it.
    #[serde(default)]
    pub rejected: Option<Rejection>,
}

/// A person's decision that a held revision must not become active.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// The time.
    pub at: Instant,
    /// The person.
    pub who: String,
}

impl Held {
    /// The name under which the store keeps it.
    pub const FACT: &'static str = "held";

    /// Returns a revision that is held from now on.
    pub fn new(revision: String, since: Instant, reasons: Vec<String>) -> Self {
        Self { revision, since, reasons, approvals: Vec::new(), rejected: None }
    }

    /// Returns the revision with one more approval; a person counts once.
    pub(super) fn approved_by(mut self, who: &str) -> Self {
        if !self.approvals.iter().any(|known| name_of(known) == name_of(who)) {
            self.approvals.push(who.to_owned());
        }
        self.rejected = None;
        self
    }

    /// Returns the names of those who approved it.
    pub fn approvers(&self) -> Vec<&str> {
        self.approvals.iter().map(|who| name_of(who)).collect()
    }

    /// Returns the reason and the command to approve it.
    pub fn describe(&self) -> String {
        format!(
            "revision {} is held: {} (hint: review its changes with rtconfd diff, then approve it with \
             rtconfd approve {}, or correct the files)",
            self.revision,
            self.reasons.join("; "),
            self.revision
        )
    }

    /// Returns the state and the commands for it, without the reasons.
    pub(super) fn advice(&self) -> String {
        format!(
            "revision {0} is held: review its changes with rtconfd diff, then approve it with rtconfd \
             approve {0}, or correct the files",
            self.revision
        )
    }

    pub(super) fn to_fact(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }

    /// Parses the stored fact.
    pub fn from_fact(fact: &str) -> Option<Self> {
        serde_json::from_str(fact).ok()
    }
}

/// Returns the name of a person without the means, nor the name for whom a program says to act.
///
/// That is `anna` for `approve as anna` and for `token as anna (for bert)`.
fn name_of(who: &str) -> &str {
    let name = who.split_once(" as ").map_or(who, |(_, name)| name);
    name.split_once(" (for ").map_or(name, |(name, _)| name)
}

/// The pages that an approved change was already rolled out to.
///
/// Stored, so that a restart continues the rollout and reverts no page.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Out {
    /// The revision ID.
    pub(super) revision: String,
    /// The pages.
    pub(super) pages: BTreeSet<String>,
}

impl Out {
    /// The name under which the store keeps it.
    pub const FACT: &'static str = "out";

    /// Returns the pages that a revision was rolled out to.
    pub fn reached(self, revision: &str) -> BTreeSet<String> {
        if self.revision == revision { self.pages } else { BTreeSet::new() }
    }

    fn has(&self, page: &PageId) -> bool {
        self.pages.contains(&page.to_string())
    }

    fn extend(&mut self, pages: &[PageId]) {
        self.pages.extend(pages.iter().map(ToString::to_string));
    }
}

/// An approved mass change being rolled out: one page, then a few, then the rest.
#[derive(Debug)]
pub(super) struct Rollout {
    /// The pages after the rollout.
    pub target: World,
    /// The promoted pages that will be behind.
    pub promotions: Promotions,
    /// The pages of the current stage, which are being watched.
    pub current: Vec<PageId>,
    /// All pages rolled out to so far.
    pub out: Out,
    /// The remaining stages.
    stages: VecDeque<Vec<PageId>>,
    /// The page that does not take the change, once reported.
    pub stopped_at: Option<PageId>,
}

impl Rollout {
    /// Starts or resumes a rollout. Pages already rolled out to are watched first.
    pub fn new(out: Out, target: World, promotions: Promotions, changed: &[PageId]) -> Self {
        // Promoted pages have a stage of their own.
        let changed = changed.iter().filter(|page| !promotions.behind().contains_key(page)).cloned();
        let (current, to_come): (Vec<PageId>, Vec<PageId>) = changed.partition(|page| out.has(page));
        let few = ((current.len() + to_come.len()) * SECOND_STAGE_PERCENT).div_ceil(100);
        let (first, rest) = to_come.split_at(to_come.len().min(1_usize.saturating_sub(current.len())));
        let reached = current.len() + first.len();
        let (second, rest) = rest.split_at(rest.len().min((1 + few).saturating_sub(reached)));
        let stages = [&current, first, second, rest].into_iter().filter(|stage| !stage.is_empty());
        let mut rollout = Self {
            target,
            promotions,
            current: Vec::new(),
            out,
            stages: stages.map(<[PageId]>::to_vec).collect(),
            stopped_at: None,
        };
        rollout.go_on();
        rollout
    }

    /// Returns the number of pages not yet confirmed, including the current stage.
    pub fn to_come(&self) -> usize {
        self.stages.iter().map(Vec::len).sum::<usize>() + self.current.len()
    }

    /// Starts the next stage; returns false if there is none.
    pub fn go_on(&mut self) -> bool {
        let next = self.stages.pop_front();
        let goes_on = next.is_some();
        self.current = next.unwrap_or_default();
        self.out.extend(&self.current);
        goes_on
    }

    /// Returns the pages as of this stage; pages of later stages stay as they were.
    pub fn world(&self, before: &World) -> World {
        let to_come: BTreeSet<&PageId> = self.stages.iter().flatten().collect();
        let staged = self.target.map(|managed| {
            let stays = to_come.contains(&managed.page.id);
            let before = before.page(&managed.page.id).filter(|_| stays);
            Some(before.unwrap_or(managed).clone())
        });
        self.promotions.active(&staged)
    }
}
