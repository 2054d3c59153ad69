//! One moment's inputs and settings, what names it, and what becomes of it: in force, held, or let out step by step.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::compile::{Blueprint, Inputs, Managed, World};
use crate::model::{Instant, PageId};
use crate::plan::{Recent, Side};
use crate::settings::Settings;
use crate::sources::{Files, Revision};
use crate::store::{Accepted, Remembered};
use crate::zone::{Database, Zone};

use super::Trail;

/// The facts that the store keeps beside the settings in force: what was let pass lately, what is held.
pub(super) const RECENT: &str = Recent::FACT;
pub(super) const HELD: &str = Held::FACT;
pub(super) const OUT: &str = "out";

/// What an approved mass change goes out to after its first page, in percent of its pages.
const SECOND_STAGE_PERCENT: usize = 5;

/// What was let pass last: definitions, what they rest on, and the pages that they make.
#[derive(Debug, Default)]
pub struct InForce {
    /// Counts what was let pass; 0 for nothing yet.
    pub number: i64,
    /// The pages as the settings define them.
    pub blueprint: Blueprint,
    /// The sources and calendars.
    pub inputs: Inputs,
    /// The pages, without overrides.
    pub world: World,
    /// Those that are still as they were, because they follow others.
    pub trail: Trail,
    /// Those that are as an older acceptance made them, because something bad concerns them, and which that is.
    pub kept: BTreeMap<PageId, i64>,
}

impl InForce {
    /// Goes back to what was in force when the program last ended, by what the store remembers of settings and inputs.
    /// What is not remembered is as the settings are now.
    pub fn recall(settings: &Settings, remembered: &Remembered, from: Instant, to: Instant) -> Self {
        let recall = |accepted: &Accepted, before: Option<&World>| {
            let older = as_accepted(settings, accepted);
            let settings = older.as_ref().unwrap_or(settings);
            let inputs = Files::new(settings).recall(&accepted.inputs).inputs;
            let world = World::over(&settings.blueprint, &inputs, from, to, before);
            (settings.blueprint.clone(), inputs, world)
        };
        let has_followers = |number| remembered.behind.values().any(|behind| behind.as_of == Some(number));
        let older = remembered.older.iter().map(|(number, accepted)| {
            let (_, _, world) = recall(accepted, None);
            let is_kept = |id: &PageId| remembered.kept.get(id) == Some(number);
            let kept = |managed: &Managed| is_kept(&managed.computed.id).then(|| managed.clone());
            // Else some bad rows, each from another day, would be as many worlds.
            (*number, if has_followers(*number) { world } else { world.map(kept) })
        });
        let older: BTreeMap<i64, World> = older.collect();
        let kept = remembered.kept.iter();
        let kept = kept.filter_map(|(page, as_of)| older.get(as_of)?.page(page).cloned());
        let before = World::of(kept.collect());
        let (blueprint, inputs, world) = recall(&remembered.newest, Some(&before));
        let trail = Trail::recall(remembered.behind.clone(), older);
        Self { number: remembered.number, blueprint, inputs, world, trail, kept: remembered.kept.clone() }
    }

    /// The pages that stay as they were with newer definitions in force, and the acceptance that each is as.
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

    /// For weighing.
    pub fn side(&self) -> Side<'_> {
        Side { world: &self.world, inputs: &self.inputs }
    }

    /// The pages that would be behind with newer definitions in force.
    pub fn behind(&self, newest: &World, is_managed: impl Fn(&PageId) -> bool, now: Instant) -> Trail {
        let as_of = |page: &PageId| self.kept.get(page).copied().unwrap_or(self.number);
        self.trail.extended((&as_of, &self.world), newest, is_managed, now)
    }

    /// The pages as they are to be, without overrides.
    pub fn pages(&self) -> World {
        self.trail.in_force(&self.world)
    }
}

/// The settings as they were accepted, with the zones of then; none where they are as they are now.
fn as_accepted(settings: &Settings, accepted: &Accepted) -> Option<Settings> {
    let zones = zones_of(&accepted.inputs);
    let database = &settings.blueprint.zones;
    let zones = match database.differs_in(&zones) {
        true => Arc::new(database.with(zones)),
        false => database.clone(),
    };
    let written = accepted.settings.as_ref().unwrap_or(&settings.written);
    let is_same = *written == settings.written && Arc::ptr_eq(&zones, database);
    if is_same { None } else { Settings::remembered(written, &settings.file, &zones) }
}

/// Stands before the name of a zone among the inputs of an acceptance. The others are files, by absolute paths.
const ZONE: &str = "zone ";

/// The zones of an acceptance, by name.
fn zones_of(inputs: &BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    let named = inputs.iter().filter_map(|(name, tzif)| Some((name.strip_prefix(ZONE)?, tzif)));
    named.map(|(name, tzif)| (name.to_owned(), tzif.clone())).collect()
}

