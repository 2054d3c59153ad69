//! `rtconfd pull`: turns pages into local files that plan clean, and changes nothing on a page.

mod files;

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use clap::Args;

use crate::agents_api::{ReadOnly, ReadPages};
use crate::compile::{Inputs, World};
use crate::model::{PageId, Problem, RemotePage, Variable};
use crate::pages::UntypedValue;
use crate::schema::Schema;
use crate::settings::{Connection, Settings, Surroundings};
use crate::tables::{Table, parse_json};

use super::access::{self, Access};
use super::global::{Exit, FAILED, Global, OK};
use super::progress::Progress;
use super::{load, output};
use files::{Adopted, AdoptedValue, Files};

pub(super) use files::{KeyPlace, SETTINGS, key as toml_key};

#[derive(Args)]
#[command(
    after_help = "It writes rtconfd.toml, and for each page AGENT.environment.json with its values and \
    AGENT.environment.schema.json with its schema. Every top-level key becomes a variable that stays as it is; comments show how \
    to let one follow hours or a calendar. Nothing is overwritten, and nothing on the pages changes.\n\n\
    \x20 rtconfd pull PROJECT-1/live --region uk --key-file agents-api-key --into ~/rtconfd"
)]
pub struct Arguments {
    /// The pages, as AGENT/environment; rtconfd agents lists agents
    #[arg(value_name = "PAGE", required = true)]
    pages: Vec<PageId>,
    /// The folder for the files; it is created if missing
    #[arg(long, value_name = "DIR", default_value = ".")]
    into: PathBuf,
    #[command(flatten)]
    access: Access,
}

pub async fn run(global: &Global, arguments: Arguments) -> anyhow::Result<Exit> {
    let global = &arguments.access.over(global)?;
    let connection = match access::connection(global) {
        Ok(connection) => connection,
        Err(exit) => return Ok(exit),
    };
    let client = ReadOnly::new(access::client(&connection, global)?);
    let mut pages: Vec<(PageId, RemotePage)> = Vec::new();
    let progress = Progress::new("fetching pages", arguments.pages.len());
    for id in arguments.pages {
        progress.add(1);
        if pages.iter().all(|(known, _)| *known != id) {
            let page = client.page(&id).await.map_err(|error| anyhow!("{id}: {error}"))?;
            pages.push((id, page));
        }
    }
    drop(progress);
    let into = &arguments.into;
    let files = files::write(&pages, &connection.api, &key_place(&connection, into));
    if !files.adopted.is_empty() && !reads_back_equal(&files, into)? {
        return Ok(FAILED);
    }
    put_into(into, &files.files)?;
    output::show_problems(&files.remarks);
    output::show_problems(
        &pages.iter().flat_map(|(id, page)| breaks_its_schema(id, page)).collect::<Vec<_>>(),
    );
    for (name, _) in &files.files {
        output::print(&format!("wrote {}\n", into.join(name).display()));
    }
    let settings = into.join(SETTINGS);
    output::remark(&match files.adopted.is_empty() {
        false => format!("Next: rtconfd plan --config {}", settings.display()),
        true => format!(
            "Next: write a variable in {}; until then rtconfd plan, like every command, refuses this file",
            settings.display()
        ),
    });
    Ok(OK)
}

/// Returns the key file of the settings or flags, relative if it lies beside the new settings.
pub(super) fn key_place(connection: &Connection, into: &Path) -> KeyPlace {
    let Some(path) = &connection.api.key_file else { return KeyPlace::Outside };
    let beside = std::path::absolute(into).ok().and_then(|into| path.strip_prefix(into).ok());
    KeyPlace::File(beside.unwrap_or(path).display().to_string())
}

/// Returns true if the generated files give exactly the values of the pages.
///
/// They are parsed as every other command will parse them. A value that would be read differently
/// is an error here, instead of a surprise in a PATCH. Returns false when the settings are invalid;
/// the report has been shown.
fn reads_back_equal(files: &Files, into: &Path) -> anyhow::Result<bool> {
    let text = |name: &str| files.files.iter().find(|(known, _)| known == name).map_or("", |(_, text)| text);
    let settings = Settings::parse(&into.join(SETTINGS), text(SETTINGS).as_bytes(), &Surroundings::default());
    let settings = match settings {
        Ok(settings) => settings,
        Err(report) => {
            output::show_report(&report);
            output::print_error("the settings for these pages would be refused, so nothing was written");
            return Ok(false);
        }
    };
    let mut inputs = Inputs::default();
    for adopted in &files.adopted {
        let tree = parse_json(&adopted.file.as_str().into(), text(&adopted.file))
            .map_err(|problem| anyhow!("{problem}"))?;
        inputs.tables.insert(adopted.source.clone(), Arc::new(Table::Tree(tree)));
    }
    let world = World::new(&settings.blueprint, &inputs, load::now(), None);
    for adopted in &files.adopted {
        if let Some(variable) = first_difference(adopted, &world) {
            bail!(
                "{}: {} read from the files would differ from the page, so nothing was written\n  hint: write the \
                 settings by hand, and please report it with the value",
                adopted.id,
                output::visible(&variable.to_string())
            );
        }
    }
    Ok(true)
}

/// Returns the first variable whose value differs from the page, to the last digit.
fn first_difference<'a>(adopted: &'a Adopted, world: &World) -> Option<&'a Variable> {
    let desired = world.page(&adopted.id).map(|managed| managed.page.desired(load::now()));
    let values = desired.and_then(Result::ok).map(|desired| desired.values).unwrap_or_default();
    let values: BTreeMap<_, _> = values.iter().map(|value| (&value.variable, &value.value)).collect();
    let is_alike = |chosen: &&AdoptedValue| match values.get(&chosen.variable) {
        Some(UntypedValue::Json(value)) => *value == chosen.value,
        _ => false,
    };
    adopted.values.iter().find(|chosen| !is_alike(chosen)).map(|chosen| &chosen.variable)
}

/// Writes all files, or none.
pub(super) fn put_into(into: &Path, files: &[(String, String)]) -> anyhow::Result<()> {
    for (name, _) in files {
        let path = into.join(name);
        // A dangling link counts as existing.
        if path.symlink_metadata().is_ok() {
            bail!(
                "{} exists, and pull overwrites nothing\n  hint: name another folder with --into DIR, or \
                 move the file away",
                path.display()
            );
        }
    }
    std::fs::create_dir_all(into).with_context(|| format!("cannot create the folder {}", into.display()))?;
    let mut written = Vec::new();
    for (name, text) in files {
        let path = into.join(name);
        let opened = OpenOptions::new().write(true).create_new(true).open(&path);
        let made = opened.and_then(|mut file| {
            written.push(path.clone());
            file.write_all(text.as_bytes())
        });
        if let Err(error) = made {
            for path in &written {
                // A partial set is worse than none; a failure to remove a file is not reported.
                let _ = std::fs::remove_file(path);
            }
            bail!("cannot write {}: {error}\n  hint: name another folder with --into DIR", path.display());
        }
    }
    Ok(())
}

/// Returns the problems of a page's current values and schema, which would keep it from updates.
fn breaks_its_schema(id: &PageId, page: &RemotePage) -> Vec<Problem> {
    let problems = match Schema::compile(page.schema.as_deref()) {
        Err(problem) => vec![problem],
        Ok(_) if page.variables.is_empty() => Vec::new(),
        Ok(schema) => schema.broken_by(&page.variables),
    };
    let about = |problem: Problem| {
        problem.about(format!("{id} is already invalid, and plan will report it")).warning()
    };
    problems.into_iter().map(about).collect()
}
