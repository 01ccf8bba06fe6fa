//! Categories.

use panel_kernel::data::{Conn, DbError, FromRow, Row, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::role::Role;
use panel_kernel::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::holding;
use crate::rules::{self, Viewer};

/// A category.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Category {
    pub(crate) id: Id,
    pub(crate) name: String,
    /// For addresses; unique, and stays when the name changes.
    pub(crate) slug: String,
    /// The category it stands below.
    pub(crate) parent_id: Option<Id>,
    pub(crate) description: Option<String>,
    /// Ascending among its siblings.
    pub(crate) position: i64,
    /// The lowest rank that may read; null: everybody. A category is never more open than its
    /// parent.
    pub(crate) read_role: Option<Role>,
    /// The lowest rank that may post; null: everybody who is signed in.
    pub(crate) post_role: Option<Role>,
    pub(crate) created_at: Timestamp,
    /// The level that holds for reading.
    #[serde(skip)]
    pub(crate) read_level: i64,
    #[serde(skip)]
    pub(crate) version: i64,
}

impl FromRow for Category {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get(0)?,
            name: row.get(1)?,
            slug: row.get(2)?,
            parent_id: row.get(3)?,
            description: row.get(4)?,
            position: row.get(5)?,
            read_role: Role::from_level(row.get(6)?),
            post_role: Role::from_level(row.get(7)?),
            created_at: row.get(8)?,
            read_level: row.get(9)?,
            version: row.get(10)?,
        })
    }
}

macro_rules! columns {
    () => {
        "c.id, c.name, c.slug, c.parent_id, c.description, c.position, c.own_read_level, \
         c.post_level, c.created_at, c.read_level, c.version"
    };
}

/// Those the viewer may read, each followed by its children.
pub(crate) async fn list(conn: &mut Conn, viewer: Viewer) -> Result<Vec<Category>, DbError> {
    conn.all(
        sql(concat!(
            "SELECT ",
            columns!(),
            " FROM categories c LEFT JOIN categories p ON p.id = c.parent_id \
             WHERE c.read_level <= $1 \
             ORDER BY COALESCE(p.position, c.position), COALESCE(p.id, c.id), \
                      c.parent_id IS NOT NULL, c.position, c.id LIMIT $2"
        ))
        .bind(viewer.level)
        .bind(rules::MAX_CATEGORIES),
    )
    .await
}

const FIND: &str =
    concat!("SELECT ", columns!(), " FROM categories c WHERE c.id = $1 AND c.read_level <= $2");

/// One of them, if the viewer may read it.
pub(crate) async fn find(
    conn: &mut Conn,
    id: Id,
    viewer: Viewer,
) -> Result<Option<Category>, DbError> {
    conn.optional(sql(FIND).bind(id).bind(viewer.level)).await
}

/// The one with this slug.
pub(crate) async fn by_slug(conn: &mut Conn, slug: &str) -> Result<Option<Category>, DbError> {
    let find = concat!("SELECT ", columns!(), " FROM categories c WHERE c.slug = $1");
    conn.optional(sql(find).bind(slug)).await
}

/// One of them, to change it: nobody else does until the transaction ends.
pub(crate) async fn for_change(
    tx: &mut Tx,
    id: Id,
    viewer: Viewer,
) -> Result<Option<Category>, DbError> {
    let find = holding(tx, FIND, "c").bind(id).bind(viewer.level);
    tx.optional(find).await
}

/// The slugs in use.
pub(crate) async fn slugs(tx: &mut Tx) -> Result<Vec<String>, DbError> {
    let rows: Vec<(String,)> = tx.all(sql("SELECT slug FROM categories")).await?;
    Ok(rows.into_iter().map(|(slug,)| slug).collect())
}

/// Whether other categories stand below this one.
pub(crate) async fn has_children(tx: &mut Tx, id: Id) -> Result<bool, DbError> {
    let find = sql("SELECT id FROM categories WHERE parent_id = $1 LIMIT 1").bind(id);
    Ok(tx.optional::<(Id,)>(find).await?.is_some())
}

/// Whether it has threads, deleted ones (which can be restored) included.
pub(crate) async fn has_threads(tx: &mut Tx, id: Id) -> Result<bool, DbError> {
    let find = sql("SELECT id FROM threads WHERE category_id = $1 LIMIT 1").bind(id);
    Ok(tx.optional::<(Id,)>(find).await?.is_some())
}

/// Stores a new one.
pub(crate) async fn insert(tx: &mut Tx, category: &Category) -> Result<(), DbError> {
    tx.execute(
        sql("INSERT INTO categories (id, name, slug, parent_id, description, position, \
             own_read_level, read_level, post_level, version, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)")
        .bind(category.id)
        .bind(&category.name)
        .bind(&category.slug)
        .bind(category.parent_id)
        .bind(category.description.as_deref())
        .bind(category.position)
        .bind(rules::level(category.read_role))
        .bind(category.read_level)
        .bind(rules::level(category.post_role))
        .bind(category.version)
        .bind(category.created_at),
    )
    .await?;
    Ok(())
}

/// Stores what has changed, and lets the children's levels follow.
pub(crate) async fn update(tx: &mut Tx, category: &Category) -> Result<(), DbError> {
    tx.execute(
        sql("UPDATE categories SET name = $2, parent_id = $3, description = $4, position = $5, \
             own_read_level = $6, read_level = $7, post_level = $8, version = $9 WHERE id = $1")
        .bind(category.id)
        .bind(&category.name)
        .bind(category.parent_id)
        .bind(category.description.as_deref())
        .bind(category.position)
        .bind(rules::level(category.read_role))
        .bind(category.read_level)
        .bind(rules::level(category.post_role))
        .bind(category.version),
    )
    .await?;
    tx.execute(
        sql("UPDATE categories SET read_level = \
             CASE WHEN own_read_level > $2 THEN own_read_level ELSE $2 END WHERE parent_id = $1")
        .bind(category.id)
        .bind(category.read_level),
    )
    .await?;
    Ok(())
}

/// Removes one that nothing belongs to any more.
pub(crate) async fn delete(tx: &mut Tx, id: Id) -> Result<(), DbError> {
    tx.execute(sql("DELETE FROM categories WHERE id = $1").bind(id)).await?;
    Ok(())
}
