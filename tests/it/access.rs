//! What routes need of who asks: every one of the OpenAPI document, against the real program.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use panel_harness::http::{Answer, Client};
use panel_harness::{Node, Session, eventually};
use serde_json::{Value, json};

/// An operation of the document.
struct Operation {
    method: Method,
    path: String,
    access: String,
    scope: Option<String>,
}

impl Operation {
    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Sent with a body that no route takes.
    async fn sent(&self, client: &Client, header: Option<(&str, &str)>) -> Answer {
        let mut request = client.request(self.method.clone(), &self.path);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        match self.method {
            Method::GET => request.await,
            _ => request.json(&json!({"nonsense": true})).await,
        }
    }
}

/// All operations of services. Whatever a path names is something that is not there.
async fn operations(client: &Client) -> Vec<Operation> {
    let document = client.get("/api/v2/openapi.json").await.expect(200).json();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation["tags"][0] == "gateway" {
                continue;
            }
            let access = text(&operation["x-panel-access"]);
            operations.push(Operation {
                method: method.to_uppercase().parse().unwrap(),
                path: path.replace("{id}", "0000000000000"),
                access: access.unwrap_or_else(|| panic!("{method} {path} declares no need")),
                scope: text(&operation["x-panel-scope"]),
            });
        }
    }
    assert!(operations.len() > 30);
    operations
}

#[tokio::test]
async fn every_route_refuses_whom_it_does_not_serve() {
    let node = Node::builder().env("PANEL_LIMITS__ENABLED", "false").start().await;
    let client = node.client();
    let below =
        BTreeMap::from([("premium", "user"), ("moderator", "premium"), ("admin", "moderator")]);
    let mut people = BTreeMap::new();
    for role in ["user", "premium", "moderator"] {
        people.insert(role, node.account(role, role).await);
    }
    let suspended = Session::register(&client, "suspended").await;
    let path = format!("/api/v2/admin/users/{}/suspend", suspended.user_id);
    let root = node.admin("root").await;
    root.post(&path).json(&json!({"reason": "to see what is left"})).await.expect(200);
    eventually("the suspension is known", Duration::from_secs(1), || async {
        suspended.get("/api/v2/auth/me").await.status == 401
    })
    .await;
    let suspended = format!("Bearer {}", suspended.access_token);
    let mut ranked = 0;
    for operation in operations(&client).await {
        let name = operation.name();
        let refused = operation.sent(&client, Some(("authorization", &suspended))).await;
        assert_eq!(refused.problem().status, 401, "{name}");
        let anonymous = operation.sent(&client, None).await;
        if operation.access == "nothing" {
            assert_ne!(anonymous.status, 401, "{name}");
            continue;
        }
        assert_eq!(anonymous.problem().status, 401, "{name}");
        let lower = below.get(operation.access.as_str()).map(|role| &people[role]);
        if let Some(session) = lower {
            let bearer = format!("Bearer {}", session.access_token);
            let refused = operation.sent(&client, Some(("authorization", &bearer))).await;
            refused.refused(403, "forbidden");
            ranked += 1;
        } else {
            assert!(matches!(operation.access.as_str(), "account" | "session"), "{name}");
        }
    }
    assert!(ranked >= 9, "{ranked} routes need a rank");
}

#[tokio::test]
async fn every_route_keeps_keys_within_their_scopes() {
    let node = Node::builder().env("PANEL_LIMITS__ENABLED", "false").start().await;
    let client = node.client();
    let root = node.admin("root").await;
    let operations = operations(&client).await;
    let mut scopes: Vec<&str> = operations.iter().filter_map(|one| one.scope.as_deref()).collect();
    scopes.sort_unstable();
    scopes.dedup();
    assert!(scopes.len() > 4, "{scopes:?}");
    let mut keys = BTreeMap::new();
    for without in scopes.iter().copied().chain([""]) {
        let others: Vec<&&str> = scopes.iter().filter(|scope| **scope != without).collect();
        let asked = json!({"name": "all but one", "scopes": others});
        let made = root.post("/api/v2/auth/api-keys").json(&asked).await.expect(201).json();
        keys.insert(without, made["key"].as_str().unwrap().to_owned());
    }
    for operation in &operations {
        let name = operation.name();
        let all = operation.sent(&client, Some(("x-api-key", &keys[""]))).await;
        match operation.scope.as_deref() {
            // For sessions alone: no scope helps.
            None => drop(all.refused(403, "forbidden")),
            Some(scope) => {
                assert_ne!(all.status, 401, "{name}");
                let refused = operation.sent(&client, Some(("x-api-key", &keys[scope]))).await;
                let refused = refused.refused(403, "forbidden");
                assert_eq!(refused.code.as_deref(), Some("scope_required"), "{name}");
            }
        }
    }
}
