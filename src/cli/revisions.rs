//! The revision that a command shows: the held one, the active one, or one by its ID.

use anyhow::bail;
use clap::Args;

use crate::compile::World;

use super::load::View;
use super::output;

#[derive(Args, Clone)]
pub struct Chosen {
    /// Show the held revision, the active one, or the one with this ID
    #[arg(long, value_name = "held|active|ID")]
    revision: Option<String>,
}

impl Chosen {
    /// Returns the pages of the chosen revision, or the default ones.
    ///
    /// It also reports which they are; to programs only if there is a choice.
    ///
    /// # Errors
    /// Returns an error for a revision that is neither active, held, nor being rolled out.
    pub fn world<'v>(
        &self,
        view: &'v View,
        default: &'v World,
        is_for_people: bool,
    ) -> anyhow::Result<&'v World> {
        let (active, newest) = (view.active(), view.newest());
        let world = match self.revision.as_deref() {
            None => default,
            Some("active") => active,
            Some("held") if view.held.is_some() => newest,
            Some(id) if *id == view.id => newest,
            Some("held") => bail!("no revision is held\n  hint: show the active one with --revision active"),
            Some(id) => bail!(
                "unknown revision {id}\n  hint: write held, active, or {}, the ID of the settings and inputs \
                 as they are",
                view.id
            ),
        };
        let has_choice = view.held.is_some() || view.rollout.is_some();
        if !has_choice && (is_for_people || self.revision.is_some()) {
            output::remark(&format!("shown: the active revision {}", view.id));
        }
        report(view, world);
        Ok(world)
    }
}

/// Returns the shown revision for programs: `active`, `held` or `rollout`.
pub fn name(view: &View, world: &World) -> &'static str {
    match (std::ptr::eq(world, view.newest()), &view.held, &view.rollout) {
        (true, Some(_), _) => "held",
        (true, None, Some(_)) => "rollout",
        _ => "active",
    }
}

/// Reports the revision whose pages are shown, if there is more than one.
pub fn report(view: &View, world: &World) {
    let id = &view.id;
    let state = match (&view.held, &view.rollout) {
        (Some(_), _) => "held",
        (None, Some(_)) => "being rolled out",
        (None, None) => return,
    };
    output::remark(&match (std::ptr::eq(world, view.newest()), state) {
        (true, "held") => format!("shown: the held revision {id}, which is not active"),
        (true, state) => format!("shown: revision {id}, which is {state}"),
        (false, state) => format!("shown: the active revision; {id} is {state}"),
    });
}
