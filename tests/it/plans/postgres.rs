//! Plans of PostgreSQL, by its own `auto_explain`: of each statement as it was executed.

use panel_harness::{RawSql, TestDatabase};
use serde_json::{Value, json};

/// The most rows that one step of a plan may touch: some pages.
const MOST: f64 = 250.0;

/// A statement with the plan it was executed by.
pub(super) struct Plan {
    pub(super) statement: String,
    plan: Value,
}

/// From now on, the server explains each statement of each new session, to that session.
pub(super) async fn explain_all(database: &TestDatabase) {
    let mut db = database.raw_sql("public").await;
    assert!(matches!(db, RawSql::Postgres(_)));
    let name = db.texts("SELECT current_database()::text", 0).await.unwrap().remove(0);
    for setting in [
        "session_preload_libraries = 'auto_explain'",
        "auto_explain.log_min_duration = 0",
        "auto_explain.log_analyze = on",
        "auto_explain.log_timing = off",
        "auto_explain.log_format = json",
        "auto_explain.log_level = notice",
    ] {
        db.run(&format!("ALTER DATABASE {name} SET {setting}")).await;
    }
}

/// The plans in a log.
pub(super) fn plans(log: &[Value]) -> Vec<Plan> {
    let notices = log.iter().filter(|line| line["target"] == "sqlx::postgres::notice");
    let plans = notices.filter_map(|line| {
        let (_, json) = line["message"].as_str()?.split_once("plan:\n")?;
        let mut explained: Value = serde_json::from_str(json).unwrap();
        let statement = explained["Query Text"].as_str()?.to_owned();
        Some(Plan { statement, plan: explained["Plan"].take() })
    });
    plans.collect()
}

impl Plan {
    /// What is dear in it, if anything is.
    pub(super) fn fault(&self) -> Option<String> {
        let step = dear_step(&self.plan)?;
        Some(format!("{step}\n{}\n{:#}", self.statement, self.plan))
    }
}

fn dear_step(step: &Value) -> Option<String> {
    let number = |name: &str| step[name].as_f64().unwrap_or(0.0);
    let removed = number("Rows Removed by Filter") + number("Rows Removed by Index Recheck");
    let touched = (number("Actual Rows") + removed) * number("Actual Loops");
    let relation = step["Relation Name"].as_str().unwrap_or_default();
    let whole = step["Node Type"] == "Seq Scan" && super::BIG.contains(&relation);
    // An empty table is read whole, whatever its indexes.
    if whole && touched > 0.0 || touched > MOST {
        return Some(format!("{} of {relation} touches {touched} rows", step["Node Type"]));
    }
    step["Plans"].as_array().into_iter().flatten().find_map(dear_step)
}

#[test]
fn dear_steps_are_recognised() {
    let scan = |kind: &str, table: &str, rows: u32, removed: u32| {
        let below = json!({
            "Node Type": kind, "Relation Name": table, "Actual Rows": rows, "Actual Loops": 1,
            "Rows Removed by Filter": removed,
        });
        dear_step(&json!({"Node Type": "Limit", "Actual Loops": 1, "Plans": [below]})).is_some()
    };
    assert!(scan("Seq Scan", "posts", 20, 0));
    assert!(!scan("Seq Scan", "categories", 12, 0));
    assert!(!scan("Index Scan", "posts", 20, 1));
    assert!(scan("Index Scan", "posts", 20, 2_000));
}
