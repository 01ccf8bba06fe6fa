//! Facts the forum publishes.

use std::collections::BTreeSet;

use panel_kernel::data::Fact;
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;
use serde::Serialize;

use crate::rules::bans::BanKind;
use crate::rules::digests::Line;
use crate::store::moderation::queue::{QueueKind, QueueStatus};

/// A thread was started. Its opening body is a post of its own, without a fact of its own.
#[derive(Debug, Serialize)]
pub(crate) struct ThreadCreated<'a> {
    pub(crate) id: Id,
    pub(crate) category_id: Id,
    pub(crate) author_id: Id,
    pub(crate) title: &'a str,
    /// The opening post.
    pub(crate) post_id: Id,
    /// Whom it calls by name.
    pub(crate) mentioned: BTreeSet<Id>,
}

impl Fact for ThreadCreated<'_> {
    const TOPIC: &'static str = "thread.created";
}

/// A thread's title, tags or category changed, or whether it is pinned or locked.
#[derive(Debug, Serialize)]
pub(crate) struct ThreadEdited<'a> {
    pub(crate) id: Id,
    pub(crate) category_id: Id,
    pub(crate) title: &'a str,
}

impl Fact for ThreadEdited<'_> {
    const TOPIC: &'static str = "thread.edited";
}

/// A thread was deleted, with all its posts.
#[derive(Debug, Serialize)]
pub(crate) struct ThreadDeleted {
    pub(crate) id: Id,
}

impl Fact for ThreadDeleted {
    const TOPIC: &'static str = "thread.deleted";
}

/// A thread that was deleted is there again, with all its posts.
#[derive(Debug, Serialize)]
pub(crate) struct ThreadRestored {
    pub(crate) id: Id,
}

impl Fact for ThreadRestored {
    const TOPIC: &'static str = "thread.restored";
}

/// All posts of a thread are in another one now, in order, with `offset` added to their numbers.
#[derive(Debug, Serialize)]
pub(crate) struct ThreadMerged {
    pub(crate) id: Id,
    pub(crate) into: Id,
    pub(crate) offset: i64,
}

impl Fact for ThreadMerged {
    const TOPIC: &'static str = "thread.merged";
}

/// Some posts of a thread are a thread of their own now, which was not told by `thread.created`.
#[derive(Debug, Serialize)]
pub(crate) struct ThreadSplit<'a> {
    pub(crate) id: Id,
    pub(crate) from: Id,
    pub(crate) category_id: Id,
    pub(crate) author_id: Id,
    pub(crate) title: &'a str,
    /// In order; the first opens the new thread.
    pub(crate) posts: &'a [Id],
}

impl Fact for ThreadSplit<'_> {
    const TOPIC: &'static str = "thread.split";
}

/// Somebody replied.
#[derive(Debug, Serialize)]
pub(crate) struct PostCreated {
    pub(crate) id: Id,
    pub(crate) thread_id: Id,
    pub(crate) number: i64,
    pub(crate) author_id: Id,
    pub(crate) reply_to: Option<Id>,
    pub(crate) quote: Option<Id>,
    /// Whom it calls by name.
    pub(crate) mentioned: BTreeSet<Id>,
}

impl Fact for PostCreated {
    const TOPIC: &'static str = "post.created";
}

/// A post's text changed.
#[derive(Debug, Serialize)]
pub(crate) struct PostEdited {
    pub(crate) id: Id,
    pub(crate) thread_id: Id,
    /// Whom it calls by name, and did not before.
    pub(crate) mentioned: BTreeSet<Id>,
}

impl Fact for PostEdited {
    const TOPIC: &'static str = "post.edited";
}

/// A post was deleted.
#[derive(Debug, Serialize)]
pub(crate) struct PostDeleted {
    pub(crate) id: Id,
    pub(crate) thread_id: Id,
}

impl Fact for PostDeleted {
    const TOPIC: &'static str = "post.deleted";
}

/// A post that was deleted is there again.
#[derive(Debug, Serialize)]
pub(crate) struct PostRestored {
    pub(crate) id: Id,
    pub(crate) thread_id: Id,
}

impl Fact for PostRestored {
    const TOPIC: &'static str = "post.restored";
}

