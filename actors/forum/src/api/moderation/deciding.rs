//! What becomes of posts and threads by a decision, made by whatever way: what was counted for them is
//! counted, others are told, and what waits in the queue is decided with it.

use crate::api::writing::Writing;
use crate::error::ForumError;
use crate::events::{PostDeleted, PostRestored, ThreadDeleted, ThreadRestored};
use crate::store::moderation::hiding;
use crate::store::moderation::queue::{self, QueueStatus};
use crate::store::posts::{self, Post};
use crate::store::threads::{self, Thread};

impl Writing<'_> {
    /// Deletes a reply that is held, with its thread, and perhaps hidden.
    pub(in crate::api) async fn delete_post(&mut self, post: &Post) -> Result<(), ForumError> {
        let (by, now) = (self.by.user.id, self.by.context.now);
        if post.hidden {
            hiding::delete(self.tx, post.id, by, now).await?;
        } else {
            posts::delete(self.tx, post, by, now).await?;
        }
        self.tx.publish(&PostDeleted { id: post.id, thread_id: post.thread_id });
        Ok(())
    }

    /// The same for a thread.
    pub(in crate::api) async fn delete_thread(
        &mut self,
        thread: &Thread,
    ) -> Result<(), ForumError> {
        let (by, now) = (self.by.user.id, self.by.context.now);
        threads::delete(self.tx, thread.id, by, now).await?;
        self.tx.publish(&ThreadDeleted { id: thread.id });
        Ok(())
    }

    /// Shows a reply that is deleted or hidden, and held with its thread.
    pub(in crate::api) async fn restore_post(&mut self, post: &mut Post) -> Result<(), ForumError> {
        (post.deleted, post.hidden, post.version) = (false, false, post.version + 1);
        posts::restore(self.tx, post).await?;
        self.tx.publish(&PostRestored { id: post.id, thread_id: post.thread_id });
        Ok(())
    }

    /// The same for a thread.
    pub(in crate::api) async fn restore_thread(
        &mut self,
        thread: &mut Thread,
    ) -> Result<(), ForumError> {
        (thread.deleted, thread.hidden, thread.version) = (false, false, thread.version + 1);
        threads::restore(self.tx, thread, &thread.tag_list()).await?;
        self.tx.publish(&ThreadRestored { id: thread.id });
        Ok(())
    }

    /// What a moderator does to somebody's post decides about it in the queue.
    pub(in crate::api) async fn has_decided(
        &mut self,
        post: &Post,
        status: QueueStatus,
    ) -> Result<(), ForumError> {
        let (by, now) = (self.by.user.id, self.by.context.now);
        if self.viewer.moderates && post.author.id != by {
            queue::resolve_post(self.tx, post.id, status, (by, now)).await?;
        }
        Ok(())
    }

    /// The same for a thread.
    pub(in crate::api) async fn has_decided_thread(
        &mut self,
        thread: &Thread,
        status: QueueStatus,
    ) -> Result<(), ForumError> {
        let (by, now) = (self.by.user.id, self.by.context.now);
        if self.viewer.moderates
            && thread.author.id != by
            && let Some(opening) = posts::opening(self.tx, thread.id).await?
        {
            queue::resolve_post(self.tx, opening, status, (by, now)).await?;
        }
        Ok(())
    }
}
