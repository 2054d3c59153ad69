//! Faults on request.

use serde::{Deserialize, Serialize};

/// A fault: its kind, the requests it affects, and how often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// The kind of fault.
    #[serde(flatten)]
    pub kind: Kind,
    /// The method it is limited to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// A part of the path it is limited to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Number of requests it affects; all when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
}

/// The kinds of fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// The answer comes late.
    Latency {
        /// Delay in milliseconds.
        ms: u64,
    },
    /// An error answer; nothing is changed.
    Status {
        /// The HTTP status.
        status: u16,
    },
    /// An arbitrary, possibly malformed answer; nothing is changed.
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
    /// The request is carried out, and the connection is reset instead of an answer.
    AppliedThenReset,
    /// The request is carried out, and the answer comes late.
    AppliedThenLatency {
        /// Delay in milliseconds.
        ms: u64,
    },
    /// The request is carried out, and answered with an arbitrary status and body.
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
    /// Returns a fault for every request, until it is removed.
    pub fn new(kind: Kind) -> Self {
        Self { kind, method: None, path: None, times: None }
    }

    /// Limits the fault to one method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Limits the fault to paths that contain a text.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    /// Limits the fault to a number of requests.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    fn concerns(&self, method: &str, path: &str) -> bool {
        self.times != Some(0)
            && self.method.as_ref().is_none_or(|part| part.eq_ignore_ascii_case(method))
            && self.path.as_ref().is_none_or(|part| path.contains(part))
    }
}

/// Returns the faults that affect a request, and decrements those with a limit.
pub fn take_matching(faults: &mut Vec<Fault>, method: &str, path: &str) -> Vec<Kind> {
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
