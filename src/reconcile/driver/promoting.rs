//! Promoted pages, and when they take over the values of the page they follow.

use std::collections::BTreeSet;

use crate::agents_api::{ReadPages, WritePages};
use crate::model::{Environment, Instant, PageId, Problem, Variable};
use crate::pages::{Follow, Page};
use crate::plan::Answer;
use crate::reconcile::Promotion;
use crate::reconcile::decide::retry_without_values_at;
use crate::store::Behind;

use super::{Driver, Standing, Urgency};

/// The result of checking if a page holds the newest values that another waits for.
enum Holds {
    Yes,
    No(String),
    /// The page is being fetched or is unreachable, which says nothing about the values.
    Unknown,
}

impl<R: ReadPages + WritePages> Driver<R> {
    /// Promotes pages whose followed page held the change long enough.
    ///
    /// Returns true if pages must be decided on.
    pub(super) fn follow(&mut self, now: Instant) -> bool {
        // During a rollout the change is still on its way to the followed pages.
        if self.revisions.rollout.is_some() || !self.clock.is_trusted() {
            return false;
        }
        let (mut caught_up, mut is_news) = (Vec::new(), false);
        for id in self.promotions_to_check(now) {
            let Some(behind) = self.revisions.active.promotions.behind().get(&id).copied() else { continue };
            let Some((leader, follow)) = self.followed(&id) else { continue };
            let holds = self.holds_newest(&leader, &id, now);
            let since = match holds {
                // A clock that went back must not extend the wait beyond one from now.
                Holds::Yes => Some(behind.since.map_or(now, |since| since.min(now))),
                Holds::Unknown => behind.since,
                Holds::No(_) => None,
            };
            self.note_since(&id, since);
            let is_due = since.is_some_and(|since| since + follow.after <= now);
            // For a page with older values, the fetched page is needed to check the newest ones.
            let is_unseen = self.pages.get(&id).is_none_or(|state| state.known.observed.is_none());
            if !is_due || !matches!(holds, Holds::Yes) || (behind.as_of.is_some() && is_unseen) {
                continue;
            }
            match self.refusal(&id, now) {
                Some((problem, until)) => {
                    let refusal = format!("the values of {leader} cannot be promoted: {problem}");
                    is_news |= self.note_refusal(&id, refusal, now);
                    // At `until` the values may differ, so the page is checked again. Events on the
                    // page also trigger a check.
                    self.waiting.ripe.extend(until.map(|until| (until, id)));
                }
                None => {
                    tracing::info!(page = %id, %leader, "page promoted: it takes over the values of the page that it follows");
                    caught_up.push(id);
                }
            }
        }
        for id in &caught_up {
            self.waiting.reschedule(id, self.ripe_at(id), None);
            self.revisions.active.promotions.catch_up(id);
            self.note_behind(id, None);
        }
        if !caught_up.is_empty() {
            self.take_world(self.revisions.active.pages(), now, Urgency::Source);
        }
        is_news || !caught_up.is_empty()
    }

    /// Returns the promoted pages to check.
    ///
    /// These are pages with news about themselves or the page they follow, and pages that are due.
    fn promotions_to_check(&mut self, now: Instant) -> BTreeSet<PageId> {
        let changed = self.pages.take_changed();
        let behind = self.revisions.active.promotions.behind();
        if std::mem::take(&mut self.waiting.is_new) {
            let ripe = behind.keys().filter_map(|id| Some((self.ripe_at(id)?, id.clone())));
            self.waiting.ripe = ripe.collect();
            return behind.keys().cloned().collect();
        }
        if behind.is_empty() {
            return BTreeSet::new();
        }
        let followers = changed.iter().flat_map(|leader| self.followers(leader));
        let waiting = changed.iter().filter(|id| behind.contains_key(*id)).cloned();
        let mut asked: BTreeSet<PageId> = followers.chain(waiting).collect();
        while self.waiting.ripe.first().is_some_and(|(at, _)| *at <= now) {
            asked.extend(self.waiting.ripe.pop_first().map(|(_, id)| id));
        }
        asked
    }

    /// Restarts the wait of pages whose followed page changes.
    pub(super) fn restart_waits_of_followers(&mut self, changed: &[PageId]) {
        for id in changed.iter().flat_map(|leader| self.followers(leader)).collect::<Vec<_>>() {
            self.note_since(&id, None);
        }
    }

    /// Restarts the wait where another client changed a value that the page waits for.
    ///
    /// This applies even if the value is restored at once.
    pub(super) fn restart_waits(&mut self, id: &PageId, drifted: &[Variable], now: Instant) {
        for follower in self.followers(id) {
            let promotions = &self.revisions.active.promotions;
            let concerns = |page| drifted.iter().any(|variable| promotions.concerns(page, variable, now));
            if self.newest(&follower).is_some_and(concerns) {
                self.note_since(&follower, None);
            }
        }
    }

    /// Returns the pages that wait for `leader`.
    fn followers(&self, leader: &PageId) -> Vec<PageId> {
        let pages = Environment::ALL.map(|environment| PageId { environment, ..leader.clone() });
        let waits = |id: &PageId| {
            self.revisions.active.promotions.behind().contains_key(id)
                && self.followed(id).is_some_and(|(followed, _)| followed == *leader)
        };
        pages.into_iter().filter(waits).collect()
    }

