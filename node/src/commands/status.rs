//! `panel-node status`: how a running node is, and everything on it.

use serde_json::Value;

use super::say;
use crate::Failure;
use crate::cli::StatusArgs;
use crate::config::Config;
use crate::control::client;
use crate::control::protocol::Request;

pub(super) fn status(args: &StatusArgs) -> Result<(), Failure> {
    let config = Config::load_common(&args.common)?;
    let mut node = client::connect(&config.node.data_dir, args.name.as_deref())?;
    let status = node.ask(&Request::Status {}, |_| {})?;
    if args.json {
        say(serde_json::to_string_pretty(&status).map_err(Failure::other)?);
    } else {
        say(render(&status).trim_end());
    }
    Ok(())
}

/// For people.
fn render(status: &Value) -> String {
    let node = &status["node"];
    let mut text = format!(
        "{}, panel-node {}, process {}, up for {}{}\nroles: {}\n",
        cell(&node["name"]),
        cell(&node["version"]),
        cell(&node["process"]),
        duration(node["uptime_seconds"].as_u64().unwrap_or(0)),
        if node["draining"] == true { ", draining" } else { "" },
        list(&node["roles"]),
    );
    let columns = ["node", "status", "round trip", "version", "roles"];
    text.push_str(&table(&columns, nodes(status)));
    let columns = ["service", "member", "status", "breaker", "in flight", "version"];
    text.push_str(&table(&columns, members(status)));
    let dependencies = entries(&status["dependencies"], |name, health| {
        vec![name.to_owned(), cell(&health["status"]), cell(&health["reason"])]
    });
    text.push_str(&table(&["dependency", "status", "reason"], dependencies));
    let actors = entries(&status["actors"], |path, actor| {
        let failure = cell(&actor["last_failure"]);
        vec![path.to_owned(), cell(&actor["state"]), cell(&actor["restarts"]), failure]
    });
    text.push_str(&table(&["actor", "state", "restarts", "last failure"], actors));
    text
}

/// A row for each node of the cluster.
fn nodes(status: &Value) -> Vec<Vec<String>> {
    let row = |node: &Value| {
        let trip = node["round_trip_micros"].as_f64();
        let trip = match trip {
            _ if node["here"] == true => "this node".to_owned(),
            Some(micros) => format!("{:.1} ms", micros / 1_000.0),
            None => String::new(),
        };
        let [name, status] = ["name", "status"].map(|key| cell(&node[key]));
        vec![name, status, trip, cell(&node["version"]), list(&node["roles"])]
    };
    status["nodes"].as_array().into_iter().flatten().map(row).collect()
}

/// A row for each member of each service; one for a service that has none.
fn members(status: &Value) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let ejected = Value::from("ejected");
    for (name, service) in status["services"].as_object().into_iter().flatten() {
        let members = service["members"].as_array().map_or(&[][..], Vec::as_slice);
        if members.is_empty() {
            rows.push(vec![name.clone(), "none".to_owned()]);
        }
        for member in members {
            rows.push(vec![
                name.clone(),
                cell(&member["node"]),
                cell(&member["status"]),
                // One that fails more than others is left alone, however well it answers probes.
                cell(if member["ejected"] == true { &ejected } else { &member["breaker"] }),
                cell(&member["in_flight"]),
                cell(&member["version"]),
            ]);
        }
    }
    rows
}

fn entries(object: &Value, row: impl Fn(&str, &Value) -> Vec<String>) -> Vec<Vec<String>> {
    object.as_object().into_iter().flatten().map(|(key, value)| row(key, value)).collect()
}

/// One value, as text without quotes; nothing for what is not there.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(_) => list(value),
        other => other.to_string(),
    }
}

fn list(value: &Value) -> String {
    let items: Vec<String> = value.as_array().into_iter().flatten().map(cell).collect();
    items.join(",")
}

/// A table with a blank line above it; nothing if it has no rows.
fn table(columns: &[&str], rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let head = columns.iter().map(|name| name.to_uppercase()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns.len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        text.push('\n');
        text.push_str(line.trim_end());
    }
    format!("{text}\n")
}

/// The two largest units that are not zero.
fn duration(seconds: u64) -> String {
    let units = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
    let mut left = seconds;
    let mut parts = Vec::new();
    for (name, size) in units {
        if left >= size {
            parts.push(format!("{} {name}", left / size));
            left %= size;
        }
    }
    parts.truncate(2);
    if parts.is_empty() { "0 s".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_is_readable() {
        let text = render(&json!({
            "node": {
                "name": "n1", "version": "0.1.0", "process": 7, "roles": ["gateway", "auth"],
                "uptime_seconds": 3_661, "draining": true,
            },
            "nodes": [
                {
                    "name": "n1", "status": "draining", "version": "0.1.0", "here": true,
                    "roles": ["gateway", "auth"], "round_trip_micros": null,
                },
                {
                    "name": "n2", "status": "up", "version": "0.1.0", "here": false,
                    "roles": ["forum"], "round_trip_micros": 1_250,
                },
            ],
            "services": {
                "auth": {"members": [
                    {"node": "n1", "version": "0.1.0", "status": "up", "breaker": "closed",
                     "in_flight": 3},
                ]},
                "forum": {"members": []},
            },
            "dependencies": {"database": {"status": "down", "reason": "it is gone"}},
            "actors": {"auth/writer": {"state": "up", "restarts": 2, "last_failure": "killed"}},
        }));
        let expected = "\
n1, panel-node 0.1.0, process 7, up for 1 h 1 min, draining
roles: gateway,auth

NODE  STATUS    ROUND TRIP  VERSION  ROLES
n1    draining  this node   0.1.0    gateway,auth
n2    up        1.2 ms      0.1.0    forum

SERVICE  MEMBER  STATUS  BREAKER  IN FLIGHT  VERSION
auth     n1      up      closed   3          0.1.0
forum    none

DEPENDENCY  STATUS  REASON
database    down    it is gone

ACTOR        STATE  RESTARTS  LAST FAILURE
auth/writer  up     2         killed
";
        assert_eq!(text, expected);
    }
}
