//! The record of what was done.

use panel_kernel::data::{DbError, Tx, sql};

use crate::events::AuditRecord;

/// Appends a record as it came.
pub(crate) async fn append(
    tx: &mut Tx,
    service: &str,
    position: i64,
    record: &AuditRecord,
    text: &str,
) -> Result<(), DbError> {
    tx.execute(
        sql("INSERT INTO audit (service, position, at, actor, action, target, record) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)")
        .bind(service)
        .bind(position)
        .bind(record.at)
        .bind(&record.actor)
        .bind(&record.action)
        .bind(&record.target)
        .bind(text),
    )
    .await
    .map(|_| ())
}
