//! The record of what was done.

use panel_kernel::data::{DbError, Tx, sql};
use panel_kernel::ids::Id;

use crate::events::AuditRecord;
use crate::rules;

/// Appends a record as it came.
pub(crate) async fn append(
    tx: &mut Tx,
    service: &str,
    position: i64,
    record: &AuditRecord,
    text: &str,
) -> Result<(), DbError> {
    tx.execute(
        sql("INSERT INTO audit (service, position, at, actor, action, target, record, subject) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")
        .bind(service)
        .bind(position)
        .bind(record.at)
        .bind(&record.actor)
        .bind(&record.action)
        .bind(&record.target)
        .bind(text)
        .bind(record.subject().map(|id| id.to_string())),
    )
    .await
    .map(|_| ())
}

/// Says of a record that is there how it reads from now on.
pub(crate) async fn replace(
    tx: &mut Tx,
    service: &str,
    position: i64,
    text: &str,
) -> Result<(), DbError> {
    let update = sql("UPDATE audit SET record = $3 WHERE service = $1 AND position = $2");
    tx.execute(update.bind(service).bind(position).bind(text)).await.map(|_| ())
}

/// Records that are looked at in one go.
const PIECE: i64 = 500;

/// Takes out of all records what tells who somebody was. That it was done, by which id and to which,
/// stays. `tx` has noted before that there is nobody of that id any more.
pub(crate) async fn erase(tx: &mut Tx, id: Id) -> Result<(), DbError> {
    if tx.is_postgres() {
        // What other services tell is written down at the same time. Those records are waited for,
        // and later ones come upon the note; on SQLite there is one writer anyway.
        tx.execute(sql("LOCK TABLE audit IN SHARE ROW EXCLUSIVE MODE")).await?;
    }
    let by = "SELECT id, service, record FROM audit WHERE actor = $1 AND id > $2 \
              ORDER BY id LIMIT $3";
    let about = "SELECT id, service, record FROM audit WHERE subject = $1 AND id > $2 \
                 ORDER BY id LIMIT $3";
    for statement in [by, about] {
        let mut after = 0;
        loop {
            let piece = sql(statement).bind(id.to_string()).bind(after).bind(PIECE);
            let records: Vec<(i64, String, String)> = tx.all(piece).await?;
            let Some((last, ..)) = records.last() else { break };
            after = *last;
            for (record, service, text) in records {
                let without = rules::without_person(&service, &text, id);
                let update = sql("UPDATE audit SET record = $2 WHERE id = $1");
                tx.execute(update.bind(record).bind(without)).await?;
            }
        }
    }
    Ok(())
}
