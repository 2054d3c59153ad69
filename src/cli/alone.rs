//! `rtconfd run --alone`: a person decides that this replica goes on without the database.

use anyhow::bail;
use clap::Args;

use crate::settings::Settings;
use crate::store::postgres::Postgres;
use crate::store::{Alone, StoreError};
use crate::web::Daemon;

use super::global::Global;
use super::{load, output};

#[derive(Args)]
pub struct AloneArguments {
    /// Go on with this replica's copy of the store while the database does not answer
    #[arg(long)]
    alone: bool,
    /// With --alone: decide it; without --yes it only says what it means
    #[arg(long, requires = "alone")]
    yes: bool,
    /// With --alone: the reason, for status and the log
    #[arg(long, requires = "alone", value_name = "TEXT")]
    reason: Option<String>,
}

impl AloneArguments {
    /// Records the decision, if it is one: the store opens accordingly then.
    ///
    /// Returns true if a replica that runs here follows it: this process is not needed then.
    ///
    /// # Errors
    /// Without `--yes`, without a store in a database, and without a copy of it.
    pub fn follow(self, settings: &Settings, global: &Global) -> anyhow::Result<bool> {
        if !self.alone {
            return Ok(false);
        }
        let path = &settings.store.path;
        let Some(database) = path.database() else {
            bail!("--alone is for replicas that share a database\n  hint: leave it out: store.url is not set")
        };
        let runs_here = path.socket_base().is_some_and(|base| matches!(Daemon::at(base), Ok(Some(_))));
        if database.alone()?.is_none() {
            let failure = match database.reach() {
                Err(StoreError::Unreachable { error, .. }) => error,
                Err(error) => return Err(error.into()),
                Ok(()) if self.yes && !runs_here => {
                    tracing::warn!("--alone has no effect: the database answers");
                    return Ok(false);
                }
                Ok(()) => bail!("--alone is not needed: the database answers\n  hint: leave it out"),
            };
            self.decide(&database, &failure, global)?;
        }
        if runs_here {
            output::remark("The rtconfd that runs here follows within seconds; its log says so.");
        }
        Ok(runs_here)
    }

    fn decide(self, database: &Postgres, failure: &str, global: &Global) -> anyhow::Result<()> {
        let Some(origin) = database.origin()? else {
            bail!(
                "this machine has no copy of the store, and the database does not answer: {failure}\n  hint: \
                 run this on the machine of the replica that was active last"
            )
        };
        if !self.yes {
            bail!(
                "nothing is decided yet: the database does not answer: {failure}\n  With --yes, this replica \
                 goes on alone, with its copy of the store as of {}.\n  What was stored after that is not in \
                 it, also overrides.\n  If another replica reaches the database, both send, \
                 and overwrite each other.\n  When the database answers again, it gets what was done here, \
                 unless another replica wrote it before.\n  hint: add --yes to decide it",
                output::utc(origin.at)
            );
        }
        let who = load::who("run --alone", global);
        match database.decide(&Alone { since: load::now(), who, reason: self.reason }) {
            Err(StoreError::InUse { other, .. }) => {
                bail!("{other} is still active with the database\n  hint: try again once it stands by")
            }
            decided => Ok(decided?),
        }
    }
}
