//! Coming opening hours as a picture: one block for each site, one bar for each date.

use std::sync::Arc;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::compile::Managed;
use crate::hours::{DayChart, DayKind, Hours, WIDTH};
use crate::limits::pages::MAX_PREVIEW_DAYS;
use crate::model::Instant;
use crate::web::{self, STYLE};
use crate::zone;

/// The layout of a picture, in pixels.
const ROW: usize = 18;
const HEAD: usize = 30;
const LABEL: usize = 96;
const BAR: usize = 480;
const TOTAL: usize = 860;

/// The period that a picture shows.
#[derive(Clone, Copy)]
pub struct Window {
    /// Its first instant.
    pub from: Instant,
    /// Its end, not included.
    pub to: Instant,
    /// The instant that is marked; none in a picture of another time.
    pub now: Option<Instant>,
}

/// The hours of a site.
struct Site {
    name: String,
    hours: Arc<Hours>,
    days: Vec<DayChart>,
}

/// Returns the sites of pages. Pages of one row in several environments give one site.
fn sites(pages: &[&Managed], Window { from, to, now }: Window) -> Vec<Site> {
    let mut found: Vec<Site> = Vec::new();
    for managed in pages {
        let hours = web::timelines(&managed.page);
        for of in &hours {
            let name = if hours.len() > 1 { &of.name } else { web::site(&managed.page) };
            if found.iter().any(|site| site.name == name && site.hours.is_equivalent(of)) {
                continue;
            }
            let first = zone::date(of.zone, from);
            let count = u64::try_from((zone::date(of.zone, to) - first).num_days()).unwrap_or(0);
            let count = usize::try_from(count.clamp(1, MAX_PREVIEW_DAYS)).unwrap_or(1);
            let days = of.chart(first, count, now);
            found.push(Site { name: name.to_owned(), hours: (*of).clone(), days });
        }
    }
    found
}

/// Returns a web page that needs no other file.
pub fn html(pages: &[&Managed], window: Window) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Opening hours" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { "Opening hours" }
                    (web::legend())
                    div.charts { @for site in sites(pages, window) { (web::chart(&site.hours, Some(&site.name), &site.days)) } }
                }
            }
        }
    };
    page.into_string() + "\n"
}

/// Returns a picture for documents, with colours that suit a light and a dark page.
pub fn svg(pages: &[&Managed], window: Window) -> String {
    let sites = sites(pages, window);
    // The top of each block, and below the last one the height of the picture.
    let tops: Vec<usize> = std::iter::once(0)
        .chain(sites.iter().scan(0, |top, site| {
            *top += HEAD + site.days.len() * ROW + ROW / 2;
            Some(*top)
        }))
        .collect();
    let height = tops.last().copied().unwrap_or_default();
    let view = format!("0 0 {TOTAL} {height}");
    let picture = html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox=(view) width=(TOTAL) height=(height) role="img"
            font-family="system-ui, sans-serif" font-size="12" {
            title { "Opening hours" }
            rect width="100%" height="100%" fill="#fff" {}
            @for (site, top) in sites.iter().zip(tops) { (block(site, top)) }
        }
    };
    picture.into_string() + "\n"
}

fn block(site: &Site, top: usize) -> Markup {
    html! {
        text x="4" y=(top + 18) font-weight="700" font-size="14" fill="#16202a" { (site.name) }
        text x=(TOTAL - 4) y=(top + 18) text-anchor="end" fill="#556270" { (site.hours.zone) }
        @for (number, day) in site.days.iter().enumerate() { (date(day, top + HEAD + number * ROW)) }
    }
}

fn date(day: &DayChart, top: usize) -> Markup {
    let name = match (day.kind, &day.name) {
        (DayKind::Ordinary, _) => String::new(),
        (kind, None) => format!(" ({})", kind.word()),
        (_, Some(name)) => format!(" ({name})"),
    };
    let view = format!("0 0 {WIDTH} 12");
    html! {
        text x="4" y=(top + 11) fill="#16202a" { (day.date.format("%a %e %b")) }
        svg x=(LABEL) y=(top + 1) width=(BAR) height="12" viewBox=(view) preserveAspectRatio="none" {
            rect width=(WIDTH) height="12" fill="#dde3e8" {}
            @for (from, to) in &day.open { rect x=(from) width=(to - from) height="12" fill="#2f9e63" {} }
            @for (from, to) in &day.overridden { rect x=(from) width=(to - from) y="9" height="3" fill="#7a3ec8" {} }
            @for hour in [6, 12, 18] { rect x=(hour * 60) width="3" height="12" fill="#fff" {} }
            @if let Some(now) = day.now { rect x=(now) width="8" height="12" fill="#c01f1a" {} }
        }
        text x=(LABEL + BAR + 10) y=(top + 11) fill="#16202a" { (day.text) (name) }
    }
}
