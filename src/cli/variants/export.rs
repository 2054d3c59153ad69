//! `rtconfd variants export`: a CSV file that the vendor's UI imports.

use std::collections::BTreeSet;

use anyhow::bail;
use clap::Args;

use crate::limits::variants::MAX_IMPORT_BYTES;
use crate::model::{DesiredVariant, RemoteVariant, RemoteVariants};

use super::super::global::{Exit, FAILED, Global, OK};
use super::super::{load, output};
use super::csv::line;
use super::shared::{Desired, fetch, problems_with};

#[derive(Args)]
#[command(
    after_help = "The file has the columns of the vendor's CSV import: id, name, is_default and attribute_NAME. Variants that \
    the agent has get their id, so that the import changes them instead of adding others. Exit codes: 0, 1 something failed."
)]
pub struct Arguments {
    /// The agent [default: the only one with variants]
    #[arg(long, value_name = "ID")]
    agent: Option<String>,
    /// Do not call the API: leave all ids empty, for an agent without variants
    #[arg(long)]
    offline: bool,
}

pub async fn run(global: &Global, arguments: Arguments) -> anyhow::Result<Exit> {
    let settings = match load::settings(global) {
        Ok(settings) => settings,
        Err(exit) => return Ok(exit),
    };
    let mut desired = Desired::load(&settings, load::now());
    output::show_problems(&desired.problems);
    // An import of a part would look complete.
    if desired.has_errors() {
        return Ok(FAILED);
    }
    desired.select(&settings, arguments.agent.as_deref())?;
    let mut agents = desired.agents.iter();
    let (Some((agent, variants)), None) = (agents.next(), agents.next()) else {
        let first = desired.agents.keys().next().map_or("", String::as_str);
        bail!(
            "the settings define variants of {} agents\n  hint: name one, as in --agent {first}",
            desired.agents.len()
        );
    };
    let found = match arguments.offline {
        true => RemoteVariants::default(),
        false => match fetch(&settings, global, std::iter::once(agent.as_str())).await?.remove(agent) {
            Some(Ok(found)) => found,
            Some(Err(error)) => bail!("agent {agent}: {error}"),
            None => RemoteVariants::default(),
        },
    };
    let problems = problems_with(agent, variants, &found);
    output::show_problems(&problems);
    let text = csv(variants, &found);
    if text.len() > MAX_IMPORT_BYTES {
        bail!(
            "the file would have {} bytes, and the vendor's UI imports at most {MAX_IMPORT_BYTES}\n  hint: shorten \
             long values",
            text.len()
        );
    }
    if !problems.is_empty() {
        return Ok(FAILED);
    }
    output::print(&text);
    Ok(OK)
}

/// Returns the file: all variants and attributes that the table or the agent has.
///
/// The import could clear a part that is left out, and the file needs the default variant.
fn csv(variants: &[DesiredVariant], found: &RemoteVariants) -> String {
    let known = found.attributes.iter().map(|attribute| attribute.name.as_str());
    let ours: BTreeSet<&str> =
        variants.iter().flat_map(|variant| variant.attributes.keys()).map(String::as_str).collect();
    let mut names: Vec<&str> = known.collect();
    let new: Vec<&str> = ours.into_iter().filter(|name| !names.contains(name)).collect();
    names.extend(new);
    let mut text = String::new();
    let header = ["id", "name", "is_default"].map(str::to_owned);
    line(&mut text, header.into_iter().chain(names.iter().map(|name| format!("attribute_{name}"))));
    let has_default = found.variants.iter().any(|variant| variant.is_default);
    for (index, variant) in variants.iter().enumerate() {
        let remote = found.variant(&variant.name);
        let is_default = match has_default {
            true => remote.is_some_and(|remote| remote.is_default),
            false => index == 0,
        };
        let value = |name: &&str| {
            let theirs = || remote?.values.get(&found.attribute(name)?.id).cloned();
            variant.attributes.get(*name).cloned().or_else(theirs).unwrap_or_default()
        };
        let id = remote.map_or_else(String::new, |remote| remote.id.clone());
        let own = [id, variant.name.clone(), is_default.to_string()];
        line(&mut text, own.into_iter().chain(names.iter().map(value)));
    }
    let is_surplus = |remote: &&RemoteVariant| variants.iter().all(|variant| variant.name != remote.name);
    for remote in found.variants.iter().filter(is_surplus) {
        let value = |name: &&str| {
            found.attribute(name).and_then(|attribute| remote.values.get(&attribute.id)).cloned()
        };
        let own = [remote.id.clone(), remote.name.clone(), remote.is_default.to_string()];
        line(&mut text, own.into_iter().chain(names.iter().map(|name| value(name).unwrap_or_default())));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::{Attribute, Origin};

    #[test]
    fn variants_of_the_agent_keep_their_ids_and_other_values_and_the_default_stays() {
        let variant = |name: &str, phone: &str| DesiredVariant {
            agent: "A-1".to_owned(),
            name: name.to_owned(),
            attributes: BTreeMap::from([("phone".to_owned(), phone.to_owned())]),
            origin: Origin::line(&"sites.csv".into(), 2),
        };
        let variants = [variant("Leeds, \"Hub\"", "1"), variant("York", "2")];
        let new = "id,name,is_default,attribute_phone\n,\"Leeds, \"\"Hub\"\"\",true,1\n,York,false,2\n";
        assert_eq!(csv(&variants, &RemoteVariants::default()), new);
        let values = |pairs: [(&str, &str); 2]| {
            BTreeMap::from(pairs.map(|(id, text)| (id.to_owned(), text.to_owned())))
        };
        let remote = |id: &str, name: &str, is_default, pairs| RemoteVariant {
            id: id.to_owned(),
            name: name.to_owned(),
            is_default,
            values: values(pairs),
        };
        let attribute = |id: &str, name: &str| Attribute { id: id.to_owned(), name: name.to_owned() };
        let found = RemoteVariants {
            attributes: vec![attribute("I-1", "note"), attribute("I-2", "phone")],
            variants: vec![
                remote("V-1", "Hull", true, [("I-1", "y"), ("I-2", "3")]),
                remote("V-9", "York", false, [("I-1", "x"), ("I-2", "0")]),
            ],
        };
        let merged = "id,name,is_default,attribute_note,attribute_phone\n\
                      ,\"Leeds, \"\"Hub\"\"\",false,,1\nV-9,York,false,x,2\nV-1,Hull,true,y,3\n";
        assert_eq!(csv(&variants, &found), merged);
    }
}
