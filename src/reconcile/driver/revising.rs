//! Handles new inputs: activates them, holds them for approval, or rolls them out in stages.

use std::sync::Arc;

use crate::agents_api::{ReadPages, WritePages};
use crate::compile::World;
use crate::model::{Instant, PageId, Problem};
use crate::plan::{Impact, Recent, Side, assess, lost_by_source};
use crate::reconcile::clock_trust::TrustChange;
use crate::reconcile::revision::{HELD, OUT, Out, RECENT, Rejection, Rollout};
use crate::reconcile::{ActiveRevision, Held, Promotions, Proposal};
use crate::sources::Revision;
use crate::store::{StoreError, Written};

use super::sharing::PAST;
use super::{Driver, Standing, Urgency};

impl<R: ReadPages + WritePages> Driver<R> {
    pub(super) fn take_inputs(&mut self, revision: Revision) {
        self.revisions.newest.revision = revision;
        self.revise_if_trusted(self.actor.clock.now());
    }

    /// Revises unless the clock is untrusted.
    ///
    /// By a wrong clock a closure next month could look like one tomorrow. The comparison happens
    /// once the clock is trusted again.
    pub(super) fn revise_if_trusted(&mut self, now: Instant) {
        if self.clock.is_trusted() {
            self.revise(now);
        }
    }

    /// Compares the newest definitions with the active ones and acts on the result.
    pub(super) fn revise(&mut self, now: Instant) {
        if !self.revisions.active.world.is_fresh(now) {
            let ActiveRevision { blueprint, inputs, world, .. } = &self.revisions.active;
            self.revisions.active.world = World::new(blueprint, inputs, now, Some(world));
            self.revisions.active.promotions.renew(now);
        }
        let newest = World::new(
            &self.revisions.newest.blueprint,
            &self.revisions.newest.revision.inputs,
            now,
            Some(&self.revisions.active.world),
        );
        let side = Side { world: &newest, inputs: &self.revisions.newest.revision.inputs };
        let mut impact = assess(
            self.revisions.active.side(),
            side,
            &self.revisions.recent,
            self.revisions.thresholds,
            now,
        );
        let id = self.revisions.newest.id();
        let since = self.revisions.held.as_ref().filter(|held| held.revision == id).map(|held| held.since);
        let is_decided = self.revisions.has_decision_on_another(&id);
        let parts = || self.revisions.newest.parts();
        if let Some(until) = self.sharing.waits(parts, since, is_decided, now) {
            if is_decided {
                tracing::warn!(%until, "the files of this replica may be old, so approvals, holds and rollouts are kept");
                return self.take_world(self.revisions.active.pages(), now, Urgency::Source);
            }
            impact.torn.clear();
            impact.reasons.push(format!(
                "the files of this replica may be old: they show what was replaced; they become active at {} if \
                 they stay as they are",
                until.format("%H:%M:%SZ")
            ));
        }
        self.report_problems(&newest);
        let is_managed =
            |page: &PageId| self.pages.get(page).is_some_and(|state| !state.known.baseline.is_empty());
        let promotions = self.revisions.active.behind(&newest, is_managed, now);
        self.waiting.begin_anew();
        self.revisions.rollout = None;
        if impact.reasons.is_empty() {
            self.revisions.recent.add(&impact, now);
            self.activate(newest, promotions, now);
        } else if self.revisions.approved.contains(&id) {
            self.roll_out(id, newest, promotions, &impact.changed, now);
        } else {
            self.activate_rest(&impact.torn, now);
            self.withhold(id, &newest, impact, now);
        }
        let active = &self.revisions.active;
        self.report.ends.update(&active.blueprint, &active.inputs, now);
    }

    /// Activates everything but the tables that lost rows.
    ///
    /// A truncated file must not block unrelated changes. Does nothing if the rest would be held
    /// too.
    fn activate_rest(&mut self, torn: &[String], now: Instant) {
        let mut rest = self.revisions.newest.revision.clone();
        for name in torn {
            let Some(known) = self.revisions.active.inputs.tables.get(name) else { return };
            rest.inputs.tables.insert(name.clone(), known.clone());
        }
        if torn.is_empty()
            || (self.revisions.is_blueprint_active && rest.inputs.is_same(&self.revisions.active.inputs))
        {
            return;
        }
        let world = World::new(
            &self.revisions.newest.blueprint,
            &rest.inputs,
            now,
            Some(&self.revisions.active.world),
        );
        let side = Side { world: &world, inputs: &rest.inputs };
        let impact = assess(
            self.revisions.active.side(),
            side,
            &self.revisions.recent,
            self.revisions.thresholds,
            now,
        );
        if !impact.reasons.is_empty() {
            return;
        }
        let is_managed =
            |page: &PageId| self.pages.get(page).is_some_and(|state| !state.known.baseline.is_empty());
        let promotions = self.revisions.active.behind(&world, is_managed, now);
        self.revisions.recent.add(&impact, now);
        rest.contents.retain(|file| file.table.as_ref().is_none_or(|name| !torn.contains(name)));
        let newest = std::mem::replace(&mut self.revisions.newest.revision, rest);
        self.revisions.is_blueprint_active = true;
        self.replace_active(world, promotions, now);
        self.revisions.newest.revision = newest;
        // The approved revision was given up for this one.
        self.use_approvals(now);
    }

