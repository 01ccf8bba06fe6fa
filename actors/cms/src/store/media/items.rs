//! What people have in their libraries, and how much that is.

use panel_kernel::data::{Composed, Conn, DbError, FromRow, Row, Tx, holding, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

use crate::rules::pictures::Asset;

/// A picture in somebody's library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) id: Id,
    pub(crate) asset: Id,
    pub(crate) owner: (Id, String),
    pub(crate) name: String,
    /// What it shows; none if nobody has said.
    pub(crate) alt: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) version: i64,
}

impl Item {
    /// Of the columns from this one on.
    fn at(row: &Row, first: usize) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get(first)?,
            asset: row.get(first + 1)?,
            owner: (row.get(first + 2)?, row.get(first + 3)?),
            name: row.get(first + 4)?,
            alt: row.get(first + 5)?,
            created_at: row.get(first + 6)?,
            updated_at: row.get(first + 7)?,
            version: row.get(first + 8)?,
        })
    }
}

impl FromRow for Item {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Self::at(row, 0)
    }
}

/// One of them, behind what was made of it.
struct Whole(Item, Asset);

impl FromRow for Whole {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self(Item::at(row, 8)?, Asset::from_row(row)?))
    }
}

macro_rules! items {
    ($rest:literal) => {
        concat!(
            "SELECT m.id, m.asset_id, m.owner_id, m.owner_name, m.name, m.alt, m.created_at, \
             m.updated_at, m.version FROM media m",
            $rest
        )
    };
}

/// One of them.
pub(crate) async fn by_id(conn: &mut Conn, id: Id) -> Result<Option<Item>, DbError> {
    conn.optional(sql(items!(" WHERE m.id = $1")).bind(id)).await
}

/// One of them, to change it.
pub(crate) async fn for_change(tx: &mut Tx, id: Id) -> Result<Option<Item>, DbError> {
    let find = holding(tx, items!(" WHERE m.id = $1"), "m").bind(id);
    tx.optional(find).await
}

/// What somebody has of this already.
pub(crate) async fn of(conn: &mut Conn, owner: Id, asset: Id) -> Result<Option<Item>, DbError> {
    let find = sql(items!(" WHERE m.owner_id = $1 AND m.asset_id = $2"));
    conn.optional(find.bind(owner).bind(asset)).await
}

/// Everybody who has it.
pub(crate) async fn of_asset(conn: &mut Conn, asset: Id) -> Result<Vec<Item>, DbError> {
    conn.all(sql(items!(" WHERE m.asset_id = $1 ORDER BY m.id")).bind(asset)).await
}

/// Whether anybody has it.
pub(crate) async fn has_owner(tx: &mut Tx, asset: Id) -> Result<bool, DbError> {
    let find = sql("SELECT m.id FROM media m WHERE m.asset_id = $1 LIMIT 1").bind(asset);
    Ok(tx.optional::<(Id,)>(find).await?.is_some())
}

/// Which are wanted, the newest first.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) owner: Option<Id>,
    /// Only those of which nobody has said what they show.
    pub(crate) without_alt: bool,
    /// Older than this one.
    pub(crate) before: Id,
    pub(crate) most: i64,
}

/// Some of them, with what was made of each.
pub(crate) async fn list(conn: &mut Conn, wanted: &Wanted) -> Result<Vec<(Item, Asset)>, DbError> {
    // In this order: SQLite looks for each, and not through all.
    let mut list = Composed::from(
        "SELECT s.id, s.sha256, s.kind, s.width, s.height, s.frames, s.color, s.files, \
         m.id, m.asset_id, m.owner_id, m.owner_name, m.name, m.alt, m.created_at, m.updated_at, \
         m.version FROM media m CROSS JOIN assets s WHERE s.id = m.asset_id AND s.state = 'kept'",
    );
    list.with(" AND m.id < $", [wanted.before.into()]);
    if let Some(owner) = wanted.owner {
        list.with(" AND m.owner_id = $", [owner.into()]);
    }
    if wanted.without_alt {
        list.add(" AND m.alt IS NULL");
    }
    list.with(" ORDER BY m.id DESC LIMIT $", [wanted.most.into()]);
    let rows: Vec<Whole> = conn.all(list.done()).await?;
    Ok(rows.into_iter().map(|Whole(item, asset)| (item, asset)).collect())
}

/// Somebody has it from now on.
pub(crate) async fn insert(tx: &mut Tx, item: &Item, asset: &Asset) -> Result<(), DbError> {
    let insert =
        sql("INSERT INTO media (id, asset_id, owner_id, owner_name, name, alt, created_at, \
                      updated_at, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)");
    let insert = insert
        .bind(item.id)
        .bind(item.asset)
        .bind(item.owner.0)
        .bind(&item.owner.1)
        .bind(&item.name)
        .bind(item.alt.as_deref())
        .bind(item.created_at)
        .bind(item.updated_at)
        .bind(item.version);
    tx.execute(insert).await?;
    super::assets::orphaned(tx, asset.id, None).await
}

/// Somebody has said what it shows, or calls it otherwise.
pub(crate) async fn update(tx: &mut Tx, item: &Item) -> Result<(), DbError> {
    let update =
        sql("UPDATE media SET name = $2, alt = $3, updated_at = $4, version = $5 WHERE id = $1");
    let update = update
        .bind(item.id)
        .bind(&item.name)
        .bind(item.alt.as_deref())
        .bind(item.updated_at)
        .bind(item.version);
    tx.execute(update).await.map(drop)
}

/// They have it no more.
pub(crate) async fn delete(tx: &mut Tx, item: &Item, now: Timestamp) -> Result<(), DbError> {
    tx.execute(sql("DELETE FROM media WHERE id = $1").bind(item.id)).await?;
    if has_owner(tx, item.asset).await? {
        return Ok(());
    }
    super::assets::orphaned(tx, item.asset, Some(now)).await
}

/// How many bytes of files somebody has from now on.
pub(crate) async fn gained(tx: &mut Tx, owner: Id, bytes: i64) -> Result<i64, DbError> {
    let count = sql("INSERT INTO media_usage (owner_id, bytes, files) VALUES ($1, $2, 1) \
                     ON CONFLICT (owner_id) DO UPDATE SET bytes = media_usage.bytes + excluded.bytes, \
                     files = media_usage.files + 1 RETURNING bytes");
    let (bytes,) = tx.one::<(i64,)>(count.bind(owner).bind(bytes)).await?;
    Ok(bytes)
}

/// They have so many bytes, and a file, less.
pub(crate) async fn lost(tx: &mut Tx, owner: Id, bytes: i64) -> Result<(), DbError> {
    let count =
        sql("UPDATE media_usage SET bytes = bytes - $2, files = files - 1 WHERE owner_id = $1");
    tx.execute(count.bind(owner).bind(bytes)).await.map(drop)
}

/// How many bytes, and how many files, somebody has.
pub(crate) async fn usage(conn: &mut Conn, owner: Id) -> Result<(i64, i64), DbError> {
    let find = sql("SELECT u.bytes, u.files FROM media_usage u WHERE u.owner_id = $1");
    Ok(conn.optional(find.bind(owner)).await?.unwrap_or_default())
}
