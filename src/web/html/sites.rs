//! The sites and their hours, for the staff of a shop: no agents, no files, no actions.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::Uri;
use axum::response::Response;
use maud::{Markup, html};

use crate::hours::{DayKind, Hours};
use crate::model::{Environment, Instant};
use crate::reconcile::{PageStatus, Status};

use super::super::visitor::Visitor;
use super::app::App;
use super::frame::Frame;
use super::pairs::Pairs;
use super::{chart, heard, row, text};

/// Sites in one view.
const SITES: usize = 50;
/// With more sites than this, a view leaves out their timelines to stay small.
const WITH_TIMELINES: usize = 10;

/// The hours of a site, and its name.
struct Site<'s> {
    name: String,
    hours: &'s Arc<Hours>,
    /// True if callers hear them; false while a page is not right.
    is_confirmed: bool,
}

pub async fn show(State(app): State<App>, Extension(visitor): Extension<Visitor>, uri: Uri) -> Response {
    let status = match app.driver.status().await {
        Ok(status) => status,
        Err(refusal) => return *refusal,
    };
    let pairs = Pairs::of_query(&uri);
    let words = pairs.get("q").trim().to_lowercase();
    let mut found = sites(&status);
    found.retain(|site| site.name.to_lowercase().contains(&words));
    Frame { status: Some(&status), visitor: &visitor }.show(
        "Sites",
        &html! {
            h1 { "Sites" }
            form.search method="get" action="/sites" role="search" {
                label { "Find" input type="search" name="q" value=(pairs.get("q")) placeholder="leeds"; }
                button { "Find" }
            }
            (list(&found, status.at))
        },
    )
}

/// Returns the sites of the most important environment that has them, by name.
///
/// A site with several hours, on one page or on several, is listed with each of them.
fn sites(status: &Status) -> Vec<Site<'_>> {
    let mut found: BTreeMap<String, Vec<Site>> = BTreeMap::new();
    for environment in Environment::ALL.into_iter().rev() {
        let mut of_environment: BTreeMap<String, Vec<Site>> = BTreeMap::new();
        for page in status.pages.iter().filter(|page| page.page.environment == environment) {
            for site in of_page(page, status.at) {
                let known = of_environment.entry(site.name.clone()).or_default();
                match known.iter_mut().find(|known| known.hours.is_equivalent(site.hours)) {
                    Some(known) => known.is_confirmed &= site.is_confirmed,
                    None => known.push(site),
                }
            }
        }
        for (name, sites) in of_environment {
            found.entry(name).or_insert(sites);
        }
    }
    found.into_values().flatten().collect()
}

/// Returns the sites of a page: its rows, else the page itself.
fn of_page(page: &PageStatus, now: Instant) -> Vec<Site<'_>> {
    let is_confirmed = heard::is_confirmed(page);
    let of_rows = heard::sites(&page.definition, now);
    let site = |name: &str, hours| Site { name: name.to_owned(), hours, is_confirmed };
    if of_rows.is_empty() {
        let name = row::site(&page.definition);
        return heard::hours(&page.definition, now).into_iter().map(|hours| site(name, hours)).collect();
    }
    of_rows.into_iter().map(|(name, hours)| site(name, hours)).collect()
}

fn list(found: &[Site], now: Instant) -> Markup {
    html! {
        @if found.is_empty() { p { "No site with hours matches." } }
        div.sites {
            @for site in found.iter().take(SITES) {
                article {
                    h2 { (site.name) }
                    p { (state(site.hours, now)) }
                    @if !site.is_confirmed { p.odd { "Callers may hear something else at the moment." } }
                    (exceptions(site.hours, now))
                    @if found.len() <= WITH_TIMELINES {
                        details {
                            summary { "The next " (chart::DAYS) " days" }
                            (chart::chart(site.hours, None, &chart::days(site.hours, now)))
                        }
                    }
                }
            }
        }
        @if found.len() > SITES { p.quiet { "and " (found.len() - SITES) " more: search by name" } }
    }
}

fn state(hours: &Hours, now: Instant) -> Markup {
    html! {
        @if hours.is_open(now) { span.open { "open" } } @else { span.closed { "closed" } }
        @if let Some(next) = hours.next_change(now) { " until " (text::coming(hours.zone, next, now)) }
        " · today " (hours.text(hours.today(now)))
    }
}

/// Returns the exceptions and holidays among the next dates.
fn exceptions(hours: &Hours, now: Instant) -> Markup {
    let days = chart::days(hours, now);
    html! {
        ul.exceptions {
            @for day in days.iter().filter(|day| day.kind != DayKind::Ordinary) {
                li {
                    (day.date.format("%a %e %b")) ": " (day.text)
                    @if let Some(name) = &day.name { " (" (name) ")" }
                }
            }
        }
    }
}
