//! Overrides: the active ones, and the form for a new one.

use std::collections::BTreeSet;

use axum::extract::{Extension, Request, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use maud::{Markup, html};

use crate::model::{PageId, Problem};
use crate::pages::Override;
use crate::reconcile::{PageStatus, Status};
use crate::settings::Right;
use crate::zone::Zone;

use super::super::visitor::Visitor;
use super::app::App;
use super::filter::Filter;
use super::frame::{Frame, csrf, problems};
use super::pairs::Pairs;
use super::{row, text};

/// Pages listed by name.
const LISTED: usize = 30;
/// Variables offered for a value.
const VARIABLES: usize = 200;
/// The ends offered, each with its words.
const ENDS: [(&str, &str); 6] = [
    ("next opening", "the next opening"),
    ("1h", "in 1 hour"),
    ("2h", "in 2 hours"),
    ("4h", "in 4 hours"),
    ("00:00", "midnight"),
    (RELEASED, "it is released"),
];
/// The choice of no end.
const RELEASED: &str = "released";

pub async fn show(State(app): State<App>, Extension(visitor): Extension<Visitor>) -> Response {
    let status = match app.driver.status().await {
        Ok(status) => status,
        Err(refusal) => return *refusal,
    };
    Frame { status: Some(&status), visitor: &visitor }.show(
        "Overrides",
        &html! {
            h1 { "Overrides" }
            h2 { "Active" }
            @if status.overrides.is_empty() { p { "No override is active." } }
            @for set in &status.overrides { (one(set, &status, &visitor)) }
            p { a href="/" { "Choose pages" } " to set one." }
        },
    )
}

/// Returns an active override, with its forms for a person who may use them.
pub fn one(set: &Override, status: &Status, visitor: &Visitor) -> Markup {
    html! {
        article.override {
            h3 { (set.kind.describe()) " " span.quiet { "#" (set.id) } }
            p { (set.reason) " " span.quiet { "by " (set.who) ", " (text::time(Zone::UTC, set.at)) " UTC" } }
            ul.columns {
                @for (page, row, until) in set.reach().into_iter().take(LISTED) {
                    li {
                        a href=(text::address(page)) { (name(page, status)) " " (page) }
                        @if let Some(row) = row { " " (row) }
                        @match until {
                            Some(until) => { " until " (text::coming(zone(page, status), until, status.at)) },
                            None => " until it is released",
                        }
                    }
                }
                @if set.reach().len() > LISTED { li { "and " (set.reach().len() - LISTED) " more" } }
            }
            @if visitor.may(Right::Override) { (forms(set, visitor)) }
        }
    }
}

fn forms(set: &Override, visitor: &Visitor) -> Markup {
    html! {
        div.tools {
            form method="post" action={ "/override/" (set.id) "/release" } {
                (csrf(visitor))
                button { "Release" }
            }
            form method="post" action={ "/override/" (set.id) "/extend" } {
                (csrf(visitor))
                label { "Extend until" (ends("")) }
                (own_end(""))
                button.plain { "Extend" }
            }
        }
    }
}

/// Returns the choice of an end, with the one that was chosen before.
fn ends(chosen: &str) -> Markup {
    html! {
        select name="until" {
            @for (value, words) in ENDS { option value=(value) selected[value == chosen] { (words) } }
        }
    }
}

fn own_end(text: &str) -> Markup {
    html! { label { "or" input name="until_text" value=(text) placeholder="14:00, 2026-12-24T14:00" size="20"; } }
}

/// Returns the end that a form names, none until a release: the text if there is one, else the choice.
///
/// Without either it is the first choice.
pub fn chosen_end(form: &Pairs) -> Option<String> {
    let text = form.get("until_text").trim();
    match (text, form.get("until")) {
        ("", "") => Some(ENDS[0].0.to_owned()),
        ("", RELEASED) => None,
        ("", chosen) => Some(chosen.to_owned()),
        (text, _) => Some(text.to_owned()),
    }
}

/// Shows the form for pages that a link names.
pub async fn ask_by_link(
    State(app): State<App>,
    Extension(visitor): Extension<Visitor>,
    uri: Uri,
) -> Response {
    ask_for(&app, &visitor, &Pairs::of_query(&uri), &[]).await
}

/// Shows the form for pages that were chosen in a list.
pub async fn ask(
    State(app): State<App>,
    Extension(visitor): Extension<Visitor>,
    request: Request,
) -> Response {
    match Pairs::of_form(request).await {
        Ok(form) => ask_for(&app, &visitor, &form, &[]).await,
        Err(found) => {
            let content = html! { h1 { "Override" } (problems(&found)) };
            Frame { status: None, visitor: &visitor }.answer(StatusCode::BAD_REQUEST, "Override", &content)
        }
    }
}

/// Shows the form, with the problems of the last attempt.
pub async fn ask_for(app: &App, visitor: &Visitor, form: &Pairs, found: &[Problem]) -> Response {
    let status = match app.driver.status().await {
        Ok(status) => status,
        Err(refusal) => return *refusal,
    };
    let frame = Frame { status: Some(&status), visitor };
    let pages = chosen(form, &status);
    if pages.is_empty() {
        let content =
            html! { h1 { "Override" } p { "No page is chosen." } p { a href="/" { "Choose pages" } } };
        return frame.answer(StatusCode::UNPROCESSABLE_ENTITY, "Override", &content);
    }
    let code = if found.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let cells = cells(form, &pages);
    frame.answer(
        code,
        "Override",
        &html! {
            h1 { "Override " (count(&pages)) }
            (problems(found))
            (listed(&pages, &cells))
            @if visitor.may(Right::Override) { (new(form, &pages, &cells, visitor)) } @else {
                p { a href="/sign-in" { "Sign in" } " with a token that may override." }
            }
        },
    )
}

/// Returns the pages that a form names: by ID, or all that meet its conditions.
fn chosen<'s>(form: &Pairs, status: &'s Status) -> Vec<&'s PageStatus> {
    if form.get("select") == "all" {
        return Filter::of(form).select(status);
    }
    let ids: BTreeSet<PageId> = form.all("id").filter_map(|id| id.parse().ok()).collect();
    status.pages.iter().filter(|page| ids.contains(&page.page)).collect()
}

