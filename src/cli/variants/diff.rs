//! `rtconfd variants diff`: where the variants of agents differ from the settings.

use clap::Args;
use serde_json::{Value, json};

use crate::model::Problem;
use crate::plan::{VariantDifference, compare_variants};

use super::super::global::{CHANGES, Exit, FAILED, Format, Global, OK, Shown};
use super::super::{load, output};
use super::shared::{Desired, fetch, problems_with};

#[derive(Args)]
#[command(
    after_help = "Exit codes: 0 the agents have what the settings say, 2 they do not, 1 something failed. A variant that no \
    row defines is listed, and does not change the exit code: rtconfd never removes one."
)]
pub struct Arguments {
    /// Compare this agent only
    #[arg(long, value_name = "ID")]
    agent: Option<String>,
    #[command(flatten)]
    shown: Shown,
}

pub async fn run(global: &Global, arguments: Arguments) -> anyhow::Result<Exit> {
    let settings = match load::settings(global) {
        Ok(settings) => settings,
        Err(exit) => return Ok(exit),
    };
    let mut desired = Desired::load(&settings, load::now());
    if let Err(error) = desired.select(&settings, arguments.agent.as_deref()) {
        output::show_problems(&desired.problems);
        return Err(error);
    }
    // An unreadable row may define a variant that seems to be surplus.
    let are_all_known = !desired.has_errors();
    let found = fetch(&settings, global, desired.agents.keys().map(String::as_str)).await?;
    let mut differences: Vec<(&str, VariantDifference)> = Vec::new();
    for (agent, variants) in &desired.agents {
        match &found[agent] {
            Ok(remote) => {
                desired.problems.extend(problems_with(agent, variants, remote));
                let of_agent = compare_variants(variants, remote).into_iter();
                let shown = of_agent.filter(|difference| are_all_known || difference.is_change());
                differences.extend(shown.map(|difference| (agent.as_str(), difference)));
            }
            Err(error) => desired.problems.push(Problem::new(format!("agent {agent}: {error}"))),
        }
    }
    output::show_problems(&desired.problems);
    match arguments.shown.format {
        Format::Json => output::print_lines(differences.iter().map(to_json))?,
        Format::Table => {
            let header = ["AGENT", "VARIANT", "ATTRIBUTE", "ON THE AGENT", "IN THE SETTINGS"];
            output::print_table(header, &[], differences.iter().map(row));
            if differences.is_empty() && !desired.has_errors() {
                let count: usize = desired.agents.values().map(Vec::len).sum();
                output::print(&format!("No difference: {count} variant(s) are as the settings say.\n"));
            }
        }
    }
    Ok(match () {
        () if desired.has_errors() => FAILED,
        () if differences.iter().any(|(_, difference)| difference.is_change()) => CHANGES,
        () => OK,
    })
}

fn row((agent, difference): &(&str, VariantDifference)) -> [String; 5] {
    let word = str::to_owned;
    let texts = |variant: &str, attribute: &str, found: String, desired: String| {
        [(*agent).to_owned(), variant.to_owned(), attribute.to_owned(), found, desired]
    };
    match difference {
        VariantDifference::MissingAttribute { attribute } => {
            texts("(all)", attribute, word("missing"), word("defined"))
        }
        VariantDifference::Missing { variant } => texts(variant, "(all)", word("missing"), word("defined")),
        VariantDifference::Surplus { variant } => {
            texts(variant, "(all)", word("present"), word("not defined"))
        }
        VariantDifference::Different { variant, attribute, desired, found } => {
            let found = found.clone().map_or(Value::Null, Value::String);
            let [found, desired] = output::both(&found, &json!(desired), 60);
            texts(variant, attribute, found, desired)
        }
    }
}

fn to_json((agent, difference): &(&str, VariantDifference)) -> Value {
    match difference {
        VariantDifference::MissingAttribute { attribute } => {
            json!({ "agent": agent, "difference": "missing attribute", "attribute": attribute })
        }
        VariantDifference::Missing { variant } => {
            json!({ "agent": agent, "difference": "missing variant", "variant": variant })
        }
        VariantDifference::Surplus { variant } => {
            json!({ "agent": agent, "difference": "surplus variant", "variant": variant })
        }
        VariantDifference::Different { variant, attribute, desired, found } => json!({
            "agent": agent, "difference": "value", "variant": variant, "attribute": attribute,
            "found": found, "desired": desired,
        }),
    }
}
