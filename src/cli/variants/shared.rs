//! The desired variants of each agent, and the variants that it has, for all commands on variants.

use std::collections::BTreeMap;

use crate::agents_api::{Client, ReadOnly, ReadVariants};
use crate::compile::{Variants, variants};
use crate::model::{DesiredVariant, Instant, Problem, RemoteVariants};
use crate::settings::Settings;
use crate::sources::{Files, Revision};

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
        let mut files = Files::new(settings);
        files.settle();
        let revision = files.revision();
        let of_files = revision.problems.values().flatten().cloned().collect();
        Self::of(settings, &revision, at, of_files)
    }

    /// Evaluates the variants of inputs that were read before.
    pub fn of(settings: &Settings, revision: &Revision, at: Instant, problems: Vec<Problem>) -> Self {
        let Variants { all, problems: found } =
            variants(&settings.blueprint, &settings.variants, &revision.inputs, at);
        let mut desired = Self { agents: BTreeMap::new(), problems };
        desired.problems.extend(found);
        for variant in all {
            match variant.desired(at) {
                Ok(texts) => desired.agents.entry(texts.agent.clone()).or_default().push(texts),
                Err(problems) => desired.problems.extend(problems),
            }
        }
        desired
    }
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
