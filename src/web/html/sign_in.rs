//! Signing in with a token, and out.

use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use maud::html;

use crate::model::Problem;

use super::super::connections::Arrival;
use super::super::visitor::{Csrf, Visitor};
use super::actions::see;
use super::app::App;
use super::frame::{Frame, problems};
use super::pairs::Pairs;

pub async fn show(State(app): State<App>, Extension(visitor): Extension<Visitor>) -> Response {
    form(&app, &visitor, StatusCode::OK, &[])
}

fn form(app: &App, visitor: &Visitor, code: StatusCode, found: &[Problem]) -> Response {
    Frame { status: None, visitor }.answer(code, "Sign in", &html! {
        h1 { "Sign in" }
        (problems(found))
        @if app.secrets.tokens.is_empty() {
            p { "No token is set up, so this page only shows. Add " code { "[[listen.tokens]]" } " to the settings, or "
                "use the commands " code { "rtconfd override" } " and " code { "rtconfd approve" } "." }
        } @else {
            form.new method="post" action="/sign-in" {
                label { "Token" input type="password" name="token" required autocomplete="current-password"; }
                button.primary { "Sign in" }
            }
        }
    })
}

/// Starts a session for the holder of a token.
///
/// The form needs no text against forgery: a forged one would have to know a token.
pub async fn begin(
    State(app): State<App>,
    Extension(visitor): Extension<Visitor>,
    Extension(arrival): Extension<Arrival>,
    headers: HeaderMap,
    request: Request,
) -> Response {
    let sessions = &app.secrets.sessions;
    let address = app.secrets.origin(&headers, arrival);
    if let Some(pause) = sessions.pause(address) {
        let problem =
            Problem::new("too many failed attempts").hint(format!("wait {} s", pause.as_secs() + 1));
        return form(&app, &visitor, StatusCode::TOO_MANY_REQUESTS, &[problem]);
    }
    let fields = match Pairs::of_form(request).await {
        Ok(fields) => fields,
        Err(found) => return form(&app, &visitor, StatusCode::BAD_REQUEST, &found),
    };
    let Some(token) = app.secrets.token(fields.get("token").trim()) else {
        sessions.count_failure(address);
        tracing::warn!(?address, "a sign-in failed");
        return form(&app, &visitor, StatusCode::FORBIDDEN, &[Problem::new("unknown token")]);
    };
    match sessions.begin(token.secret.fingerprint()) {
        Ok(cookie) => {
            tracing::info!(who = token.caller.name, "signed in");
            // A browser behind the trusted proxy names an encrypted origin.
            let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
            let is_encrypted =
                arrival.is_encrypted || origin.is_some_and(|origin| origin.starts_with("https://"));
            with_cookie(see("/"), &format!("{}={cookie}", app.secrets.cookie), is_encrypted)
        }
        Err(error) => {
            let problem = Problem::new(format!("cannot start a session: {error}"));
            form(&app, &visitor, StatusCode::INTERNAL_SERVER_ERROR, &[problem])
        }
    }
}

pub async fn end(
    State(app): State<App>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    request: Request,
) -> Response {
    let fields = Pairs::of_form(request).await.unwrap_or_default();
    let is_own = matches!(&visitor, Visitor::Person(_, Csrf(csrf)) if csrf == fields.get("csrf"));
    if let Some(cookie) = app.secrets.session(&headers).filter(|_| is_own) {
        app.secrets.sessions.end(cookie);
    }
    see("/")
}

/// Adds the session's cookie, which scripts cannot read and other web pages cannot have sent.
fn with_cookie(mut response: Response, cookie: &str, is_encrypted: bool) -> Response {
    let secure = if is_encrypted { "; Secure" } else { "" };
    let cookie = format!("{cookie}; Path=/; HttpOnly; SameSite=Strict{secure}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
