//! The operations of the Agents API: paths, statuses, the envelope, the correlation id.

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, State as FromState};
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use std::time::Duration;

use crate::model::{Environment, Instant};

use super::answer::{Answer, odd, of_status, refuse};
use super::connection::Hangup;
use super::faults::{Kind, take_matching};
use super::pages::{Refusal, stamp};
use super::project_routes;
use super::state::{Logged, Simulator};

const CORRELATION_ID: &str = "x-polyai-correlation-id";
const BODY_BYTES: usize = 16 << 20;
/// Limit of the request log; above it, the older half is dropped.
const LOG_LENGTH: usize = 100_000;

/// Answers every request outside the simulator's own controls.
pub async fn api(
    FromState(simulator): FromState<Simulator>,
    ConnectInfo(hangup): ConnectInfo<Hangup>,
    request: Request<Body>,
) -> Response {
    let (parts, body) = request.into_parts();
    let (method, path) = (parts.method, parts.uri.path().to_owned());
    let bytes = to_bytes(body, BODY_BYTES).await;
    let faults = take_matching(&mut simulator.state().faults, method.as_str(), &path);
    for kind in &faults {
        if let Kind::Latency { ms } = kind {
            tokio::time::sleep(Duration::from_millis(*ms)).await;
        }
    }
    let correlation_id = simulator.correlation_id(&parts.headers);
    let parsed = bytes.as_ref().ok().and_then(|bytes| serde_json::from_slice::<Value>(bytes).ok());
    let early = faults.iter().find_map(early_answer);
    let reset_early = faults.contains(&Kind::Reset);
    let applied = early.is_none() && !reset_early;
    let mut answer = match early {
        Some(answer) => answer,
        None if reset_early => refuse(500, "RESET", "reset"),
        None => match bytes {
            Ok(_) => simulator.answer(&method, &parts.uri, &parts.headers, parsed.as_ref()),
            Err(_) => refuse(413, "PAYLOAD_TOO_LARGE", "The request body is too large."),
        },
    };
    let applied = applied && answer.status.is_success();
    let mut reset = reset_early;
    for kind in &faults {
        match kind {
            Kind::AppliedThenReset => reset = true,
            Kind::AppliedThenStatus { status } => answer = of_status(*status),
            Kind::AppliedThenAnswer { status, body } => answer = odd(*status, body),
            _ => {}
        }
    }
    simulator.remember(Logged {
        at: simulator.shared.clock.now(),
        method: method.to_string(),
        path,
        body: parsed,
        status: if reset { 0 } else { answer.status.as_u16() },
        applied,
        correlation_id: correlation_id.clone(),
    });
    for kind in &faults {
        if let Kind::AppliedThenLatency { ms } = kind {
            tokio::time::sleep(Duration::from_millis(*ms)).await;
        }
    }
    if reset {
        hangup.now();
    }
    respond(answer, &correlation_id, simulator.shared.clock.now())
}

fn early_answer(kind: &Kind) -> Option<Answer> {
    match kind {
        Kind::Status { status } => Some(of_status(*status)),
        Kind::Answer { status, body } => Some(odd(*status, body)),
        Kind::RateLimit { retry_after } => {
            let mut answer = of_status(429);
            answer.headers.push((header::RETRY_AFTER, retry_after.to_string()));
            Some(answer)
        }
        _ => None,
    }
}

