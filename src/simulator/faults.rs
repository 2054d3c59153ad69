//! Faults on request.

use serde::{Deserialize, Serialize};

/// What goes wrong, for which requests, and how often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: Kind,
    /// For this method only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// For paths that contain this only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// For so many requests; for all when it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
}

/// Ways to go wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// The answer comes late.
    Latency {
        /// So many milliseconds late.
        ms: u64,
    },
    /// An error answer; nothing is changed.
    Status {
        /// The HTTP status.
        status: u16,
    },
    /// An answer that may be odd; nothing is changed.
    Answer {
        /// The HTTP status.
        status: u16,
        /// The body; null for an empty one.
        body: serde_json::Value,
    },
    /// 429; nothing is changed.
    RateLimit {
        /// The Retry-After header, in seconds.
        retry_after: u64,
    },
    /// The connection is reset; nothing is changed.
    Reset,
    /// The request is carried out, and the connection reset instead of an answer.
    AppliedThenReset,
    /// The request is carried out, and the answer comes late.
    AppliedThenLatency {
        /// So many milliseconds late.
        ms: u64,
    },
    /// The request is carried out, and answered with something else.
    AppliedThenAnswer {
        /// The HTTP status.
        status: u16,
        /// The body; null for an empty one.
        body: serde_json::Value,
    },
    /// The request is carried out, and answered with an error.
    AppliedThenStatus {
        /// The HTTP status.
        status: u16,
    },
}

impl Fault {
    /// For every request, until it is healed.
    pub fn new(kind: Kind) -> Self {
        Self { kind, method: None, path: None, times: None }
    }

    /// The same for one method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// The same for paths that contain some text.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    /// The same for so many requests.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    fn concerns(&self, method: &str, path: &str) -> bool {
        self.times != Some(0)
            && self.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self.path.as_ref().is_none_or(|wanted| path.contains(wanted))
    }
}

/// The faults that strike a request; each that is counted has struck once more.
pub fn strike(faults: &mut Vec<Fault>, method: &str, path: &str) -> Vec<Kind> {
    let mut struck = Vec::new();
    for fault in faults.iter_mut().filter(|fault| fault.concerns(method, path)) {
        if let Some(times) = &mut fault.times {
            *times -= 1;
        }
        struck.push(fault.kind.clone());
    }
    faults.retain(|fault| fault.times != Some(0));
    struck
}