    /// Returns when the next page may be promoted.
    pub(super) fn next_to_follow(&self, now: Instant) -> Option<Instant> {
        self.waiting.ripe.iter().map(|(at, _)| *at).find(|at| *at > now)
    }

    /// Returns the waiting pages and the reasons.
    pub(super) fn following(&self, now: Instant) -> Vec<Promotion> {
        let behind = self.revisions.active.promotions.behind().iter();
        let following = behind.filter_map(|(id, behind)| {
            let (leader, _) = self.followed(id)?;
            let why = match self.holds_newest(&leader, id, now) {
                Holds::No(why) => format!("{leader} does not hold the change: {why}"),
                _ if self.revisions.rollout.is_some() => "a rollout must finish first".to_owned(),
                Holds::Unknown if behind.since.is_none() => format!("{leader} must hold the change first"),
                _ => match self.revisions.active.promotions.refusal(id) {
                    Some(refusal) => refusal.clone(),
                    None => format!("{leader} holds the change"),
                },
            };
            Some(Promotion { page: id.clone(), leader, at: self.ripe_at(id), why })
        });
        following.collect()
    }

    fn ripe_at(&self, id: &PageId) -> Option<Instant> {
        let since = self.revisions.active.promotions.behind().get(id)?.since?;
        since.checked_add_signed(self.followed(id)?.1.after)
    }

    fn newest(&self, id: &PageId) -> Option<&Page> {
        self.revisions.active.world.page(id).map(|managed| &*managed.computed)
    }

    fn followed(&self, id: &PageId) -> Option<(PageId, Follow)> {
        let page = self.newest(id)?;
        page.leader().zip(page.follow)
    }

    fn holds_newest(&self, id: &PageId, follower: &PageId, now: Instant) -> Holds {
        let Some(managed) = self.revisions.active.world.page(id) else {
            return Holds::No("it is not defined".to_owned());
        };
        if let Some(problem) = managed.problems.first() {
            return Holds::No(problem.to_string());
        }
        if let Some((leader, _)) =
            self.followed(id).filter(|_| self.revisions.active.promotions.behind().contains_key(id))
        {
            return Holds::No(format!("it waits for {leader}"));
        }
        let Some(state) = self.pages.get(id) else { return Holds::Unknown };
        match &state.standing {
            _ if state.requests.in_flight() || state.due().is_some_and(|due| due <= now) => Holds::Unknown,
            Standing::Right => self.covered(id, follower, now).map_or(Holds::Yes, Holds::No),
            Standing::Unseen | Standing::Retrying(_) => Holds::Unknown,
            Standing::Stale(why) | Standing::Drifted(why) | Standing::Stuck(why) | Standing::Held(why) => {
                Holds::No(why.clone())
            }
        }
    }

    /// Returns why a page hides a value that a follower waits for: an override, or drift that is kept.
    ///
    /// The change was then never visible.
    fn covered(&self, id: &PageId, follower: &PageId, now: Instant) -> Option<String> {
        let (managed, newest) = (self.world.page(id)?, self.newest(follower)?);
        let overridden = managed.page.variables.iter().filter_map(|owned| {
            Some((
                &owned.variable,
                format!("{} is overridden: {}", owned.variable, owned.definition.overridden_at(now)?),
            ))
        });
        let drift = self.pages.get(id).map_or(&[][..], |state| state.drift.reported());
        let kept = drift.iter().filter(|drift| drift.answer == Answer::Kept);
        let kept = kept.map(|drift| {
            (&drift.variable, format!("{} is kept as another client changed it", drift.variable))
        });
        let mut covered = overridden.chain(kept);
        covered
            .find(|(variable, _)| self.revisions.active.promotions.concerns(newest, variable, now))
            .map(|(_, why)| why)
    }

    /// Returns why a page cannot take its newest values, and when they next change.
    ///
    /// The schema is checked only if the page was fetched. A refused page keeps its older
    /// definition, whose hours still apply.
    fn refusal(&self, id: &PageId, now: Instant) -> Option<(Problem, Option<Instant>)> {
        let page = self.newest(id)?;
        let desired = match page.desired(now) {
            Ok(desired) => desired,
            Err(problems) => return Some((problems.into_iter().next()?, Some(retry_without_values_at(now)))),
        };
        let observed = self.pages.get(id)?.known.observed.as_ref()?;
        Some((observed.refuses(&desired).into_iter().next()?, desired.until))
    }

    /// Records a refusal; the page keeps its last valid values. Returns true if it is new.
    fn note_refusal(&mut self, id: &PageId, refusal: String, now: Instant) -> bool {
        let is_news = self.revisions.active.promotions.set_refusal(id, refusal.clone());
        if is_news {
            tracing::error!(page = %id, problem = refusal, "promotion refused: the page keeps its values");
            self.pages.schedule(id, Some(now));
        }
        is_news
    }

    fn note_since(&mut self, id: &PageId, since: Option<Instant>) {
        let before = self.ripe_at(id);
        if let Some(behind) = self.revisions.active.promotions.set_since(id, since) {
            self.waiting.reschedule(id, before, self.ripe_at(id));
            self.note_behind(id, Some(behind));
        }
    }

    fn note_behind(&mut self, id: &PageId, behind: Option<Behind>) {
        self.notes.push(self.actor.store.set_behind(id, behind));
    }
}
