//! `rtconfd run --alone`: a person decides that this replica goes on without the database.

use anyhow::bail;
use clap::Args;

use crate::settings::Settings;
use crate::store::postgres::Postgres;
use crate::store::{Alone, Origin, StoreError};
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
        let origin = database.origin()?;
        if let Some(Origin { alone: Some(alone), .. }) =
            origin.as_ref().filter(|origin| origin.is_followed(load::now()))
        {
            let decided = format!("it was decided already, at {} by {}", output::utc(alone.since), alone.who);
            if !self.yes || runs_here {
                bail!("{decided}\n  hint: rtconfd run follows it, and rtconfd status shows it")
            }
            return Ok(false);
        }
        let failure = match database.reach() {
            Err(StoreError::Unreachable { error, .. }) => error,
            Err(error) => return Err(error.into()),
            Ok(()) if self.yes && !runs_here => {
                tracing::warn!("--alone has no effect: the database answers");
                return Ok(false);
            }
            Ok(()) => bail!("--alone is not needed: the database answers\n  hint: leave it out"),
        };
        self.decide(&database, origin, &failure, global)?;
        if runs_here {
            output::remark("The rtconfd that runs here follows within seconds; its log says so.");
        }
        Ok(runs_here)
    }

    fn decide(
        self,
        database: &Postgres,
        origin: Option<Origin>,
        failure: &str,
        global: &Global,
    ) -> anyhow::Result<()> {
        origin.iter().try_for_each(|origin| database.check_address(origin))?;
        let origin = match origin {
            Some(Origin { refused: None, .. }) => origin.map(|origin| origin.at),
            Some(_) => bail!(
                "the copy of the store was used alone before, and the database refused it since another \
                 replica had written\n  hint: rtconfd override list shows its overrides; note them, then move the copy \
                 away"
            ),
            None if database.has_copy() => bail!(
                "the copy of the store is damaged or was not complete, and the database does not answer: \
                 {failure}\n  hint: try this on the machines of the other replicas"
            ),
            None => None,
        };
        let Some(as_of) = origin else {
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
                output::utc(as_of)
            );
        }
        let who = load::who("run --alone", global);
        match database.decide(&Alone { since: load::now(), who, reason: self.reason }) {
            Err(StoreError::InUse { .. }) => bail!(
                "the rtconfd of this machine has not noticed yet that the database is away\n  hint: try again \
                 in some seconds"
            ),
            decided => Ok(decided?),
        }
    }
}
