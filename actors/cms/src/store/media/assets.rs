//! What was made of pictures. An asset is there before its files, and goes after them.

use panel_kernel::data::{Conn, DbError, FromRow, Row, Tx, holding, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;
use panel_pictures::Kind;

use crate::rules::pictures::Asset;

impl FromRow for Asset {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let number = |at| {
            let number: i64 = row.get(at)?;
            Ok::<_, DbError>(u32::try_from(number).unwrap_or_default())
        };
        let (kind, files): (String, String) = (row.get(2)?, row.get(7)?);
        Ok(Self {
            id: row.get(0)?,
            sha256: row.get(1)?,
            kind: Kind::by_extension(&kind).unwrap_or(Kind::Png),
            width: number(3)?,
            height: number(4)?,
            frames: number(5)?,
            color: row.get(6)?,
            files: serde_json::from_str(&files).unwrap_or_default(),
        })
    }
}

macro_rules! kept {
    ($($rest:literal)+) => {
        concat!(
            "SELECT s.id, s.sha256, s.kind, s.width, s.height, s.frames, s.color, s.files \
             FROM assets s WHERE s.state = 'kept' AND ",
            $($rest),+
        )
    };
}

/// The one that is known by this content.
pub(crate) async fn by_content(conn: &mut Conn, sha256: &str) -> Result<Option<Asset>, DbError> {
    conn.optional(sql(kept!("s.sha256 = $1")).bind(sha256)).await
}

/// What was made of this file before.
pub(crate) async fn by_source(conn: &mut Conn, source: &str) -> Result<Option<Asset>, DbError> {
    let find = sql(kept!("s.id = (SELECT f.asset_id FROM asset_sources f WHERE f.source = $1)"));
    conn.optional(find.bind(source)).await
}

/// Some of them after an id, ascending.
pub(crate) async fn after(conn: &mut Conn, id: Id, limit: i64) -> Result<Vec<Asset>, DbError> {
    conn.all(sql(kept!("s.id > $1 ORDER BY s.id LIMIT $2")).bind(id).bind(limit)).await
}

/// How many there are.
pub(crate) async fn count(conn: &mut Conn) -> Result<i64, DbError> {
    let (count,) = conn.one(sql("SELECT COUNT(*) FROM assets s WHERE s.state = 'kept'")).await?;
    Ok(count)
}

/// One of them.
pub(crate) async fn by_id(conn: &mut Conn, id: Id) -> Result<Option<Asset>, DbError> {
    conn.optional(sql(kept!("s.id = $1")).bind(id)).await
}

/// The asset, so that nobody removes it before the transaction ends.
pub(crate) async fn held(tx: &mut Tx, id: Id) -> Result<Option<Asset>, DbError> {
    let find = holding(tx, kept!("s.id = $1"), "s").bind(id);
    tx.optional(find).await
}

/// The same for the one that is known by this content, if there is one.
pub(crate) async fn hold_content(tx: &mut Tx, sha256: &str) -> Result<(), DbError> {
    let find = holding(tx, kept!("s.sha256 = $1"), "s").bind(sha256);
    tx.optional::<Asset>(find).await.map(drop)
}

/// One is being made from now on.
pub(crate) async fn begin(tx: &mut Tx, id: Id, now: Timestamp) -> Result<(), DbError> {
    let begin = sql("INSERT INTO assets (id, state, since) VALUES ($1, 'coming', $2)");
    tx.execute(begin.bind(id).bind(now)).await.map(drop)
}

/// It is whole. Nobody has it yet. Returns what is kept of that content: this one, or one that was there before; none
/// if nobody waited for it any more.
pub(crate) async fn keep(
    tx: &mut Tx,
    asset: Asset,
    source: &str,
    now: Timestamp,
) -> Result<Option<Asset>, DbError> {
    let there = holding(tx, kept!("s.sha256 = $1"), "s").bind(&asset.sha256);
    let there: Option<Asset> = tx.optional(there).await?;
    let kept = match there {
        Some(there) => {
            leave(tx, asset.id, now).await?;
            there
        }
        None => {
            let keep =
                sql("UPDATE assets SET state = 'kept', sha256 = $2, kind = $3, width = $4, \
                            height = $5, frames = $6, bytes = $7, color = $8, files = $9, \
                            since = $10, orphaned_at = $10 WHERE id = $1 AND state = 'coming'");
            let files = serde_json::to_string(&asset.files).unwrap_or_default();
            let keep = keep
                .bind(asset.id)
                .bind(&asset.sha256)
                .bind(asset.kind.extension())
                .bind(i64::from(asset.width))
                .bind(i64::from(asset.height))
                .bind(i64::from(asset.frames))
                .bind(asset.bytes())
                .bind(&asset.color)
                .bind(files)
                .bind(now);
            if !tx.changed(keep).await? {
                return Ok(None);
            }
            asset
        }
    };
    let source = sql("INSERT INTO asset_sources (source, asset_id) VALUES ($1, $2) \
                      ON CONFLICT (source) DO UPDATE SET asset_id = excluded.asset_id")
    .bind(source);
    tx.execute(source.bind(kept.id)).await?;
    Ok(Some(kept))
}

/// Nothing becomes of one that was begun.
pub(crate) async fn leave(tx: &mut Tx, id: Id, now: Timestamp) -> Result<(), DbError> {
    let leave =
        sql("UPDATE assets SET state = 'going', since = $2 WHERE id = $1 AND state = 'coming'");
    tx.execute(leave.bind(id).bind(now)).await.map(drop)
}

/// Nobody has it from now on, or somebody does.
pub(crate) async fn orphaned(tx: &mut Tx, id: Id, since: Option<Timestamp>) -> Result<(), DbError> {
    let update = sql("UPDATE assets SET orphaned_at = $2 WHERE id = $1");
    tx.execute(update.bind(id).bind(since)).await.map(drop)
}

/// One that is held is there no more: nobody finds it, and its files go.
pub(crate) async fn give_away(tx: &mut Tx, id: Id, now: Timestamp) -> Result<(), DbError> {
    let sources = sql("DELETE FROM asset_sources WHERE asset_id = $1");
    tx.execute(sources.bind(id)).await?;
    let update =
        sql("UPDATE assets SET state = 'going', since = $2, orphaned_at = NULL WHERE id = $1");
    tx.execute(update.bind(id).bind(now)).await.map(drop)
}
