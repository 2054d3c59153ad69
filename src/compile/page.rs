//! A page block, and the variables it owns.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::TimeDelta;

use crate::limits::settings::{MAX_AFTER, MAX_AHEAD};
use crate::model::{DriftPolicy, Environment, Missing, OnDrift, Origin, PageId, Problem, Row, Variable};
use crate::pages::{Follow, Owned, Page};
use crate::written::{Entry, Fields, Node, Raw, Reader, one_or_more};
use crate::zone::Zone;

use super::compiler::Compiler;
use super::context::{Context, WrittenZone};
use super::keys::page_key;

const PAGE_KEYS: &[&str] = &[
    "for_each",
    "join",
    "agent",
    "environment",
    "ahead",
    "follow",
    "after",
    "on_drift",
    "create_items",
    "timezone",
    "hours",
    "variables",
    "each",
];
const EACH_KEYS: &[&str] = &["source", "where", "unless", "join", "timezone", "hours", "variables"];

impl Compiler<'_> {
    /// Returns the pages of a block for one row, one for each environment.
    ///
    /// Every problem is noted in the reader. Without inputs, the block is only checked.
    pub(super) fn pages(&self, reader: &Reader, block: &Node, row: Option<&Row>) -> Option<Vec<Page>> {
        let fields = reader.table(block, "[[page]]", PAGE_KEYS)?;
        if let (Some(node), None) = (fields.get("for_each"), row) {
            self.repeat(reader, node, "for_each", fields.get("join"));
        }
        if let (None, Some(node)) = (fields.get("for_each"), fields.get("join")) {
            let problem = Problem::at(&node.origin, "join requires for_each");
            reader.note(problem.hint("set for_each = \"SOURCE\" on the page, or put join next to each"));
        }
        let ids = self.page_ids(reader, &fields);
        let ahead = match fields.get("ahead") {
            Some(node) => ahead(reader, node, ids.as_deref().unwrap_or_default()),
            None => Some(None),
        };
        let follow = follow(reader, &fields, ids.as_deref().unwrap_or_default());
        let on_drift = match fields.get("on_drift") {
            Some(node) => drift_policy(reader, node),
            None => Some(DriftPolicy::default()),
        };
        let missing = match fields.get("create_items") {
            Some(node) => reader.boolean(node, "create_items"),
            None => Some(false),
        };
        let context = self.context(reader, block, &fields, None, None);
        let variables = self.all_variables(reader, &fields, &context);
        if let (Some(policy), Some(variables), Some(node)) = (&on_drift, &variables, fields.get("on_drift")) {
            let is_owned = |variable: &&Variable| !variables.iter().any(|owned| owned.variable == **variable);
            if let Some(variable) = policy.of.keys().find(is_owned) {
                let problem = Problem::at(
                    &node.origin,
                    format!("on_drift names {variable}, which the page does not own"),
                );
                reader.note(problem.hint("name a variable of the page, or \"*\" for all other variables"));
            }
        }
        let (variables, on_drift, ahead, missing, follow) =
            (variables?, on_drift?, ahead?, missing?, follow?);
        let variables: Arc<[Owned]> = match ahead {
            Some(ahead) => variables.iter().map(|owned| owned.ahead(ahead)).collect(),
            None => variables.into(),
        };
        let page = |id: PageId| Page {
            key: page_key(block, row.and_then(Row::key), id.environment),
            follow: follow.filter(|follow| follow.environment != id.environment),
            id,
            on_drift: on_drift.clone(),
            zone: context.zone.known().or(self.blueprint.zone),
            variables: variables.clone(),
            missing: if missing { Missing::Create } else { Missing::Refuse },
            origin: row.map_or_else(|| block.origin.clone(), Row::origin),
            row: row.cloned(),
        };
        Some(ids?.into_iter().map(page).collect())
    }

    /// Returns the values that the variables of a block inherit.
    ///
    /// Hours of a row carry its name.
    pub(super) fn context(
        &self,
        reader: &Reader,
        block: &Node,
        fields: &Fields,
        row: Option<&Row>,
        outer: Option<&Context>,
    ) -> Context {
        let zone = WrittenZone::written(reader, fields);
        let handed_down = zone.or(outer.map_or(WrittenZone::Unwritten, |outer| outer.written));
        let name = row.and_then(Row::key).map(|key| format!("hours of \"{key}\""));
        let hours =
            fields.get("hours").and_then(|node| self.hours(reader, node, handed_down, name.as_deref()));
        Context {
            zone: zone
                .or(hours.as_ref().map(|hours| hours.zone).into())
                .or(self.only_zone_of_hours(reader, block).into())
                // Hours that could not be built, or not yet, still have a zone.
                .or(fields.get("hours").map_or(WrittenZone::Unwritten, |_| WrittenZone::Unknown)),
            written: zone,
            hours,
            has_hours: fields.get("hours").is_some(),
        }
    }

    /// Returns the page's own variables, and those of each row that the page repeats for.
    fn all_variables(&self, reader: &Reader, fields: &Fields, context: &Context) -> Option<Vec<Owned>> {
        self.repeats.begin_page();
        let each = one_or_more(fields.get("each"));
        let mut all = match fields.get("variables") {
            None if !each.is_empty() => Some(Vec::new()),
            _ => fields.require(reader, "variables").and_then(|node| self.variables(reader, node, context)),
        };
        for block in each {
            match (&mut all, self.variables_of_rows(reader, block, context)) {
                (Some(all), Some(more)) => all.extend(more),
                _ => all = None,
            }
        }
        let all = all?;
        if each.is_empty() {
            return Some(all);
        }
        if let Some((one, other)) = first_overlap(&all) {
            reader.note(overlapping(one, other, fields.origin));
            return None;
        }
        Some(all)
    }

    /// Reads `[[page.each]]`: variables that a page has once for each row of a table.
    fn variables_of_rows(&self, reader: &Reader, block: &Node, outer: &Context) -> Option<Vec<Owned>> {
        let fields = reader.table(block, "[[page.each]]", EACH_KEYS)?;
        let repeat = self.repeat_of(reader, block, &fields, ("source", "each"))?;
        let variables = fields.require(reader, "variables")?;
        let read = |reader: &Reader, row: Option<&Row>| {
            let context = self.context(reader, block, &fields, row, Some(outer)).or(outer);
            let of_row = |owned: Owned| Owned { row: row.cloned().map(Box::new), ..owned };
            Some(self.variables(reader, variables, &context)?.into_iter().map(of_row).collect::<Vec<_>>())
        };
        match self.inputs {
            Some(_) => {
                let all = self.each(reader, &repeat, |reader, row| read(reader, Some(row)))?;
                Some(all.into_iter().flat_map(|(_, owned)| owned).collect())
            }
            None => reader.within_row_to_come(|reader| read(reader, None)),
        }
    }

    fn page_ids(&self, reader: &Reader, fields: &Fields) -> Option<Vec<PageId>> {
        const HINT: &str = "write sandbox, pre-release or live, or a list of these";
        let agent = fields.require(reader, "agent").and_then(|node| reader.text(node, "agent"));
        let nodes = one_or_more(fields.require(reader, "environment"));
        let environments: Option<Vec<Environment>> =
            nodes.iter().map(|node| reader.parse(node, "environment", HINT)).collect();
        if let (Some(node), []) = (fields.get("environment"), nodes) {
            reader.note(Problem::at(&node.origin, "the page has no environment").hint(HINT));
        }
        if let Some(environments) = &environments
            && let Some(index) =
                (1..environments.len()).find(|i| environments[..*i].contains(&environments[*i]))
        {
            let message = format!("duplicate environment {}", environments[index]);
            reader.note(Problem::at(&nodes[index].origin, message).hint("name each environment once"));
            return None;
        }
        let agent = agent?;
        let id = |environment| {
            let id = PageId::new(agent.value.trim(), environment)
                .map_err(|message| Problem::at(&agent.origin, message).hint(PageId::AGENT_HINT));
            reader.ok(id)
        };
        match environments.filter(|environments| !environments.is_empty()) {
            Some(environments) => environments.into_iter().map(id).collect(),
            None => id(Environment::Live).and(None),
        }
    }

    fn variables(&self, reader: &Reader, node: &Node, context: &Context) -> Option<Vec<Owned>> {
        let fields = reader.open_table(node, "variables")?;
        let mut variables: Vec<Owned> = Vec::new();
        let mut complete = true;
        if fields.entries.is_empty() {
            let problem = Problem::at(&node.origin, "the page owns no variables");
            reader.note(problem.hint("name one here, as in is_open = { hours = \"NAME\", show = \"is_open\" }, or remove the block"));
        }
        for entry in fields.entries {
            let definition = self.definition(reader, &entry.node, context);
            let variable = variable_name(reader, entry);
            if let Some(variable) = &variable
                && let Some(other) = variables.iter().find(|owned| owned.variable.overlaps(variable))
            {
                let message = format!("{variable} and {} overlap", other.variable);
                reader.note(Problem::at(&entry.at, message).hint("own one of them"));
            }
            match (variable, definition) {
                (Some(variable), Some(definition)) => {
                    variables.push(Owned { variable, definition, row: None })
                }
                _ => complete = false,
            }
        }
        complete.then_some(variables)
    }

    /// Returns the zone of all hours that a block names, if they share a single one.
    fn only_zone_of_hours(&self, reader: &Reader, block: &Node) -> Option<Zone> {
        let mut names = Vec::new();
        hours_named_in(block, &mut names);
        let mut zones: Vec<Zone> = names
            .iter()
            .filter_map(|name| self.blueprint.hours.get(*name)?.get("timezone"))
            .filter_map(|node| match &node.raw {
                Raw::Text(text) => reader.known_zone(&reader.fill_in(text, &node.origin)?.value),
                _ => None,
            })
            .collect();
        zones.dedup();
        match zones.as_slice() {
            [zone] => Some(*zone),
            _ => None,
        }
    }
}

