//! Reads the bodies of requests, within limits.

use axum::body::{Body, Bytes, to_bytes};

use crate::limits::listener::{BODY_TIMEOUT, MAX_BODY_BYTES};
use crate::model::Problem;

/// Reads a JSON body.
///
/// # Errors
/// A body that is invalid, too large, or arrives too slowly.
pub async fn read<T: serde::de::DeserializeOwned>(body: Body) -> Result<T, Vec<Problem>> {
    let bytes = read_bytes(body).await?;
    serde_json::from_slice(&bytes).map_err(|error| vec![Problem::new(format!("invalid request: {error}"))])
}

/// Reads a body of limited size in limited time.
///
/// # Errors
/// A body that is too large or arrives too slowly.
pub async fn read_bytes(body: Body) -> Result<Bytes, Vec<Problem>> {
    let unread = |why: String| vec![Problem::new(format!("cannot read the request: {why}"))];
    let bytes = tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, MAX_BODY_BYTES)).await;
    bytes.map_err(|_| unread("it arrives too slowly".to_owned()))?.map_err(|error| unread(error.to_string()))
}