fn respond(mut answer: Answer, correlation_id: &str, now: Instant) -> Response {
    if let Some(error_id) = answer.body.get_mut("error_id") {
        *error_id = json!(correlation_id);
    }
    let body = if answer.body.is_null() { String::new() } else { answer.body.to_string() };
    let mut response = (answer.status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
    let extra = answer
        .headers
        .into_iter()
        .chain([(header::HeaderName::from_static(CORRELATION_ID), correlation_id.to_owned())])
        .chain([(header::DATE, now.format("%a, %d %b %Y %H:%M:%S GMT").to_string())]);
    for (name, value) in extra {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

impl Simulator {
    /// Returns the request's correlation id, else a new one.
    fn correlation_id(&self, headers: &HeaderMap) -> String {
        let brought = headers.get(CORRELATION_ID).and_then(|value| value.to_str().ok());
        match brought.filter(|id| !id.is_empty() && id.len() <= 128) {
            Some(id) => id.to_owned(),
            None => {
                let mut state = self.state();
                state.requests += 1;
                format!("00000000-0000-4000-8000-{:012x}", state.requests)
            }
        }
    }

    fn remember(&self, logged: Logged) {
        let mut state = self.state();
        if state.log.len() >= LOG_LENGTH {
            state.log.drain(..LOG_LENGTH / 2);
        }
        state.log.push(logged);
    }

    /// Runs one operation.
    ///
    /// The checks come in this order: path, key, method, content type, then the request itself.
    fn answer(&self, method: &Method, uri: &Uri, headers: &HeaderMap, body: Option<&Value>) -> Answer {
        let steps: Vec<&str> = uri.path().trim_start_matches('/').split('/').collect();
        let (allowed, operation): (&[Method], Operation) = match steps.as_slice() {
            ["v1", "agents"] => (&[Method::GET], Operation::Agents),
            ["v1", "accounts", _, "agents"] => (&[Method::GET, Method::POST], Operation::Agents),
            ["v1", "agents", agent, "real-time-configs"] => (&[Method::GET], Operation::List(agent)),
            ["v1", "agents", agent, "real-time-configs", environment] => {
                (&[Method::GET], Operation::Page(agent, environment))
            }
            ["v1", "agents", agent, "real-time-configs", environment, "schema"] => {
                (&[Method::PUT], Operation::Schema(agent, environment))
            }
            ["v1", "agents", agent, "real-time-configs", environment, "variables"] => {
                (&[Method::PATCH], Operation::Variables(agent, environment))
            }
            ["v1", "agents", agent, rest @ ..] => match project_routes::operation(rest) {
                Some((allowed, operation)) => {
                    (allowed, Operation::Project(agent, operation, uri.query().unwrap_or_default()))
                }
                None => return unknown_path(),
            },
            _ => return unknown_path(),
        };
        if headers.get("x-api-key").and_then(|key| key.to_str().ok()) != Some(&self.shared.api_key) {
            return of_status(401);
        }
        if !allowed.contains(method) {
            let mut answer = refuse(405, "METHOD_NOT_ALLOWED", "The method is not allowed here.");
            let names: Vec<&str> = allowed.iter().map(Method::as_str).collect();
            answer.headers.push((header::ALLOW, names.join(", ")));
            return answer;
        }
        if ![Method::GET, Method::DELETE].contains(method) {
            let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
            let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_lowercase();
            if kind != "application/json" {
                return refuse(415, "UNSUPPORTED_MEDIA_TYPE", "The body must be application/json.");
            }
        }
        self.carry_out(operation, method, body)
    }

    fn carry_out(&self, operation: Operation, method: &Method, body: Option<&Value>) -> Answer {
        let at = self.shared.clock.now();
        match operation {
            Operation::Agents if method == Method::POST => self.create_agent(body, at),
            Operation::Agents => Answer::ok(Value::Array(self.state().pages.agents())),
            Operation::List(agent) => match self.check_agent(agent) {
                // The list operation has no 404.
                Err(answer) if answer.status == StatusCode::NOT_FOUND => of_status(403),
                Err(answer) => answer,
                Ok(()) => {
                    let state = self.state();
                    let pages = Environment::ALL.map(|environment| state.pages.page(agent, environment));
                    Answer::ok(json!({ "configPages": pages }))
                }
            },
            Operation::Page(agent, environment) => match self.check_page(agent, environment) {
                Ok(environment) => Answer::ok(self.state().pages.page(agent, environment)),
                Err(answer) => answer,
            },
            Operation::Project(agent, operation, query) => match self.check_agent(agent) {
                Ok(()) => {
                    let request = project_routes::Request { method, query, body, at: &stamp(at) };
                    let mut state = self.state();
                    let answer = request.answer(state.pages.project(agent), operation);
                    if method != Method::GET {
                        state.pages.save();
                    }
                    answer
                }
                Err(answer) => answer,
            },
            Operation::Schema(agent, environment) => match self.check_page(agent, environment) {
                Ok(environment) => match body.and_then(|body| body.get("schema")) {
                    Some(schema) => settle(self.state().pages.put_schema(agent, environment, schema, at)),
                    None => refuse(400, "VALIDATION_ERROR", "The body needs a schema."),
                },
                Err(answer) => answer,
            },
            Operation::Variables(agent, environment) => match self.check_page(agent, environment) {
                Ok(environment) => match variables(body) {
                    Some(variables) => settle(self.state().pages.patch(agent, environment, variables, at)),
                    None => refuse(400, "VALIDATION_ERROR", "The body needs an object of variables."),
                },
                Err(answer) => answer,
            },
        }
    }

    fn check_agent(&self, agent: &str) -> Result<(), Answer> {
        let well_formed = !agent.is_empty() && agent.bytes().all(is_of_an_id);
        match well_formed {
            false => Err(of_status(422)),
            true if !self.state().pages.has_agent(agent) => Err(of_status(404)),
            true => Ok(()),
        }
    }

    fn check_page(&self, agent: &str, environment: &str) -> Result<Environment, Answer> {
        self.check_agent(agent)?;
        environment.parse().map_err(|_| {
            refuse(400, "REAL_TIME_CONFIG_UNKNOWN_CLIENT_ENVIRONMENT", "Unknown client environment.")
        })
    }

    fn create_agent(&self, body: Option<&Value>, at: Instant) -> Answer {
        let text = |pointer: &str| body.and_then(|body| body.pointer(pointer)).and_then(Value::as_str);
        let name = text("/name").filter(|name| (1..=100).contains(&name.chars().count()));
        let greeting = text("/responseSettings/greeting").filter(|greeting| !greeting.is_empty());
        let (Some(name), Some(_)) = (name, greeting) else {
            return refuse(400, "VALIDATION_ERROR", "name and responseSettings.greeting are required.");
        };
        let made = format!("PROJECT-{:08}", self.state().requests);
        let id = text("/agentId").unwrap_or(&made);
        if !id.bytes().all(is_of_an_id) || id.is_empty() {
            return of_status(422);
        }
        match self.state().pages.create_agent(id, name, at) {
            Some(agent) => Answer::ok(agent),
            None => of_status(409),
        }
    }

    /// Applies a user's edit from the vendor's UI: the same checks, without a key.
    pub(super) fn edit(&self, agent: &str, environment: &str, body: Option<&Value>) -> Response {
        let at = self.shared.clock.now();
        let answer = match (self.check_page(agent, environment), variables(body)) {
            (Ok(environment), Some(variables)) => {
                settle(self.state().pages.patch(agent, environment, variables, at))
            }
            (Err(answer), _) => answer,
            (_, None) => refuse(400, "VALIDATION_ERROR", "The body needs an object of variables."),
        };
        respond(answer, "edited-by-hand", self.shared.clock.now())
    }

    /// Edits the versioned part of an agent, as a person does in the vendor's UI, and returns it.
    pub(super) fn edit_project(&self, agent: &str, edit: &project_routes::Edit) -> Value {
        let at = stamp(self.shared.clock.now());
        let mut state = self.state();
        let project = state.pages.project(agent);
        edit.make(project, &at);
        let shown = project_routes::shown(project);
        state.pages.save();
        shown
    }
}

enum Operation<'p> {
    Agents,
    List(&'p str),
    Page(&'p str, &'p str),
    Schema(&'p str, &'p str),
    Variables(&'p str, &'p str),
    /// An operation on the versioned part of an agent, with the query.
    Project(&'p str, project_routes::Operation<'p>, &'p str),
}

fn unknown_path() -> Answer {
    refuse(404, "NOT_FOUND", "This path does not exist.")
}

fn variables(body: Option<&Value>) -> Option<&Map<String, Value>> {
    body?.get("variables")?.as_object()
}

fn settle(written: Result<Value, Refusal>) -> Answer {
    match written {
        Ok(page) => Answer::ok(page),
        Err(Refusal::InvalidForSchema) => of_status(400),
        Err(Refusal::InvalidSchema) => {
            refuse(400, "REAL_TIME_CONFIG_INVALID_SCHEMA", "JSON Schema definition is invalid.")
        }
    }
}

/// Returns true for a character that is valid in an agent id.
fn is_of_an_id(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_".contains(&byte)
}