    /// Starts or resumes the rollout of an approved revision.
    fn roll_out(
        &mut self,
        id: String,
        newest: World,
        promotions: Promotions,
        changed: &[PageId],
        now: Instant,
    ) {
        if self.revisions.out.revision != id {
            self.revisions.out = Out { revision: id, ..Out::default() };
        }
        tracing::info!(
            revision = self.revisions.out.revision,
            pages = changed.len(),
            out = self.revisions.out.pages.len(),
            "rollout started: one page first, then a few, then the rest"
        );
        self.hold(None);
        // Whatever the outcome, these pages hold other values in the meantime.
        self.restart_waits_of_followers(changed);
        let rollout = Rollout::new(self.revisions.out.clone(), newest, promotions, changed);
        self.keep_out(rollout.out.clone());
        let world = rollout.world(&self.revisions.active.pages());
        self.revisions.rollout = Some(rollout);
        self.take_world(world, now, Urgency::Source);
    }

    fn keep_out(&mut self, out: Out) {
        if self.revisions.out != out {
            self.keep_fact(OUT, serde_json::to_string(&out).ok().filter(|_| !out.pages.is_empty()));
            self.revisions.out = out;
        }
    }

    /// Uses up the approvals.
    ///
    /// The approved revision is active now, or was replaced by another. If it returns, it needs a
    /// new approval.
    fn use_approvals(&mut self, now: Instant) {
        for revision in std::mem::take(&mut self.revisions.approved) {
            self.notes.push(self.actor.store.use_approval(&revision, now));
        }
        self.keep_out(Out::default());
    }

    /// Holds a revision; the active one stays active.
    fn withhold(&mut self, revision: String, newest: &World, impact: Impact, now: Instant) {
        let known = self.revisions.held.clone().filter(|held| held.revision == revision);
        let reasons = impact.reasons.clone();
        let held = match known {
            Some(known) => Held { reasons, ..known },
            None => Held::new(revision, now, reasons),
        };
        if self.revisions.held.as_ref().is_none_or(|before| before.revision != held.revision) {
            let (pages, because) = (newest.pages.len(), held.reasons.join("; "));
            tracing::error!(pages, because, "{}", held.advice());
        }
        self.hold(Some(held));
        let (active, held) = (self.revisions.active.pages(), newest.clone());
        self.revisions.proposal = Some(Arc::new(Proposal { active, held }));
        let changed: Vec<PageId> =
            self.revisions.losing_rows.keys().chain(impact.losing_rows.keys()).cloned().collect();
        self.revisions.losing_rows = impact.losing_rows;
        self.take_world(self.revisions.active.pages(), now, Urgency::Source);
        self.decide_again(&changed, now);
    }

    fn activate(&mut self, newest: World, promotions: Promotions, now: Instant) {
        self.hold(None);
        self.waiting.begin_anew();
        for gone in newest.gone(&self.revisions.active.world) {
            tracing::warn!("{gone}");
        }
        for (source, rows) in
            lost_by_source(&self.revisions.active.inputs, &self.revisions.newest.revision.inputs)
        {
            tracing::warn!(source, rows, "rows removed");
        }
        self.revisions.is_blueprint_active = true;
        self.replace_active(newest, promotions, now);
        // Only now: without its approval, a revision that is not active yet would be held at the
        // next start.
        self.use_approvals(now);
    }

    /// Activates pages together with the revision they belong to.
    fn replace_active(&mut self, newest: World, promotions: Promotions, now: Instant) {
        self.revisions.active = ActiveRevision {
            kept: self.revisions.active.keeps(&newest),
            number: self.revisions.active.number + 1,
            blueprint: self.revisions.newest.blueprint.clone(),
            inputs: self.revisions.newest.revision.inputs.clone(),
            world: newest,
            promotions,
        };
        self.take_world(self.revisions.active.pages(), now, Urgency::Source);
        // First: an accepted revision that is not the active one of the past would count as replaced.
        if let Some(past) = self.sharing.note_active(|| self.revisions.newest.parts()) {
            self.keep_fact(PAST, Some(past));
        }
        self.keep_accepted(now);
        self.keep_fact(RECENT, serde_json::to_string(&self.revisions.recent).ok());
    }

