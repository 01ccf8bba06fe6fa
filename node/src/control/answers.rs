//! Answers that need no waiting.

use std::time::Duration;

use panel_kernel::directory::Node;
use panel_kernel::faults::{self, ActorFault};
use serde_json::{Map, Value, json};

use super::Control;

/// How this node is, and everything on it.
pub(super) fn status(control: &Control) -> Value {
    let parts = &control.0;
    let node = &parts.runtime.node;
    json!({
        "node": {
            "name": &*node.name,
            "version": node.version,
            "boot": &*node.boot,
            "process": std::process::id(),
            "roles": parts.roles,
            "uptime_seconds": parts.started.elapsed().as_secs(),
            "draining": parts.drain.is_wished(),
            "faults": faults::is_enabled(),
        },
        "nodes": parts.runtime.directory.nodes().iter().map(Node::report).collect::<Vec<_>>(),
        "services": services(control),
        "dependencies": (parts.dependencies)(),
        "actors": parts.runtime.tree.snapshot(),
    })
}

/// Every service that is known, with its members, and what of it is here.
fn services(control: &Control) -> Value {
    let mut all = Map::new();
    for (name, members) in &*control.0.runtime.directory.snapshot() {
        let members: Vec<Value> = members
            .iter()
            .map(|member| {
                json!({
                    "node": member.node,
                    "version": member.version,
                    "local": member.is_local(),
                    "status": member.status(),
                    "breaker": member.breaker(),
                    "ready": member.is_ready(),
                    "in_flight": member.in_flight(),
                })
            })
            .collect();
        all.insert(name.clone(), json!({"members": members}));
    }
    for service in &control.0.services {
        let known = all.entry(service.name).or_insert_with(|| json!({"members": []}));
        known["here"] = json!({
            "member": service.is_member(),
            "inside": service.load.inside(),
            "database": service.db.load().as_ref().map(|db| db.health()),
        });
    }
    Value::Object(all)
}

/// Arms, disarms, and says what is armed.
pub(super) fn fault(arm: Option<&str>, disarm: Option<&str>) -> Result<Value, String> {
    if let Some(name) = disarm {
        faults::disarm((name != "*").then_some(name))?;
    }
    if let Some(text) = arm {
        faults::arm(text)?;
    }
    Ok(json!({"enabled": faults::is_enabled(), "points": faults::list()}))
}

pub(super) fn kill(control: &Control, path: &str) -> Result<Value, String> {
    strike(control, path, ActorFault::Kill)
}

pub(super) fn panic(control: &Control, path: &str) -> Result<Value, String> {
    strike(control, path, ActorFault::Panic)
}

pub(super) fn stall(control: &Control, path: &str, time: Duration) -> Result<Value, String> {
    strike(control, path, ActorFault::Stall(time))
}

fn strike(control: &Control, path: &str, fault: ActorFault) -> Result<Value, String> {
    let actor = control.0.runtime.tree.actor(path);
    let actor = actor.ok_or_else(|| format!("no actor runs at {path:?}; status lists them"))?;
    faults::strike(&actor, fault)?;
    tracing::warn!(actor = path, ?fault, "broken on request");
    Ok(json!({"actor": path}))
}
