//! Requests from users and tools, and their answers.

use crate::agents_api::{ReadPages, WritePages};
use crate::compile::{Managed, World};
use crate::model::{Environment, Instant, PageId, Problem};
use crate::pages::Override;
use crate::reconcile::set_override::extend;
use crate::reconcile::{
    Amounts, Control, Counts, Definitions, Draft, PageStatus, Status, Until, Withheld, prepare,
};
use crate::store::StoreError;

use super::{Driver, Urgency};

impl<R: ReadPages + WritePages> Driver<R> {
    /// Executes a request.
    ///
    /// The requester may be gone, so a failure to send the answer is ignored.
    pub(super) async fn take_control(&mut self, control: Control) -> Result<(), StoreError> {
        match control {
            Control::Set(draft, answer) => {
                let set = self.set_override(*draft).await?;
                let _ = answer.send(set);
            }
            Control::Release { id, who, answer } => {
                let released = self.release_override(id, &who).await?;
                let _ = answer.send(released);
            }
            Control::Approve { revision, who, answer } => {
                let approved = self.approve(&revision, &who).await?;
                let _ = answer.send(approved);
            }
            Control::Reject { revision, who, answer } => {
                let rejected = self.reject(&revision, &who).await?;
                let _ = answer.send(rejected);
            }
            Control::Extend { id, until, who, answer } => {
                let extended = self.extend_override(id, until, &who).await?;
                let _ = answer.send(extended);
            }
            Control::Fetch { agent, environment, by } => {
                self.fetch_again(agent.as_deref(), environment, by.as_deref());
            }
            Control::Define(answer) => {
                let active = &self.revisions.active;
                let (world, blueprint) = (active.world.clone(), active.blueprint.clone());
                let inputs = active.inputs.clone();
                let _ = answer.send(Definitions { number: active.number, world, blueprint, inputs });
            }
        }
        Ok(())
    }

    async fn set_override(&mut self, draft: Draft) -> Result<Result<Override, Vec<Problem>>, StoreError> {
        let now = self.actor.clock.now();
        if let Some(distrust) = self.clock.trust.distrust() {
            // With an untrusted clock the start and end would be wrong.
            return Ok(Err(vec![Problem::new(distrust.describe())]));
        }
        let observed = |id: &PageId| self.pages.get(id)?.known.observed.clone();
        let world = self.world_with_waiting();
        let set = match prepare(draft, &world, &self.overrides.set, observed, now) {
            Ok(set) => set,
            Err(problems) => return Ok(Err(problems)),
        };
        self.store_override(set, now).await
    }

    /// Returns the pages with those that wait for their first promotion: overrides may apply to them.
    fn world_with_waiting(&self) -> World {
        let mut world = self.world.clone();
        world.set_waiting(self.first_waiting());
        world
    }

    /// Stores an override and applies it, unless another daemon owns one of its pages.
    async fn store_override(
        &mut self,
        set: Override,
        now: Instant,
    ) -> Result<Result<Override, Vec<Problem>>, StoreError> {
        let contested: Vec<Problem> =
            set.pages.keys().filter_map(|page| self.contested.problem(page)).collect();
        if !contested.is_empty() {
            return Ok(Err(contested));
        }
        let set = self.actor.store.set_override(set).await?;
        tracing::warn!(pages = set.pages.len(), "{}", set.describe());
        self.overrides.set.push(set.clone());
        self.take_world(self.world.clone(), now, Urgency::Override);
        Ok(Ok(set))
    }

    /// Sets the same override with another end, then releases the old one.
    ///
    /// In between, and after a crash there, both are active and say the same. No newer override is
    /// on their pages.
    async fn extend_override(
        &mut self,
        id: i64,
        until: Until,
        who: &str,
    ) -> Result<Result<Override, Vec<Problem>>, StoreError> {
        let now = self.actor.clock.now();
        if let Some(distrust) = self.clock.trust.distrust() {
            return Ok(Err(vec![Problem::new(distrust.describe())]));
        }
        let extended = match self.active_override(id, now) {
            Ok(index) => {
                let (active, world) = (&self.overrides.set, self.world_with_waiting());
                let observed = |id: &PageId| self.pages.get(id)?.known.observed.clone();
                extend(&active[index], (active, &world), until, who, observed, now)
            }
            Err(problem) => Err(vec![problem]),
        };
        let set = match extended {
            Ok(set) => self.store_override(set, now).await?,
            Err(problems) => Err(problems),
        };
        if set.is_ok() {
            // The new override is stored, so a failure to release the old one changes no value.
            let _ = self.release_override(id, who).await?;
        }
        Ok(set)
    }

