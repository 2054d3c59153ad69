//! What people do in the browser. Each action answers with the view that shows its effect.

use axum::extract::{Extension, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::html;
use tokio::sync::oneshot;

use crate::model::{PageId, Problem};
use crate::reconcile::{Control, Feed, Until};
use crate::settings::Right;

use super::super::refusal::Refusal;
use super::super::visitor::Visitor;
use super::super::wire::OverrideRequest;
use super::app::App;
use super::frame::{Frame, problems};
use super::pairs::Pairs;
use super::{overrides, text};

/// Reads a form and checks that its sender may use it.
async fn permitted(visitor: &Visitor, right: Right, request: Request) -> Result<Pairs, Box<Response>> {
    let form = Pairs::of_form(request).await.map_err(|found| failed(visitor, &found))?;
    match visitor.require_in_form(right, form.get("csrf")) {
        Ok(()) => Ok(form),
        Err(Refusal::SignIn) => Err(Box::new(see("/sign-in"))),
        Err(refusal) => {
            let found = [Problem::new(refusal.words())];
            let content = html! { h1 { "Refused" } (problems(&found)) };
            let frame = Frame { status: None, visitor };
            Err(Box::new(frame.answer(StatusCode::FORBIDDEN, "Refused", &content)))
        }
    }
}

/// Sends the browser to another view.
pub fn see(place: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response()
}

/// Shows the problems of an action that had no effect.
fn failed(visitor: &Visitor, found: &[Problem]) -> Box<Response> {
    let content = html! { h1 { "That had no effect" } (problems(found)) p { a href="/" { "All pages" } } };
    let frame = Frame { status: None, visitor };
    Box::new(frame.answer(StatusCode::UNPROCESSABLE_ENTITY, "That had no effect", &content))
}

/// Reads a form that its sender may use, and asks the daemon for what it says.
async fn act<T>(
    (app, visitor): (&App, &Visitor),
    right: Right,
    request: Request,
    control: impl FnOnce(&Pairs, String, oneshot::Sender<Result<T, Problem>>) -> Control,
) -> Result<T, Box<Response>> {
    let form = permitted(visitor, right, request).await?;
    let asked = app.driver.ask(|answer| control(&form, visitor.who(""), answer)).await?;
    asked.map_err(|problem| failed(visitor, &[problem]))
}

/// Returns another view, or the problems of an action.
fn done<T>(acted: Result<T, Box<Response>>, place: impl FnOnce(T) -> &'static str) -> Response {
    acted.map_or_else(|refusal| *refusal, |result| see(place(result)))
}

pub async fn set_override(
    State(app): State<App>,
    Extension(visitor): Extension<Visitor>,
    request: Request,
) -> Response {
    let form = match permitted(&visitor, Right::Override, request).await {
        Ok(form) => form,
        Err(refusal) => return *refusal,
    };
    let draft = match draft(&form, &visitor).read() {
        Ok(draft) => draft,
        Err(found) => return overrides::ask_for(&app, &visitor, &form, &found).await,
    };
    match app.driver.ask(|answer| Control::Set(Box::new(draft), answer)).await {
        Ok(Ok(_)) => see("/overrides"),
        Ok(Err(found)) => overrides::ask_for(&app, &visitor, &form, &found).await,
        Err(refusal) => *refusal,
    }
}

/// Returns the override that a form asks for.
fn draft(form: &Pairs, visitor: &Visitor) -> OverrideRequest {
    let says = match form.get("kind") {
        "value" => format!("{}={}", form.get("variable").trim(), form.get("value")),
        kind => kind.to_owned(),
    };
    OverrideRequest {
        pages: form.all("id").map(str::to_owned).collect(),
        cells: form.all("where").map(str::to_owned).collect(),
        says,
        until: overrides::chosen_end(form),
        reason: form.get("reason").trim().to_owned(),
        who: visitor.who(""),
        ..OverrideRequest::default()
    }
}

pub async fn extend_override(
    State(app): State<App>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<i64>,
    request: Request,
) -> Response {
    let form = match permitted(&visitor, Right::Override, request).await {
        Ok(form) => form,
        Err(refusal) => return *refusal,
    };
    let until = match overrides::chosen_end(&form).map(|text| text.parse::<Until>()).transpose() {
        Ok(until) => until.unwrap_or(Until::Released),
        Err(message) => return *failed(&visitor, &[Problem::new(message)]),
    };
    let who = visitor.who("");
    match app.driver.ask(|answer| Control::Extend { id, until, who, answer }).await {
        Ok(Ok(_)) => see("/overrides"),
        Ok(Err(found)) => *failed(&visitor, &found),
        Err(refusal) => *refusal,
    }
}

pub async fn release_override(
    State(app): State<App>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<i64>,
    request: Request,
) -> Response {
    let release = |_: &Pairs, who, answer| Control::Release { id, who, answer };
    done(act((&app, &visitor), Right::Override, request, release).await, |()| "/overrides")
}

pub async fn approve(
    State(app): State<App>,
    Extension(visitor): Extension<Visitor>,
    request: Request,
) -> Response {
    let approve = |form: &Pairs, who, answer| Control::Approve {
        revision: form.get("revision").to_owned(),
        who,
        answer,
    };
    let acted = act((&app, &visitor), Right::Approve, request, approve).await;
    done(acted, |missing| if missing == 0 { "/" } else { "/held" })
}

pub async fn reject(
    State(app): State<App>,
    Extension(visitor): Extension<Visitor>,
    request: Request,
) -> Response {
    let reject = |form: &Pairs, who, answer| Control::Reject {
        revision: form.get("revision").to_owned(),
        who,
        answer,
    };
    done(act((&app, &visitor), Right::Approve, request, reject).await, |()| "/held")
}

/// Has a page fetched now.
pub async fn resync(
    State(app): State<App>,
    Extension(visitor): Extension<Visitor>,
    request: Request,
) -> Response {
    let form = match permitted(&visitor, Right::Override, request).await {
        Ok(form) => form,
        Err(refusal) => return *refusal,
    };
    let Ok(page) = form.get("id").parse::<PageId>() else {
        return *failed(&visitor, &[Problem::new("unknown page")]);
    };
    let place = text::address(&page);
    let fetch = Control::Fetch { agent: Some(page.agent), environment: Some(page.environment), by: None };
    match app.driver.feed.try_send(Feed::Control(fetch)) {
        Ok(()) => see(&place),
        Err(_) => *failed(&visitor, &[Problem::new("the daemon is busy").hint("try again")]),
    }
}
