//! Builds the pages of a world, and keeps those of the world before where inputs are bad.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use chrono::Days;

use crate::calendar::Window;
use crate::limits::calendars::{DAYS_FRESH, EXPANDED_DAYS_AHEAD, EXPANDED_DAYS_BACK};
use crate::model::{Environment, Instant, PageId, Problem, Row};
use crate::tables::{Rows, Table};
use crate::written::{Node, Raw, Reader, Scope, is_template};

use crate::pages::Page;

use super::blueprint::{Blueprint, Inputs};
use super::compiler::Compiler;
use super::keys::{block_key, page_key};
use super::rows::{Repeat, RowProblems};

use super::world::{Basis, Managed, World};

/// The most block problems that are attached to a page that may belong to a failing block.
const NAMED: usize = 3;

/// Returns the dates for which calendars are expanded, to evaluate between two instants.
pub(super) fn window(from: Instant, to: Instant) -> Window {
    let today = from.date_naive();
    Window {
        from: today.checked_sub_days(Days::new(EXPANDED_DAYS_BACK)).unwrap_or(today),
        to: to.date_naive().checked_add_days(Days::new(EXPANDED_DAYS_AHEAD)).unwrap_or(today),
    }
}

impl World {
    /// Compiles all pages as of an instant.
    ///
    /// A page whose inputs are bad keeps its definition from the previous world. If that world does
    /// not have it, it is left out.
    pub fn new(blueprint: &Blueprint, inputs: &Inputs, at: Instant, previous: Option<&World>) -> Self {
        Self::over(blueprint, inputs, at, at, previous)
    }

    /// Compiles all pages, with calendars that cover `from` to `to` and beyond.
    pub fn over(
        blueprint: &Blueprint,
        inputs: &Inputs,
        from: Instant,
        to: Instant,
        previous: Option<&World>,
    ) -> Self {
        let today = from.date_naive();
        let basis = previous.filter(|world| world.is_fresh(from) && world.is_fresh(to));
        let basis = basis.and_then(|world| Some((world.basis.clone()?, world.fresh)));
        // While the previous calendars reach far enough, the pages that use them stay unchanged.
        let (window, fresh) = match &basis {
            Some((basis, fresh)) => (basis.window, *fresh),
            None => (
                window(from, to),
                today
                    .checked_sub_days(Days::new(DAYS_FRESH))
                    .zip(to.date_naive().checked_add_days(Days::new(DAYS_FRESH))),
            ),
        };
        let known = previous.map(|world| &world.pages[..]).unwrap_or_default();
        let mut builder = Builder {
            compiler: Compiler::new(blueprint, Some((inputs, window))),
            inputs,
            previous: known.iter().map(|managed| (managed.computed.key.as_str(), managed)).collect(),
            unchanged: basis.as_ref().and_then(|(basis, _)| basis.unchanged(blueprint, inputs)),
            orphaned: previous.map(|world| &world.orphaned),
            known_blocks: previous
                .and_then(|world| world.basis.as_ref())
                .map(|basis| basis.blueprint.pages.iter().map(block_key).collect())
                .unwrap_or_default(),
            renamed: None,
            troubled: RowProblems::default(),
            world: World {
                fresh,
                basis: Some(Arc::new(Basis { blueprint: blueprint.clone(), inputs: inputs.clone(), window })),
                ..World::default()
            },
        };
        for block in &blueprint.pages {
            builder.block(block);
        }
        builder.keep_orphans(known);
        builder.name_rows();
        let mut world = builder.world;
        world.check_leaders();
        let is_gone = |id: &&PageId| !world.index.contains_key(*id);
        world.released = known.iter().map(|managed| &managed.page.id).filter(is_gone).cloned().collect();
        world
    }
}

struct Builder<'a> {
    compiler: Compiler<'a>,
    inputs: &'a Inputs,
    previous: HashMap<&'a str, &'a Managed>,
    /// The unchanged tables; none if settings or calendars changed.
    unchanged: Option<BTreeSet<&'a str>>,
    /// New blocks that failed in the previous world, and have failed ever since they were new.
    orphaned: Option<&'a BTreeMap<String, Problem>>,
    /// The keys of the previous blocks.
    known_blocks: HashSet<String>,
    /// The key of the current block, if it is new, or has failed since it was new.
    renamed: Option<String>,
    /// The rows that fail by a problem in the settings.
    troubled: RowProblems,
    world: World,
}

impl Basis {
    /// Returns the unchanged tables; none if anything else than tables changed.
    fn unchanged<'a>(&self, blueprint: &Blueprint, inputs: &'a Inputs) -> Option<BTreeSet<&'a str>> {
        let before = &self.inputs;
        let calendars = before.calendars.len() == inputs.calendars.len()
            && before
                .calendars
                .iter()
                .zip(&inputs.calendars)
                .all(|(a, b)| a.0 == b.0 && Arc::ptr_eq(a.1, b.1));
        if !calendars || self.blueprint != *blueprint {
            return None;
        }
        let is_same = |(name, table): &(&String, &Arc<Table>)| {
            before.tables.get(*name).is_some_and(|known| Arc::ptr_eq(known, table))
        };
        Some(inputs.tables.iter().filter(is_same).map(|(name, _)| name.as_str()).collect())
    }
}

