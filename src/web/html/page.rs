//! One page: its timelines, its values and their reasons, its overrides and its history.

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::TimeDelta;
use maud::{Markup, html};
use serde_json::Value;

use crate::limits::pages::MAX_SINCE;
use crate::limits::time::{HORIZON, MAX_SCAN_STEPS};
use crate::model::{Instant, PageId, Row, same_value};
use crate::pages::{Override, Owned, UntypedValue};
use crate::reconcile::{PageStatus, Status};
use crate::settings::Right;
use crate::store::HistoryRow;
use crate::zone::Zone;

use super::super::visitor::Visitor;
use super::app::App;
use super::frame::{Frame, csrf};
use super::pairs::query;
use super::{chart, heard, overrides, row, text};

/// Timelines in one view; a page may show many sites.
const TIMELINES: usize = 20;
/// Variables in one view.
const VARIABLES: usize = 100;
/// Changes in one view.
const CHANGES: usize = 50;

pub async fn show(
    State(app): State<App>,
    Extension(visitor): Extension<Visitor>,
    Path((agent, environment)): Path<(String, String)>,
) -> Response {
    let status = match app.driver.status().await {
        Ok(status) => status,
        Err(refusal) => return *refusal,
    };
    let frame = Frame { status: Some(&status), visitor: &visitor };
    let id = format!("{agent}/{environment}").parse::<PageId>().ok();
    let Some(page) = id.and_then(|id| status.pages.iter().find(|page| page.page == id)) else {
        let content = html! { h1 { "Unknown page" } p { a href="/" { "All pages" } } };
        return frame.answer(StatusCode::NOT_FOUND, "Unknown page", &content);
    };
    let history = app.driver.archive.history(page.page.clone(), CHANGES).await;
    let title = page.page.to_string();
    frame.show(
        &title,
        &html! {
            (head(page, &visitor))
            (active(page, &status, &visitor))
            (timelines(page, status.at, &visitor))
            (values(page, status.at))
            (changes(&history, row::zone(&page.definition)))
        },
    )
}

fn head(page: &PageStatus, visitor: &Visitor) -> Markup {
    let name = row::site(&page.definition);
    let zone = row::zone(&page.definition);
    html! {
        h1 { (name) " " (text::standing(&page.standing)) }
        p.quiet { (page.page) " · times in " (zone) " · defined in " (page.definition.origin) }
        @if let Some(problem) = page.standing.problem() { p.bad { (problem) } }
        @if visitor.may(Right::Override) {
            div.tools {
                a.button href={ "/override" (query([("id", page.page.to_string().as_str())])) } { "Override" }
                form method="post" action="/resync" {
                    (csrf(visitor))
                    input type="hidden" name="id" value=(page.page);
                    button.plain { "Fetch now" }
                }
            }
        }
    }
}

/// Returns the active overrides of the page.
fn active(page: &PageStatus, status: &Status, visitor: &Visitor) -> Markup {
    let active: Vec<&Override> =
        status.overrides.iter().filter(|set| set.pages.contains_key(&page.page)).collect();
    html! {
        @if !active.is_empty() {
            h2 { "Overrides" }
            @for set in active { (overrides::one(set, status, visitor)) }
        }
    }
}

fn timelines(page: &PageStatus, now: Instant, visitor: &Visitor) -> Markup {
    let hours = heard::timelines(&page.definition);
    let rows: Vec<&Row> = page.definition.made_for_rows().into_iter().map(|made| made.row).collect();
    let sites = rows.iter().filter_map(|row| row.name());
    html! {
        @if !hours.is_empty() {
            h2 { "The next " (chart::DAYS) " days" }
            (chart::legend())
            div.charts { @for of in hours.iter().take(TIMELINES) {
                    (chart::chart(of, (hours.len() > 1).then_some(of.name.as_str()), &chart::days(of, now)))
                } }
            @if hours.len() > TIMELINES { p.quiet { "and " (hours.len() - TIMELINES) " more" } }
        }
        @if visitor.may(Right::Override) && !rows.is_empty() {
            details {
                summary { "Override one of its " (rows.len()) " sites" }
                ul.links {
                    @for name in sites {
                        @let id = page.page.to_string();
                        @let name = name.to_string();
                        li { a href={ "/override" (query([("id", id.as_str()), ("where", name.as_str())])) } { (name) } }
                    }
                }
            }
        }
    }
}

