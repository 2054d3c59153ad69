//! The simulator's branches, attributes, variants and deployments, over HTTP.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Api, KEY};

/// An agent of a simulator.
struct Agent {
    api: Api,
    http: reqwest::Client,
}

impl Agent {
    fn new() -> Self {
        Self { api: Api::start(), http: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    /// Sends a request below the agent; returns the status and the answer, which is checked.
    async fn send(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}/v1/agents/A-1/{path}", self.api.url);
        let mut request = self.http.request(method.clone(), url).header("x-api-key", KEY);
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let (status, answer) = (response.status().as_u16(), response.json::<Value>().await.unwrap());
        let schema = match status {
            200 | 201 => schema_of(&method, path),
            _ if answer.get("hasConflicts").is_some() => json!({}),
            _ => closed(&["success", "error", "error_id", "error_code", "error_message", "data"]),
        };
        let problems: Vec<String> =
            jsonschema::validator_for(&schema).unwrap().iter_errors(&answer).map(|e| e.to_string()).collect();
        assert!(problems.is_empty(), "{method} {path}: {problems:?} in {answer}");
        (status, answer)
    }

    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.send(Method::GET, path, Value::Null).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.send(Method::POST, path, body).await
    }

    /// Creates a branch and returns the start of its paths.
    async fn branch(&self, name: &str) -> String {
        let (status, made) = self.post("branches", json!({ "branchName": name })).await;
        assert_eq!(status, 201);
        format!("branches/{}", made["branchId"].as_str().unwrap())
    }

    /// Creates an attribute and returns its id.
    async fn attribute(&self, branch: &str, name: &str) -> String {
        let (status, made) = self.post(&format!("{branch}/attributes"), json!({ "name": name })).await;
        assert_eq!((status, &made["name"]), (201, &json!(name)));
        made["id"].as_str().unwrap().to_owned()
    }

    /// Changes main as a person does.
    async fn edit(&self, body: Value) -> Value {
        let url = format!("{}/_simulator/projects/A-1", self.api.url);
        self.http.patch(url).json(&body).send().await.unwrap().json().await.unwrap()
    }

    async fn active(&self, environment: &str) -> Value {
        self.get("deployments/active").await["activeDeployments"][environment].clone()
    }
}

/// Returns the schema of an object with exactly these keys.
fn closed(keys: &[&str]) -> Value {
    let any: serde_json::Map<String, Value> = keys.iter().map(|key| ((*key).to_owned(), json!({}))).collect();
    json!({ "type": "object", "properties": any, "required": keys, "additionalProperties": false })
}

/// Returns the documented schema of a successful answer.
fn schema_of(method: &Method, path: &str) -> Value {
    let with = |mut schema: Value, key: &str, inner: Value| {
        schema["properties"][key] = inner;
        schema
    };
    let list = |key: &str, item: Value| with(closed(&[key]), key, json!({ "type": "array", "items": item }));
    let texts = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    let values = with(closed(&["values"]), "values", texts);
    let variant = with(closed(&["id", "name", "isDefault", "attributeValues"]), "attributeValues", values);
    let attribute = closed(&["id", "name"]);
    let mut deployment = closed(&[
        "id",
        "accountId",
        "agentId",
        "environment",
        "artifactVersion",
        "version",
        "createdBy",
        "createdAt",
    ]);
    deployment["properties"]["metadata"] = json!({ "type": "object" });
    let deployed = with(closed(&["deployment", "testRunIds"]), "deployment", deployment.clone());
    let steps: Vec<&str> = path.split(['/', '?']).collect();
    match (method.as_str(), steps.as_slice()) {
        ("GET", ["branches"]) => list("branches", json!({ "type": "object" })),
        ("POST", ["branches"]) => closed(&["branchId", "sequenceId"]),
        ("DELETE", ["branches", _]) => closed(&["sequence", "message"]),
        ("POST", [_, _, "merge"]) => closed(&["sequence", "message", "testRunIds"]),
        ("GET", [_, _, "attributes"]) => list("attributes", attribute),
        ("GET", [_, _, "variants"]) => list("variants", variant),
        ("DELETE", [_, _, _, _]) => closed(&["id"]),
        ("POST", [_, _, "attributes"]) | ("PATCH", [_, _, "attributes", _]) => attribute,
        ("POST", [_, _, "variants"]) | ("PATCH", [_, _, "variants", _]) => variant,
        ("GET", ["deployments", "active"]) => {
            let all = json!({ "type": "object", "additionalProperties": deployment });
            with(closed(&["activeDeployments"]), "activeDeployments", all)
        }
        ("GET", ["deployments", ..]) => list("deployments", deployment),
        ("POST", ["deployments", ..]) => deployed,
        other => panic!("no schema for {other:?}"),
    }
}

