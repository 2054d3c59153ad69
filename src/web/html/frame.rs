//! The frame of every view: head, navigation, the person who is signed in.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use crate::model::Problem;
use crate::reconcile::Status;
use crate::redact::redacted;

use super::super::visitor::{Csrf, Visitor};
use super::live::digest;

/// The data that every view shows around its content.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    /// The state of the daemon; `None` if it did not answer.
    pub status: Option<&'a Status>,
    /// The person who looks.
    pub visitor: &'a Visitor,
}

impl Frame<'_> {
    /// Returns a view as a response.
    pub fn show(&self, title: &str, content: &Markup) -> Response {
        self.answer(StatusCode::OK, title, content)
    }

    /// Returns a view with a status code of its own.
    pub fn answer(&self, code: StatusCode, title: &str, content: &Markup) -> Response {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (title) " - rtconfd" }
                    link rel="icon" href="/icon.svg" type="image/svg+xml";
                    link rel="stylesheet" href="/style.css";
                    script src="/app.js" defer {}
                }
                body data-at=[self.status.map(|status| status.at.timestamp_millis())]
                    data-speed=[self.status.map(|status| status.speed)]
                    data-digest=[self.status.map(digest)] {
                    (self.header())
                    p #lost role="alert" hidden { "Connection lost: this page may be out of date." }
                    main #main { (content) }
                    footer { "rtconfd " (env!("CARGO_PKG_VERSION")) (self.source()) }
                }
            }
        };
        (code, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], redacted(page.into_string()))
            .into_response()
    }

    fn header(&self) -> Markup {
        let overrides = self.status.map_or(0, |status| status.overrides.len());
        let held = self.status.is_some_and(|status| status.held.is_some());
        html! {
            a.skip href="#main" { "Skip to the content" }
            header {
                nav aria-label="Views" {
                    a.name href="/" { "rtconfd" }
                    a href="/" { "Pages" }
                    a href="/overrides" { "Overrides" @if overrides > 0 { " " span.count { (overrides) } } }
                    @if held { a.alarm href="/held" { "Held revision" } }
                    a href="/sites" { "Sites" }
                }
                (self.person())
            }
        }
    }

    fn person(&self) -> Markup {
        html! {
            @if let Visitor::Person(caller, _) = self.visitor {
                form.person method="post" action="/sign-out" {
                    (csrf(self.visitor))
                    span { (caller.name) } " "
                    button.plain { "Sign out" }
                }
            } @else {
                a.person href="/sign-in" { "Sign in" }
            }
        }
    }

    fn source(&self) -> Markup {
        html! {
            @if let Some(status) = self.status {
                " · " (status.api) " · zone database " (status.zones) " · as of "
                (status.at.format("%Y-%m-%d %H:%M:%S")) " UTC"
            }
        }
    }
}

/// Returns the hidden field that ties a form to the session.
pub fn csrf(visitor: &Visitor) -> Markup {
    html! {
        @if let Visitor::Person(_, Csrf(csrf)) = visitor { input type="hidden" name="csrf" value=(csrf); }
    }
}

/// Returns problems as a list.
pub fn problems(problems: &[Problem]) -> Markup {
    html! {
        @if !problems.is_empty() {
            ul.problems role="alert" {
                @for problem in problems {
                    li {
                        @if let Some(origin) = &problem.origin { (origin) ": " }
                        (problem.message)
                        @if let Some(hint) = &problem.hint { " " span.hint { "Hint: " (hint) } }
                    }
                }
            }
        }
    }
}
