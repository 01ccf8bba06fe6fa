//! Plans of SQLite, which has no way to tell them while it runs: the statements out of the
//! node's log, explained afterwards on the same files. Its plans do not depend on bound values.

use std::collections::BTreeSet;

use panel_harness::TestDatabase;
use serde_json::Value;

/// The distinct statements in a log.
pub(super) fn statements(log: &[Value]) -> Vec<String> {
    let found: BTreeSet<String> = log
        .iter()
        .filter(|line| line["target"] == "sqlx::query")
        .filter_map(|line| {
            let whole =
                line["db.statement"].as_str().map(str::trim).filter(|text| !text.is_empty());
            whole.or_else(|| line["summary"].as_str()).map(str::to_owned)
        })
        .collect();
    found.into_iter().collect()
}

/// Explains each where it can be run, and looks at those that have to do with big tables.
pub(super) async fn check(database: &TestDatabase, statements: &[String]) {
    let (mut checked, mut dear) = (0, Vec::new());
    for service in ["auth", "forum", "admin", "cms"] {
        let mut db = database.raw_sql(service).await;
        for statement in statements.iter().filter(|text| super::is_big(text)) {
            // Another service's tables are not here.
            let explain = format!("EXPLAIN QUERY PLAN {statement}");
            let Ok(plan) = db.texts(&explain, 3).await else { continue };
            checked += 1;
            if let Some(step) = plan.iter().find(|step| is_dear(step, statement)) {
                dear.push(format!("{service}: {step}\n{plan:#?}\n{statement}"));
            }
        }
    }
    assert!(dear.is_empty(), "{}", dear.join("\n\n"));
    assert!(checked >= super::HOT.len(), "{checked} statements were explained");
}

/// Whether a step goes through a whole table or index, or puts what it found in order.
fn is_dear(step: &str, statement: &str) -> bool {
    let sorts = step.starts_with("USE TEMP B-TREE");
    // Along an index is fine where the statement ends with its page.
    let in_order = step.contains(" USING ") && statement.contains(" LIMIT ");
    // Rows that came with the statement, or of a count that is bounded.
    let given = step.ends_with("CONSTANT ROW")
        || step.ends_with("VALUES CLAUSE")
        || ["SCAN v", "SCAN unread", "SCAN waiting"].contains(&step);
    sorts || step.starts_with("SCAN ") && !in_order && !given
}

#[test]
fn dear_steps_are_recognised() {
    let page = "SELECT id FROM threads ORDER BY created_at LIMIT $1";
    assert!(is_dear("SCAN t", page));
    assert!(is_dear("USE TEMP B-TREE FOR ORDER BY", page));
    assert!(!is_dear("SCAN t USING INDEX threads_by_creation", page));
    assert!(is_dear("SCAN t USING COVERING INDEX threads_by_creation", "SELECT id FROM threads"));
    assert!(!is_dear("SEARCH t USING INTEGER PRIMARY KEY (rowid=?)", "SELECT id FROM threads"));
}
