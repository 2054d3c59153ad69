//! `rtconfd variants pull`: turns the variants of an agent into a table and settings.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{anyhow, bail};
use clap::Args;

use crate::agents_api::{ReadOnly, ReadVariants};
use crate::compile::{Inputs, is_attribute_name, variants};
use crate::model::{DesiredVariant, Environment, PageId, Problem, RemoteVariants};
use crate::plan::{VariantDifference, compare_variants};
use crate::settings::{Api, Settings, Surroundings, quoted};
use crate::tables;

use super::super::access::{self, Access};
use super::super::global::{Exit, FAILED, Global, OK};
use super::super::pull::{KeyPlace, SETTINGS, key_place, put_into, toml_key};
use super::super::{load, output};
use super::csv::line;

#[derive(Args)]
#[command(
    after_help = "It writes AGENT.variants.csv with a row for each variant, and rtconfd.toml with a [[variants]] block that \
    reads it, so that variants diff finds nothing. To add it to other settings, copy the source and the block. Nothing is \
    overwritten, and nothing on the agent changes."
)]
pub struct Arguments {
    /// The agent
    #[arg(value_name = "ID")]
    agent: String,
    /// The folder for the files; it is created if missing
    #[arg(long, value_name = "DIR", default_value = ".")]
    into: PathBuf,
    #[command(flatten)]
    access: Access,
}

pub async fn run(global: &Global, arguments: Arguments) -> anyhow::Result<Exit> {
    let global = &arguments.access.over(global)?;
    let Arguments { agent, into, .. } = arguments;
    PageId::new(&agent, Environment::Live)
        .map_err(|message| anyhow!("{message}\n  hint: {}", PageId::AGENT_HINT))?;
    let connection = match access::connection(global) {
        Ok(connection) => connection,
        Err(exit) => return Ok(exit),
    };
    let client = ReadOnly::new(access::client(&connection, global)?);
    let found = client.variants(&agent).await.map_err(|error| anyhow!("agent {agent}: {error}"))?;
    if found.variants.is_empty() {
        bail!("agent {agent} has no variants, so there is nothing to write");
    }
    let pulled = Pulled::of(&agent, &found);
    let settings = pulled.settings(&connection.api, &key_place(&connection, &into));
    match pulled.differences(&settings, &found, &into) {
        Ok(differences) if differences.is_empty() => {}
        Ok(differences) => {
            output::show_problems(&differences);
            output::print_error("the table would read back differently, so nothing was written");
            return Ok(FAILED);
        }
        Err(exit) => return Ok(exit),
    }
    let files = [(SETTINGS.to_owned(), settings), (pulled.file.clone(), pulled.table.clone())];
    put_into(&into, &files)?;
    output::show_problems(&pulled.left_out);
    for (name, _) in &files {
        output::print(&format!("wrote {}\n", into.join(name).display()));
    }
    output::remark(&format!("Next: rtconfd variants diff --config {}", into.join(SETTINGS).display()));
    Ok(OK)
}

/// The table of an agent's variants.
struct Pulled {
    agent: String,
    file: String,
    table: String,
    /// The column of the names.
    key: String,
    attributes: Vec<String>,
    /// The attributes that settings cannot name.
    left_out: Vec<Problem>,
}

impl Pulled {
    fn of(agent: &str, found: &RemoteVariants) -> Self {
        let (named, unnamed): (Vec<_>, Vec<_>) =
            found.attributes.iter().partition(|attribute| is_attribute_name(&attribute.name));
        let left_out = unnamed.iter().map(|attribute| {
            let message = format!("attribute {} is left out", quoted(&attribute.name));
            Problem::new(message).hint("settings need a name that Python code can use: rename it").warning()
        });
        let mut key = "variant".to_owned();
        while named.iter().any(|attribute| attribute.name == key) {
            key.push('_');
        }
        let mut table = String::new();
        let names = named.iter().map(|attribute| attribute.name.clone());
        line(&mut table, std::iter::once(key.clone()).chain(names.clone()));
        for variant in &found.variants {
            let values =
                named.iter().map(|attribute| variant.values.get(&attribute.id).cloned().unwrap_or_default());
            line(&mut table, std::iter::once(variant.name.clone()).chain(values));
        }
        Self {
            agent: agent.to_owned(),
            file: format!("{agent}.variants.csv"),
            table,
            key,
            attributes: names.collect(),
            left_out: left_out.collect(),
        }
    }

    fn settings(&self, api: &Api, key: &KeyPlace) -> String {
        let Self { agent, file, key: column, .. } = self;
        let line = |name: &String| format!("{} = {{ column = {} }}\n", toml_key(name), quoted(name));
        let attributes: String = self.attributes.iter().map(line).collect();
        format!(
            "# Written by rtconfd variants pull. Every value is as it was on the agent, so that rtconfd variants \
             diff finds nothing.\n\n\
             # There is no page yet. Remove this line when you add a [[page]] block.\npage = []\n\n\
             [api]\n{}{}\n[store]\npath = \"rtconfd.sqlite\"\n\n\
             [sources.{agent}-variants]\npath = \"{file}\"\nkey = \"{column}\"\n\n\
             [[variants]]\nfor_each = \"{agent}-variants\"\nagent = \"{agent}\"\nname = \"{{{{ row.{column} }}}}\"\n\n\
             [variants.attributes]\n{attributes}",
            api.written(),
            key.written(),
        )
    }

    /// Returns how the files, as every other command will read them, differ from the agent.
    ///
    /// A value that would be read differently is an error here, instead of a surprise later.
    fn differences(&self, settings: &str, found: &RemoteVariants, into: &Path) -> Result<Vec<Problem>, Exit> {
        let parsed = Settings::parse(&into.join(SETTINGS), settings.as_bytes(), &Surroundings::default());
        let parsed = parsed.map_err(|report| {
            output::show_report(&report);
            output::print_error("the settings for these variants would be refused, so nothing was written");
            FAILED
        })?;
        let now = load::now();
        let source = parsed.sources.values().next();
        let table = source.ok_or(FAILED).map(|source| {
            let (file, layout) = (self.file.as_str().into(), &source.format.layout);
            let text = tables::decode(&file, self.table.as_bytes(), layout.size.lines)?;
            source.format.of.parse(&file, text, layout)
        })?;
        let mut inputs = Inputs::default();
        match table {
            Ok(table) => {
                let name = format!("{}-variants", self.agent);
                inputs.tables.insert(name.clone(), Arc::new(table.of_source(&name)));
            }
            Err(problem) => return Ok(vec![problem]),
        }
        let made = variants(&parsed.blueprint, &parsed.variants, &inputs, now);
        let mut problems = made.problems;
        let desired: Vec<DesiredVariant> =
            made.all.iter().filter_map(|variant| variant.desired(now).ok()).collect();
        let differences = compare_variants(&desired, found);
        problems.extend(differences.into_iter().map(|difference| match difference {
            VariantDifference::Different { variant, attribute, .. } => {
                Problem::new(format!("{attribute} of \"{variant}\" would be read differently"))
            }
            VariantDifference::Missing { variant } | VariantDifference::Surplus { variant } => {
                Problem::new(format!("the name \"{variant}\" would be read differently"))
            }
            VariantDifference::MissingAttribute { attribute } => {
                Problem::new(format!("the attribute {attribute} would be read differently"))
            }
        }));
        let hint = "change it in the vendor's UI, or write the table by hand";
        Ok(problems.into_iter().map(|problem| problem.hint(hint)).collect())
    }
}
