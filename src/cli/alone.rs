//! `rtconfd run --alone`: a person decides that this replica goes on without the database.

use anyhow::bail;
use clap::Args;

use crate::settings::Settings;
use crate::store::{Alone, StoreError};

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
    /// Records the decision, if it is one; the store opens accordingly then.
    ///
    /// # Errors
    /// Without `--yes`, without a store in a database, and without a copy of it.
    pub fn apply(self, settings: &Settings, global: &Global) -> anyhow::Result<()> {
        let (true, now) = (self.alone, load::now()) else { return Ok(()) };
        let Some(database) = settings.store.path.database() else {
            bail!("--alone is for replicas that share a database\n  hint: leave it out: store.url is not set")
        };
        if database.alone()?.is_some() {
            return Ok(());
        }
        let failure = match database.reach() {
            Err(StoreError::Unreachable { error, .. }) => error,
            Err(error) => return Err(error.into()),
            Ok(()) => {
                tracing::warn!("--alone has no effect: the database answers");
                return Ok(());
            }
        };
        let path = &settings.store.path;
        let Some(origin) = database.origin()? else {
            bail!(
                "this replica has no copy of the store {path}, which does not answer: {failure}\n  hint: run \
                 --alone on the machine of the replica that was active last"
            )
        };
        if !self.yes {
            bail!(
                "nothing is decided yet: the store {path} does not answer ({failure}). With --yes, this replica \
                 goes on alone with its copy of {}.\n  What other replicas stored after that is \
                 not in it, also overrides.\n  Two replicas that both send would overwrite each \
                 other: make sure that no other one reaches the database.\n  Once the database answers, it \
                 gets what this replica did, unless another replica wrote it first.\n  hint: add --yes to \
                 decide it",
                output::utc(origin.at)
            );
        }
        let who = load::who("run --alone", global);
        database.decide(&Alone { since: now, who, reason: self.reason })?;
        Ok(())
    }
}
