//! A simulator of the Agents API: the demo's backend and the test bed.
//!
//! It stores pages as the real API does, injects faults on request, and lets a user edit a page as
//! in the vendor's UI.

mod answer;
mod connection;
mod content;
mod control;
mod faults;
mod merge;
mod pages;
mod project;
mod project_routes;
mod routes;
mod state;

use std::future::Future;

use axum::Router;
use axum::routing::{any, get, patch, post};
use tokio::net::TcpListener;

pub use faults::{Fault, Kind};
pub use pages::Pages;
pub use state::{Logged, Options, Simulator};

impl Simulator {
    /// Serves until `stop` completes.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let app = Router::new()
            .route("/", get(control::ui))
            .route("/_simulator/requests", get(control::requests))
            .route("/_simulator/faults", post(control::inject).delete(control::heal))
            .route("/_simulator/pages", get(control::all_pages))
            .route("/_simulator/pages/{agent}/{environment}", patch(control::edit))
            .route("/_simulator/projects/{agent}", get(control::project).patch(control::edit_project))
            .fallback(any(routes::api))
            .with_state(self);
        let listener = connection::Breakable(listener);
        let service = app.into_make_service_with_connect_info::<connection::Hangup>();
        axum::serve(listener, service).with_graceful_shutdown(stop).await
    }
}
