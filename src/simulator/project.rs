//! The versioned part of an agent: main, its branches, and its deployments.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::model::Environment;

use super::content::Content;
use super::merge::{Conflict, Merge, Resolution};

/// The way in which merges are deployed; the API does not tell it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deploying {
    /// A merge is deployed to the sandbox, and promoted from there.
    #[default]
    Releases,
    /// A merge is deployed straight to live; the sandbox keeps its old state.
    ReleasesBranches,
}

/// The versioned part of an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Project {
    agent: String,
    deploying: Deploying,
    main: Content,
    main_updated: String,
    branches: BTreeMap<String, Branch>,
    /// The oldest first.
    deployments: Vec<Deployment>,
    /// The number of changes so far; ids and sequences come from it.
    sequence: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Branch {
    name: String,
    /// The content of main when the branch was made.
    base: Content,
    content: Content,
    created_at: String,
    updated_at: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Deployment {
    id: String,
    environment: Environment,
    artifact_version: String,
    version: String,
    created_at: String,
    metadata: Map<String, Value>,
    content: Content,
}

/// The body that merges a branch.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MergeBody {
    #[serde(default)]
    deployment_message: String,
    #[serde(default)]
    conflict_resolutions: Vec<Resolution>,
}

/// The body that deploys something.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeployBody {
    #[serde(default)]
    deployment_message: String,
    target_environment: Option<String>,
    environment: Option<String>,
}

/// The reason why a deployment is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotDeployed {
    /// The deployment is unknown.
    Unknown,
    /// The environment is unknown or does not fit.
    Environment,
    /// Main is deployed there already.
    AlreadyPublished,
}

impl Project {
    /// Creates a project without attributes, variants and deployments.
    pub fn new(agent: &str) -> Self {
        Self {
            agent: agent.to_owned(),
            deploying: Deploying::default(),
            main: Content::default(),
            main_updated: "2026-01-01T00:00:00.000Z".to_owned(),
            branches: BTreeMap::new(),
            deployments: Vec::new(),
            sequence: 0,
        }
    }

    /// Sets how merges are deployed.
    pub fn set_deploying(&mut self, deploying: Deploying) {
        self.deploying = deploying;
    }

