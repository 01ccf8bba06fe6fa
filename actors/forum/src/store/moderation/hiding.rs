//! Hiding what moderators are to decide about, and showing it again. What opens a thread is hidden with it.

use panel_kernel::data::{DbError, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

use crate::store::posts::{Post, count};
use crate::store::threads::{self, Thread};

/// Hides a reply that is not deleted; by nobody, if the forum does so itself. It must be held.
pub(crate) async fn hide(
    tx: &mut Tx,
    post: &Post,
    by: Option<Id>,
    at: Timestamp,
) -> Result<(), DbError> {
    let hide = sql("UPDATE posts SET deleted_at = $2, deleted_by = $3, hidden = 1, \
                    version = version + 1 WHERE id = $1");
    tx.execute(hide.bind(post.id).bind(at).bind(by)).await?;
    count(tx, post.thread_id, -1).await
}

/// A reply that is hidden is deleted for good.
pub(crate) async fn delete(tx: &mut Tx, id: Id, by: Id, at: Timestamp) -> Result<(), DbError> {
    let delete = sql("UPDATE posts SET deleted_at = $2, deleted_by = $3, hidden = 0, \
                      version = version + 1 WHERE id = $1");
    tx.execute(delete.bind(id).bind(at).bind(by)).await.map(|_| ())
}

/// Hides a thread that is not deleted. It must be held.
pub(crate) async fn hide_thread(
    tx: &mut Tx,
    thread: Id,
    by: Option<Id>,
    at: Timestamp,
) -> Result<(), DbError> {
    let hide = sql("UPDATE threads SET deleted_at = $2, deleted_by = $3, hidden = 1, \
                    version = version + 1 WHERE id = $1");
    tx.execute(hide.bind(thread).bind(at).bind(by)).await?;
    threads::remove_tags(tx, thread).await
}

/// What was held is shown for the first time: its thread is active by it, as if it was written now.
pub(crate) async fn appears(tx: &mut Tx, thread: &Thread, at: Timestamp) -> Result<(), DbError> {
    let active = sql("UPDATE threads SET last_post_at = $2 WHERE id = $1 AND last_post_at < $2");
    tx.execute(active.bind(thread.id).bind(at)).await?;
    let tags =
        sql("UPDATE thread_tags SET last_post_at = $2 WHERE thread_id = $1 AND last_post_at < $2");
    tx.execute(tags.bind(thread.id).bind(at)).await.map(|_| ())
}