/// Returns the first two variables of which one may contain the other.
///
/// Comparing the variables of thousands of rows with each other would be too slow, so only
/// candidates are compared: variables of the same key. If all variables of a key are items of one
/// array, selected by one field, only variables of the same item are compared.
fn first_overlap(all: &[Owned]) -> Option<(&Owned, &Owned)> {
    let mut arrays: HashMap<&str, HashSet<_>> = HashMap::new();
    for Owned { variable, .. } in all {
        arrays
            .entry(variable.key())
            .or_default()
            .insert(variable.item().map(|(array, field, _)| (array, field)));
    }
    let mut groups: HashMap<(&str, Option<&str>), Vec<&Owned>> = HashMap::new();
    for owned in all {
        let key = owned.variable.key();
        let is_one_array = arrays.get(key).is_some_and(|arrays| arrays.len() == 1);
        let item = owned.variable.item().filter(|_| is_one_array).map(|(_, _, value)| value);
        let others = groups.entry((key, item)).or_default();
        if let Some(other) = others.iter().find(|other| other.variable.overlaps(&owned.variable)) {
            return Some((other, owned));
        }
        others.push(owned);
    }
    None
}

/// Returns the problem of two overlapping variables, with the rows that they are made for.
fn overlapping(one: &Owned, other: &Owned, page: &Origin) -> Problem {
    let named = |owned: &Owned| match &owned.row {
        Some(row) => format!("{} of {}", owned.variable, row.origin()),
        None => owned.variable.to_string(),
    };
    let problem = Problem::at(page, format!("{} and {} overlap", named(one), named(other)));
    match (&one.row, &other.row) {
        (None, None) => problem.hint("own one of them"),
        _ => problem.hint("give each row a name of its own there, or leave one of them out with unless"),
    }
}

