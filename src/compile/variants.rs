//! `[[variants]]` blocks: the variants of agents, one for each row.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::limits::settings::MAX_BLOCK_PROBLEMS;
use crate::limits::variants::{MAX_ATTRIBUTES, MAX_VARIANTS};
use crate::model::{Environment, Instant, Origin, PageId, Problem, Row, each_once};
use crate::pages::Variant;
use crate::tables::Table;
use crate::written::{Node, Reader, Scope};

use super::blueprint::{Blueprint, Inputs};
use super::builder::{mentions, window};
use super::compiler::Compiler;
use super::rows::RowProblems;

const KEYS: &[&str] = &["for_each", "join", "agent", "name", "timezone", "hours", "attributes"];

/// Words that Python reserves; an agent could not use an attribute with such a name.
const RESERVED: &[&str] = &[
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def",
    "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is",
    "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

/// The variants as settings and inputs define them.
#[derive(Debug, Default)]
pub struct Variants {
    /// The valid ones, in the order of the settings and their rows.
    pub all: Vec<Variant>,
    /// The problems of invalid variants, and of all variants of an agent together.
    pub problems: Vec<Problem>,
}

/// Returns the sources that blocks of variants name, and neither pages nor hours.
///
/// A source that a template may name counts as one of pages.
pub fn sources_of_variants(blueprint: &Blueprint, blocks: &[Node]) -> BTreeSet<String> {
    let of_pages = || blueprint.pages.iter().chain(blueprint.hours.values());
    let sources = blueprint.sources.keys().filter(|source| {
        blocks.iter().any(|node| mentions(node, source) > 0)
            && !of_pages().any(|node| mentions(node, source) > 0)
    });
    sources.cloned().collect()
}

/// Compiles all variants as of an instant.
pub fn variants(blueprint: &Blueprint, blocks: &[Node], inputs: &Inputs, at: Instant) -> Variants {
    let compiler = Compiler::new(blueprint, Some((inputs, window(at, at))));
    let mut made = Variants::default();
    blocks.iter().for_each(|block| compiler.variants_of(block, inputs, &mut made));
    let together = problems_together(&made.all);
    made.problems.extend(together);
    made.problems = each_once(&made.problems);
    made
}

/// Checks blocks of variants as far as possible without the inputs.
pub fn check_variants(blueprint: &Blueprint, blocks: &[Node]) -> Vec<Problem> {
    let compiler = Compiler::new(blueprint, None);
    let mut problems = Vec::new();
    for block in blocks {
        let scope = if block.get("for_each").is_some() { Scope::RowToCome } else { Scope::Plain };
        let reader = Reader::new(scope, &blueprint.zones);
        if let Some(node) = block.get("for_each") {
            compiler.repeat(&reader, node, "for_each", block.get("join"));
        }
        compiler.variant(&reader, block, None);
        problems.extend(reader.into_problems());
    }
    let mut problems = each_once(&problems);
    problems.truncate(MAX_BLOCK_PROBLEMS);
    problems
}

impl Compiler<'_> {
    /// Adds the variants of a block, and the problems of its rows.
    fn variants_of(&self, block: &Node, inputs: &Inputs, made: &mut Variants) {
        let reader = Reader::new(Scope::Plain, &self.blueprint.zones);
        let Some(for_each) = block.get("for_each") else {
            made.all.extend(self.variant(&reader, block, None));
            return made.problems.extend(reader.into_problems());
        };
        let repeat = self.repeat(&reader, for_each, "for_each", block.get("join"));
        let rows = repeat.as_ref().and_then(|repeat| match &**inputs.tables.get(repeat.source)? {
            Table::Rows(rows) => Some(rows),
            Table::Tree(_) => None,
        });
        let (Some(repeat), Some(rows)) = (&repeat, rows) else {
            made.problems.extend(reader.into_problems());
            let message = "its source could not be read, so its variants are unknown";
            return made.problems.push(Problem::at(&for_each.origin, message));
        };
        if repeat.check(&reader, rows).is_none() {
            return made.problems.extend(reader.into_problems());
        }
        made.problems.extend(rows.rejected.iter().map(|rejected| rejected.problem.clone()));
        let mut troubled = RowProblems::default();
        let mut found = Vec::new();
        for row in repeat.of(rows) {
            let reader = Reader::new(Scope::Plain, &self.blueprint.zones);
            let variant = self
                .scoped(&reader, repeat, row)
                .and_then(|scoped| reader.within(&scoped, |reader| self.variant(reader, block, Some(row))));
            let problems = reader.into_problems();
            problems.iter().for_each(|problem| troubled.note(problem, &block.origin, row));
            made.all.extend(variant.filter(|_| problems.is_empty()));
            found.extend(problems);
        }
        found.iter_mut().for_each(|problem| troubled.name(problem));
        made.problems.extend(found);
    }

    /// Returns the variant of a block for one row.
    ///
    /// Every problem is noted in the reader. Without inputs, the block is only checked.
    fn variant(&self, reader: &Reader, block: &Node, row: Option<&Row>) -> Option<Variant> {
        let fields = reader.table(block, "[[variants]]", KEYS)?;
        let agent = fields.require(reader, "agent").and_then(|node| {
            let text = reader.text(node, "agent")?;
            let id = PageId::new(text.value.trim(), Environment::Live);
            reader.ok(id.map_err(|message| Problem::at(&text.origin, message).hint(PageId::AGENT_HINT)))
        });
        let name = fields.require(reader, "name").and_then(|node| {
            let text = reader.text(node, "name")?;
            let is_empty = text.value.trim().is_empty();
            let problem = || Problem::at(&text.origin, "the variant has no name").hint("fill in the cell");
            reader.ok(if is_empty { Err(problem()) } else { Ok(text.value.trim().to_owned()) })
        });
        let context = self.context(reader, block, &fields, None, None);
        let node = fields.require(reader, "attributes")?;
        let mut attributes = BTreeMap::new();
        let mut complete = true;
        for entry in reader.open_table(node, "attributes")?.entries {
            if let Some(problem) = invalid_name(&entry.key, &entry.at) {
                reader.note(problem);
                complete = false;
            }
            match self.definition(reader, &entry.node, &context) {
                Some(definition) => drop(attributes.insert(entry.key.clone(), definition)),
                None => complete = false,
            }
        }
        let origin = row.map_or_else(|| block.origin.clone(), Row::origin);
        let (agent, name) = (agent?.agent, name?);
        complete.then_some(Variant { agent, name, attributes, origin })
    }
}

