//! The remote API: GET and PATCH of config pages, what its answers mean, and the key.

mod client;
mod error;
mod key;
mod wire;

use std::future::Future;

use serde_json::{Map, Value};

use crate::model::{Environment, PageId, RemotePage};

pub use client::{Client, Timeouts};
pub use error::{ApiError, Meaning};
pub use key::{ApiKey, KeyError, KeySource};
#[doc(hidden)]
pub use wire::{read_page, read_pages};

/// Looks at pages. A dry run holds this and nothing more, so it can't write.
pub trait ReadPages: Send + Sync + 'static {
    /// All pages of an agent, one for each environment.
    fn list(
        &self,
        agent: &str,
    ) -> impl Future<Output = Result<Vec<(Environment, RemotePage)>, ApiError>> + Send;

    /// One page.
    fn page(&self, page: &PageId) -> impl Future<Output = Result<RemotePage, ApiError>> + Send;
}

/// Changes pages.
pub trait WritePages: ReadPages {
    /// Merges top-level keys into a page; answers the page as it is then.
    fn patch(
        &self,
        page: &PageId,
        variables: &Map<String, Value>,
    ) -> impl Future<Output = Result<Patched, ApiError>> + Send;
}

/// The answer to a PATCH.
#[derive(Clone, Debug)]
pub struct Patched {
    /// The page after it.
    pub page: RemotePage,
    /// What the vendor's support asks for.
    pub correlation_id: Option<String>,
}

/// A client that can only look, whatever it is made of.
#[derive(Clone, Debug)]
pub struct ReadOnly<R>(R);

impl<R: ReadPages> ReadOnly<R> {
    /// Takes the ability to write away.
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

impl<R: ReadPages> ReadPages for std::sync::Arc<R> {
    async fn list(&self, agent: &str) -> Result<Vec<(Environment, RemotePage)>, ApiError> {
        self.as_ref().list(agent).await
    }

    async fn page(&self, page: &PageId) -> Result<RemotePage, ApiError> {
        self.as_ref().page(page).await
    }
}