/// Parses the name of a variable.
///
/// Each step is filled in separately, so that a slash in a cell does not split a name.
fn variable_name(reader: &Reader, entry: &Entry) -> Option<Variable> {
    let written = &entry.key;
    let (bare, _) = without_templates(written);
    let is_item = |step: &str| {
        step.split_once('[').is_some_and(|(_, rest)| !rest.starts_with('=') && rest.contains('='))
    };
    let odd = match bare.strip_prefix('/') {
        // In a name with a `{%` test, any bracket is allowed.
        Some(_) if written.contains("{%") => false,
        Some(pointer) => {
            pointer.split('/').any(|step| step.contains('[') && !(step.ends_with(']') && is_item(step)))
        }
        None => bare.contains("]/") && is_item(&bare),
    };
    if odd {
        let problem = Problem::at(&entry.at, format!("invalid array item \"{written}\""));
        reader.note(problem.hint(
            "write /array[field=value]/key; after a leading /, write ~2 for a [ that is part of a key",
        ));
        return None;
    }
    if bare.starts_with('/') && bare.split('~').skip(1).any(|rest| !rest.starts_with(['0', '1', '2'])) {
        let problem = Problem::at(&entry.at, format!("invalid ~ escape in \"{written}\""));
        reader.note(problem.hint("write ~0 for a ~, ~1 for a / and ~2 for a [ that is part of a key"));
        return None;
    }
    let parse = |text: &str, at: &Origin| {
        let hint = "write the name of a key on the page, or /key/key for a nested key";
        reader.ok(text.parse::<Variable>().map_err(|message| Problem::at(at, message).hint(hint)))
    };
    // A `{%` test may select a path as well as a name.
    if written.contains("{%") {
        let name = reader.fill_in(written, &entry.at)?;
        return parse(&name.value, &name.origin);
    }
    // A slash or bracket inside a template belongs to the template.
    let (masked, templates) = without_templates(written);
    let fill_in = |name: &str| {
        let unmask = |name: String, (index, template): (usize, &&str)| name.replace(&mask(index), template);
        let text = templates.iter().enumerate().fold(name.to_owned(), unmask);
        Some(reader.fill_in(&text, &entry.at)?.value)
    };
    let filled = parse(&masked, &entry.at)?.renamed(fill_in)?;
    match filled.key().is_empty() {
        false => Some(filled),
        true => parse("", &entry.at),
    }
}