    /// Moves a rollout to its next stage once all pages of the current stage hold the change.
    ///
    /// Returns true if it moved on.
    pub(super) fn roll_on(&mut self, now: Instant) -> bool {
        let Some(rollout) = &mut self.revisions.rollout else { return false };
        let standing = |id: &PageId| self.pages.get(id).filter(|state| !state.requests.in_flight());
        let is_done = |id: &PageId| {
            // A page of another daemon says nothing about the change.
            self.contested.problem(id).is_some()
                || standing(id).is_some_and(|state| {
                    let settled =
                        matches!(state.standing, Standing::Right | Standing::Stale(_) | Standing::Drifted(_));
                    settled && state.known.observed.is_some() && state.due().is_none_or(|due| due > now)
                })
        };
        if !rollout.current.iter().all(is_done) {
            let is_stuck = |id: &&PageId| {
                standing(id)
                    .is_some_and(|state| matches!(state.standing, Standing::Stuck(_) | Standing::Held(_)))
            };
            let stuck = rollout.current.iter().find(is_stuck).cloned();
            if stuck != rollout.stopped_at {
                if let Some(page) = &stuck {
                    tracing::error!(revision = rollout.out.revision, %page, "rollout stopped: this page does not accept the change; the rollout continues when it does");
                }
                rollout.stopped_at = stuck;
            }
            return false;
        }
        if rollout.go_on() {
            let (revision, pages) = (&rollout.out.revision, rollout.current.len());
            tracing::info!(revision, pages, "rollout continued");
            let (out, world) = (rollout.out.clone(), rollout.world(&self.revisions.active.pages()));
            self.keep_out(out);
            self.take_world(world, now, Urgency::Source);
        } else if let Some(Rollout { target, promotions, out, .. }) = self.revisions.rollout.take() {
            tracing::info!(revision = out.revision, "rollout finished: all pages hold the change");
            self.revisions.recent = Recent::default();
            self.activate(target, promotions, now);
        }
        true
    }

    /// Approves the held revision if the ID matches, or confirms the clock.
    ///
    /// Returns the number of approvals by other people that are still missing.
    pub(super) async fn approve(
        &mut self,
        revision: &str,
        who: &str,
    ) -> Result<Result<usize, Problem>, StoreError> {
        let now = self.actor.clock.now();
        if revision == "clock" {
            let was_untrusted = self.clock.trust.confirm();
            if was_untrusted {
                tracing::warn!(who, "clock approved");
                self.report_clock(TrustChange::Trusted, now);
            }
            return Ok(was_untrusted
                .then_some(0)
                .ok_or_else(|| Problem::new("the clock is already trusted")));
        }
        match self.revisions.held.clone() {
            Some(held) if held.revision == revision => {
                let required = self.revisions.thresholds.approvals;
                let held = held.approved_by(who);
                let (given, missing) = (held.approvals.len(), required.saturating_sub(held.approvals.len()));
                tracing::warn!(revision, who, given, required, "approved");
                self.hold(Some(held));
                match missing {
                    0 => {
                        self.actor.store.approve(revision, who, now).await?;
                        self.revisions.approved.insert(revision.to_owned());
                        self.revise_if_trusted(now);
                    }
                    _ => drop(self.noted().await?),
                }
                Ok(Ok(missing))
            }
            held => Ok(Err(not_held(held.as_ref(), revision))),
        }
    }

    /// Rejects the held revision if the ID matches.
    ///
    /// It stays held: the files still define it. People see who rejected it.
    pub(super) async fn reject(
        &mut self,
        revision: &str,
        who: &str,
    ) -> Result<Result<(), Problem>, StoreError> {
        let held = self.revisions.held.clone();
        let Some(held) = held.clone().filter(|held| held.revision == revision) else {
            return Ok(Err(not_held(held.as_ref(), revision)));
        };
        tracing::warn!(revision, who, "rejected");
        let rejected = Some(Rejection { at: self.actor.clock.now(), who: who.to_owned() });
        self.hold(Some(Held { approvals: Vec::new(), rejected, ..held }));
        self.noted().await?;
        Ok(Ok(()))
    }

    /// Returns a job that is done once all that was noted is durable: jobs become so in their order.
    fn noted(&self) -> Written<Option<String>> {
        self.actor.store.fact(HELD)
    }

    /// Decides again on pages whose status may have changed.
    fn decide_again(&mut self, pages: &[PageId], now: Instant) {
        for id in pages {
            if self
                .pages
                .get(id)
                .is_some_and(|state| !state.requests.in_flight() && state.known.observed.is_some())
            {
                self.pages.schedule(id, Some(now));
            }
        }
    }

    fn hold(&mut self, held: Option<Held>) {
        if held.is_none() {
            let now = self.actor.clock.now();
            self.revisions.proposal = None;
            let losing_rows: Vec<PageId> =
                std::mem::take(&mut self.revisions.losing_rows).into_keys().collect();
            self.decide_again(&losing_rows, now);
        }
        if held != self.revisions.held {
            self.keep_fact(HELD, held.as_ref().and_then(Held::to_fact));
            if let (Some(before), None) = (&self.revisions.held, &held) {
                tracing::info!(revision = before.revision, "the revision is not held any more");
            }
            self.revisions.held = held;
        }
    }

    pub(super) fn keep_fact(&mut self, name: &'static str, value: Option<String>) {
        self.notes.push(self.actor.store.set_fact(name, value));
    }
}

/// Returns the problem of a revision that is not the held one.
fn not_held(held: Option<&Held>, revision: &str) -> Problem {
    match held {
        Some(held) => Problem::new(format!("revision {revision} is not the held revision")).hint(format!(
            "the held revision is {}: {}",
            held.revision,
            held.reasons.join("; ")
        )),
        None => Problem::new(format!("no revision is held, so {revision} cannot be approved or rejected")),
    }
}