#[tokio::test]
async fn a_branch_is_filled_merged_deployed_promoted_and_rolled_back() {
    let agent = Agent::new();
    assert_eq!(agent.active("sandbox").await, Value::Null);
    let main = agent.post("branches/main/attributes", json!({ "name": "phone" })).await;
    assert_eq!((main.0, &main.1["error_message"]), (422, &json!("Cannot directly update main branch")));
    let branch = agent.branch("rtconfd-1").await;
    let phone = agent.attribute(&branch, "phone").await;
    let variants = format!("{branch}/variants");
    let refused = agent.post(&variants, json!({ "name": "Leeds" })).await;
    assert_eq!((refused.0, &refused.1["error_code"]), (400, &json!("VARIANTS_BAD_ATTRIBUTES_ERROR")));
    let leeds = json!({ "name": "Leeds", "attributeValues": { "values": { &phone: "+44 1" } } });
    let (status, made) = agent.post(&variants, leeds.clone()).await;
    assert_eq!((status, &made["isDefault"]), (201, &json!(true)), "the first one is the default");
    assert_eq!(agent.post(&variants, leeds).await.0, 409, "its name is taken");
    let one = format!("{variants}/{}", made["id"].as_str().unwrap());
    assert_eq!(agent.send(Method::DELETE, &one, Value::Null).await.0, 400, "it is the default");
    assert_eq!(agent.get("branches/main/variants").await["variants"], json!([]));

    let (status, merged) =
        agent.post(&format!("{branch}/merge"), json!({ "deploymentMessage": "phones" })).await;
    assert_eq!((status, &merged["message"]), (200, &json!("Branch merged to main and deployed to sandbox")));
    assert_eq!(agent.get("branches/main/variants").await["variants"][0]["name"], "Leeds");
    let listed = agent.get("branches").await;
    assert_eq!(listed["branches"].as_array().unwrap().len(), 1, "a merged branch is gone: {listed}");
    let sandbox = agent.active("sandbox").await;
    assert_eq!(sandbox["metadata"]["deploymentMessage"], "phones");
    assert_eq!(agent.post("deployments/publish", json!({})).await.0, 409, "it is deployed already");

    let first = sandbox["id"].as_str().unwrap();
    let promote = format!("deployments/{first}/promote");
    let (_, promoted) = agent.post(&promote, json!({ "targetEnvironment": "live" })).await;
    assert_eq!(agent.active("live").await, promoted["deployment"]);
    assert_eq!(promoted["deployment"]["version"], sandbox["version"], "the version is the same everywhere");
    assert_eq!(agent.active("pre-release").await, Value::Null);
    agent.edit(json!({ "variants": { "Leeds": { "phone": "+44 2" } } })).await;
    let (status, _) = agent.post("deployments/publish", json!({})).await;
    assert_eq!(status, 201);
    assert_ne!(agent.active("sandbox").await["version"], sandbox["version"]);
    let (status, back) = agent.post(&format!("deployments/{first}/rollback"), json!({})).await;
    assert_eq!((status, &back["deployment"]["version"]), (200, &sandbox["version"]));
    assert_eq!(agent.active("sandbox").await, back["deployment"]);
    let listed = agent.get("deployments?environment=sandbox&limit=2").await;
    assert_eq!(listed["deployments"].as_array().unwrap().len(), 2);
    assert_eq!(listed["deployments"][0], back["deployment"], "the newest is the first");
    assert_eq!(agent.post("deployments/none/promote", json!({})).await.0, 404);
}

#[tokio::test]
async fn a_merge_after_another_change_of_the_same_value_lists_the_conflict() {
    let agent = Agent::new();
    agent.edit(json!({ "variants": { "Leeds": { "phone": "1" }, "York": { "phone": "1" } } })).await;
    let listed = agent.get("branches/main/variants").await;
    let (leeds, york) = (&listed["variants"][0], &listed["variants"][1]);
    let phone =
        agent.get("branches/main/attributes").await["attributes"][0]["id"].as_str().unwrap().to_owned();
    let branch = agent.branch("rtconfd-2").await;
    for (variant, value) in [(leeds, "2"), (york, "2")] {
        let path = format!("{branch}/variants/{}", variant["id"].as_str().unwrap());
        let body = json!({ "attributeValues": { "values": { &phone: value } } });
        assert_eq!(agent.send(Method::PATCH, &path, body).await.0, 200);
    }
    agent.edit(json!({ "variants": { "Leeds": { "phone": "3" } } })).await;
    let merge = format!("{branch}/merge");
    let (status, answer) = agent.post(&merge, json!({})).await;
    assert_eq!((status, &answer["hasConflicts"]), (400, &json!(true)));
    let conflicts = answer["conflicts"].as_array().unwrap();
    // The time of the change conflicts, too.
    assert_eq!(conflicts.len(), 2, "{answer}");
    let of_phone = conflicts.iter().find(|conflict| conflict["oursValue"] == "3").unwrap();
    assert_eq!((&of_phone["baseValue"], &of_phone["theirsValue"]), (&json!("1"), &json!("2")));
    assert_eq!(agent.get("branches/main/variants").await["variants"][1], *york, "nothing was merged");
    let resolutions: Vec<Value> =
        conflicts.iter().map(|conflict| json!({ "path": conflict["path"], "strategy": "theirs" })).collect();
    assert_eq!(agent.post(&merge, json!({ "conflictResolutions": resolutions })).await.0, 200);
    let merged = agent.get("branches/main/variants").await;
    let values: Vec<&Value> =
        [0, 1].map(|one| &merged["variants"][one]["attributeValues"]["values"][&phone]).into();
    assert_eq!(values, ["2", "2"]);
}