/// What an acceptance remembers beside the settings: the content of every file, and the rules of every zone that
/// was asked for. So an update of the zone database while the program is off is weighed as any other change.
pub(super) fn inputs_of(revision: &Revision, zones: &Database) -> BTreeMap<String, Vec<u8>> {
    let files = revision.contents.iter().map(|file| (file.path.clone(), file.bytes.to_vec()));
    let rules = |zone: Zone| Some((format!("{ZONE}{}", zone.name()), zone.tzif()?.to_vec()));
    files.chain(zones.used().into_iter().filter_map(rules)).collect()
}

/// Settings that decide no value. A flag or a variable that one command has and another lacks names no other revision.
const APART: [&str; 7] = ["api", "hold", "listen", "log", "resync", "restat", "store"];

fn deciding(written: &str) -> String {
    let mut root: serde_json::Map<String, Value> = serde_json::from_str(written).unwrap_or_default();
    APART.iter().for_each(|key| drop(root.remove(*key)));
    Value::Object(root).to_string()
}

/// What names a revision: the settings that decide values, the content of every file that is used, and the zone database.
pub fn revision_id(written: &str, revision: &Revision, zones: &Database) -> String {
    let mut hasher = Sha256::new();
    let mut add = |part: &[u8]| {
        // Its length first, so that no two lists of parts are the same bytes.
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

/// A revision that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// What names it.
    pub revision: String,
    /// Since when it waits.
    pub since: Instant,
    /// What it would change that is so large.
    pub reasons: Vec<String>,
}

impl Held {
    /// The fact of the store that remembers it.
    pub const FACT: &'static str = "held";

    /// What is held and why, with the command to type.
    pub fn describe(&self) -> String {
        format!(
            "revision {} is held: {} (hint: see what it changes with rtconfd diff, then approve it with rtconfd approve {}, or correct the files)",
            self.revision,
            self.reasons.join("; "),
            self.revision
        )
    }

    pub(super) fn to_fact(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }

    /// From the store.
    pub fn from_fact(fact: &str) -> Option<Self> {
        serde_json::from_str(fact).ok()
    }
}

/// The pages that an approved change has gone out to. It is remembered: a restart goes on from there, and takes none back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Out {
    /// What names the change.
    pub revision: String,
    /// The pages.
    pub pages: BTreeSet<String>,
}

impl Out {
    fn has(&self, page: &PageId) -> bool {
        self.pages.contains(&page.to_string())
    }

    pub fn extend(&mut self, pages: &[PageId]) {
        self.pages.extend(pages.iter().map(ToString::to_string));
    }
}

/// An approved mass change on its way: first one page, then a few, then the rest.
#[derive(Debug)]
pub(super) struct Rollout {
    /// The pages as they will be.
    pub target: World,
    /// Those that will be behind, because they follow others.
    pub trail: Trail,
    /// The pages of the stage that is being watched.
    pub current: Vec<PageId>,
    /// All that it has gone out to.
    pub out: Out,
    /// The stages to come.
    pub stages: VecDeque<Vec<PageId>>,
    /// A page that did not take it, once it was told.
    pub stopped_at: Option<PageId>,
}

impl Rollout {
    /// Begins, or goes on where it has gone out to some pages already: these are watched first.
    pub fn new(out: Out, target: World, trail: Trail, changed: &[PageId]) -> Self {
        // Those that follow others have a stage of their own.
        let changed = changed.iter().filter(|page| !trail.behind().contains_key(page)).cloned();
        let (current, to_come): (Vec<PageId>, Vec<PageId>) = changed.partition(|page| out.has(page));
        let few = ((current.len() + to_come.len()) * SECOND_STAGE_PERCENT).div_ceil(100);
        let (first, rest) = to_come.split_at(to_come.len().min(1_usize.saturating_sub(current.len())));
        let reached = current.len() + first.len();
        let (second, rest) = rest.split_at(rest.len().min((1 + few).saturating_sub(reached)));
        let stages = [&current, first, second, rest].into_iter().filter(|stage| !stage.is_empty());
        let mut rollout = Self {
            target,
            trail,
            current: Vec::new(),
            out,
            stages: stages.map(<[PageId]>::to_vec).collect(),
            stopped_at: None,
        };
        rollout.go_on();
        rollout
    }

    /// How many pages it has yet to go out to, or to be seen on.
    pub fn to_come(&self) -> usize {
        self.stages.iter().map(Vec::len).sum::<usize>() + self.current.len()
    }

    /// Goes out to the next stage; `false` when there is none.
    pub fn go_on(&mut self) -> bool {
        let next = self.stages.pop_front();
        let goes_on = next.is_some();
        self.current = next.unwrap_or_default();
        self.out.extend(&self.current);
        goes_on
    }

    /// The pages as they are at this stage: those to come stay as they were.
    pub fn world(&self, before: &World) -> World {
        let to_come: BTreeSet<&PageId> = self.stages.iter().flatten().collect();
        let staged = self.target.map(|managed| {
            let stays = to_come.contains(&managed.page.id);
            let before = before.page(&managed.page.id).filter(|_| stays);
            Some(before.unwrap_or(managed).clone())
        });
        self.trail.in_force(&staged)
    }
}