/// Counts the places that name a source, or may name it.
///
/// A source is named as a value, as a key, or by a template that a row fills in.
pub(super) fn mentions(node: &Node, source: &str) -> usize {
    match &node.raw {
        Raw::Text(found) => usize::from(found == source),
        Raw::List(items) => items.iter().map(|item| mentions(item, source)).sum(),
        Raw::Table(entries) => entries
            .iter()
            .map(|entry| {
                let by_template = matches!(&entry.node.raw, Raw::Text(text) if is_template(text));
                usize::from(entry.key == source || (entry.key == "source" && by_template))
                    + mentions(&entry.node, source)
            })
            .sum(),
        Raw::Null | Raw::Bool(_) | Raw::Number(_) => 0,
    }
}

impl Builder<'_> {
    fn block(&mut self, block: &Node) {
        let key = block_key(block);
        let orphaned = self.orphaned.is_some_and(|orphaned| orphaned.contains_key(&key));
        let is_known =
            self.known_blocks.contains(&key) || self.previous.keys().any(|known| known.starts_with(&key));
        self.renamed = (orphaned || !is_known).then_some(key);
        let Some(for_each) = block.get("for_each") else {
            self.page(block, None);
            return;
        };
        let zones = &self.compiler.blueprint.zones;
        let reader = Reader::new(Scope::RowToCome, zones);
        let repeat = self.compiler.repeat(&reader, for_each, "for_each", block.get("join"));
        let table = repeat.as_ref().and_then(|repeat| self.inputs.tables.get(repeat.source));
        let usable = match table.map(|table| &**table) {
            Some(Table::Rows(rows)) => {
                repeat.as_ref().is_some_and(|repeat| repeat.check(&reader, rows).is_some())
            }
            _ => repeat.is_some(),
        };
        let problems = reader.into_problems();
        problems.iter().for_each(|problem| self.note_orphan(problem));
        self.world.missing.extend(problems.iter().cloned());
        let Some(repeat) = repeat.filter(|_| usable) else {
            // The rows of the block are unknown, so all its pages stay as they were.
            let known = self.previous_keys(block);
            return known.iter().for_each(|key| self.keep_key(key, problems.clone()));
        };
        let source = repeat.source;
        match table.map(|table| &**table) {
            Some(Table::Rows(rows)) => {
                let key = self.depends_only_on_its_row(block, source).then(|| block_key(block));
                for row in rows.rows.iter().filter(|row| repeat.takes(row)) {
                    if !key.as_ref().is_some_and(|key| self.reuse(key, row)) {
                        self.page(block, Some((&repeat, row)));
                    }
                }
                self.hidden_rows(block, rows);
            }
            _ => {
                let problem = Problem::at(
                    &for_each.origin,
                    format!("source \"{source}\" could not be read, so its pages are unknown"),
                );
                for key in self.previous_keys(block) {
                    self.keep_key(&key, vec![problem.clone()]);
                }
                self.note_orphan(&problem);
                self.world.missing.push(problem);
            }
        }
    }

    /// Returns true if the pages of a block can change only with their own rows.
    ///
    /// Everything else is unchanged, and nothing uses other rows of the same table.
    fn depends_only_on_its_row(&self, block: &Node, source: &str) -> bool {
        let Some(unchanged) = &self.unchanged else { return false };
        let blueprint = self.compiler.blueprint;
        let others = self.inputs.tables.keys().filter(|name| *name != source);
        let hours = blueprint.hours.values().map(|node| mentions(node, source)).sum::<usize>();
        others.map(String::as_str).all(|name| unchanged.contains(name))
            && mentions(block, source) == 1
            && hours == 0
    }

    /// Reuses the pages of an unchanged row; returns false if it changed or had none.
    ///
    /// A page with a problem holds older values, and its problem would be lost.
    fn reuse(&mut self, block_key: &str, row: &Row) -> bool {
        let row_key = row.key().unwrap_or_default();
        let keys = Environment::ALL.map(|environment| format!("{block_key}{row_key}@{environment}"));
        let known: Vec<&Managed> =
            keys.iter().filter_map(|key| self.previous.get(key.as_str()).copied()).collect();
        let is_current =
            |managed: &&Managed| managed.computed.row.as_ref() == Some(row) && managed.problems.is_empty();
        let may_reuse = !known.is_empty() && known.iter().all(is_current);
        if may_reuse {
            known.into_iter().for_each(|managed| self.add(managed.computed.clone(), Vec::new()));
        }
        may_reuse
    }

    fn page(&mut self, block: &Node, row: Option<(&Repeat, &Row)>) {
        let zones = &self.compiler.blueprint.zones;
        let reader = Reader::new(Scope::Plain, zones);
        let pages = match row {
            None => self.compiler.pages(&reader, block, None),
            Some((repeat, row)) => self.compiler.scoped(&reader, repeat, row).and_then(|scoped| {
                reader.within(&scoped, |reader| self.compiler.pages(reader, block, Some(row)))
            }),
        };
        let problems = reader.into_problems();
        if let Some((_, row)) = row {
            problems.iter().for_each(|problem| self.troubled.note(problem, &block.origin, row));
        }
        match pages.filter(|_| problems.is_empty()) {
            Some(pages) => pages.into_iter().for_each(|page| self.add(Arc::new(page), Vec::new())),
            None => self.keep(block, row.and_then(|(_, row)| row.key()), problems),
        }
    }

    /// Adds the failing rows to problems in settings that several rows share.
    fn name_rows(&mut self) {
        let of_pages = self.world.pages.iter_mut().flat_map(|managed| &mut managed.problems);
        of_pages.chain(&mut self.world.missing).for_each(|problem| self.troubled.name(problem));
    }

    /// Remembers that the current block fails, if it is new.
    ///
    /// Its key may have been edited together with the invalid part, so pages of the previous world
    /// may be its own.
    fn note_orphan(&mut self, problem: &Problem) {
        if let Some(key) = self.renamed.take() {
            self.world.orphaned.insert(key, problem.clone());
        }
    }

    /// Keeps previous pages without a block, while they may belong to a failing block.
    fn keep_orphans(&mut self, known: &[Managed]) {
        let problems: Vec<Problem> = self.world.orphaned.values().take(NAMED).cloned().collect();
        if problems.is_empty() {
            return;
        }
        let mut has_orphans = false;
        let blocks: Vec<String> = self.compiler.blueprint.pages.iter().map(block_key).collect();
        for Managed { computed: page, .. } in known {
            let is_in_a_block = blocks.iter().any(|block| page.key.starts_with(block));
            if !is_in_a_block && self.world.page(&page.id).is_none() {
                self.add(Arc::clone(page), problems.clone());
                has_orphans = true;
            }
        }
        if !has_orphans {
            self.world.orphaned.clear();
        }
    }

    /// Keeps the previous pages in every environment.
    ///
    /// If there were none, lists the problems under the missing pages.
    fn keep(&mut self, block: &Node, row: Option<&str>, problems: Vec<Problem>) {
        problems.iter().for_each(|problem| self.note_orphan(problem));
        let keys = Environment::ALL.map(|environment| page_key(block, row, environment));
        let known: Vec<&String> =
            keys.iter().filter(|key| self.previous.contains_key(key.as_str())).collect();
        match known.is_empty() {
            true => self.world.missing.extend(problems),
            false => known.into_iter().for_each(|key| self.keep_key(key, problems.clone())),
        }
    }

    fn keep_key(&mut self, key: &str, problems: Vec<Problem>) {
        match self.previous.get(key).map(|managed| managed.computed.clone()) {
            Some(page) => self.add(page, problems),
            None => self.world.missing.extend(problems),
        }
    }

    fn add(&mut self, page: Arc<Page>, problems: Vec<Problem>) {
        if let Some(first) = self.world.page(&page.id) {
            let message = format!("page {} is already defined at {}", page.id, first.page.origin);
            self.world.missing.push(
                Problem::at(&page.origin, message)
                    .hint("define each page in one block, and in one row of a table"),
            );
            return;
        }
        self.world.index.insert(page.id.clone(), self.world.pages.len());
        self.world.pages.push(Managed { page: page.clone(), computed: page, problems, found: None });
    }

    /// Keeps the pages of rows that cannot be read.
    fn hidden_rows(&mut self, block: &Node, rows: &Rows) {
        let prefix = block_key(block).len();
        for key in self.previous_keys(block) {
            let row = key[prefix..].rsplit_once('@').map_or("", |(row, _)| row);
            if rows.may_hide(row) && rows.row(row).is_none() {
                // The row's own rejection, or any rejected row whose key is unknown.
                let mut rejected = rows.rejected.iter();
                let own =
                    rejected.find(|rejected| rejected.key.as_deref().is_none_or(|hidden| hidden == row));
                self.keep_key(&key, own.map(|rejected| rejected.problem.clone()).into_iter().collect());
            }
        }
        rows.rejected.iter().for_each(|rejected| self.note_orphan(&rejected.problem));
        self.world.missing.extend(rows.rejected.iter().map(|rejected| rejected.problem.clone()));
    }

    /// Returns the keys of the block's pages in the previous world, sorted.
    fn previous_keys(&self, block: &Node) -> Vec<String> {
        let prefix = block_key(block);
        let keys = self.previous.keys().filter(|key| key.starts_with(&prefix));
        let mut keys: Vec<String> = keys.map(|key| (*key).to_owned()).collect();
        keys.sort();
        keys
    }
}
