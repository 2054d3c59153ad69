//! What a failed request means: try again, look first, leave the page alone, or leave the key alone.

use std::fmt;
use std::time::Duration;

/// A request that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// What follows from it.
    pub meaning: Meaning,
    /// The HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// The API's own code, such as `REAL_TIME_CONFIG_INVALID_FOR_SCHEMA`.
    pub code: Option<String>,
    /// What went wrong in words; never holds the key.
    pub message: String,
    /// What the vendor's support asks for.
    pub correlation_id: Option<String>,
    /// How long the API asks to be left alone.
    pub retry_after: Option<Duration>,
}

/// What follows from a failed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing was changed, and a later try may well succeed (no connection, a conflict).
    TryAgain,
    /// Nothing was changed; the whole key has to wait (429).
    Slower,
    /// A change may or may not have been made; the page must be looked at before it is sent to again.
    OutcomeUnknown,
    /// The API read the request and will refuse the same one again (400, 422): the page has to wait for another one.
    Refused,
    /// The page cannot be had now (403, 404, a redirect …). Nothing was changed, and nothing is known: it may be a moment's
    /// trouble, so it is tried again.
    Unavailable,
    /// The key is not taken (401).
    KeyRefused,
}

impl Meaning {
    /// True where somebody has to act, unless the answer itself was a mistake.
    pub fn needs_a_person(self) -> bool {
        matches!(self, Self::Refused | Self::Unavailable | Self::KeyRefused)
    }

    /// By HTTP status, and by whether the API itself gave the answer, in its own envelope: a proxy that answers 400 has
    /// read no page.
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
            write!(f, " [correlation id {id}]")?;
        }
        match self.hint() {
            Some(hint) => write!(f, " (hint: {hint})"),
            None => Ok(()),
        }
    }
}

impl ApiError {
    /// An error without details, to be filled in.
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

    fn hint(&self) -> Option<&'static str> {
        match self.status? {
            401 => {
                Some("the key is missing, wrong or revoked; put a valid one into the key file, it is re-read")
            }
            403 => Some("the key may not do this; give it the permission for real-time configs"),
            404 => Some("check the agent id, and that the key belongs to this region"),
            300..=399 => Some("redirects are not followed; check base_url"),
            _ => None,
        }
    }
}

impl std::error::Error for ApiError {}
