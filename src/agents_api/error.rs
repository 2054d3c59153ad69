//! The consequences of a failed request: try again, fetch first, leave the page alone, or stop
//! using the key.

use std::fmt;
use std::time::Duration;

/// A request that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The consequence for later requests.
    pub meaning: Meaning,
    /// The HTTP status, if there was a response.
    pub status: Option<u16>,
    /// The API's own code, such as `REAL_TIME_CONFIG_INVALID_FOR_SCHEMA`.
    pub code: Option<String>,
    /// The error message; never contains the key.
    pub message: String,
    /// The ID to give to the vendor's support.
    pub correlation_id: Option<String>,
    /// The wait that the API asks for.
    pub retry_after: Option<Duration>,
}

/// The consequence of a failed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing was changed, and a later attempt may succeed (no connection, a conflict).
    TryAgain,
    /// Nothing was changed; all requests with this key must wait (429).
    Slower,
    /// A change may or may not have been made; the page must be fetched before the next write.
    OutcomeUnknown,
    /// The API rejected the request and would reject it again (400, 422): the page waits until its
    /// request changes.
    Refused,
    /// The page is not available now (403, 404, a redirect …). Nothing was changed. The cause may
    /// be temporary, so the request is retried.
    Unavailable,
    /// The API rejected the key (401).
    KeyRefused,
}

impl Meaning {
    /// Returns true if a person must act, unless the response itself was a mistake.
    pub fn needs_a_person(self) -> bool {
        matches!(self, Self::Refused | Self::Unavailable | Self::KeyRefused)
    }

    /// Returns the meaning of an HTTP status.
    ///
    /// `by_api` is true if the API itself responded, in its own envelope: a proxy that answers 400
    /// has not read the page.
    pub fn of_status(status: u16, by_api: bool) -> Self {
        match status {
            401 => Self::KeyRefused,
            409 => Self::TryAgain,
            429 => Self::Slower,
            400 | 413 | 422 if by_api => Self::Refused,
            408 | 500.. => Self::OutcomeUnknown,
            _ => Self::Unavailable,
        }
    }
}

/// The text before a correlation ID in an error.
const ID_BEGINS: &str = " [correlation id ";

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(status) = self.status {
            write!(f, "the API answered {status}")?;
            if let Some(code) = &self.code {
                write!(f, " {code}")?;
            }
            write!(f, ": ")?;
        }
        write!(f, "{}", self.message)?;
        if let Some(id) = &self.correlation_id {
            write!(f, "{ID_BEGINS}{id}]")?;
        }
        match self.hint() {
            Some(hint) => write!(f, " (hint: {hint})"),
            None => Ok(()),
        }
    }
}

impl ApiError {
    /// Creates an error without details, to be filled in.
    pub fn of(meaning: Meaning) -> Self {
        Self {
            meaning,
            status: None,
            code: None,
            message: String::new(),
            correlation_id: None,
            retry_after: None,
        }
    }

    /// Returns true if a text is that of the same error, perhaps of another request.
    pub fn is_same(&self, text: &str) -> bool {
        let without_id = |text: &str| match text.split_once(ID_BEGINS) {
            Some((before, after)) => before.to_owned() + after.split_once(']').map_or("", |(_, after)| after),
            None => text.to_owned(),
        };
        without_id(&self.to_string()) == without_id(text)
    }

    fn hint(&self) -> Option<&'static str> {
        match self.status? {
            401 => Some(
                "the key is missing, wrong or revoked; put a valid one into the key file, which is re-read",
            ),
            403 => Some(
                "the key may not do this; give it the permission for real-time configs, or to read the agent",
            ),
            404 => Some("check the agent id, and that the key belongs to this region"),
            300..=399 => Some("redirects are not followed; check base_url"),
            _ => None,
        }
    }
}

impl std::error::Error for ApiError {}
