//! The operations on branches, attributes, variants and deployments.

use std::collections::BTreeMap;

use axum::http::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::model::Environment;

use super::answer::{Answer, of_status, refuse};
use super::content::Refused;
use super::project::{Deploying, NotDeployed, Project};

/// Deployments that are listed without a limit in the query.
const LISTED: usize = 50;

/// An operation on the versioned part of an agent; each `&str` is an id.
#[derive(Clone, Copy)]
pub enum Operation<'p> {
    Branches,
    Branch(&'p str),
    Merge(&'p str),
    Attributes(&'p str),
    Attribute(&'p str, &'p str),
    Variants(&'p str),
    Variant(&'p str, &'p str),
    Deployments,
    ActiveDeployments,
    Publish,
    Promote(&'p str),
    Rollback(&'p str),
}

/// Returns the operation of a path below an agent, with its methods; `None` if there is none.
pub fn operation<'p>(steps: &[&'p str]) -> Option<(&'static [Method], Operation<'p>)> {
    const READ: &[Method] = &[Method::GET];
    const ADD: &[Method] = &[Method::POST];
    const LIST: &[Method] = &[Method::GET, Method::POST];
    const CHANGE: &[Method] = &[Method::PATCH, Method::DELETE];
    Some(match *steps {
        ["branches"] => (LIST, Operation::Branches),
        ["branches", branch] => (&[Method::DELETE], Operation::Branch(branch)),
        ["branches", branch, "merge"] => (ADD, Operation::Merge(branch)),
        ["branches", branch, "attributes"] => (LIST, Operation::Attributes(branch)),
        ["branches", branch, "attributes", id] => (CHANGE, Operation::Attribute(branch, id)),
        ["branches", branch, "variants"] => (LIST, Operation::Variants(branch)),
        ["branches", branch, "variants", id] => (CHANGE, Operation::Variant(branch, id)),
        ["deployments"] => (READ, Operation::Deployments),
        ["deployments", "active"] => (READ, Operation::ActiveDeployments),
        ["deployments", "publish"] => (ADD, Operation::Publish),
        ["deployments", id, "promote"] => (ADD, Operation::Promote(id)),
        ["deployments", id, "rollback"] => (ADD, Operation::Rollback(id)),
        _ => return None,
    })
}

/// A request for an operation.
pub struct Request<'r> {
    /// The method.
    pub method: &'r Method,
    /// The query of the URL.
    pub query: &'r str,
    /// The body, if it was JSON.
    pub body: Option<&'r Value>,
    /// The time, as the API writes it.
    pub at: &'r str,
}

/// The body that creates a branch.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BranchBody {
    branch_name: String,
}

impl Request<'_> {
    /// Carries out an operation.
    pub fn answer(&self, project: &mut Project, operation: Operation) -> Answer {
        self.carry_out(project, operation).unwrap_or_else(|refused| refused)
    }

    fn carry_out(&self, project: &mut Project, operation: Operation) -> Result<Answer, Answer> {
        let at = self.at;
        let is_new = *self.method == Method::POST;
        Ok(match operation {
            Operation::Branches if is_new => {
                let BranchBody { branch_name } = self.body()?;
                if !(1..=100).contains(&branch_name.chars().count()) {
                    return Err(of_status(422));
                }
                created(project.create_branch(&branch_name, at))
            }
            Operation::Branches => Answer::ok(project.branches()),
            Operation::Branch("main") | Operation::Merge("main") => return Err(on_main()),
            Operation::Branch(branch) => Answer::ok(project.delete_branch(branch).ok_or_else(missing)?),
            Operation::Merge(branch) => {
                let body = self.body_or_nothing()?;
                match project.merge(branch, &body, at).ok_or_else(missing)? {
                    Ok(merged) => Answer::ok(merged),
                    Err(conflicts) => Answer::of(StatusCode::BAD_REQUEST, conflicts),
                }
            }
            Operation::Attributes(branch) | Operation::Variants(branch) if !is_new => {
                let content = project.content(branch).ok_or_else(missing)?;
                Answer::ok(match operation {
                    Operation::Attributes(_) => content.attributes(),
                    _ => content.variants(),
                })
            }
            Operation::Attributes(branch)
            | Operation::Variants(branch)
            | Operation::Attribute(branch, _)
            | Operation::Variant(branch, _) => self.change(project, branch, operation)?,
            Operation::Deployments => self.deployments(project)?,
            Operation::ActiveDeployments => Answer::ok(project.active_deployments()),
            Operation::Publish => {
                created(project.publish(&self.body_or_nothing()?, at).map_err(not_deployed)?)
            }
            Operation::Promote(id) => {
                Answer::ok(project.promote(id, &self.body_or_nothing()?, at).map_err(not_deployed)?)
            }
            Operation::Rollback(id) => {
                Answer::ok(project.rollback(id, &self.body_or_nothing()?, at).map_err(not_deployed)?)
            }
        })
    }

    /// Changes the attributes or variants of a branch.
    fn change(&self, project: &mut Project, branch: &str, operation: Operation) -> Result<Answer, Answer> {
        if branch == "main" {
            return Err(on_main());
        }
        let at = self.at;
        let id = match operation {
            Operation::Variants(_) => project.next_id("VARIANT"),
            Operation::Attributes(_) => project.next_id("ATTRIBUTE"),
            _ => String::new(),
        };
        let content = project.content_mut(branch, at).ok_or_else(missing)?;
        let is_removed = *self.method == Method::DELETE;
        let changed = match operation {
            Operation::Attributes(_) => content.create_attribute(id, self.body()?, at),
            Operation::Variants(_) => content.create_variant(id, self.body()?, at),
            Operation::Attribute(_, id) if is_removed => content.delete_attribute(id),
            Operation::Attribute(_, id) => content.rename_attribute(id, self.body()?, at),
            Operation::Variant(_, id) if is_removed => content.delete_variant(id),
            Operation::Variant(_, id) => content.change_variant(id, self.body()?, at),
            _ => return Err(missing()),
        };
        let is_new = *self.method == Method::POST;
        changed.map(|changed| if is_new { created(changed) } else { Answer::ok(changed) }).map_err(refused)
    }

    fn deployments(&self, project: &Project) -> Result<Answer, Answer> {
        let query: BTreeMap<_, _> = form_urlencoded::parse(self.query.as_bytes()).collect();
        let environment = match query.get("environment") {
            Some(name) => {
                Some(name.parse::<Environment>().map_err(|_| not_deployed(NotDeployed::Environment))?)
            }
            None => None,
        };
        let limit = match query.get("limit") {
            Some(limit) => limit.parse().map_err(|_| of_status(422))?,
            None => LISTED,
        };
        Ok(Answer::ok(project.deployments(environment, limit)))
    }

    /// Returns the body, which must have the documented keys.
    fn body<T: DeserializeOwned>(&self) -> Result<T, Answer> {
        let body = self.body.ok_or_else(|| of_status(422))?;
        serde_json::from_value(body.clone()).map_err(|_| of_status(422))
    }

    fn body_or_nothing<T: DeserializeOwned + Default>(&self) -> Result<T, Answer> {
        if self.body.is_none() { Ok(T::default()) } else { self.body() }
    }
}

