//! Counts since the start, for metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::agents_api::ApiError;
use crate::model::Instant;

/// Counts since the start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// Requests of all kinds.
    pub requests: u64,
    /// PATCHes among the requests.
    pub patches: u64,
    /// Requests that failed.
    pub failures: u64,
    /// Answers by operation and HTTP status; without a status there was no answer.
    pub answers: BTreeMap<(Operation, Option<u16>), u64>,
    /// Values applied to pages.
    pub applied: u64,
    /// Values found changed by other clients.
    pub drifted: u64,
    /// The delays of transitions.
    pub lag: Lag,
    /// The time in which a due request waited for the rate limit.
    pub rate_wait: Duration,
    /// The time of the last request.
    pub last_request: Option<Instant>,
    /// The time of the last answer without an error.
    pub last_success: Option<Instant>,
}

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Fetch all pages of an agent.
    List,
    /// Fetch a page.
    Fetch,
    /// Write values to a page.
    Patch,
}

impl Operation {
    /// Returns its name, as in the metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Fetch => "fetch",
            Self::Patch => "patch",
        }
    }
}

impl Counts {
    /// Counts the answer to a request.
    pub fn count_answer(&mut self, operation: Operation, error: Option<&ApiError>, now: Instant) {
        let status = error.map_or(Some(200), |error| error.status);
        *self.answers.entry((operation, status)).or_default() += 1;
        if error.is_none() {
            self.last_success = Some(now);
        }
    }
}

/// The delays between a transition and its confirmed value.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Lag {
    /// The transitions within each of the bounds and above the one before, then the rest.
    buckets: [u64; Lag::BOUNDS.len() + 1],
    /// The sum of all delays, in seconds.
    pub sum: f64,
}

impl Lag {
    /// The upper bounds of the buckets, in seconds. A page alone must take less than 2 s.
    const BOUNDS: [f64; 10] = [0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0, 30.0, 300.0, 3600.0];

    /// Adds a delay in seconds.
    pub fn observe(&mut self, secs: f64) {
        let bucket = Self::BOUNDS.iter().position(|bound| secs <= *bound).unwrap_or(Self::BOUNDS.len());
        self.buckets[bucket] += 1;
        self.sum += secs;
    }

    /// Returns the number of delays.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Returns the buckets with their upper bounds, not cumulated.
    pub fn buckets(&self) -> Vec<(f64, u64)> {
        Self::BOUNDS.into_iter().chain([f64::INFINITY]).zip(self.buckets).collect()
    }
}
