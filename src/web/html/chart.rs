//! The hours of some dates as a table with a bar for each date.

use maud::{Markup, html};

use crate::hours::{DayChart, DayKind, Hours, WIDTH};
use crate::model::Instant;

/// Dates in a chart.
pub const DAYS: usize = 14;

/// Returns the next 14 dates of hours.
pub fn days(hours: &Hours, now: Instant) -> Vec<DayChart> {
    hours.chart(hours.today(now), DAYS, Some(now))
}

/// Returns the timeline of hours, under their name and zone.
pub fn chart(hours: &Hours, name: Option<&str>, days: &[DayChart]) -> Markup {
    html! {
        table.chart {
            caption { @if let Some(name) = name { (name) " " } span.quiet { (hours.zone) } }
            thead { tr { th scope="col" { "Date" } th scope="col" { (scale()) } th scope="col" { "Open" } } }
            tbody {
                @for day in days {
                    tr.(day.kind.word()) {
                        th scope="row" { (day.date.format("%a %e %b")) }
                        td { (bar(day)) }
                        td { (day.text) (remark(day)) }
                    }
                }
            }
        }
    }
}

/// Returns the name of an exception or holiday, and a word for an override.
fn remark(day: &DayChart) -> Markup {
    html! {
        @if day.kind != DayKind::Ordinary {
            " " span.remark { (day.kind.word()) @if let Some(name) = &day.name { ": " (name) } }
        }
        @if !day.overridden.is_empty() { " " span.remark.overridden { "override" } }
    }
}

/// Returns the bar of one date. Its text is beside it, so it is hidden from screen readers.
fn bar(day: &DayChart) -> Markup {
    let box_of_view = format!("0 0 {WIDTH} 20");
    html! {
        svg.bar viewBox=(box_of_view) preserveAspectRatio="none" aria-hidden="true" {
            rect.closed width=(WIDTH) height="20" {}
            @for (from, to) in &day.open { rect.open x=(from) width=(to - from) height="20" {} }
            @for (from, to) in &day.overridden { rect.overridden x=(from) width=(to - from) y="15" height="5" {} }
            @for hour in [6, 12, 18] { line.hour x1=(hour * 60) x2=(hour * 60) y2="20" {} }
            @if let Some(now) = day.now { line.now x1=(now) x2=(now) y2="20" {} }
        }
    }
}

fn scale() -> Markup {
    html! {
        span.hours { span { "0" } span { "6" } span { "12" } span { "18" } span { "24" } }
    }
}

/// Returns the legend of the charts.
pub fn legend() -> Markup {
    html! {
        p.legend {
            span.key.open {} "open" span.key.closed {} "closed" span.key.overridden {} "override"
            span.key.now {} "now"
        }
    }
}
