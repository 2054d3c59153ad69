//! A walk through all values that a page has over a range of time.

use std::ops::ControlFlow;

use chrono::TimeDelta;

use crate::limits::time::{WITHOUT_VALUE, WITHOUT_VALUE_HOURS};
use crate::model::{Instant, Problem, after};

use super::page::{Desired, Page};
use super::read_back::ReadBackChecks;

impl Page {
    /// Calls `see` with the desired values at each instant at which they may change.
    ///
    /// Stops early if `see` breaks. The whole range must be within 400 days.
    pub fn walk(
        &self,
        from: Instant,
        to: Instant,
        mut see: impl FnMut(Instant, Result<&Desired, Vec<Problem>>) -> ControlFlow<()>,
    ) {
        let (mut at, mut hours) = (from, 0);
        let (mut before, mut read_back) = (Vec::new(), ReadBackChecks::new(&self.variables));
        while at < to {
            let desired = self.evaluate(before, at).and_then(|desired| {
                let read = read_back.check(&desired.values, at, desired.until);
                read.map(|()| desired).map_err(|problem| vec![problem])
            });
            let (seen, until);
            match desired {
                Ok(desired) => {
                    until = desired.until;
                    seen = see(at, Ok(&desired));
                    before = desired.values;
                }
                Err(problems) => {
                    hours += 1;
                    until = Some(after(
                        at,
                        if hours > WITHOUT_VALUE_HOURS { TimeDelta::days(1) } else { WITHOUT_VALUE },
                    ));
                    seen = see(at, Err(problems));
                    before = Vec::new();
                }
            }
            match until {
                Some(until) if until > at && seen.is_continue() => at = until,
                _ => break,
            }
        }
    }
}
