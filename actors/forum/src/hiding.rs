//! Hiding a post until moderators have decided, and telling of it: by whoever, and in whatever way.

use panel_kernel::data::{DbError, Tx};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

use crate::events::{PostHidden, ThreadHidden};
use crate::store::moderation::hiding;
use crate::store::posts::Post;
use crate::tags;

/// Hides a post that is not deleted and is held with its thread; what opens a thread, with the thread. By
/// nobody, if the forum does so itself.
pub(crate) async fn hide(
    tx: &mut Tx,
    post: &Post,
    by: Option<Id>,
    at: Timestamp,
) -> Result<(), DbError> {
    if post.number == 1 {
        return hide_thread(tx, (post.thread_id, post.author.id), by, at).await;
    }
    hiding::hide(tx, post, by, at).await?;
    let (id, thread_id, author_id) = (post.id, post.thread_id, post.author.id);
    tx.removes(tags::showing(thread_id));
    tx.publish(&PostHidden { id, thread_id, author_id });
    Ok(())
}

/// Hides a thread, told by its id and its author.
pub(crate) async fn hide_thread(
    tx: &mut Tx,
    (id, author_id): (Id, Id),
    by: Option<Id>,
    at: Timestamp,
) -> Result<(), DbError> {
    hiding::hide_thread(tx, id, by, at).await?;
    tx.removes(tags::showing(id));
    tx.publish(&ThreadHidden { id, author_id });
    Ok(())
}