/// Returns the placeholder for a template while a name is split; users cannot type it.
fn mask(index: usize) -> String {
    format!("\u{1}{index}\u{2}")
}

/// Returns the text with each `{{ … }}` masked, and the masked templates.
fn without_templates(text: &str) -> (String, Vec<&str>) {
    let (mut masked, mut templates, mut rest) = (String::new(), Vec::new(), text);
    while let Some((before, template)) = rest.split_once("{{") {
        let end = template.find("}}").map_or(template.len(), |end| end + 2);
        masked.push_str(before);
        masked.push_str(&mask(templates.len()));
        templates.push(&rest[before.len()..before.len() + 2 + end]);
        rest = &template[end..];
    }
    (masked + rest, templates)
}

/// Reads `on_drift = "restore"`, or by variable: `{ "*" = "report", phone = "keep" }`.
fn drift_policy(reader: &Reader, node: &Node) -> Option<DriftPolicy> {
    const HINT: &str = "write restore, keep or report";
    let Raw::Table(_) = &node.raw else {
        return reader.parse(node, "on_drift", HINT).map(|all: OnDrift| all.into());
    };
    let fields = reader.open_table(node, "on_drift")?;
    let mut policy = DriftPolicy::default();
    for entry in fields.entries {
        let on_drift = reader.parse(&entry.node, "on_drift", HINT)?;
        if entry.key == "*" {
            policy.all = on_drift;
            continue;
        }
        policy.of.insert(variable_name(reader, entry)?, on_drift);
    }
    Some(policy)
}

/// Reads `ahead = "7d"`: the page shows the values of that time later.
///
/// Refused for live pages, since their callers would hear another day's values.
fn ahead(reader: &Reader, node: &Node, pages: &[PageId]) -> Option<Option<TimeDelta>> {
    let length = TimeDelta::from_std(reader.duration(node, "ahead")?).ok()?;
    let problem = match pages.iter().any(|page| page.environment == Environment::Live) {
        true => Problem::at(
            &node.origin,
            "`ahead` cannot be set for a live page: its callers would hear another day's hours",
        )
        .hint("give the sandbox a page block of its own"),
        false if length > MAX_AHEAD => {
            let days = MAX_AHEAD.num_days();
            Problem::at(&node.origin, format!("`ahead` can be at most {days} days"))
                .hint(format!("write {days}d or less"))
        }
        false => return Some(Some(length)),
    };
    reader.note(problem);
    None
}

/// Reads `follow = "sandbox"`, `after = "2h"`.
///
/// A change waits until the same agent's page in that environment has held it for that long.
fn follow(reader: &Reader, fields: &Fields, pages: &[PageId]) -> Option<Option<Follow>> {
    const HINT: &str = "write follow = \"sandbox\" and after = \"2h\" together";
    let (followed, after) = match (fields.get("follow"), fields.get("after")) {
        (None, None) => return Some(None),
        (Some(followed), Some(after)) => (followed, after),
        (Some(lone), None) | (None, Some(lone)) => {
            let message = "`follow` and `after` must be set together";
            reader.note(Problem::at(&lone.origin, message).hint(HINT));
            return None;
        }
    };
    let environment = reader.parse(followed, "follow", "write sandbox, pre-release or live");
    let length = TimeDelta::from_std(reader.duration(after, "after")?).ok()?;
    let environment = environment?;
    let problem = if length > MAX_AFTER {
        let days = MAX_AFTER.num_days();
        Problem::at(&after.origin, format!("a change can wait for at most {days} days"))
            .hint(format!("write {days}d or less"))
    } else if pages.iter().all(|page| page.environment == environment) && !pages.is_empty() {
        let message = format!("a page in {environment} cannot follow itself");
        Problem::at(&followed.origin, message).hint("follow the page of another environment")
    } else {
        return Some(Some(Follow { environment, after: length }));
    };
    reader.note(problem);
    None
}

fn hours_named_in<'n>(node: &'n Node, names: &mut Vec<&'n str>) {
    match &node.raw {
        Raw::Table(entries) => {
            for entry in entries {
                match &entry.node.raw {
                    Raw::Text(name) if entry.key == "hours" => names.push(name),
                    _ => hours_named_in(&entry.node, names),
                }
            }
        }
        Raw::List(items) => items.iter().for_each(|item| hours_named_in(item, names)),
        _ => {}
    }
}
