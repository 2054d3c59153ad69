//! One page in a list: its site, what callers hear now, since when, and what comes next.

use std::sync::Arc;

use chrono::TimeDelta;
use maud::{Markup, html};
use serde_json::Value;

use crate::hours::Hours;
use crate::model::{Instant, PageId, Row};
use crate::pages::{Owned, Page};
use crate::reconcile::PageStatus;
use crate::zone::Zone;

use super::{heard, text};

/// Values shown of a page in a list.
const VALUES: usize = 3;
/// The next transition is searched for this long.
const AHEAD: TimeDelta = TimeDelta::days(15);
/// The last opening or closing is searched for this many days back.
const DAYS_BACK: usize = 8;

/// Returns the site that a page is for: the key of its row, else its agent.
pub fn site(page: &Page) -> &str {
    page.row.as_ref().and_then(Row::key).unwrap_or(&page.id.agent)
}

/// Returns the zone in which the times of a page are shown.
pub fn zone(page: &Page) -> Zone {
    page.zone.unwrap_or(Zone::UTC)
}

/// Returns the cells of a page in the list.
pub fn cells(page: &PageStatus, now: Instant) -> Markup {
    let definition = &page.definition;
    let zone = zone(definition);
    let (id, hours) = (&page.page, heard::hours(definition, now));
    html! {
        th scope="row" data-label="Page" {
            a href=(text::address(id)) { (site(definition)) }
            div.quiet { (id) @if zone != Zone::UTC { " · " (zone) } }
        }
        td data-label="State" {
            (text::standing(&page.standing))
            @if let Some(problem) = page.standing.problem() { div.why { (problem) } }
        }
        td data-label="Now" {
            (open_now(&hours, zone, now))
            @if !hours.is_empty() && !heard::is_confirmed(page) { span.quiet { " by its definition; the page may differ" } }
            (values(page))
        }
        td data-label="Next" { (next_opening(&hours, now)) (next(definition, zone, now)) }
    }
}

/// Returns if hours are open now and since when; for many, how many are.
pub fn open_now(hours: &[&Arc<Hours>], zone: Zone, now: Instant) -> Markup {
    let open = hours.iter().filter(|hours| hours.is_open(now)).count();
    html! {
        @match hours {
            [] => {}
            [hours] => {
                @if open == 1 { span.open { "open" } } @else { span.closed { "closed" } }
                @if let Some(since) = since(hours, now) { " since " (text::time(hours.zone, since)) }
            }
            _ => { span { (open) " of " (hours.len()) " open" } }
        }
        @if hours.len() == 1 && hours[0].zone != zone { " (" (hours[0].zone) ")" }
    }
}

/// Returns when the hours last opened or closed, within some days.
fn since(hours: &Hours, now: Instant) -> Option<Instant> {
    if let Some(open) = hours.current(now) {
        return Some(open.from);
    }
    let mut dates = std::iter::successors(Some(hours.today(now)), |date| date.pred_opt()).take(DAYS_BACK);
    dates.find_map(|date| hours.on(date).iter().map(|period| period.to).filter(|to| *to <= now).max())
}

/// Returns some values of the page as last fetched.
fn values(page: &PageStatus) -> Markup {
    let variables = &page.definition.variables;
    let value = |owned: &Owned| {
        let observed = page.observed.as_ref()?;
        Some(owned.variable.read(&observed.variables).cloned().unwrap_or(Value::Null))
    };
    html! {
        div.values {
            @if page.observed.is_none() { span.quiet { "not fetched yet" } }
            @for owned in variables.iter().take(VALUES) {
                @if let Some(value) = value(owned) { span { span.quiet { (owned.variable) } " " (text::value(&value)) } }
            }
            @if variables.len() > VALUES { span.quiet { "and " (variables.len() - VALUES) " more" } }
        }
    }
}

/// Returns when the hours next open or close; nothing for a page with many.
fn next_opening(hours: &[&Arc<Hours>], now: Instant) -> Markup {
    let next = match hours {
        [hours] => hours.next_change(now).map(|at| (hours, at)),
        _ => None,
    };
    html! {
        @if let Some((hours, at)) = next {
            div { @if hours.is_open(now) { "closes " } @else { "opens " } (text::coming(hours.zone, at, now)) }
        }
    }
}

/// Returns the next transition of a page, with a countdown.
fn next(page: &Page, zone: Zone, now: Instant) -> Markup {
    let to = now.checked_add_signed(AHEAD).unwrap_or(now);
    let transitions =
        page.variables.iter().filter_map(|owned| Some((owned, owned.definition.next_transition(now, to)?)));
    let next = transitions.min_by_key(|(_, transition)| transition.at);
    html! {
        @if let Some((owned, transition)) = next {
            div.quiet {
                (owned.variable) " " (text::value(&transition.value.to_json())) " "
                (text::coming(zone, transition.at, now))
            }
        } @else {
            span.quiet { "nothing within " (AHEAD.num_days()) " days" }
        }
    }
}

/// Returns a box to choose a page for an override.
pub fn choice(id: &PageId) -> Markup {
    let label = format!("Choose {id}");
    html! { td.choice { input type="checkbox" name="id" value=(id) aria-label=(label); } }
}
