//! Delivers a message to a receiver, once.

mod command;
mod http;
mod outcome;
mod secret;
mod signature;

use crate::model::Instant;
use crate::settings::{Receiver, Via};

use super::message::Message;
use super::render::renderer;

pub use outcome::{Failure, Outcome, Refusal};

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

/// Returns the problem of a receiver's address or secrets, if there is one.
pub fn problem(receiver: &Receiver) -> Option<String> {
    match &receiver.via {
        Via::Command(_) => None,
        Via::Webhook { .. } | Via::Slack(_) | Via::Teams(_) => http::read_target(receiver).err(),
    }
}
