//! Telling people: rows for those who may know of it and want to.

use std::collections::{BTreeMap, HashMap};

use panel_kernel::data::{Conn, DbError, Statement, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

use crate::rules::notices::NoticeKind;
use crate::store::{places, rows};

/// So many of those who watch a thread are told in one transaction.
const PIECE: i64 = 200;
/// People in one statement.
const ROWS: usize = 100;

/// Something that was stored: for whom, and what it is called for them.
pub(crate) type Told = (Id, Id);

/// What there is to be told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Notice<'a> {
    /// Who did it; nobody, where that is not told.
    pub(crate) actor: Option<Id>,
    pub(crate) thread: Option<Id>,
    pub(crate) post: Option<Id>,
    /// Who may read there: the level of the category, 0 where it is about no post.
    pub(crate) read_level: i64,
    pub(crate) detail: &'a str,
    pub(crate) at: Timestamp,
    /// What it is called, if nothing later was told them.
    pub(crate) id: Id,
}

/// Tells people, each for a reason; those who may not read it, don't want to hear of that, or of whoever did
/// it, are left out. Says who was told.
pub(crate) async fn tell(
    tx: &mut Tx,
    people: &BTreeMap<Id, NoticeKind>,
    notice: Notice<'_>,
) -> Result<Vec<Told>, DbError> {
    let mut told = Vec::new();
    // Always in the same order, so that two who tell never wait for each other.
    let all: Vec<(Id, NoticeKind)> = people.iter().map(|(id, kind)| (*id, *kind)).collect();
    for piece in all.chunks(ROWS) {
        let muted = who_hears(tx, piece, notice).await?;
        let wants = |(id, kind): &(Id, NoticeKind)| {
            muted.get(id).is_some_and(|muted| !kind.is_optional() || muted & kind.bit() == 0)
        };
        let piece: Vec<(Id, NoticeKind)> = piece.iter().copied().filter(wants).collect();
        if !piece.is_empty() {
            let ids = next_ids(tx, &piece, notice.id).await?;
            insert(tx, &piece, &ids, notice).await?;
            told.extend(ids);
        }
    }
    Ok(told)
}

/// Of these people, those who may know of it, each with the kinds they don't want to hear of.
async fn who_hears(
    tx: &mut Tx,
    people: &[(Id, NoticeKind)],
    notice: Notice<'_>,
) -> Result<HashMap<Id, i64>, DbError> {
    let text = format!(
        "SELECT a.id, COALESCE((SELECT b.muted FROM notification_boxes b WHERE b.user_id = a.id), 0) \
         FROM authors a WHERE a.id IN ({}) AND a.erased = 0 \
         AND CASE a.level WHEN 0 THEN 1 ELSE a.level END >= $1 \
         AND NOT EXISTS (SELECT 1 FROM blocks k WHERE k.user_id = a.id AND k.blocked_id = $2)",
        places(3, people.len())
    );
    let actor = notice.actor.map_or(0, Id::raw);
    let find = Statement::composed(text).bind(notice.read_level).bind(actor);
    let find = people.iter().fold(find, |find, (id, _)| find.bind(*id));
    let found: Vec<(Id, i64)> = tx.all(find).await?;
    Ok(found.into_iter().collect())
}

/// What the next thing told them is called, for each: later than all before it.
async fn next_ids(tx: &mut Tx, people: &[(Id, NoticeKind)], id: Id) -> Result<Vec<Told>, DbError> {
    let text = format!(
        "INSERT INTO notification_boxes (user_id, last_id) VALUES {} \
         ON CONFLICT (user_id) DO UPDATE SET last_id = \
         CASE WHEN notification_boxes.last_id < excluded.last_id THEN excluded.last_id \
         ELSE notification_boxes.last_id + 1 END RETURNING user_id, last_id",
        rows(1, 2, people.len())
    );
    let upsert = Statement::composed(text);
    tx.all(people.iter().fold(upsert, |upsert, (user, _)| upsert.bind(*user).bind(id))).await
}