fn values(page: &PageStatus, now: Instant) -> Markup {
    let variables = &page.definition.variables;
    let zone = row::zone(&page.definition);
    html! {
        h2 { "Values" }
        table.values {
            thead { tr { @for title in ["Variable", "On the page", "Because", "Since", "Until"] { th scope="col" { (title) } } } }
            tbody { @for owned in variables.iter().take(VARIABLES) { (value(page, owned, zone, now)) } }
        }
        @if variables.len() > VARIABLES { p.quiet { "and " (variables.len() - VARIABLES) " more" } }
    }
}

fn value(page: &PageStatus, owned: &Owned, zone: Zone, now: Instant) -> Markup {
    let observed = page.observed.as_ref();
    let found = observed.map(|page| owned.variable.read(&page.variables).cloned().unwrap_or(Value::Null));
    let desired = owned.definition.evaluate(now).map(|evaluated| evaluated.value);
    let until = now.checked_add_signed(HORIZON).and_then(|to| owned.definition.next_transition(now, to));
    html! {
        tr {
            th scope="row" data-label="Variable" { (owned.variable) }
            td data-label="On the page" {
                @match &found { Some(found) => (text::value(found)), None => "not fetched yet" }
                @match &desired {
                    Ok(desired) => @if found.as_ref().is_some_and(|found| !is_equal(found, desired)) {
                        div.odd { "desired " (text::value(&desired.to_json())) }
                    },
                    Err(problem) => div.bad { (problem) },
                }
            }
            td.because data-label="Because" { (owned.definition.because(now)) }
            td data-label="Since" {
                @match since(owned, now) { Some(since) => (text::time(zone, since)), None => span.quiet { "-" } }
            }
            td data-label="Until" {
                @match until {
                    Some(next) => {
                        (text::coming(zone, next.at, now))
                        div.quiet { (text::value(&next.value.to_json())) }
                    }
                    None => span.quiet { "-" },
                }
            }
        }
    }
}

/// Returns true if the page holds the desired value; a cell takes its type from the page.
fn is_equal(found: &Value, desired: &UntypedValue) -> bool {
    let desired = desired.to_json();
    let is_same_text = desired.as_str().is_some_and(|desired| match found {
        Value::Bool(_) | Value::Number(_) => desired.trim().eq_ignore_ascii_case(&found.to_string()),
        _ => false,
    });
    same_value(found, &desired) || is_same_text
}

/// Returns when the variable last changed by itself.
fn since(owned: &Owned, now: Instant) -> Option<Instant> {
    let from = now.checked_sub_signed(MAX_SINCE)?;
    let until_now = now.checked_add_signed(TimeDelta::milliseconds(1))?;
    let before = owned.transitions(from, until_now, MAX_SCAN_STEPS).ok()?;
    let last = before.found.last().filter(|_| before.cut_short_at.is_none())?;
    (last.at > from).then_some(last.at)
}

fn changes(history: &Result<Vec<HistoryRow>, String>, zone: Zone) -> Markup {
    html! {
        h2 { "History" }
        @match history {
            Err(error) => p.bad { "The history cannot be read: " (error) },
            Ok(rows) if rows.is_empty() => p.quiet { "No change yet." },
            Ok(rows) => table.history {
                thead { tr { @for title in ["At", "Variable", "From", "To", "Because", "Outcome"] { th scope="col" { (title) } } } }
                tbody { @for change in rows { (one_change(change, zone)) } }
            },
        }
    }
}

fn one_change(change: &HistoryRow, zone: Zone) -> Markup {
    html! {
        tr {
            td data-label="At" { (text::time(zone, change.at)) }
            th scope="row" data-label="Variable" { (change.variable) }
            td data-label="From" { (text::value(&change.from)) }
            td data-label="To" { (text::value(&change.to)) }
            td.because data-label="Because" { (change.because) div.quiet { (change.who) } }
            td data-label="Outcome" {
                (change.outcome)
                @if let Some(error) = &change.error { div.why { (error) } }
                @if let Some(id) = &change.correlation_id { div.quiet { (id) } }
            }
        }
    }
}
