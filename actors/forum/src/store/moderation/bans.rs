//! Who may not write, where, and until when.

use panel_kernel::data::{Composed, Conn, DbError, FromRow, Row, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::rules::bans::{BanKind, InForce};
use crate::store::authors::Author;
use crate::store::holding;

/// The most bans of one person that are looked at when they write.
const MOST: i64 = 100;

/// Somebody is kept from writing.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Ban {
    pub(crate) id: Id,
    /// Who.
    pub(crate) user: Author,
    pub(crate) kind: BanKind,
    /// Where, with the categories below it; null: everywhere.
    pub(crate) category_id: Option<Id>,
    /// Told to them.
    pub(crate) reason: String,
    /// By whom; null for whom it is about.
    pub(crate) created_by: Option<Author>,
    pub(crate) created_at: Timestamp,
    /// When it ends; null: never by itself.
    pub(crate) until: Option<Timestamp>,
    /// When it ended, whether by itself or by somebody.
    pub(crate) ended_at: Option<Timestamp>,
    /// What they have to say about it.
    pub(crate) appeal: Option<String>,
}

macro_rules! ban {
    () => {
        "SELECT b.id, b.user_id, \
         COALESCE((SELECT a.name FROM authors a WHERE a.id = b.user_id), ''), b.kind, \
         b.category_id, b.reason, b.created_by, \
         COALESCE((SELECT a.name FROM authors a WHERE a.id = b.created_by), ''), b.created_at, \
         b.until, b.ended_at, b.appeal FROM bans b"
    };
}

impl FromRow for Ban {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let (user, kind, by): (String, String, String) = (row.get(2)?, row.get(3)?, row.get(7)?);
        Ok(Self {
            id: row.get(0)?,
            user: Author::named(row.get(1)?, &user),
            kind: BanKind::named(&kind),
            category_id: row.get(4)?,
            reason: row.get(5)?,
            created_by: Some(Author::named(row.get(6)?, &by)),
            created_at: row.get(8)?,
            until: row.get(9)?,
            ended_at: row.get(10)?,
            appeal: row.get(11)?,
        })
    }
}

impl FromRow for InForce {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let kind: String = row.get(0)?;
        let category: Option<Id> = row.get(3)?;
        Ok(Self {
            kind: BanKind::named(&kind),
            reason: row.get(1)?,
            until: row.get(2)?,
            is_local: category.is_some(),
        })
    }
}

/// What keeps somebody from writing in a category at `now`, the latest first.
pub(crate) async fn in_force(
    conn: &mut Conn,
    user: Id,
    category: Id,
    now: Timestamp,
) -> Result<Vec<InForce>, DbError> {
    let find = sql("SELECT b.kind, b.reason, b.until, b.category_id FROM bans b \
                    WHERE b.user_id = $1 AND b.ended_at IS NULL \
                    AND (b.until IS NULL OR b.until > $2) \
                    AND (b.category_id IS NULL OR b.category_id = $3 OR b.category_id = \
                    (SELECT c.parent_id FROM categories c WHERE c.id = $3)) \
                    ORDER BY b.id DESC LIMIT $4");
    conn.all(find.bind(user).bind(now).bind(category).bind(MOST)).await
}

/// Of which list of bans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BanFilter {
    pub(crate) user: Option<Id>,
    /// Only those that hold at that moment.
    pub(crate) in_force_at: Option<Timestamp>,
}

/// Bans, the latest first.
pub(crate) async fn list(
    conn: &mut Conn,
    filter: BanFilter,
    before: i64,
    fetch: i64,
) -> Result<Vec<Ban>, DbError> {
    let mut text = Composed::default();
    text.add(ban!());
    text.with(" WHERE b.id < $", [before.into()]);
    if let Some(user) = filter.user {
        text.with(" AND b.user_id = $", [user.into()]);
    }
    if let Some(now) = filter.in_force_at {
        text.with(" AND b.ended_at IS NULL AND (b.until IS NULL OR b.until > $)", [now.into()]);
    }
    text.with(" ORDER BY b.id DESC LIMIT $", [fetch.into()]);
    conn.all(text.done()).await
}

/// One of them.
pub(crate) async fn find(conn: &mut Conn, id: Id) -> Result<Option<Ban>, DbError> {
    conn.optional(sql(concat!(ban!(), " WHERE b.id = $1")).bind(id)).await
}

/// One of them, to change it: nobody else does until the transaction ends.
pub(crate) async fn for_change(tx: &mut Tx, id: Id) -> Result<Option<Ban>, DbError> {
    let hold = holding(tx, concat!(ban!(), " WHERE b.id = $1"), "b").bind(id);
    tx.optional(hold).await
}

/// From now on somebody is kept from writing.
pub(crate) async fn insert(tx: &mut Tx, ban: &Ban) -> Result<(), DbError> {
    let insert = sql("INSERT INTO bans \
                      (id, user_id, kind, category_id, reason, created_by, created_at, until) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8)");
    let insert = insert
        .bind(ban.id)
        .bind(ban.user.id)
        .bind(ban.kind.name())
        .bind(ban.category_id)
        .bind(&ban.reason)
        .bind(ban.created_by.as_ref().map(|by| by.id))
        .bind(ban.created_at)
        .bind(ban.until);
    tx.execute(insert).await?;
    // Whoever is writing at this moment is waited for, or waits, and then sees it.
    let restrict = sql("UPDATE authors SET restricted = 1 WHERE id = $1").bind(ban.user.id);
    tx.execute(restrict).await.map(|_| ())
}

/// It ends; by nobody, if by itself.
pub(crate) async fn end(
    tx: &mut Tx,
    id: Id,
    by: Option<Id>,
    at: Timestamp,
) -> Result<bool, DbError> {
    let end =
        sql("UPDATE bans SET ended_at = $2, ended_by = $3 WHERE id = $1 AND ended_at IS NULL");
    tx.changed(end.bind(id).bind(at).bind(by)).await
}

/// Those of a category end with it.
pub(crate) async fn end_in_category(
    tx: &mut Tx,
    category: Id,
    by: Id,
    at: Timestamp,
) -> Result<(), DbError> {
    let end = sql("UPDATE bans SET ended_at = $2, ended_by = $3 \
                   WHERE category_id = $1 AND ended_at IS NULL");
    tx.execute(end.bind(category).bind(at).bind(by)).await.map(|_| ())
}

/// Those whose time is over, and which nobody has ended.
pub(crate) async fn over(conn: &mut Conn, now: Timestamp, most: i64) -> Result<Vec<Ban>, DbError> {
    let find = sql(concat!(
        ban!(),
        " WHERE b.ended_at IS NULL AND b.until IS NOT NULL AND b.until <= $1 \
         ORDER BY b.until LIMIT $2"
    ));
    conn.all(find.bind(now).bind(most)).await
}

/// Keeps what they have to say about it; once.
pub(crate) async fn appeal(tx: &mut Tx, id: Id, text: &str) -> Result<bool, DbError> {
    let appeal = sql("UPDATE bans SET appeal = $2 WHERE id = $1 AND appeal IS NULL");
    tx.changed(appeal.bind(id).bind(text)).await
}