async fn insert(
    tx: &mut Tx,
    people: &[(Id, NoticeKind)],
    ids: &[Told],
    notice: Notice<'_>,
) -> Result<(), DbError> {
    let kinds: HashMap<Id, NoticeKind> = people.iter().copied().collect();
    let values: Vec<(Id, Id, NoticeKind)> = ids
        .iter()
        .filter_map(|(user, id)| kinds.get(user).map(|kind| (*user, *id, *kind)))
        .collect();
    let text = format!(
        "INSERT INTO notifications \
         (user_id, id, kind, actor_id, thread_id, post_id, detail, created_at) VALUES {}",
        rows(1, 8, values.len())
    );
    let insert = values.iter().fold(Statement::composed(text), |insert, (user, id, kind)| {
        insert
            .bind(*user)
            .bind(*id)
            .bind(kind.name())
            .bind(notice.actor)
            .bind(notice.thread)
            .bind(notice.post)
            .bind(notice.detail)
            .bind(notice.at)
    });
    tx.execute(insert).await.map(|_| ())
}

/// A post as far as it matters to whom it is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject {
    pub(crate) thread: Id,
    pub(crate) author: Id,
    pub(crate) read_level: i64,
    /// Whether it is there to be read.
    pub(crate) is_shown: bool,
    pub(crate) reply_to: Option<Id>,
    pub(crate) quote: Option<Id>,
}

panel_kernel::from_row!(Subject { thread, author, read_level, is_shown, reply_to, quote });

/// A post as it is now.
pub(crate) async fn subject(tx: &mut Tx, post: Id) -> Result<Option<Subject>, DbError> {
    let find = sql("SELECT p.thread_id, p.author_id, c.read_level, \
                    CAST(CASE WHEN p.deleted_at IS NULL AND t.deleted_at IS NULL THEN 1 ELSE 0 END \
                    AS BIGINT), p.reply_to, p.quote_of FROM posts p \
                    JOIN threads t ON t.id = p.thread_id JOIN categories c ON c.id = t.category_id \
                    WHERE p.id = $1");
    tx.optional(find.bind(post)).await
}

/// Who wrote a post.
pub(crate) async fn author_of(tx: &mut Tx, post: Option<Id>) -> Result<Option<Id>, DbError> {
    let Some(post) = post else { return Ok(None) };
    let find = sql("SELECT author_id FROM posts WHERE id = $1").bind(post);
    Ok(tx.optional(find).await?.map(|(id,): (Id,)| id))
}

/// Whom a post calls by name.
pub(crate) async fn mentioned(tx: &mut Tx, post: Id) -> Result<Vec<Id>, DbError> {
    let find = sql("SELECT user_id FROM post_mentions WHERE post_id = $1").bind(post);
    Ok(tx.all(find).await?.into_iter().map(|(id,): (Id,)| id).collect())
}

/// Of these people, those who were told of a post before.
pub(crate) async fn told_of(tx: &mut Tx, post: Id) -> Result<Vec<Id>, DbError> {
    let find = sql("SELECT user_id FROM notifications WHERE post_id = $1 \
                    AND kind IN ('reply', 'quote', 'mention', 'watched')");
    Ok(tx.all(find.bind(post)).await?.into_iter().map(|(id,): (Id,)| id).collect())
}

/// Whether somebody was told of that reaction of theirs before.
pub(crate) async fn has_reaction(
    tx: &mut Tx,
    user: Id,
    (post, actor, name): (Id, Id, &str),
) -> Result<bool, DbError> {
    let find = sql("SELECT id FROM notifications WHERE user_id = $1 AND post_id = $2 \
                    AND actor_id = $3 AND kind = 'reaction' AND detail = $4 LIMIT 1");
    let found: Option<(Id,)> =
        tx.optional(find.bind(user).bind(post).bind(actor).bind(name)).await?;
    Ok(found.is_some())
}

