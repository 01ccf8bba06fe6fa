//! What becomes of posts and threads by a decision, made by whatever way: what was counted for them is
//! counted, others are told, and what waits in the queue is decided with it.

use panel_kernel::http::RouteError;
use panel_kernel::ids::Id;

use crate::api::writing::Writing;
use crate::events::{PostDeleted, PostRestored, QueueResolved, ThreadDeleted, ThreadRestored};
use crate::store::moderation::hiding;
use crate::store::moderation::queue::{self, QueueKind, QueueStatus};
use crate::store::posts::{self, Post};
use crate::store::threads::{self, Thread};
use crate::tags;

impl Writing<'_> {
    /// Deletes a reply that is held, with its thread, and perhaps hidden.
    pub(in crate::api) async fn delete_post(&mut self, post: &Post) -> Result<(), RouteError> {
        let (by, now) = (self.by.user.id, self.by.context.now);
        if post.hidden {
            hiding::delete(self.tx, post.id, by, now).await?;
        } else {
            posts::delete(self.tx, post, by, now).await?;
        }
        self.tx.removes(tags::showing(post.thread_id));
        self.tx.publish(&PostDeleted { id: post.id, thread_id: post.thread_id });
        Ok(())
    }

    /// The same for a thread.
    pub(in crate::api) async fn delete_thread(
        &mut self,
        thread: &Thread,
    ) -> Result<(), RouteError> {
        let (by, now) = (self.by.user.id, self.by.context.now);
        threads::delete(self.tx, thread.id, by, now).await?;
        self.tx.removes(tags::showing(thread.id));
        self.tx.publish(&ThreadDeleted { id: thread.id });
        Ok(())
    }

    /// Shows a reply that is deleted or hidden, and held with its thread.
    pub(in crate::api) async fn restore_post(&mut self, post: &mut Post) -> Result<(), RouteError> {
        (post.deleted, post.hidden, post.version) = (false, false, post.version + 1);
        posts::restore(self.tx, post).await?;
        self.tx.makes_old(tags::showing(post.thread_id));
        self.tx.publish(&PostRestored { id: post.id, thread_id: post.thread_id });
        Ok(())
    }

    /// The same for a thread.
    pub(in crate::api) async fn restore_thread(
        &mut self,
        thread: &mut Thread,
    ) -> Result<(), RouteError> {
        (thread.deleted, thread.hidden, thread.version) = (false, false, thread.version + 1);
        threads::restore(self.tx, thread, &thread.tag_list()).await?;
        self.tx.makes_old(tags::showing(thread.id));
        self.tx.publish(&ThreadRestored { id: thread.id });
        Ok(())
    }

    /// What a moderator does to somebody's post decides about it in the queue, and is told as that. A post that was
    /// hidden and held may be seen for the first time by it.
    pub(in crate::api) async fn has_decided(
        &mut self,
        (post, thread, author): (Id, Id, Id),
        status: QueueStatus,
        was_hidden: bool,
    ) -> Result<(), RouteError> {
        let (by, now) = (self.by.user.id, self.by.context.now);
        if !self.viewer.moderates || author == by {
            return Ok(());
        }
        let resolved = queue::resolve_post(self.tx, post, status, (by, now)).await?;
        if let Some((id, kind)) = resolved {
            let appears = was_hidden && kind == QueueKind::Held && status == QueueStatus::Approved;
            self.tx.publish(&QueueResolved {
                id,
                status,
                kind,
                author_id: author,
                post_id: Some(post),
                thread_id: Some(thread),
                ban_id: None,
                moderator_id: by,
                appears,
            });
        }
        Ok(())
    }

    /// The same for a thread, which is in the queue by its opening post.
    pub(in crate::api) async fn has_decided_thread(
        &mut self,
        thread: &Thread,
        status: QueueStatus,
        was_hidden: bool,
    ) -> Result<(), RouteError> {
        let opening = posts::opening(self.tx, thread.id).await?;
        let Some(opening) = opening else { return Ok(()) };
        self.has_decided((opening, thread.id, thread.author.id), status, was_hidden).await
    }
}
