//! The sites and their hours, for the staff of a shop: no agents, no files, no actions.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::Uri;
use axum::response::Response;
use maud::{Markup, html};

use crate::hours::{DayKind, Hours};
use crate::model::{Environment, Instant};
use crate::pages::Page;
use crate::reconcile::Status;

use super::super::visitor::Visitor;
use super::app::App;
use super::frame::Frame;
use super::pairs::Pairs;
use super::{chart, row, text};

/// Sites in one view.
const SITES: usize = 50;

/// The hours of a site, and its name.
struct Site<'s> {
    name: String,
    hours: &'s Arc<Hours>,
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
fn sites(status: &Status) -> Vec<Site<'_>> {
    let by_importance = Environment::ALL.into_iter().rev();
    let mut found: BTreeMap<String, Site> = BTreeMap::new();
    for environment in by_importance {
        for page in status.pages.iter().filter(|page| page.page.environment == environment) {
            for site in of_page(&page.definition) {
                found.entry(site.name.clone()).or_insert(site);
            }
        }
    }
    found.into_values().collect()
}

/// Returns the sites of a page: its own row, else one for each of its rows.
fn of_page(page: &Page) -> Vec<Site<'_>> {
    let made = page.made_for_rows();
    let of_rows = made.iter().filter_map(|made| {
        Some(Site { name: made.row.key.clone()?, hours: *made.definition.overridden_hours().first()? })
    });
    let mut found: Vec<Site> = of_rows.collect();
    if let ([], Some(hours)) = (&found[..], row::hours(page).first()) {
        found.push(Site { name: row::site(page).to_owned(), hours });
    }
    found
}

fn list(found: &[Site], now: Instant) -> Markup {
    html! {
        @if found.is_empty() { p { "No site with hours matches." } }
        div.sites {
            @for site in found.iter().take(SITES) {
                article {
                    h2 { (site.name) }
                    p { (state(site.hours, now)) }
                    (exceptions(site.hours, now))
                    details { summary { "The next " (chart::DAYS) " days" } (chart::chart(site.hours, None, &chart::days(site.hours, now))) }
                }
            }
        }
        @if found.len() > SITES { p.quiet { "and " (found.len() - SITES) " more: search by name" } }
    }
}

fn state(hours: &Hours, now: Instant) -> Markup {
    html! {
        @if hours.is_open(now) { span.open { "open" } } @else { span.closed { "closed" } }
        @if let Some(next) = hours.next_change(now) { " until " (text::time(hours.zone, next)) }
        " · today " (hours.text(hours.today(now)))
    }
}

/// Returns the exceptions and holidays among the next dates.
fn exceptions(hours: &Hours, now: Instant) -> Markup {
    let days = hours.chart(hours.today(now), chart::DAYS, now);
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