/// A reaction was taken back: whoever has not read of it does not have to.
pub(crate) async fn withdraw_reaction(
    tx: &mut Tx,
    user: Id,
    (post, actor, name): (Id, Id, &str),
) -> Result<(), DbError> {
    let delete = sql("DELETE FROM notifications WHERE user_id = $1 AND post_id = $2 \
                      AND actor_id = $3 AND kind = 'reaction' AND detail = $4 AND is_read = 0");
    tx.execute(delete.bind(user).bind(post).bind(actor).bind(name)).await.map(|_| ())
}

/// Who flagged something in the queue: the first thousand.
pub(crate) async fn flaggers(tx: &mut Tx, item: Id) -> Result<Vec<Id>, DbError> {
    let find = sql("SELECT user_id FROM flags WHERE item_id = $1 ORDER BY id LIMIT 1000");
    Ok(tx.all(find.bind(item)).await?.into_iter().map(|(id,): (Id,)| id).collect())
}

/// Those of a thread's watchers who are to be told of a post, after that one; the last of them are fewer than
/// [`PIECE`]. Who has not read of the last news in it is not told of more.
pub(crate) async fn watchers(tx: &mut Tx, post: Id, after: i64) -> Result<Vec<Id>, DbError> {
    let find = sql("SELECT r.user_id FROM posts p JOIN thread_readers r \
                    ON r.thread_id = p.thread_id AND r.watching = 1 \
                    WHERE p.id = $1 AND r.user_id > $2 AND r.user_id <> p.author_id \
                    AND r.last_read < p.number \
                    AND NOT EXISTS (SELECT 1 FROM notifications n WHERE n.user_id = r.user_id \
                      AND n.post_id = p.id) \
                    AND NOT EXISTS (SELECT 1 FROM notifications n WHERE n.user_id = r.user_id \
                      AND n.thread_id = p.thread_id AND n.kind = 'watched' AND n.is_read = 0) \
                    ORDER BY r.user_id LIMIT $3");
    let found: Vec<(Id,)> = tx.all(find.bind(post).bind(after).bind(PIECE)).await?;
    Ok(found.into_iter().map(|(id,)| id).collect())
}

/// After whom others are to be told of it, who watch its thread; nothing, if these were the last.
pub(crate) fn rest(told: &[Id]) -> Option<Id> {
    let is_last = i64::try_from(told.len()).is_ok_and(|count| count < PIECE);
    told.last().copied().filter(|_| !is_last)
}

/// The others are to be told later, or nobody is left.
pub(crate) async fn fan_out(tx: &mut Tx, post: Id, after: Option<Id>) -> Result<(), DbError> {
    let statement = match after {
        Some(after) => sql("INSERT INTO notification_fanouts (post_id, after_user) \
                            VALUES ($1, $2) ON CONFLICT (post_id) DO UPDATE \
                            SET after_user = excluded.after_user")
        .bind(post)
        .bind(after),
        None => sql("DELETE FROM notification_fanouts WHERE post_id = $1").bind(post),
    };
    tx.execute(statement).await.map(|_| ())
}

/// Whether there is somebody to be told later.
pub(crate) async fn has_fanouts(conn: &mut Conn) -> Result<bool, DbError> {
    let find = sql("SELECT post_id FROM notification_fanouts LIMIT 1");
    Ok(conn.optional::<(Id,)>(find).await?.is_some())
}

/// A post of which some are still to be told, and after whom. Nobody else goes on with it until the
/// transaction ends.
pub(crate) async fn next_fanout(tx: &mut Tx) -> Result<Option<(Id, i64)>, DbError> {
    let text = if tx.is_postgres() {
        "SELECT post_id, after_user FROM notification_fanouts ORDER BY post_id LIMIT 1 \
         FOR UPDATE SKIP LOCKED"
    } else {
        "SELECT post_id, after_user FROM notification_fanouts ORDER BY post_id LIMIT 1"
    };
    tx.optional(sql(text)).await
}
