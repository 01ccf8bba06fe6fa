//! Facts told of articles; and auth's facts about people, whose names stand at what they wrote.

use futures::future::BoxFuture;
use panel_kernel::data::{Fact, Tx};
use panel_kernel::events::{Consumer, Event, Rejected, Subscription};
use panel_kernel::ids::Id;
use panel_kernel::purge::Purge;
use panel_kernel::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::store::articles::Article;
use crate::store::erasure;

/// What this service wants to hear.
pub(crate) const SUBSCRIPTIONS: &[Subscription] =
    &[Subscription { source: "auth", topics: &["user.renamed", "user.erased"] }];

/// An article can be read by everybody from now on.
#[derive(Debug, Serialize)]
pub(crate) struct ArticlePublished<'a> {
    id: Id,
    kind: &'static str,
    slug: &'a str,
    title: &'a str,
    excerpt: &'a str,
    author_id: Id,
    /// When it was published first.
    published_at: Option<Timestamp>,
    /// Whether it was never published before.
    first: bool,
    /// Whether it wants comments.
    comments: bool,
}

impl<'a> ArticlePublished<'a> {
    /// This one.
    pub(crate) fn of(article: &'a Article, first: bool) -> Self {
        Self {
            id: article.id,
            kind: article.kind.name(),
            slug: &article.slug,
            title: &article.title,
            excerpt: &article.excerpt,
            author_id: article.author.0,
            published_at: article.published_at,
            first,
            comments: article.comments,
        }
    }
}

impl Fact for ArticlePublished<'_> {
    const TOPIC: &'static str = "article.published";
}

/// What can be read by everybody was changed.
#[derive(Debug, Serialize)]
pub(crate) struct ArticleEdited<'a> {
    id: Id,
    kind: &'static str,
    slug: &'a str,
    title: &'a str,
    excerpt: &'a str,
    author_id: Id,
    /// Whether it wants comments.
    comments: bool,
}

impl<'a> ArticleEdited<'a> {
    /// This one.
    pub(crate) fn of(article: &'a Article) -> Self {
        let Article { id, kind, slug, title, excerpt, author, comments, .. } = article;
        let (kind, author_id, comments) = (kind.name(), author.0, *comments);
        Self { id: *id, kind, slug, title, excerpt, author_id, comments }
    }
}

impl Fact for ArticleEdited<'_> {
    const TOPIC: &'static str = "article.edited";
}

/// An article can't be read by everybody any more: it was unpublished, archived or deleted.
#[derive(Debug, Serialize)]
pub(crate) struct ArticleUnpublished<'a> {
    id: Id,
    kind: &'static str,
    slug: &'a str,
    title: &'a str,
}

impl<'a> ArticleUnpublished<'a> {
    /// This one, as it was when everybody could read it.
    pub(crate) fn of(article: &'a Article) -> Self {
        let Article { id, kind, slug, title, .. } = article;
        Self { id: *id, kind: kind.name(), slug, title }
    }
}

impl Fact for ArticleUnpublished<'_> {
    const TOPIC: &'static str = "article.unpublished";
}

#[derive(Deserialize)]
struct Renamed {
    id: Id,
    display_name: String,
}

#[derive(Deserialize)]
struct Erased {
    id: Id,
}

/// Keeps names as they are, and takes those away whose accounts were erased.
#[derive(Debug)]
pub(crate) struct Listener;

impl Consumer for Listener {
    fn apply<'t>(
        &'t self,
        tx: &'t mut Tx,
        _source: &'t str,
        event: &'t Event,
    ) -> BoxFuture<'t, Result<(), Rejected>> {
        Box::pin(async move {
            tx.makes_nothing_old();
            match event.topic.as_str() {
                "user.renamed" => {
                    let Renamed { id, display_name } = serde_json::from_str(event.payload.get())?;
                    if erasure::rename(tx, id, display_name.trim()).await? {
                        tx.purges(Purge::everything());
                    }
                }
                "user.erased" => {
                    let Erased { id } = serde_json::from_str(event.payload.get())?;
                    tx.purges(Purge::everything_gone());
                    erasure::erase(tx, id).await?;
                }
                _ => {}
            }
            Ok(())
        })
    }
}