/// Returns true for a name that an agent's code can use: an identifier of Python.
pub fn is_attribute_name(name: &str) -> bool {
    let mut letters = name.chars();
    let starts = letters.next().is_some_and(|first| first.is_alphabetic() || first == '_');
    let is_identifier = starts && letters.all(|letter| letter.is_alphanumeric() || letter == '_');
    let is_internal = name.starts_with("__") && name.ends_with("__");
    is_identifier && !is_internal && !RESERVED.contains(&name)
}

/// Returns the problem of an attribute name that an agent's code cannot use.
fn invalid_name(name: &str, at: &Origin) -> Option<Problem> {
    if is_attribute_name(name) {
        return None;
    }
    let problem =
        Problem::at(at, format!("invalid attribute name `{name}`: agents use it as a name in Python"));
    Some(
        problem
            .hint("write letters, digits and _, not a digit first and no reserved word, as in phone_number"),
    )
}

/// Returns the problems that only all variants of an agent have.
fn problems_together(all: &[Variant]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut agents: BTreeMap<&str, Vec<&Variant>> = BTreeMap::new();
    all.iter().for_each(|variant| agents.entry(&variant.agent).or_default().push(variant));
    for (agent, variants) in agents {
        let names: BTreeSet<&String> =
            variants.iter().flat_map(|variant| variant.attributes.keys()).collect();
        if let Some(beyond) = variants.get(MAX_VARIANTS) {
            let message = format!("agent {agent} has more than {MAX_VARIANTS} variants");
            problems
                .push(Problem::at(&beyond.origin, message).hint("the API refuses more: use another agent"));
        }
        if names.len() > MAX_ATTRIBUTES {
            let message = format!("agent {agent} has more than {MAX_ATTRIBUTES} attributes");
            let problem = Problem::at(&variants[0].origin, message);
            problems.push(problem.hint("the API refuses more: leave some out"));
        }
        let mut known: HashMap<&str, &Variant> = HashMap::new();
        for variant in variants {
            if let Some(other) = known.insert(&variant.name, variant) {
                let message = format!(
                    "variant \"{}\" of agent {agent} is already defined at {}",
                    variant.name, other.origin
                );
                problems.push(Problem::at(&variant.origin, message).hint("give each row its own name"));
            }
            // A new variant needs a value for each attribute.
            let missing: Vec<&str> = names
                .iter()
                .filter(|name| !variant.attributes.contains_key(**name))
                .map(|name| name.as_str())
                .collect();
            if !missing.is_empty() {
                let message = format!("variant \"{}\" has no value for {}", variant.name, missing.join(", "));
                let hint = "another block defines it: all variants of an agent need the same attributes";
                problems.push(Problem::at(&variant.origin, message).hint(hint));
            }
        }
    }
    problems
}
