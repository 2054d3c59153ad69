//! The desired variants of each agent, and the variants that it has, for all commands on variants.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{anyhow, bail};

use crate::agents_api::{Client, ReadOnly, ReadVariants};
use crate::compile::{Variants, variants};
use crate::limits::variants::{MAX_ATTRIBUTES, MAX_VARIANTS, STEADY};
use crate::model::{DesiredVariant, Environment, Instant, PageId, Problem, RemoteVariants, after, each_once};
use crate::pages::Variant;
use crate::settings::Settings;
use crate::sources::Files;

use super::super::global::Global;
use super::super::load;
use super::super::rate::Rate;

/// Requests for the variants of an agent: branches, attributes and variants.
const REQUESTS: usize = 3;

/// The desired variants by agent, and the problems of files and variants.
pub struct Desired {
    /// By agent.
    pub agents: BTreeMap<String, Vec<DesiredVariant>>,
    /// The problems of files and variants.
    pub problems: Vec<Problem>,
}

impl Desired {
    /// Reads the files, and evaluates the variants at an instant.
    pub fn load(settings: &Settings, at: Instant) -> Self {
        if settings.variants.is_empty() {
            // Reading large tables takes time.
            return Self { agents: BTreeMap::new(), problems: Vec::new() };
        }
        let mut files = Files::with_variants(settings);
        files.settle();
        let revision = files.revision();
        let Variants { all, problems } =
            variants(&settings.blueprint, &settings.variants, &revision.inputs, at);
        let of_files = revision.problems.into_values().flatten();
        let mut desired = Self { agents: BTreeMap::new(), problems: of_files.chain(problems).collect() };
        desired.problems.extend(changing(&all, at));
        for variant in all {
            match variant.desired(at) {
                Ok(texts) => desired.agents.entry(texts.agent.clone()).or_default().push(texts),
                Err(problems) => desired.problems.extend(problems),
            }
        }
        desired.problems = each_once(&desired.problems);
        desired
    }

    /// Leaves only one agent, if one is named.
    ///
    /// # Errors
    /// When the settings define no variants of it, or none at all.
    pub fn select(&mut self, settings: &Settings, agent: Option<&str>) -> anyhow::Result<()> {
        if let Some(agent) = agent {
            PageId::new(agent, Environment::Live)
                .map_err(|message| anyhow!("{message}\n  hint: {}", PageId::AGENT_HINT))?;
            self.agents.retain(|known, _| known == agent);
        }
        match (self.agents.is_empty(), agent) {
            (false, _) => Ok(()),
            (true, Some(agent)) => bail!(
                "the settings define no valid variants of agent {agent}\n  hint: check agent in [[variants]]"
            ),
            (true, None) if settings.variants.is_empty() => bail!(
                "the settings define no variants\n  hint: add a [[variants]] block with agent, for_each, name and \
                 attributes"
            ),
            // The reasons are shown.
            (true, None) if self.has_errors() => Ok(()),
            (true, None) => {
                bail!("no row gives a variant\n  hint: check for_each of the [[variants]] blocks")
            }
        }
    }

    /// Returns true if something keeps a variant from being known.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(Problem::is_error)
    }
}

/// Warns about attributes that change by themselves, each once for an agent.
fn changing(all: &[Variant], at: Instant) -> Vec<Problem> {
    let mut known = BTreeSet::new();
    let mut problems = Vec::new();
    for variant in all {
        for (name, origin) in variant.changing(at, after(at, STEADY)) {
            if known.insert((variant.agent.as_str(), name)) {
                let days = STEADY.num_days();
                let message =
                    format!("attribute {name} of \"{}\" changes by itself within {days} days", variant.name);
                let hint = "keep it on a page: a variant reaches callers only by a deployment";
                problems.push(Problem::at(&origin, message).hint(hint).warning());
            }
        }
    }
    problems
}

/// Returns the problems that only table and agent together have.
pub fn problems_with(agent: &str, variants: &[DesiredVariant], found: &RemoteVariants) -> Vec<Problem> {
    let mut problems = Vec::new();
    let fold = |name: &str| name.trim().to_lowercase();
    let remote = || found.variants.iter().map(|remote| remote.name.as_str());
    let near: BTreeMap<String, &str> = remote().map(|name| (fold(name), name)).collect();
    for variant in variants.iter().filter(|variant| found.variant(&variant.name).is_none()) {
        if let Some(other) = near.get(&fold(&variant.name)) {
            let name = &variant.name;
            let message = format!(
                "variant \"{other}\" of agent {agent} differs from \"{name}\" only in blanks or case"
            );
            problems
                .push(Problem::at(&variant.origin, message).hint("rename one: they would be two variants"));
        }
    }
    let of_variants: BTreeSet<&str> =
        remote().chain(variants.iter().map(|variant| variant.name.as_str())).collect();
    let known = found.attributes.iter().map(|attribute| attribute.name.as_str());
    let ours = variants.iter().flat_map(|variant| variant.attributes.keys()).map(String::as_str);
    let of_attributes: BTreeSet<&str> = known.chain(ours).collect();
    for (what, count, limit) in
        [("variants", of_variants.len(), MAX_VARIANTS), ("attributes", of_attributes.len(), MAX_ATTRIBUTES)]
    {
        if count > limit {
            let message = format!("agent {agent} would have {count} {what}, and the API takes {limit}");
            problems.push(Problem::new(message).hint("remove some on the agent, or use another one"));
        }
    }
    problems
}

/// Fetches the variants of agents, one after the other within the rate; creates nothing.
pub async fn fetch(
    settings: &Settings,
    global: &Global,
    agents: impl Iterator<Item = &str>,
) -> anyhow::Result<BTreeMap<String, Result<RemoteVariants, String>>> {
    let key_source = load::key_source(&settings.api, global)?;
    let client: ReadOnly<Client> = ReadOnly::new(load::client(&settings.api, &key_source)?);
    let rate = Rate::new(&settings.api);
    let mut found = BTreeMap::new();
    for agent in agents {
        for _ in 0..REQUESTS {
            rate.wait().await;
        }
        let answer = client.variants(agent).await.map_err(|error| error.to_string());
        found.insert(agent.to_owned(), answer);
    }
    Ok(found)
}