/// A change of a project through the simulator's own controls.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    deploying: Option<Deploying>,
    /// Values of main by variant and attribute; missing ones are created.
    #[serde(default)]
    variants: BTreeMap<String, BTreeMap<String, String>>,
}

impl Edit {
    /// Makes the change, as a person does in the vendor's UI.
    pub fn make(&self, project: &mut Project, at: &str) {
        if let Some(deploying) = self.deploying {
            project.set_deploying(deploying);
        }
        if !self.variants.is_empty() {
            project.edit_main(&self.variants, at);
        }
    }
}

fn created(body: Value) -> Answer {
    Answer::of(StatusCode::CREATED, body)
}

fn missing() -> Answer {
    refuse(404, "NOT_FOUND", "It does not exist.")
}

fn on_main() -> Answer {
    refuse(422, "VALIDATION_ERROR", "Cannot directly update main branch")
}

fn refused(refused: Refused) -> Answer {
    match refused {
        Refused::Unknown => missing(),
        Refused::Body => of_status(422),
        Refused::BadAttributes => {
            refuse(400, "VARIANTS_BAD_ATTRIBUTES_ERROR", "All attributes must have a value.")
        }
        Refused::DuplicateName => {
            refuse(409, "VARIANTS_DUPLICATE_NAME_ERROR", "There is one with this name already.")
        }
        Refused::RemovesDefault => {
            refuse(400, "VARIANTS_REMOVE_DEFAULT_ERROR", "The default variant cannot be removed.")
        }
        Refused::TooMany => refuse(400, "VALIDATION_ERROR", "There are too many already."),
    }
}

fn not_deployed(why: NotDeployed) -> Answer {
    match why {
        NotDeployed::Unknown => refuse(404, "DEPLOYMENT_NOT_FOUND", "Deployment not found."),
        NotDeployed::Environment => {
            refuse(400, "DEPLOYMENTS_INVALID_ENVIRONMENT", "The environment is invalid here.")
        }
        NotDeployed::AlreadyPublished => {
            refuse(409, "DEPLOYMENTS_ALREADY_PUBLISHED", "This version is deployed already.")
        }
    }
}

/// Returns main's content for people who look at the simulator.
pub fn shown(project: &Project) -> Value {
    let main = project.content("main");
    json!({
        "attributes": main.map(|main| main.attributes()["attributes"].clone()),
        "variants": main.map(|main| main.variants()["variants"].clone()),
        "deployments": project.active_deployments()["activeDeployments"],
    })
}
