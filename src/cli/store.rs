//! `rtconfd store`: backs up, restores and describes the store.

use std::path::PathBuf;

use anyhow::{anyhow, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::settings::StorePath;
use crate::store::postgres::Address;
use crate::store::{self, Contents, Description, Location, StoreError};

use super::global::{Exit, Format, Global, OK, Shown};
use super::{emergency, load, output};

#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Copies the store into a new file, as of one instant; also while the daemon runs
    Backup {
        /// The new file
        file: PathBuf,
    },
    /// Replaces the store by a backup, and keeps the replaced one beside it; not while the daemon runs
    Restore {
        /// The backup
        file: PathBuf,
    },
    /// Moves the store into a new file or database, and back; not while the daemon runs
    Move {
        /// The new file, or the address of the database: postgres://USER@HOST/DATABASE
        to: String,
        /// The file with the password of that database
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// The file with the certificates that its certificate must come from
        #[arg(long, value_name = "FILE")]
        ca_file: Option<PathBuf>,
    },
    /// Creates the store in the database of store.url, or upgrades it; run and apply create one in a file
    Create,
    /// Shows what the store is and contains
    Info {
        #[command(flatten)]
        shown: Shown,
    },
}

pub fn run(global: &Global, arguments: Arguments) -> anyhow::Result<Exit> {
    let place = emergency::store_place(global)?;
    let location = place.location();
    match arguments.command {
        Command::Backup { file } => {
            if place.file().is_some_and(|path| !path.exists()) {
                return Err(emergency::no_store(&place));
            }
            if file.exists() {
                bail!("{} exists already\n  hint: name a new file", file.display());
            }
            location.back_up(&file)?;
            output::print(&format!("The store {place} was copied to {}.\n", file.display()));
        }
        Command::Restore { file } => {
            let replaced = match location.restore(&file) {
                Err(StoreError::InUse { path, other }) => {
                    bail!(
                        "the store {path} is in use by {other}\n  hint: stop it, restore, then start it again"
                    )
                }
                replaced => replaced?,
            };
            output::print(&format!("The store {place} was restored from {}.\n", file.display()));
            if let Some(replaced) = replaced {
                output::print(&format!("The replaced store is now {}.\n", replaced.display()));
            }
            output::remark(
                "Overrides that were set since the backup are gone: set them again before the daemon starts.",
            );
        }
        Command::Move { to, password_file, ca_file } => {
            let target = match to.contains("://") {
                true => StorePath::Database(
                    Address::new(&to, password_file, ca_file)
                        .map_err(|(why, hint)| anyhow!("invalid address: {why}\n  hint: {hint}"))?,
                    PathBuf::new(),
                ),
                false => StorePath::File(std::path::absolute(&to)?),
            };
            let moved = store::move_store(&*location, &*target.location(), &target.to_string());
            let moved = match moved {
                Err(StoreError::InUse { path, other }) => {
                    bail!("the store {path} is in use by {other}\n  hint: stop it, move, then start it again")
                }
                moved => moved?.ok_or_else(|| emergency::no_store(&place))?,
            };
            output::print(&format!("{moved} rows of the store {place} were moved to {target}.\n"));
            let setting = if to.contains("://") { "store.url" } else { "store.path" };
            output::remark(&format!("Set {setting} in the settings before you start rtconfd."));
        }
        Command::Create => {
            location.create()?;
            output::print(&format!("The store {place} is ready.\n"));
        }
        Command::Info { shown } => {
            let description = location.describe(load::now())?.ok_or_else(|| emergency::no_store(&place))?;
            show(&description, location.as_ref(), shown.format)?;
        }
    }
    Ok(OK)
}

fn show(description: &Description, location: &dyn Location, format: Format) -> anyhow::Result<()> {
    let user = location.is_in_use().then(|| location.user());
    let Description { path, bytes, version, known, contents } = description;
    if format == Format::Json {
        let contents = contents.as_ref().map_or(Value::Null, contents_json);
        return output::print_lines([json!({
            "path": path, "bytes": bytes, "version": version, "known": known,
            "in_use_by": user, "contents": contents,
        })]);
    }
    let line = |name: &str, value: String| output::print(&format!("{name:<13}{value}\n"));
    line("path", path.clone());
    line("size", format!("{bytes} bytes"));
    line(
        "version",
        if version == known {
            version.to_string()
        } else {
            format!("{version}; this program writes {known}")
        },
    );
    line("in use by", user.unwrap_or_else(|| "no process".to_owned()));
    let Some(contents) = contents else { return Ok(()) };
    for (index, (api, id)) in contents.owners.iter().enumerate() {
        line(if index == 0 { "owners" } else { "" }, format!("{id} at {api}"));
    }
    line("pages", contents.pages.to_string());
    line(
        "history",
        match (contents.oldest, contents.newest) {
            (Some(oldest), Some(newest)) => {
                format!("{} PATCHes, {} to {}", contents.patches, output::utc(oldest), output::utc(newest))
            }
            _ => "empty".to_owned(),
        },
    );
    line("overrides", format!("{} active", contents.overrides));
    line("open intents", contents.open_intents.to_string());
    Ok(())
}

fn contents_json(contents: &Contents) -> Value {
    json!({
        "owners": contents.owners.iter().map(|(api, id)| json!({ "api": api, "owner": id })).collect::<Vec<_>>(),
        "pages": contents.pages,
        "patches": contents.patches,
        "oldest": contents.oldest.map(output::utc),
        "newest": contents.newest.map(output::utc),
        "overrides": contents.overrides,
        "open_intents": contents.open_intents,
    })
}
