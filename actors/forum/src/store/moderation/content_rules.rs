//! Rules for what is written.

use panel_kernel::data::{Conn, DbError, FromRow, Row, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

use crate::rules::content::{ContentRule, MAX_RULES, RuleAction, RuleKind};

/// A rule, and who made it when.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) rule: ContentRule,
    pub(crate) created_by: Id,
    pub(crate) created_at: Timestamp,
}

impl FromRow for Made {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let (kind, action): (String, String) = (row.get(1)?, row.get(3)?);
        Ok(Self {
            rule: ContentRule {
                id: row.get(0)?,
                kind: if kind == "link" { RuleKind::Link } else { RuleKind::Word },
                pattern: row.get(2)?,
                action: match action.as_str() {
                    "flag" => RuleAction::Flag,
                    "hold" => RuleAction::Hold,
                    _ => RuleAction::Refuse,
                },
                message: row.get(4)?,
            },
            created_by: row.get(5)?,
            created_at: row.get(6)?,
        })
    }
}

/// All of them, of which there are at most [`MAX_RULES`].
pub(crate) async fn all(conn: &mut Conn) -> Result<Vec<Made>, DbError> {
    list(conn, i64::MAX, MAX_RULES).await
}

/// A page of them, the latest first.
pub(crate) async fn list(conn: &mut Conn, before: i64, fetch: i64) -> Result<Vec<Made>, DbError> {
    let list = sql("SELECT id, kind, pattern, action, message, created_by, created_at \
                    FROM content_rules WHERE id < $1 ORDER BY id DESC LIMIT $2");
    conn.all(list.bind(before).bind(fetch)).await
}

/// How often they have changed.
pub(crate) async fn version(conn: &mut Conn) -> Result<i64, DbError> {
    let (version,) = conn.one(sql("SELECT version FROM content_rules_version")).await?;
    Ok(version)
}

/// They are about to change: nobody else changes them until the transaction ends. How many there are.
pub(crate) async fn change(tx: &mut Tx) -> Result<i64, DbError> {
    tx.execute(sql("UPDATE content_rules_version SET version = version + 1")).await?;
    let (count,) = tx.one(sql("SELECT COUNT(*) FROM content_rules")).await?;
    Ok(count)
}

/// Stores one; `false` if there is one with that pattern.
pub(crate) async fn insert(tx: &mut Tx, made: &Made) -> Result<bool, DbError> {
    let insert = sql("INSERT INTO content_rules \
                      (id, kind, pattern, action, message, created_by, created_at) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (kind, pattern) DO NOTHING");
    let Made { rule, created_by, created_at } = made;
    let insert = insert
        .bind(rule.id)
        .bind(rule.kind.name())
        .bind(&rule.pattern)
        .bind(rule.action.name())
        .bind(&rule.message)
        .bind(*created_by)
        .bind(*created_at);
    tx.changed(insert).await
}

/// One of them.
pub(crate) async fn find(conn: &mut Conn, id: Id) -> Result<Option<Made>, DbError> {
    let find = sql("SELECT id, kind, pattern, action, message, created_by, created_at \
                    FROM content_rules WHERE id = $1");
    conn.optional(find.bind(id)).await
}

/// Removes one.
pub(crate) async fn delete(tx: &mut Tx, id: Id) -> Result<bool, DbError> {
    tx.changed(sql("DELETE FROM content_rules WHERE id = $1").bind(id)).await
}
