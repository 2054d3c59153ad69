//! `rtconfd approve` and `rtconfd reject`: decisions about the held revision.

use anyhow::{anyhow, bail};

use super::emergency::{self, Contact, refused};
use super::global::{Exit, Global, OK};
use super::{load, output};

/// Runs `rtconfd approve REVISION`.
pub async fn approve(global: &Global, revision: &str) -> anyhow::Result<Exit> {
    let who = load::who("approve", global);
    if let Contact::Running(daemon) = emergency::find(global)? {
        return Ok(match daemon.approve(revision, &who).await? {
            Err(problems) => refused(&problems),
            Ok(reported) => {
                output::print(&format!("{revision} is approved.\n"));
                match reported["missing_approvals"].as_u64().unwrap_or_default() {
                    0 => {}
                    1 => output::remark("It stays held until one more person approves it."),
                    missing => {
                        output::remark(&format!("It stays held until {missing} more people approve it."))
                    }
                }
                OK
            }
        });
    }
    let view = match load::view(global, None, None) {
        Ok(view) => view?,
        Err(exit) => return Ok(exit),
    };
    let held =
        view.held.as_ref().ok_or_else(|| anyhow!("no revision is held, so {revision} cannot be approved"))?;
    if held.revision != revision {
        bail!(
            "revision {revision} is not held\n  hint: the held revision is {}: {}",
            held.revision,
            held.reasons.join("; ")
        );
    }
    if view.settings.hold.approvals > 1 {
        bail!(
            "{} people must approve a revision (hold.approvals), and no daemon runs that counts them\n  \
             hint: start rtconfd run",
            view.settings.hold.approvals
        );
    }
    load::open_store(&view.settings, false)?.approve(revision, &who, load::now()).await?;
    output::print(&format!("{revision} is approved.\n"));
    output::remark("No rtconfd runs on this store: it takes effect with the next run or apply.");
    Ok(OK)
}

/// Runs `rtconfd reject REVISION`.
pub async fn reject(global: &Global, revision: &str) -> anyhow::Result<Exit> {
    let who = load::who("reject", global);
    match emergency::running_daemon(global)?.reject(revision, &who).await? {
        Err(problems) => Ok(refused(&problems)),
        Ok(_) => {
            output::print(&format!(
                "{revision} is rejected: it stays held. Correct the files to end that.\n"
            ));
            Ok(OK)
        }
    }
}
