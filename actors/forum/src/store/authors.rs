//! Names of authors.

use panel_kernel::data::{DbError, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::message::User;
use serde::Serialize;
use utoipa::ToSchema;

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
                     ON CONFLICT (id) DO UPDATE SET name = '', erased = 1");
    tx.execute(erase.bind(id)).await.map(|_| ())
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