    /// Returns the index of an active override.
    fn active_override(&self, id: i64, now: Instant) -> Result<usize, Problem> {
        let is_active = |set: &Override| set.id == id && !set.is_over(now);
        self.overrides.set.iter().position(is_active).ok_or_else(|| {
            let known: Vec<String> = self.overrides.active(now).map(|set| set.id.to_string()).collect();
            let problem = Problem::new(format!("override {id} is not active"));
            match known.is_empty() {
                true => problem.hint("no override is active"),
                false => problem.hint(format!("active overrides: {}", known.join(", "))),
            }
        })
    }

    async fn release_override(&mut self, id: i64, who: &str) -> Result<Result<(), Problem>, StoreError> {
        let now = self.actor.clock.now();
        let index = match self.active_override(id, now) {
            Ok(index) => index,
            Err(problem) => return Ok(Err(problem)),
        };
        self.actor.store.release_override(id, who, now).await?;
        let set = self.overrides.set.remove(index);
        tracing::warn!(who, "released: {}", set.describe());
        self.take_world(self.world.clone(), now, Urgency::Override);
        Ok(Ok(()))
    }

    /// Fetches pages reported as changed.
    fn fetch_again(&mut self, agent: Option<&str>, environment: Option<Environment>, by: Option<&str>) {
        let now = self.actor.clock.now();
        let is_meant = |id: &PageId| {
            agent.is_none_or(|agent| agent == id.agent)
                && environment.is_none_or(|environment| environment == id.environment)
        };
        let meant: Vec<PageId> =
            self.world.pages.iter().map(|managed| managed.page.id.clone()).filter(is_meant).collect();
        meant.iter().for_each(|id| self.fetch_page_again(id, by, now));
        tracing::debug!(agent, pages = meant.len(), "pages reported as changed");
    }

    /// Fetches a page that may have changed.
    pub(super) fn fetch_page_again(&mut self, id: &PageId, by: Option<&str>, now: Instant) {
        if let Some(state) = self.pages.get_mut(id) {
            state.drift.set_author(by);
            state.needs_fetch = true;
            // A page already due is due for something more urgent.
            if state.due().is_none_or(|due| due > now) {
                state.schedule.set_urgency(Urgency::Drift);
            }
        }
        if self.pages.get(id).is_some_and(|state| !state.requests.in_flight()) {
            self.pages.schedule(id, Some(now));
        }
    }

    pub(super) fn status(&self) -> Status {
        let now = self.actor.clock.now();
        let page = |managed: &Managed| {
            let id = &managed.page.id;
            let state = self.pages.get(id)?;
            let (standing, zone) = (state.standing.clone(), managed.page.zone);
            let observed = state.known.observed.as_ref().map(|observed| observed.page.clone());
            let is_fetched = observed.is_some();
            let (due, definition) = (state.due(), managed.page.clone());
            let drift = state.drift.known().map(<[_]>::to_vec);
            let page = id.clone();
            Some(PageStatus { page, standing, is_fetched, zone, due, definition, observed, drift })
        };
        let gate = &self.requests.gate;
        let clock = self.clock.trust.distrust().map(|distrust| Withheld::Clock(distrust.describe()));
        let key = gate.stopped().map(|error| Withheld::Key(error.to_owned()));
        let pause = gate.pause().map(|pause| Withheld::Pause(pause.words()));
        let beside = self.report.board.beside();
        Status {
            at: now,
            speed: self.actor.clock.speed(),
            pages: self.world.pages.iter().filter_map(page).collect(),
            withheld: clock.or(key).or(pause),
            active: self.revisions.active.number,
            held: self.revisions.held.clone(),
            proposal: self.revisions.proposal.clone(),
            rollout: self
                .revisions
                .rollout
                .as_ref()
                .map(|rollout| (rollout.out.revision.clone(), rollout.to_come(), rollout.stopped_at.clone())),
            following: self.following(now),
            restored: self.report.restored.iter().cloned().collect(),
            overrides: self.overrides.active(now).cloned().collect(),
            problems: self.problems(),
            api: self.actor.api_url.clone(),
            zones: self.revisions.active.blueprint.zones.clone(),
            counts: Counts { rate_wait: gate.rate_wait(), ..self.report.counts.clone() },
            reload: beside.reload,
            receivers: beside.receivers,
            amounts: Amounts {
                queued: self.pages.due_count(),
                history_rows: self.actor.store.history_rows(),
                days_left: self.report.ends.days_left(&self.revisions.active.blueprint, now),
            },
        }
    }
}
