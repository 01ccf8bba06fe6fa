//! Names of authors.

use std::collections::BTreeSet;

use panel_kernel::data::{Conn, DbError, Statement, Tx, sql};
use panel_kernel::ids::{Id, Ids};
use panel_kernel::message::User;
use panel_kernel::names::lookup_key;
use panel_kernel::role::Role;
use panel_kernel::time::Timestamp;
use panel_text::markdown::People;
use serde::Serialize;
use utoipa::ToSchema;

use super::places;
use crate::rules::trust::{BURST, Record};

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

impl Author {
    /// Of whom nothing is known but the account.
    pub(crate) fn unknown(id: Id) -> Self {
        Self::named(id, "")
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

/// How somebody stands in the forum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conduct {
    pub(crate) record: Record,
    /// The rank, 0 where auth has not told it yet.
    pub(crate) level: i64,
    /// Whether there may be bans that hold.
    pub(crate) restricted: bool,
    /// Posts within a minute, and when that minute began.
    pub(crate) burst: (i64, Timestamp),
}

impl Conduct {
    /// Of somebody who has done nothing yet.
    pub(crate) fn unknown(id: Id) -> Self {
        Self::of(id, (0, 0, 0, false, 0, Timestamp::from_micros(0)))
    }

    /// From rank, posts, those refused, whether there may be bans, and the burst.
    fn of(id: Id, (level, post_count, refused_count, restricted, burst, at): Columns) -> Self {
        let record = Record { registered_at: Ids::made_at(id), post_count, refused_count };
        Self { record, level, restricted, burst: (burst, at) }
    }
}

type Columns = (i64, i64, i64, bool, i64, Timestamp);

/// Somebody writes a post at `now`: it counts, and who else writes in their name waits for the transaction.
/// How they stand, this post included.
pub(crate) async fn writes(tx: &mut Tx, user: &User, now: Timestamp) -> Result<Conduct, DbError> {
    let upsert = sql("INSERT INTO authors (id, name, level, post_count, burst_at, burst_count) \
                      VALUES ($1, $2, $3, 1, $4, 1) ON CONFLICT (id) DO UPDATE SET \
                      level = CASE authors.level WHEN 0 THEN excluded.level ELSE authors.level END, \
                      post_count = authors.post_count + 1, \
                      burst_count = CASE WHEN authors.burst_at > $5 THEN authors.burst_count ELSE 0 \
                      END + 1, \
                      burst_at = CASE WHEN authors.burst_at > $5 THEN authors.burst_at ELSE $4 END \
                      RETURNING level, post_count, refused_count, restricted, burst_count, burst_at");
    let name = clean(&user.name);
    let upsert = upsert.bind(user.id).bind(name).bind(user.role.level());
    let columns = tx.one(upsert.bind(now).bind(now.minus(BURST))).await?;
    Ok(Conduct::of(user.id, columns))
}

/// How somebody stands; nothing if nobody is known by that id.
pub(crate) async fn conduct(conn: &mut Conn, id: Id) -> Result<Option<Conduct>, DbError> {
    let find = sql("SELECT level, post_count, refused_count, restricted, burst_count, burst_at \
                    FROM authors WHERE id = $1 AND erased = 0");
    Ok(conn.optional(find.bind(id)).await?.map(|columns| Conduct::of(id, columns)))
}

/// Who has this id; nothing if nobody is known by it.
pub(crate) async fn find(conn: &mut Conn, id: Id) -> Result<Option<Author>, DbError> {
    let find = sql("SELECT name FROM authors WHERE id = $1 AND erased = 0").bind(id);
    let found: Option<(String,)> = conn.optional(find).await?;
    Ok(found.map(|(name,)| Author::named(id, &name)))
}

/// Moderators refused a post of theirs; or, with -1, think better of it.
pub(crate) async fn refused(tx: &mut Tx, id: Id, more: i64) -> Result<(), DbError> {
    let count = sql("UPDATE authors SET refused_count = \
                     CASE WHEN refused_count + $2 < 0 THEN 0 ELSE refused_count + $2 END \
                     WHERE id = $1");
    tx.execute(count.bind(id).bind(more)).await.map(|_| ())
}

/// Nobody is known by that id any more, whatever is heard of it later.
pub(crate) async fn erase(tx: &mut Tx, id: Id) -> Result<(), DbError> {
    let erase = sql("INSERT INTO authors (id, name, erased) VALUES ($1, '', 1) \
                     ON CONFLICT (id) DO UPDATE SET name = '', username_key = NULL, level = 0, \
                     erased = 1");
    tx.execute(erase.bind(id)).await.map(|_| ())
}

/// Somebody has an account from now on, is called by this name, and has nothing to catch up with.
pub(crate) async fn register(
    tx: &mut Tx,
    id: Id,
    (name, username, role): (&str, &str, Role),
    at: Timestamp,
) -> Result<(), DbError> {
    let key = lookup_key(username);
    // Nobody but auth decides whose a name is, and this is what it told last.
    let free = sql("UPDATE authors SET username_key = NULL WHERE username_key = $1 AND id <> $2");
    tx.execute(free.bind(&key).bind(id)).await?;
    let upsert = sql("INSERT INTO authors (id, name, username_key, read_before, level) \
                      VALUES ($1, $2, $3, $4, $5) \
                      ON CONFLICT (id) DO UPDATE SET name = excluded.name, \
                      username_key = excluded.username_key, level = excluded.level, \
                      read_before = CASE WHEN authors.read_before < excluded.read_before \
                      THEN excluded.read_before ELSE authors.read_before END \
                      WHERE authors.erased = 0");
    let upsert = upsert.bind(id).bind(clean(name)).bind(key).bind(at).bind(role.level());
    tx.execute(upsert).await.map(|_| ())
}

/// From now on this is their rank.
pub(crate) async fn rank(tx: &mut Tx, id: Id, role: Role) -> Result<(), DbError> {
    let upsert = sql("INSERT INTO authors (id, name, level) VALUES ($1, '', $2) \
                      ON CONFLICT (id) DO UPDATE SET level = excluded.level \
                      WHERE authors.erased = 0");
    tx.execute(upsert.bind(id).bind(role.level())).await.map(|_| ())
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