    /// Returns the next number.
    fn next(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// Returns a new id.
    pub fn next_id(&mut self, kind: &str) -> String {
        format!("{kind}-{:08X}", self.next())
    }

    /// Returns the branches as the API lists them, main first.
    pub fn branches(&self) -> Value {
        let item = |id: &str, name: &str, created_at: &str, updated_at: &str| {
            json!({
                "id": id, "branchId": id, "name": name, "accountId": "ws-simulator", "projectId": self.agent,
                "active": true, "createdBy": "simulator", "createdAt": created_at, "updatedAt": updated_at,
            })
        };
        let main = item("main", "main", "2026-01-01T00:00:00.000Z", &self.main_updated);
        let others = self
            .branches
            .iter()
            .map(|(id, branch)| item(id, &branch.name, &branch.created_at, &branch.updated_at));
        json!({ "branches": std::iter::once(main).chain(others).collect::<Vec<_>>() })
    }

    /// Creates a branch of main.
    pub fn create_branch(&mut self, name: &str, at: &str) -> Value {
        let (id, sequence) = (self.next_id("BRANCH"), self.sequence);
        let branch = Branch {
            name: name.to_owned(),
            base: self.main.clone(),
            content: self.main.clone(),
            created_at: at.to_owned(),
            updated_at: at.to_owned(),
        };
        self.branches.insert(id.clone(), branch);
        json!({ "branchId": id, "sequenceId": sequence.to_string() })
    }

    /// Removes a branch; `None` if it is unknown.
    pub fn delete_branch(&mut self, id: &str) -> Option<Value> {
        self.branches.remove(id)?;
        Some(json!({ "sequence": self.next().to_string(), "message": "Branch deleted" }))
    }

    /// Returns the content of main or of a branch; `None` if the branch is unknown.
    pub fn content(&self, branch: &str) -> Option<&Content> {
        match branch {
            "main" => Some(&self.main),
            branch => self.branches.get(branch).map(|branch| &branch.content),
        }
    }

    /// Returns the content of a branch, to change it; main cannot be changed directly.
    pub fn content_mut(&mut self, branch: &str, at: &str) -> Option<&mut Content> {
        let branch = self.branches.get_mut(branch)?;
        at.clone_into(&mut branch.updated_at);
        Some(&mut branch.content)
    }

    /// Changes main, as a person does in the vendor's UI; this deploys nothing.
    pub fn edit_main(&mut self, variants: &BTreeMap<String, BTreeMap<String, String>>, at: &str) {
        let mut main = std::mem::take(&mut self.main);
        for (name, values) in variants {
            main.set_by_name(name, values, at, |kind| self.next_id(kind));
        }
        (self.main, self.main_updated) = (main, at.to_owned());
    }

    /// Merges a branch into main and deploys it; `None` if the branch is unknown.
    ///
    /// # Errors
    /// The answer that lists the conflicts without a decision. Nothing is changed then.
    pub fn merge(&mut self, id: &str, body: &MergeBody, at: &str) -> Option<Result<Value, Value>> {
        let branch = self.branches.get(id)?;
        let [base, ours, theirs] = [&branch.base, &self.main, &branch.content].map(whole);
        let mut merge = Merge::new(&body.conflict_resolutions);
        let merged = merge.value(&mut Vec::new(), Some(&base), Some(&ours), Some(&theirs));
        let merged = merged.unwrap_or(ours);
        if !merge.conflicts.is_empty() {
            return Some(Err(self.conflicts(branch, &merge.conflicts, &merged)));
        }
        let content = merged.get("variantManagement").cloned().map(serde_json::from_value::<Content>);
        let content = content.and_then(Result::ok);
        let problems = content.as_ref().map_or_else(|| vec!["it is invalid".to_owned()], Content::problems);
        let Some(content) = content.filter(|_| problems.is_empty()) else {
            return Some(Err(json!({ "hasConflicts": false, "conflicts": [], "errors": problems })));
        };
        (self.main, self.main_updated) = (content, at.to_owned());
        let branch = self.branches.remove(id)?;
        let (environment, metadata) = match self.deploying {
            Deploying::Releases => (Environment::Sandbox, Map::new()),
            Deploying::ReleasesBranches => {
                (Environment::Live, Map::from_iter([("tag".to_owned(), json!(branch.name))]))
            }
        };
        let content = self.main.clone();
        self.deploy(environment, content, metadata, &body.deployment_message, at);
        Some(Ok(json!({
            "sequence": self.sequence.to_string(),
            "message": format!("Branch merged to main and deployed to {environment}"),
            "testRunIds": [],
        })))
    }

    fn conflicts(&self, branch: &Branch, conflicts: &[Conflict], merged: &Value) -> Value {
        json!({
            "hasConflicts": true,
            "conflicts": conflicts,
            "value": merged,
            "errors": [],
            "targetLastUpdated": self.main_updated,
            "sourceCreatedAt": branch.created_at,
        })
    }

    fn deploy(
        &mut self,
        environment: Environment,
        content: Content,
        mut metadata: Map<String, Value>,
        message: &str,
        at: &str,
    ) -> Value {
        let version = Sha256::digest(whole(&content).to_string());
        let number = self.next();
        if !message.is_empty() {
            metadata.insert("deploymentMessage".to_owned(), json!(message));
        }
        let deployment = Deployment {
            id: format!("DEPLOYMENT-{number:08X}"),
            environment,
            artifact_version: number.to_string(),
            version: version.iter().take(5).map(|byte| format!("{byte:02x}")).collect(),
            created_at: at.to_owned(),
            metadata,
            content,
        };
        let shown = self.shown(&deployment);
        self.deployments.push(deployment);
        shown
    }

    fn active(&self, environment: Environment) -> Option<&Deployment> {
        self.deployments.iter().rev().find(|deployment| deployment.environment == environment)
    }

    /// Returns the active deployment of each environment that has one.
    pub fn active_deployments(&self) -> Value {
        let active = Environment::ALL.into_iter().filter_map(|environment| {
            Some((environment.as_str().to_owned(), self.shown(self.active(environment)?)))
        });
        json!({ "activeDeployments": active.collect::<Map<_, _>>() })
    }

    /// Returns the newest deployments first, of one environment or all.
    pub fn deployments(&self, environment: Option<Environment>, limit: usize) -> Value {
        let wanted = |deployment: &&Deployment| environment.is_none_or(|only| deployment.environment == only);
        let listed: Vec<Value> =
            self.deployments.iter().rev().filter(wanted).take(limit).map(|one| self.shown(one)).collect();
        json!({ "deployments": listed })
    }

    /// Deploys main.
    pub fn publish(&mut self, body: &DeployBody, at: &str) -> Result<Value, NotDeployed> {
        if body.target_environment.is_some() {
            return Err(NotDeployed::Environment);
        }
        let environment = match &body.environment {
            Some(name) => name.parse().map_err(|_| NotDeployed::Environment)?,
            None => Environment::Sandbox,
        };
        if self.active(environment).is_some_and(|active| active.content == self.main) {
            return Err(NotDeployed::AlreadyPublished);
        }
        let content = self.main.clone();
        let deployment = self.deploy(environment, content, Map::new(), &body.deployment_message, at);
        Ok(json!({ "deployment": deployment, "testRunIds": [] }))
    }

    /// Deploys the content of one environment to the next, or to the named one.
    pub fn promote(&mut self, id: &str, body: &DeployBody, at: &str) -> Result<Value, NotDeployed> {
        let deployment = self.find(id)?.clone();
        let target = match (&body.target_environment, deployment.environment) {
            (Some(name), _) => name.parse().map_err(|_| NotDeployed::Environment)?,
            (None, Environment::Sandbox) => Environment::PreRelease,
            (None, _) => Environment::Live,
        };
        if target == Environment::Sandbox || body.environment.is_some() {
            return Err(NotDeployed::Environment);
        }
        let deployed = match self.active(target) {
            Some(active) if active.version == deployment.version => self.shown(active),
            _ => self.deploy(target, deployment.content, Map::new(), &body.deployment_message, at),
        };
        Ok(json!({ "deployment": deployed, "testRunIds": [] }))
    }

    /// Deploys what an environment had before once more.
    pub fn rollback(&mut self, id: &str, body: &DeployBody, at: &str) -> Result<Value, NotDeployed> {
        let deployment = self.find(id)?.clone();
        let is_live_only = self.deploying == Deploying::ReleasesBranches;
        let is_named = body.environment.is_some() || body.target_environment.is_some();
        if is_named || (is_live_only && deployment.environment != Environment::Live) {
            return Err(NotDeployed::Environment);
        }
        let (environment, content) = (deployment.environment, deployment.content);
        let deployed = self.deploy(environment, content, Map::new(), &body.deployment_message, at);
        Ok(json!({ "deployment": deployed, "testRunIds": [] }))
    }

    fn shown(&self, deployment: &Deployment) -> Value {
        json!({
            "id": deployment.id,
            "accountId": "ws-simulator",
            "agentId": self.agent,
            "environment": deployment.environment.as_str(),
            "artifactVersion": deployment.artifact_version,
            "version": deployment.version,
            "createdBy": "simulator",
            "createdAt": deployment.created_at,
            "metadata": deployment.metadata,
        })
    }

    fn find(&self, id: &str) -> Result<&Deployment, NotDeployed> {
        self.deployments.iter().find(|deployment| deployment.id == id).ok_or(NotDeployed::Unknown)
    }
}

/// Returns the content as a part of the whole project.
fn whole(content: &Content) -> Value {
    json!({ "variantManagement": content })
}
