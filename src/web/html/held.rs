//! The held revision: the schedules that it changes, and the decision about it.

use axum::extract::{Extension, State};
use axum::response::Response;
use maud::{Markup, html};

use crate::model::Instant;
use crate::plan::{Changed, Difference, differences};
use crate::reconcile::{Held, Proposal, Status};
use crate::settings::Right;
use crate::zone::Zone;

use super::super::visitor::Visitor;
use super::app::App;
use super::frame::{Frame, csrf};
use super::{row, text};

/// Differences in one view.
const DIFFERENCES: usize = 500;

pub async fn show(State(app): State<App>, Extension(visitor): Extension<Visitor>) -> Response {
    let status = match app.driver.status().await {
        Ok(status) => status,
        Err(refusal) => return *refusal,
    };
    let frame = Frame { status: Some(&status), visitor: &visitor };
    let Some(held) = &status.held else {
        let content =
            html! { h1 { "Held revision" } p { "No revision is held: settings and inputs are active." } };
        return frame.show("Held revision", &content);
    };
    let (proposal, now) = (status.proposal.clone(), status.at);
    // With many pages, the comparison takes a while.
    let found = tokio::task::spawn_blocking(move || {
        proposal.as_ref().map_or_else(Vec::new, |proposal| differences(&proposal.active, &proposal.held, now))
    });
    let found = found.await.unwrap_or_default();
    frame.show(
        "Held revision",
        &html! {
            h1 { "Held revision " code { (held.revision) } }
            (reasons(held, now))
            (decision(held, &visitor))
            (changes(&found, &status))
        },
    )
}

fn reasons(held: &Held, now: Instant) -> Markup {
    html! {
        p { "Held since " (text::time(Zone::UTC, held.since)) " UTC (" (text::length(now, held.since)) "), because:" }
        ul { @for reason in &held.reasons { li { (reason) } } }
        @if !held.approvals.is_empty() { p { "Approved by " (held.approvers().join(", ")) "; more approvals are required." } }
        @if let Some(rejected) = &held.rejected {
            p.bad { "Rejected by " (rejected.who) " at " (text::time(Zone::UTC, rejected.at)) " UTC. Correct the files." }
        }
    }
}

fn decision(held: &Held, visitor: &Visitor) -> Markup {
    html! {
        @if visitor.may(Right::Approve) {
            div.tools {
                @for (action, label, class) in
                    [("/held/approve", "Approve", "primary"), ("/held/reject", "Reject", "plain")] {
                    form method="post" action=(action) {
                        (csrf(visitor))
                        input type="hidden" name="revision" value=(held.revision);
                        button.(class) { (label) }
                    }
                }
            }
        } @else {
            p.quiet {
                a href="/sign-in" { "Sign in" } " with a token that may approve, or run "
                code { "rtconfd approve " (held.revision) }
            }
        }
    }
}

fn changes(found: &[Difference], status: &Status) -> Markup {
    html! {
        h2 { "Changes of the next 14 days" }
        @if found.is_empty() { p { "It changes no value in this period." } } @else {
            table {
                caption.quiet { (found.len()) " changes" }
                thead {
                    tr { @for title in ["Page", "Site or variable", "From", "Before", "After"] { th scope="col" { (title) } } }
                }
                tbody { @for difference in found.iter().take(DIFFERENCES) { (one(difference, status)) } }
            }
            @if found.len() > DIFFERENCES {
                p { "and " (found.len() - DIFFERENCES) " more: run " code { "rtconfd diff" } }
            }
        }
    }
}

fn one(difference: &Difference, status: &Status) -> Markup {
    let zone = zone(difference, status.proposal.as_deref());
    let none = || html! { span.quiet { "-" } };
    let plain = |text: &str| html! { (text) };
    let (what, from, before, after) = match &difference.what {
        Changed::NewPage => (none(), plain("now"), none(), plain("a new page")),
        Changed::Gone => (none(), plain("now"), none(), plain("no longer defined")),
        Changed::Hours { site, from, dates, before, after } => {
            let dates = if *dates == 1 { String::new() } else { format!(", on {dates} dates") };
            let from = html! { (from.format("%a %e %b")) (dates) };
            (plain(site), from, plain(before), plain(after))
        }
        Changed::Row { name, is_new: true } => (plain(name), plain("now"), none(), plain("a new row")),
        Changed::Row { name, is_new: false } => (plain(name), plain("now"), none(), plain("the row is gone")),
        Changed::Value { name, from, before, after } => {
            (plain(name), text::time(zone, *from), text::value(before), text::value(after))
        }
        Changed::NotCompared { name, from } => {
            (plain(name), text::time(zone, *from), plain("not compared from here on"), none())
        }
    };
    html! {
        tr {
            th scope="row" data-label="Page" {
                a href=(text::address(&difference.page)) { (site(difference, status)) }
                div.quiet { (difference.page) }
            }
            td data-label="Site or variable" { (what) }
            td data-label="From" { (from) }
            td data-label="Before" { (before) }
            td data-label="After" { (after) }
        }
    }
}

/// Returns the site of the page that differs.
fn site(difference: &Difference, status: &Status) -> String {
    let worlds = status.proposal.iter().flat_map(|proposal| [&proposal.held, &proposal.active]);
    let page = worlds.into_iter().find_map(|world| world.page(&difference.page));
    page.map_or_else(|| difference.page.agent.clone(), |managed| row::site(&managed.page).to_owned())
}

/// Returns the zone of the page that differs.
fn zone(difference: &Difference, proposal: Option<&Proposal>) -> Zone {
    let page = proposal.and_then(|proposal| proposal.held.page(&difference.page));
    page.map_or(Zone::UTC, |managed| row::zone(&managed.page))
}
