//! The first view: what needs a person, then the pages.

use axum::extract::{Extension, State};
use axum::http::Uri;
use axum::response::Response;
use maud::{Markup, html};

use crate::model::{Environment, Problem};
use crate::reconcile::{PageStatus, Standing, Status};
use crate::settings::Right;
use crate::store::Alone;
use crate::store::relay::{LATE, Replica, Replicas};

use super::super::cluster::Cluster;
use super::super::visitor::Visitor;
use super::super::wire;
use super::app::App;
use super::filter::{self, Filter};
use super::frame::{self, Frame, csrf};
use super::pairs::Pairs;
use super::{row, text};

/// Pages in one view.
const PER_VIEW: usize = 50;
/// Problems of inputs that are listed.
const PROBLEMS: usize = 10;

pub async fn show(State(app): State<App>, Extension(visitor): Extension<Visitor>, uri: Uri) -> Response {
    let status = match app.driver.status().await {
        Ok(status) => status,
        Err(refusal) => return *refusal,
    };
    let pairs = Pairs::of_query(&uri);
    let (filter, number) = (Filter::of(&pairs), pairs.get("page").parse().unwrap_or(1).max(1));
    let frame = Frame { status: Some(&status), visitor: &visitor };
    frame.show(
        "Pages",
        &html! {
            h1 { "Pages" }
            (alone(app.driver.alone().as_ref()))
            (attention(&status))
            (summary(&status))
            (replicas(app.driver.cluster.as_ref()))
            (search(&filter))
            (list(&status, &visitor, &filter, number))
        },
    )
}

/// Returns that this replica goes on without the database.
fn alone(alone: Option<&Alone>) -> Markup {
    html! {
        @if let Some(alone) = alone {
            p.bad {
                strong { "Running alone since " (wire::utc(alone.since)) ". " }
                "The database does not answer, and this replica works on its copy of the store. Decided by " (alone.who)
                @if let Some(reason) = &alone.reason { ": " (reason) }
                "."
            }
        }
    }
}

/// Returns what needs a person, the most urgent first.
fn attention(status: &Status) -> Markup {
    let drifted = status.pages.iter().filter(|page| matches!(page.standing, Standing::Drifted(_))).count();
    html! {
        section.attention aria-label="Attention" {
            @if let Some(withheld) = &status.withheld { p.bad { strong { "Nothing is sent. " } (withheld.text()) } }
            @if !status.reload.problems.is_empty() {
                div.bad {
                    strong { "The last reload of the settings failed; the previous ones are active." }
                    (frame::problems(&status.reload.problems))
                }
            }
            @if let Some(held) = &status.held {
                p.bad {
                    strong { "A revision is held. " } (held.reasons.join("; ")) ". "
                    @if let Some(rejected) = &held.rejected { "Rejected by " (rejected.who) ". " }
                    a href="/held" { "Review it" }
                }
            }
            @if let Some((revision, left, stopped)) = &status.rollout {
                p.(if stopped.is_some() { "bad" } else { "odd" }) {
                    strong { "Rollout of revision " (revision) ". " } (left) " pages are left."
                    @if let Some(page) = stopped { " Stopped at " a href=(text::address(page)) { (page) } "." }
                }
            }
            @if drifted > 0 {
                p.odd { strong { (drifted) " pages drifted. " } "Another client changed values of ours." }
            }
            @if !status.following.is_empty() {
                p.odd { strong { (status.following.len()) " pages wait for their promotion." } }
            }
            (inputs(&status.problems))
            @for (receiver, failed) in status.receivers.iter().filter(|(_, failed)| **failed > 0) {
                p.odd {
                    strong { "Notifications to " (receiver) " do not arrive. " }
                    (failed) " attempts failed; see the log, or run " code { "rtconfd notify test " (receiver) } "."
                }
            }
        }
    }
}

fn inputs(problems: &[Problem]) -> Markup {
    html! {
        @if !problems.is_empty() {
            details.odd open[problems.iter().any(Problem::is_error)] {
                summary { strong { (problems.len()) " problems of settings and inputs" } }
                (frame::problems(&problems[..problems.len().min(PROBLEMS)]))
                @if problems.len() > PROBLEMS { p { "and " (problems.len() - PROBLEMS) " more: run rtconfd check" } }
            }
        }
    }
}

/// Returns the number of pages in each state.
fn summary(status: &Status) -> Markup {
    let count = |word: &str| status.pages.iter().filter(|page| page.standing.word() == word).count();
    html! {
        p.summary {
            strong { (status.pages.len()) " pages" }
            @for (word, count) in Standing::WORDS.map(|word| (word, count(word))) {
                @if count > 0 { " · " (count) " " (word) }
            }
        }
    }
}

