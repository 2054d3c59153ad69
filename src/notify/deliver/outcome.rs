//! The outcome of an attempt to deliver a message.

use std::time::Duration;

use crate::notify::event::line;

/// The outcome of an attempt to deliver a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The answer, on one line and without secrets.
    pub answer: String,
    /// The failure, if the message was not delivered.
    pub result: Result<(), Failure>,
}

/// The failure of an attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// The wait that the receiver asked for.
    pub retry_after: Option<Duration>,
    /// The refusal, if the receiver answered with one: another attempt hardly helps.
    pub refusal: Option<Refusal>,
}

/// The reason for which a receiver refuses a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its content; another message may be accepted.
    Content,
    /// Anything else, such as missing credentials or a removed hook.
    Other,
}

impl Outcome {
    /// Creates the outcome of a delivered message.
    pub(super) fn delivered(answer: &str) -> Self {
        Self { answer: line(answer), result: Ok(()) }
    }

    /// Creates the outcome of a failure.
    pub(super) fn failed(answer: &str, failure: Failure) -> Self {
        Self { answer: line(answer), result: Err(failure) }
    }
}