fn count(pages: &[&PageStatus]) -> String {
    match pages {
        [page] => row::site(&page.definition).to_owned(),
        _ => format!("{} pages", pages.len()),
    }
}

/// Returns the cells that select sites of pages with many: those of a link, or of the search.
fn cells(form: &Pairs, pages: &[&PageStatus]) -> Vec<String> {
    match form.get("select") {
        "all" => Filter::of(form).cells(pages),
        _ => form.all("where").map(str::to_owned).collect(),
    }
}

fn listed(pages: &[&PageStatus], cells: &[String]) -> Markup {
    let sites = |page: &PageStatus| page.definition.made_for_rows().len();
    html! {
        ul.columns {
            @for page in pages.iter().take(LISTED) {
                li {
                    (row::site(&page.definition)) " " span.quiet { (page.page) }
                    @if sites(page) > 0 && cells.is_empty() { strong { ", all its " (sites(page)) " sites" } }
                }
            }
            @if pages.len() > LISTED { li { "and " (pages.len() - LISTED) " more" } }
        }
        @for cell in cells { p { "Only for " strong { (cell) } } }
    }
}

/// Returns the form for a new override. It keeps what a failed attempt had entered.
fn new(form: &Pairs, pages: &[&PageStatus], cells: &[String], visitor: &Visitor) -> Markup {
    let kind = if form.get("kind").is_empty() { "closed" } else { form.get("kind") };
    html! {
        form.new method="post" action="/override/set" {
            (csrf(visitor))
            (selection(pages, cells))
            fieldset {
                legend { "Callers hear" }
                @for (value, words) in [("closed", "closed"), ("open", "open"), ("value", "a value:")] {
                    label.choice {
                        input type="radio" name="kind" value=(value) checked[kind == value]; (words)
                    }
                }
                label { "Variable"
                    input name="variable" list="variables" value=(form.get("variable"));
                }
                datalist #variables { @for name in variables(pages) { option value=(name) {} } }
                label { "Value" input name="value" value=(form.get("value")); }
            }
            fieldset {
                legend { "Until" }
                label { "Until" (ends(form.get("until"))) }
                (own_end(form.get("until_text")))
            }
            label { "Reason" input name="reason" required value=(form.get("reason")) autocomplete="off"; }
            button.primary { "Set the override" }
        }
    }
}

/// Returns the hidden fields that name the listed pages: those that the person confirms, even if
/// others meet the conditions meanwhile.
fn selection(pages: &[&PageStatus], cells: &[String]) -> Markup {
    html! {
        @for page in pages { input type="hidden" name="id" value=(page.page); }
        @for cell in cells { input type="hidden" name="where" value=(cell); }
    }
}

fn variables(pages: &[&PageStatus]) -> BTreeSet<String> {
    let owned = pages.iter().flat_map(|page| page.definition.variables.iter());
    owned.map(|owned| owned.variable.to_string()).take(VARIABLES).collect()
}

fn zone(page: &PageId, status: &Status) -> Zone {
    found(page, status).map_or(Zone::UTC, |found| row::zone(&found.definition))
}

/// Returns the site of a page; nothing for a page that is not active yet.
fn name<'s>(page: &PageId, status: &'s Status) -> &'s str {
    found(page, status).map_or("", |found| row::site(&found.definition))
}

fn found<'s>(page: &PageId, status: &'s Status) -> Option<&'s PageStatus> {
    status.pages.iter().find(|known| known.page == *page)
}