#[tokio::test]
async fn a_merge_that_would_give_a_name_twice_is_refused() {
    let agent = Agent::new();
    let (one, other) = (agent.branch("one").await, agent.branch("other").await);
    for branch in [&one, &other] {
        agent.attribute(branch, "phone").await;
    }
    assert_eq!(agent.post(&format!("{one}/merge"), json!({})).await.0, 200);
    let (status, refused) = agent.post(&format!("{other}/merge"), json!({})).await;
    assert_eq!((status, &refused["errors"]), (400, &json!(["two attributes have the name \"phone\""])));
    assert_eq!(agent.get("branches").await["branches"].as_array().unwrap().len(), 2, "the branch is left");
}

#[tokio::test]
async fn an_agent_may_deploy_merges_straight_to_live() {
    let agent = Agent::new();
    agent.edit(json!({ "variants": { "Leeds": { "phone": "1" } } })).await;
    agent.post("deployments/publish", json!({})).await;
    let frozen = agent.active("sandbox").await;
    agent.edit(json!({ "deploying": "releases_branches" })).await;
    let branch = agent.branch("rtconfd-3").await;
    agent.attribute(&branch, "address").await;
    let (_, merged) = agent.post(&format!("{branch}/merge"), json!({})).await;
    assert_eq!(merged["message"], "Branch merged to main and deployed to live");
    let live = agent.active("live").await;
    assert_eq!(live["metadata"]["tag"], "rtconfd-3");
    assert_eq!(agent.active("sandbox").await, frozen);
    // Promoting is not refused, and puts the old state live.
    let sandbox = frozen["id"].as_str().unwrap();
    assert_eq!(agent.post(&format!("deployments/{sandbox}/rollback"), json!({})).await.0, 400);
    agent.post(&format!("deployments/{sandbox}/promote"), json!({ "targetEnvironment": "live" })).await;
    assert_eq!(agent.active("live").await["version"], frozen["version"]);
}

/// Nothing says if the real API merges or replaces; a client must send all of them.
#[tokio::test]
async fn values_of_a_variant_are_replaced_and_bodies_must_fit() {
    let agent = Agent::new();
    agent.edit(json!({ "variants": { "Leeds": { "phone": "1", "address": "High St" } } })).await;
    let branch = agent.branch("rtconfd-4").await;
    let listed = agent.get(&format!("{branch}/variants")).await;
    let variant = &listed["variants"][0];
    let path = format!("{branch}/variants/{}", variant["id"].as_str().unwrap());
    let (id, _) = variant["attributeValues"]["values"].as_object().unwrap().iter().next().unwrap();
    let only = json!({ id: "9" });
    let body = json!({ "attributeValues": { "values": only } });
    let (_, changed) = agent.send(Method::PATCH, &path, body).await;
    assert_eq!(changed["attributeValues"]["values"], only);
    for (path, method, body, status) in [
        (&path, Method::PATCH, json!({ "color": "red" }), 422),
        (&path, Method::PATCH, json!({ "attributeValues": { "values": { "none": "1" } } }), 400),
        (&path, Method::PATCH, json!({ "isDefault": false }), 400),
        (&format!("{branch}/merge"), Method::POST, json!({ "force": true }), 422),
        (&"branches".to_owned(), Method::POST, json!({ "branchName": "" }), 422),
        (&"branches/main".to_owned(), Method::DELETE, Value::Null, 422),
        (&"branches/none".to_owned(), Method::DELETE, Value::Null, 404),
        (&"deployments?environment=moon".to_owned(), Method::GET, Value::Null, 400),
        (&"deployments/publish".to_owned(), Method::POST, json!({ "environment": "moon" }), 400),
    ] {
        assert_eq!(agent.send(method.clone(), path, body.clone()).await.0, status, "{method} {path} {body}");
    }
}
