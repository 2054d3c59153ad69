//! The counts that a run reports at its end.

/// Counts of the events of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    pub requests: u64,
    pub patches: u64,
    pub restarts: u64,
    pub kills: u64,
    pub lags: u64,
    pub edits: u64,
    pub moves: u64,
    pub arrivals: u64,
    pub reloads: u64,
    pub bad_files: u64,
    pub drifts: u64,
    pub overrides: u64,
    pub accidents: u64,
    pub approvals: u64,
    pub storms: u64,
    pub steps: u64,
    pub leaps: u64,
    pub suspends: u64,
    pub full_disks: u64,
    pub judged: u64,
}

impl Figures {
    pub fn add(&mut self, other: &Self) {
        let Self {
            requests,
            patches,
            restarts,
            kills,
            edits,
            moves,
            arrivals,
            reloads,
            bad_files,
            drifts,
            overrides,
            accidents,
            ..
        } = other;
        self.requests += requests;
        self.patches += patches;
        self.restarts += restarts;
        self.kills += kills;
        self.edits += edits;
        self.moves += moves;
        self.arrivals += arrivals;
        self.reloads += reloads;
        self.bad_files += bad_files;
        self.drifts += drifts;
        self.overrides += overrides;
        self.accidents += accidents;
        let Self { lags, approvals, storms, steps, leaps, suspends, full_disks, judged, .. } = other;
        self.lags += lags;
        self.approvals += approvals;
        self.storms += storms;
        self.steps += steps;
        self.leaps += leaps;
        self.suspends += suspends;
        self.full_disks += full_disks;
        self.judged += judged;
    }
}