/// A reply is hidden until moderators have looked at it.
#[derive(Debug, Serialize)]
pub(crate) struct PostHidden {
    pub(crate) id: Id,
    pub(crate) thread_id: Id,
    pub(crate) author_id: Id,
}

impl Fact for PostHidden {
    const TOPIC: &'static str = "post.hidden";
}

/// A thread is hidden, with all its posts, until moderators have looked at it.
#[derive(Debug, Serialize)]
pub(crate) struct ThreadHidden {
    pub(crate) id: Id,
    pub(crate) author_id: Id,
}

impl Fact for ThreadHidden {
    const TOPIC: &'static str = "thread.hidden";
}

/// Somebody finds something wrong with a post.
#[derive(Debug, Serialize)]
pub(crate) struct PostFlagged<'a> {
    pub(crate) id: Id,
    pub(crate) thread_id: Id,
    pub(crate) item_id: Id,
    pub(crate) reason: &'a str,
}

impl Fact for PostFlagged<'_> {
    const TOPIC: &'static str = "post.flagged";
}

/// Moderators have decided about a post in the queue, or about an appeal.
#[derive(Debug, Serialize)]
pub(crate) struct QueueResolved {
    pub(crate) id: Id,
    pub(crate) status: QueueStatus,
    pub(crate) kind: QueueKind,
    /// Whose post, or appeal.
    pub(crate) author_id: Id,
    pub(crate) post_id: Option<Id>,
    pub(crate) thread_id: Option<Id>,
    pub(crate) ban_id: Option<Id>,
    pub(crate) moderator_id: Id,
    /// Whether the post was held before anybody saw it, and is seen from now on.
    pub(crate) appears: bool,
}

impl Fact for QueueResolved {
    const TOPIC: &'static str = "moderation.resolved";
}

/// Somebody is kept from writing.
#[derive(Debug, Serialize)]
pub(crate) struct UserBanned {
    pub(crate) id: Id,
    pub(crate) user_id: Id,
    pub(crate) kind: BanKind,
    pub(crate) category_id: Option<Id>,
    pub(crate) until: Option<Timestamp>,
    pub(crate) moderator_id: Id,
}

impl Fact for UserBanned {
    const TOPIC: &'static str = "ban.created";
}

/// Somebody is not kept from writing any more, by this ban.
#[derive(Debug, Serialize)]
pub(crate) struct BanEnded {
    pub(crate) id: Id,
    pub(crate) user_id: Id,
    /// Nobody, if it ended by itself.
    pub(crate) moderator_id: Option<Id>,
}

impl Fact for BanEnded {
    const TOPIC: &'static str = "ban.ended";
}

/// Somebody reacted to a post. Told again where they do so again after they took it back.
#[derive(Debug, Serialize)]
pub(crate) struct PostReacted<'a> {
    pub(crate) id: Id,
    pub(crate) thread_id: Id,
    pub(crate) author_id: Id,
    pub(crate) user_id: Id,
    pub(crate) name: &'a str,
}

impl Fact for PostReacted<'_> {
    const TOPIC: &'static str = "post.reacted";
}

/// Somebody took a reaction back.
#[derive(Debug, Serialize)]
pub(crate) struct ReactionWithdrawn<'a> {
    pub(crate) id: Id,
    pub(crate) thread_id: Id,
    pub(crate) author_id: Id,
    pub(crate) user_id: Id,
    pub(crate) name: &'a str,
}

impl Fact for ReactionWithdrawn<'_> {
    const TOPIC: &'static str = "post.reaction_withdrawn";
}

/// Somebody is to get a mail, in plain text. Auth, which knows their address, writes it.
#[derive(Debug, Serialize)]
pub(crate) struct MailRequested<'a> {
    pub(crate) user_id: Id,
    pub(crate) subject: &'a str,
    pub(crate) paragraphs: &'a [String],
    pub(crate) lines: &'a [Line],
    /// The page at which they say that they want no more of them.
    pub(crate) unsubscribe: &'a str,
    /// After that it is of no use.
    pub(crate) good_until: Timestamp,
}

impl Fact for MailRequested<'_> {
    const TOPIC: &'static str = "mail.requested";
}
