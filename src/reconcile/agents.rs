//! The agents whose pages we manage, and when each agent's pages are next listed.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use crate::model::{Instant, PageId};

/// The state of an agent between two lists.
#[derive(Debug)]
pub struct Agent {
    /// The pages that we manage.
    pub pages: Vec<PageId>,
    /// The time at which they are next listed.
    pub due: Instant,
    /// Number of failed attempts since the last success.
    pub attempts: u32,
    /// True while its pages are being listed.
    pub in_flight: bool,
}

/// All agents by name.
#[derive(Debug, Default)]
pub struct Agents {
    known: BTreeMap<String, Agent>,
    /// Idle agents by due time.
    waiting: BTreeSet<(Instant, String)>,
    /// Idle agents that are retries.
    ///
    /// They wait for a permission of their own and keep their place meanwhile.
    waiting_again: BTreeSet<(Instant, String)>,
}

impl From<BTreeMap<String, Agent>> for Agents {
    fn from(known: BTreeMap<String, Agent>) -> Self {
        let mut agents = Self { known, ..Self::default() };
        for (name, agent) in agents.known.iter().filter(|(_, agent)| !agent.in_flight) {
            let again = agent.attempts > 0;
            let waiting = if again { &mut agents.waiting_again } else { &mut agents.waiting };
            waiting.insert((agent.due, name.clone()));
        }
        agents
    }
}

impl Agents {
    /// Returns the number of agents.
    pub fn count(&self) -> usize {
        self.known.len()
    }

    /// Returns one agent.
    pub fn get(&self, name: &str) -> Option<&Agent> {
        self.known.get(name)
    }

    /// Removes and returns one agent's state, to build the next set of agents from.
    pub fn take(&mut self, name: &str) -> Option<Agent> {
        self.known.remove(name)
    }

    /// Marks an agent's pages as being listed.
    pub fn begin(&mut self, name: &str) {
        if let Some(agent) = self.known.get_mut(name) {
            agent.in_flight = true;
            let place = (agent.due, name.to_owned());
            self.leave(&place);
        }
    }

    fn leave(&mut self, place: &(Instant, String)) {
        self.waiting.remove(place);
        self.waiting_again.remove(place);
    }

    /// Records a list's success (`attempts` is 0) or failure, and when the next is due.
    pub fn settle(&mut self, name: &str, attempts: u32, due: Instant) {
        if let Some(agent) = self.known.get_mut(name) {
            let before = (agent.due, name.to_owned());
            (agent.in_flight, agent.attempts, agent.due) = (false, attempts, due);
            self.leave(&before);
            let waiting = if attempts > 0 { &mut self.waiting_again } else { &mut self.waiting };
            waiting.insert((due, name.to_owned()));
        }
    }

    /// Changes the state of every agent.
    pub fn change_all(&mut self, change: impl Fn(&mut Agent)) {
        let mut known = std::mem::take(&mut self.known);
        known.values_mut().for_each(change);
        *self = known.into();
    }

    /// Returns the idle agent that has been due longest, with or without retries.
    pub fn first_due(&self, now: Instant, with_retries: bool) -> Option<&str> {
        let again = self.waiting_again.first().filter(|_| with_retries);
        let first = self.waiting.first().into_iter().chain(again).min();
        first.filter(|(due, _)| *due <= now).map(|(_, name)| name.as_str())
    }

    /// Returns the retry that has been due longest.
    pub fn first_retry(&self, now: Instant) -> Option<&str> {
        self.waiting_again.first().filter(|(due, _)| *due <= now).map(|(_, name)| name.as_str())
    }

    /// Returns true if any retry is due.
    pub fn has_retries(&self, now: Instant) -> bool {
        self.waiting_again.first().is_some_and(|(due, _)| *due <= now)
    }

    /// Returns when the next agent becomes due, ignoring agents due already.
    pub fn next_due(&self, now: Instant) -> Option<Instant> {
        let later = now.checked_add_signed(TimeDelta::nanoseconds(1))?;
        let from = (later, String::new());
        let next = [&self.waiting, &self.waiting_again].map(|waiting| waiting.range(from.clone()..).next());
        next.into_iter().flatten().map(|(due, _)| *due).min()
    }

    /// Returns the agents without a list in progress.
    pub fn at_rest(&self) -> impl Iterator<Item = &str> {
        self.waiting.iter().chain(&self.waiting_again).map(|(_, name)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_that_waits_longest_is_due_first_and_one_in_flight_is_not_due() {
        let now: Instant = "2026-11-26T17:00:00Z".parse().unwrap();
        let second = TimeDelta::seconds(1);
        let agent = |due| Agent { pages: Vec::new(), due, attempts: 0, in_flight: false };
        let mut agents = Agents::from(BTreeMap::from([
            ("a".to_owned(), agent(now)),
            ("b".to_owned(), agent(now - second)),
            ("c".to_owned(), agent(now + second)),
        ]));
        assert_eq!(agents.first_due(now, true), Some("b"));
        agents.begin("b");
        assert_eq!(agents.first_due(now, true), Some("a"));
        agents.settle("a", 1, now + second * 2);
        assert_eq!((agents.first_due(now, true), agents.next_due(now)), (None, Some(now + second)));
        assert_eq!(agents.at_rest().collect::<Vec<_>>(), ["c", "a"]);
        agents.change_all(|agent| agent.due = now);
        assert_eq!(agents.at_rest().collect::<Vec<_>>(), ["c", "a"], "b is still under way");
        // A retry keeps its place, and does not delay other agents.
        assert_eq!(agents.first_due(now, false), Some("c"));
        assert_eq!(agents.first_due(now, true), Some("a"));
        agents.begin("c");
        assert_eq!((agents.first_due(now, false), agents.has_retries(now)), (None, true));
        agents.settle("b", 0, now + second);
        assert_eq!(agents.next_due(now), Some(now + second));
    }
}