/// Returns the replicas that share the store, if it is shared.
fn replicas(cluster: Option<&Cluster>) -> Markup {
    let Some(cluster) = cluster else { return html! {} };
    let replicas = cluster.replicas();
    let all = &replicas.all;
    html! {
        @if !all.is_empty() {
            p.quiet {
                (all.len()) (if all.len() == 1 { " replica: " } else { " replicas: " })
                @for (index, replica) in all.iter().enumerate() {
                    @if index > 0 { " · " }
                    (replica.described) " (" (if replica.is_active { "active" } else { "standby" })
                    @if replica.program != env!("CARGO_PKG_VERSION") { ", version " (replica.program) }
                    @if replica.age > LATE { ", last seen " (replica.age) " s ago" }
                    ")"
                }
            }
            (other_files(&replicas))
        }
    }
}

/// Returns which replicas would bring other files than the active one, or bad ones.
fn other_files(replicas: &Replicas) -> Markup {
    let differing = |replica| wire::few(&replicas.differing(replica).into_iter().collect::<Vec<&str>>());
    let errors = |replica: &Replica| match replica.files.as_ref().and_then(|files| files.errors).unwrap_or(0)
    {
        0 => None,
        1 => Some("1 error".to_owned()),
        errors => Some(format!("{errors} errors")),
    };
    let standbys = replicas.all.iter().filter(|replica| !replica.is_active);
    let odd: Vec<_> = standbys
        .map(|replica| (&replica.described, differing(replica), errors(replica)))
        .filter(|(_, differing, errors)| !differing.is_empty() || errors.is_some())
        .collect();
    html! {
        @if !odd.is_empty() {
            section.attention aria-label="Files of replicas" {
                @for (described, differing, errors) in odd {
                    p.odd {
                        strong { (described) }
                        @if !differing.is_empty() { " reads other files than the active replica: " (differing) "." }
                        @if let Some(errors) = errors { " It has " (errors) " in its files; its log names them." }
                    }
                }
            }
        }
    }
}

fn search(filter: &Filter) -> Markup {
    html! {
        form.search method="get" action="/" role="search" {
            label { "Find" input type="search" name="q" value=(filter.words) placeholder="leeds, region=north"; }
            label { "Environment"
                select name="environment" {
                    option value="" { "any" }
                    @for environment in Environment::ALL {
                        option selected[filter.environment == Some(environment)] { (environment) }
                    }
                }
            }
            label { "State"
                select name="state" {
                    @for state in filter::State::ALL {
                        option value=(state.names().0) selected[filter.state == state] { (state.names().1) }
                    }
                }
            }
            button { "Find" }
        }
    }
}

fn list(status: &Status, visitor: &Visitor, filter: &Filter, number: usize) -> Markup {
    let found = filter.select(status);
    let views = found.len().div_ceil(PER_VIEW).max(1);
    let number = number.min(views);
    let shown: Vec<&PageStatus> =
        found.iter().skip((number - 1) * PER_VIEW).take(PER_VIEW).copied().collect();
    let may_override = visitor.may(Right::Override);
    html! {
        @if shown.is_empty() { p { "No page matches." } }
        form method="post" action="/override" {
            (csrf(visitor))
            @for (name, value) in filter.fields() { input type="hidden" name=(name) value=(value); }
            @if may_override { (tools(found.len())) }
            table.pages {
                caption.quiet { (found.len()) " pages" @if views > 1 { ", view " (number) " of " (views) } }
                thead {
                    tr {
                        @if may_override { th scope="col" { span.hidden { "Choose" } } }
                        @for title in ["Page", "State", "Now", "Next change"] { th scope="col" { (title) } }
                    }
                }
                tbody {
                    @for page in &shown {
                        tr { @if may_override { (row::choice(&page.page)) } (row::cells(page, status.at)) }
                    }
                }
            }
        }
        (turn(filter, number, views))
        @if !may_override {
            p.quiet { a href="/sign-in" { "Sign in" } " to close or open sites and to change values." }
        }
    }
}

/// Returns the buttons that lead to an override of the chosen pages.
fn tools(found: usize) -> Markup {
    html! {
        p.tools {
            button name="select" value="chosen" { "Override the chosen pages" }
            " "
            button name="select" value="all" { "Override all " (found) " found" }
        }
    }
}

fn turn(filter: &Filter, number: usize, views: usize) -> Markup {
    html! {
        @if views > 1 {
            nav.turn aria-label="More pages" {
                @if number > 1 { a rel="prev" href={ "/" (filter.query(number - 1)) } { "Previous" } }
                span { "View " (number) " of " (views) }
                @if number < views { a rel="next" href={ "/" (filter.query(number + 1)) } { "Next" } }
            }
        }
    }
}
