//! Names of authors.

use std::collections::BTreeSet;

use panel_kernel::data::{Conn, DbError, Statement, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::message::User;
use panel_kernel::names::lookup_key;
use panel_kernel::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::places;
use crate::markdown::People;

/// What is shown where nobody is known by that id any more.
pub(crate) const DELETED_USER: &str = "deleted user";

/// Who wrote something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Author {
    /// The account.
    pub(crate) id: Id,
    /// The name shown, or `deleted user`.
    pub(crate) name: String,
}

impl Author {
    /// With the name as stored; an empty one means that there is none.
    pub(super) fn named(id: Id, name: &str) -> Self {
        let name = if name.is_empty() { DELETED_USER } else { name };
        Self { id, name: name.to_owned() }
    }
}

impl From<&User> for Author {
    fn from(user: &User) -> Self {
        Self::named(user.id, &clean(&user.name))
    }
}

/// Makes sure that the name of an author is known. What auth has told counts for more than what
/// a token says, which may be older.
pub(crate) async fn ensure(tx: &mut Tx, author: &Author) -> Result<(), DbError> {
    let insert = sql("INSERT INTO authors (id, name) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING");
    tx.execute(insert.bind(author.id).bind(&author.name)).await?;
    Ok(())
}

/// Nobody is known by that id any more, whatever is heard of it later.
pub(crate) async fn erase(tx: &mut Tx, id: Id) -> Result<(), DbError> {
    let erase = sql("INSERT INTO authors (id, name, erased) VALUES ($1, '', 1) \
                     ON CONFLICT (id) DO UPDATE SET name = '', username_key = NULL, erased = 1");
    tx.execute(erase.bind(id)).await.map(|_| ())
}

/// Somebody has an account from now on, is called by this name, and has nothing to catch up with.
pub(crate) async fn register(
    tx: &mut Tx,
    id: Id,
    (name, username): (&str, &str),
    at: Timestamp,
) -> Result<(), DbError> {
    let key = lookup_key(username);
    // Nobody but auth decides whose a name is, and this is what it told last.
    let free = sql("UPDATE authors SET username_key = NULL WHERE username_key = $1 AND id <> $2");
    tx.execute(free.bind(&key).bind(id)).await?;
    let upsert = sql("INSERT INTO authors (id, name, username_key, read_before) \
                      VALUES ($1, $2, $3, $4) \
                      ON CONFLICT (id) DO UPDATE SET name = excluded.name, \
                      username_key = excluded.username_key, \
                      read_before = CASE WHEN authors.read_before < excluded.read_before \
                      THEN excluded.read_before ELSE authors.read_before END \
                      WHERE authors.erased = 0");
    tx.execute(upsert.bind(id).bind(clean(name)).bind(key).bind(at)).await.map(|_| ())
}

/// Who is called by these names, which are few.
pub(crate) async fn called(conn: &mut Conn, keys: &BTreeSet<String>) -> Result<People, DbError> {
    if keys.is_empty() {
        return Ok(People::new());
    }
    let text = format!(
        "SELECT username_key, id FROM authors WHERE username_key IN ({})",
        places(1, keys.len())
    );
    let find = keys.iter().fold(Statement::composed(text), |find, key| find.bind(key.as_str()));
    let found: Vec<(String, Id)> = conn.all(find).await?;
    Ok(found.into_iter().collect())
}

/// Who has this name.
pub(crate) async fn named(conn: &mut Conn, key: &str) -> Result<Option<Author>, DbError> {
    let find = sql("SELECT id, name FROM authors WHERE username_key = $1").bind(key);
    let found: Option<(Id, String)> = conn.optional(find).await?;
    Ok(found.map(|(id, name)| Author::named(id, &name)))
}

/// Whatever was last written before that moment counts as read by them.
pub(crate) async fn has_read_before(
    tx: &mut Tx,
    author: &Author,
    at: Timestamp,
) -> Result<(), DbError> {
    let upsert = sql("INSERT INTO authors (id, name, read_before) VALUES ($1, $2, $3) \
                      ON CONFLICT (id) DO UPDATE SET read_before = \
                      CASE WHEN authors.read_before < excluded.read_before \
                      THEN excluded.read_before ELSE authors.read_before END");
    tx.execute(upsert.bind(author.id).bind(&author.name).bind(at)).await.map(|_| ())
}

/// From now on this is the name.
pub(crate) async fn rename(tx: &mut Tx, id: Id, name: &str) -> Result<(), DbError> {
    let upsert = sql("INSERT INTO authors (id, name) VALUES ($1, $2) \
                      ON CONFLICT (id) DO UPDATE SET name = excluded.name \
                      WHERE authors.erased = 0");
    tx.execute(upsert.bind(id).bind(clean(name))).await?;
    Ok(())
}

/// On one line: rows are packed by lines.
fn clean(name: &str) -> String {
    name.trim().chars().filter(|c| !c.is_control()).collect()
}
