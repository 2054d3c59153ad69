//! Delivers a message to a receiver, once.

mod command;
mod http;
mod secret;
mod signature;

use std::time::Duration;

use crate::model::Instant;
use crate::settings::{Receiver, Via};

use super::event::line;
use super::message::Message;
use super::render::renderer;

/// The outcome of an attempt to deliver a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What came back, on one line and without secrets.
    pub answer: String,
    /// The failure, if the message was not delivered.
    pub result: Result<(), Failure>,
}

/// The failure of an attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// The wait that the receiver asked for.
    pub retry_after: Option<Duration>,
    /// True if the receiver refused the message, so that another attempt hardly helps.
    pub is_refused: bool,
}

impl Outcome {
    /// Creates the outcome of a delivered message.
    fn delivered(answer: &str) -> Self {
        Self { answer: line(answer), result: Ok(()) }
    }

    /// Creates the outcome of a failure.
    fn failed(answer: &str, failure: Failure) -> Self {
        Self { answer: line(answer), result: Err(failure) }
    }
}

/// Delivers a message, within the time limit of the receiver.
///
/// Secrets are read for each attempt, so a replaced file takes effect at once.
pub async fn deliver(receiver: &Receiver, message: &Message, now: Instant) -> Outcome {
    let body = renderer(&receiver.via).render(message).to_string();
    if let Via::Command(words) = &receiver.via {
        return command::run(words, body, receiver.timeout).await;
    }
    // Reading files and certificates blocks.
    let (receiver, id) = (receiver.clone(), message.id.clone());
    let prepared = tokio::task::spawn_blocking(move || http::prepare(&receiver, &id, body, now)).await;
    match prepared {
        Ok(Ok(prepared)) => prepared.send().await,
        Ok(Err(problem)) => Outcome::failed(&problem, Failure::default()),
        Err(_) => Outcome::failed("the message could not be prepared", Failure::default()),
    }
}

/// Returns the problem of a receiver's secrets or program, if there is one.
pub fn problem(receiver: &Receiver, now: Instant) -> Option<String> {
    match &receiver.via {
        Via::Command(_) => None,
        _ => http::prepare(receiver, "msg_check", String::new(), now).err(),
    }
}
