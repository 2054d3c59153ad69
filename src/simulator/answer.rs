//! An answer of the API, and the envelope of its errors.

use axum::http::{StatusCode, header};
use serde_json::{Value, json};

/// An answer: status, body and extra headers.
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The body; null for none.
    pub body: Value,
    /// Headers besides those of every answer.
    pub headers: Vec<(header::HeaderName, String)>,
}

impl Answer {
    /// Returns a successful answer.
    pub fn ok(body: Value) -> Self {
        Self::of(StatusCode::OK, body)
    }

    /// Returns an answer without extra headers.
    pub fn of(status: StatusCode, body: Value) -> Self {
        Self { status, body, headers: Vec::new() }
    }
}

/// Returns the API's envelope for an error.
pub fn refuse(status: u16, code: &str, message: &str) -> Answer {
    let body = json!({
        "success": false,
        "error": message,
        "error_id": null,
        "error_code": code,
        "error_message": message,
        "data": null,
    });
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Answer { status, body, headers: Vec::new() }
}

/// Returns any answer, for a fault.
pub fn odd(status: u16, body: &Value) -> Answer {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Answer { status, body: body.clone(), headers: Vec::new() }
}

/// Returns the usual answer of a status.
pub fn of_status(status: u16) -> Answer {
    let (code, message) = match status {
        400 => ("REAL_TIME_CONFIG_INVALID_FOR_SCHEMA", "Config values fail JSON Schema validation."),
        401 => ("AUTH_USER_UNAUTHORISED", "Missing or invalid API key."),
        403 => ("REAL_TIME_CONFIG_FORBIDDEN_ACCESS", "Not authorized to access real-time configs."),
        404 => ("PROJECT_NOT_FOUND", "Project not found."),
        408 => ("REQUEST_TIMEOUT", "The request timed out."),
        409 => ("CONFLICT", "The request conflicts with another."),
        422 => ("VALIDATION_ERROR", "The request is malformed."),
        429 => ("RATE_LIMIT_EXCEEDED", "Too many requests."),
        _ => ("INTERNAL_ERROR", "Something went wrong."),
    };
    refuse(status, code, message)
}
