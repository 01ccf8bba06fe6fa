//! Menus, and what is in them.

use panel_kernel::data::{Conn, DbError, FromRow, Row, Tx, holding, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::articles::status;
use crate::rules::{Kind, Status, path};

/// A menu.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Menu {
    /// What it is called: pages of the site show `main` and `footer`.
    pub(crate) name: String,
    pub(crate) updated_at: Timestamp,
    pub(crate) version: i64,
}

impl FromRow for Menu {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self { name: row.get(0)?, updated_at: row.get(1)?, version: row.get(2)? })
    }
}

/// Where an item leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// To something on this site (`/…`) or another (`https://…`).
    Address(String),
    /// To an article, wherever it is.
    Article(Id),
}

/// An item of a menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) label: String,
    pub(crate) target: Target,
    /// It is below the last one that is not.
    pub(crate) is_below: bool,
}

/// An item where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) menu: String,
    pub(crate) item: Item,
    /// The address to which it leads, if everybody may go there.
    pub(crate) leads_to: Option<String>,
}

impl FromRow for Placed {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let (address, article): (Option<String>, Option<Id>) = (row.get(3)?, row.get(4)?);
        let (kind, slug): (Option<String>, Option<String>) = (row.get(5)?, row.get(6)?);
        let (text, deleted_at): (Option<String>, Option<Timestamp>) = (row.get(7)?, row.get(8)?);
        let is_public =
            deleted_at.is_none() && text.is_some_and(|text| status(&text) == Status::Published);
        let kind = kind.and_then(|kind| kind.parse::<Kind>().ok());
        let there = kind.zip(slug).filter(|_| is_public).map(|(kind, slug)| path(kind, &slug));
        let target = match (address, article) {
            (_, Some(article)) => Target::Article(article),
            (address, None) => Target::Address(address.unwrap_or_default()),
        };
        let leads_to = match &target {
            Target::Address(address) => Some(address.clone()),
            Target::Article(_) => there,
        };
        let item = Item { label: row.get(2)?, target, is_below: row.get(1)? };
        Ok(Self { menu: row.get(0)?, item, leads_to })
    }
}

macro_rules! items {
    ($rest:literal) => {
        concat!(
            "SELECT i.menu, i.is_below, i.label, i.address, i.article_id, a.kind, a.slug, a.status, \
             a.deleted_at FROM menu_items i LEFT JOIN articles a ON a.id = i.article_id WHERE ",
            $rest
        )
    };
}

/// All menus, up to `most`.
pub(crate) async fn list(conn: &mut Conn, most: i64) -> Result<Vec<Menu>, DbError> {
    let list = sql("SELECT m.name, m.updated_at, m.version FROM menus m ORDER BY m.name LIMIT $1");
    conn.all(list.bind(most)).await
}

const ONE: &str = "SELECT m.name, m.updated_at, m.version FROM menus m WHERE m.name = $1";

/// A menu.
pub(crate) async fn find(conn: &mut Conn, name: &str) -> Result<Option<Menu>, DbError> {
    conn.optional(sql(ONE).bind(name)).await
}

/// A menu, to change it: nobody else does until the transaction ends.
pub(crate) async fn held(tx: &mut Tx, name: &str) -> Result<Option<Menu>, DbError> {
    let find = holding(tx, ONE, "m").bind(name);
    tx.optional(find).await
}

/// What is in a menu, in its order.
pub(crate) async fn items(conn: &mut Conn, name: &str) -> Result<Vec<Placed>, DbError> {
    conn.all(sql(items!("i.menu = $1 ORDER BY i.position")).bind(name)).await
}

/// What is in two menus, in their orders.
pub(crate) async fn items_of_both(
    conn: &mut Conn,
    [one, other]: [&str; 2],
) -> Result<Vec<Placed>, DbError> {
    let list = sql(items!("i.menu IN ($1, $2) ORDER BY i.menu, i.position"));
    conn.all(list.bind(one).bind(other)).await
}

/// Stores a menu with all that is in it from now on.
pub(crate) async fn store(tx: &mut Tx, menu: &Menu, items: &[Item]) -> Result<(), DbError> {
    let store = sql("INSERT INTO menus (name, updated_at, version) VALUES ($1, $2, $3) \
                     ON CONFLICT (name) DO UPDATE SET updated_at = excluded.updated_at, \
                     version = excluded.version");
    tx.execute(store.bind(&menu.name).bind(menu.updated_at).bind(menu.version)).await?;
    tx.execute(sql("DELETE FROM menu_items WHERE menu = $1").bind(&menu.name)).await?;
    for (position, item) in (0_i64..).zip(items) {
        let (address, article) = match &item.target {
            Target::Address(address) => (Some(address.as_str()), None),
            Target::Article(article) => (None, Some(*article)),
        };
        let insert =
            sql("INSERT INTO menu_items (menu, position, is_below, label, address, article_id) \
                          VALUES ($1, $2, $3, $4, $5, $6)");
        let insert = insert.bind(&menu.name).bind(position).bind(item.is_below).bind(&item.label);
        tx.execute(insert.bind(address).bind(article)).await?;
    }
    Ok(())
}

/// Removes a menu with all that is in it.
pub(crate) async fn delete(tx: &mut Tx, name: &str) -> Result<(), DbError> {
    tx.execute(sql("DELETE FROM menu_items WHERE menu = $1").bind(name)).await?;
    tx.execute(sql("DELETE FROM menus WHERE name = $1").bind(name)).await.map(drop)
}

/// An article is elsewhere, or where nobody reads it: menus that lead to it are others by that; whether any does.
pub(crate) async fn follow(tx: &mut Tx, article: Id) -> Result<bool, DbError> {
    let update = sql("UPDATE menus SET version = version + 1 WHERE name IN \
                      (SELECT i.menu FROM menu_items i WHERE i.article_id = $1)");
    tx.changed(update.bind(article)).await
}
