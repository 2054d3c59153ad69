//! The remote API: GET, PATCH and PUT of config pages, the list of agents, the meaning of
//! responses, and the key.

mod client;
mod error;
mod key;
mod variants;
mod wire;

use std::future::Future;

use serde_json::{Map, Value};

use crate::limits::settings::MAX_ID;
use crate::model::{Environment, PageId, RemotePage, RemoteVariants};

pub use client::{Client, Timeouts};
pub use error::{ApiError, Meaning};
pub use key::{ApiKey, KeySource};
#[doc(hidden)]
pub use wire::{read_agents, read_page, read_pages};

/// Fetches pages. A dry run holds only this, so it cannot write.
pub trait ReadPages: Send + Sync + 'static {
    /// Fetches all pages of an agent, one for each environment.
    fn list(
        &self,
        agent: &str,
    ) -> impl Future<Output = Result<Vec<(Environment, RemotePage)>, ApiError>> + Send;

    /// Fetches one page.
    fn page(&self, page: &PageId) -> impl Future<Output = Result<RemotePage, ApiError>> + Send;
}

/// Writes pages.
pub trait WritePages: ReadPages {
    /// Merges top-level keys into a page; returns the resulting page.
    fn patch(
        &self,
        page: &PageId,
        variables: &Map<String, Value>,
    ) -> impl Future<Output = Result<Patched, ApiError>> + Send;
}

/// Writes the schemas of pages.
///
/// Separate from [`WritePages`], because code that writes values must not change schemas.
pub(crate) trait WriteSchemas: ReadPages {
    /// Replaces the schema of a page; returns the resulting page.
    fn put_schema(
        &self,
        page: &PageId,
        schema: &Value,
    ) -> impl Future<Output = Result<Patched, ApiError>> + Send;
}

/// Lists agents.
pub(crate) trait ReadAgents: Send + Sync + 'static {
    /// Lists the agents of an account; without one, those of the key's own, by an older call.
    fn agents(
        &self,
        account: Option<&AccountId>,
    ) -> impl Future<Output = Result<Vec<Agent>, ApiError>> + Send;
}

/// Fetches the attributes and variants of agents. Nothing is created to read them.
pub(crate) trait ReadVariants: Send + Sync + 'static {
    /// Fetches those of the agent's main branch.
    fn variants(&self, agent: &str) -> impl Future<Output = Result<RemoteVariants, ApiError>> + Send;
}

/// An account id that is safe in a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountId(String);

impl std::str::FromStr for AccountId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        match !text.is_empty() && text.len() <= MAX_ID && text.chars().all(allowed) {
            true => Ok(Self(text.to_owned())),
            false => Err("an account is a word of letters, digits, - and _, as in ws-fd112d8f".to_owned()),
        }
    }
}

/// An agent, as described by the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// The id used in settings and commands ("Project ID" in the vendor's UI).
    pub id: String,
    /// The display name.
    pub name: Option<String>,
    /// The account that it belongs to.
    pub account: Option<String>,
}

/// The response to a change.
#[derive(Clone, Debug)]
pub struct Patched {
    /// The page after the change.
    pub page: RemotePage,
    /// The ID to give to the vendor's support.
    pub correlation_id: Option<String>,
}

/// A client that can only read, whatever it wraps.
#[derive(Clone, Debug)]
pub(crate) struct ReadOnly<R>(R);

impl<R: ReadPages> ReadOnly<R> {
    /// Wraps a client to remove its ability to write.
    pub fn new(inner: R) -> Self {
        Self(inner)
    }
}

impl<R: ReadPages> ReadPages for ReadOnly<R> {
    async fn list(&self, agent: &str) -> Result<Vec<(Environment, RemotePage)>, ApiError> {
        self.0.list(agent).await
    }

    async fn page(&self, page: &PageId) -> Result<RemotePage, ApiError> {
        self.0.page(page).await
    }
}

impl<R: ReadAgents> ReadAgents for ReadOnly<R> {
    async fn agents(&self, account: Option<&AccountId>) -> Result<Vec<Agent>, ApiError> {
        self.0.agents(account).await
    }
}

impl<R: ReadVariants> ReadVariants for ReadOnly<R> {
    async fn variants(&self, agent: &str) -> Result<RemoteVariants, ApiError> {
        self.0.variants(agent).await
    }
}

impl<R: ReadPages> ReadPages for std::sync::Arc<R> {
    async fn list(&self, agent: &str) -> Result<Vec<(Environment, RemotePage)>, ApiError> {
        self.as_ref().list(agent).await
    }

    async fn page(&self, page: &PageId) -> Result<RemotePage, ApiError> {
        self.as_ref().page(page).await
    }
}
