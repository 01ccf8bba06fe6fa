//! Articles are discussed in threads: what becomes of those because of what becomes of articles, as the cms tells.
//!
//! The first time that an article is public and wants comments, a thread is opened in its author's name, which tells of
//! it. The thread's title follows the article's, and so does what its opening post says, until somebody here changes
//! them. With an article that is not public any more its thread goes, and comes back with it, unless moderators have
//! done something to it. That an article wants no comments any more concerns its page alone: what people wrote stays.

use std::collections::BTreeSet;
use std::sync::Arc;

use panel_kernel::data::{Database, DbError, Tx};
use panel_kernel::events::{Event, Rejected};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;
use panel_text::markdown::{People, literal, render};
use panel_text::names::segment;
use serde::Deserialize;

use crate::events::{PostEdited, ThreadCreated, ThreadDeleted, ThreadEdited, ThreadRestored};
use crate::people::calling;
use crate::rules::{ITSELF, MAX_CATEGORIES, MAX_TITLE_CHARS};
use crate::store::authors::{self, Author};
use crate::store::categories::{self, Category};
use crate::store::discussions::{self, Discussion};
use crate::store::posts::{self, Post};
use crate::store::reading;
use crate::store::threads::{self, Thread};
use crate::tags;

/// Who tells of articles.
pub(crate) const SOURCE: &str = "cms";
/// What is told of them.
pub(crate) const TOPICS: &[&str] = &["article.published", "article.edited", "article.unpublished"];

/// The category's name where it is made.
const NAME: &str = "Comments";
const DESCRIPTION: &str = "What is said about articles.";

/// An article, as the cms tells of it.
#[derive(Debug, Deserialize)]
struct Article {
    id: Id,
    slug: String,
    title: String,
    #[serde(default)]
    excerpt: String,
    author_id: Option<Id>,
    /// Whether it wants comments. A cms of an older release does not know.
    #[serde(default)]
    comments: bool,
}

/// Opens threads for articles, and lets them follow.
#[derive(Clone, Debug)]
pub(crate) struct Discussions {
    pub(crate) db: Database,
    /// The slug of the category in which they are.
    pub(crate) category: String,
    pub(crate) public_url: Arc<str>,
}

impl Discussions {
    /// Takes into account what was told.
    pub(crate) async fn heard(&self, tx: &mut Tx, event: &Event) -> Result<(), Rejected> {
        tx.makes_nothing_old();
        let article: Article = serde_json::from_str(event.payload.get())?;
        let found = discussions::find(tx, article.id).await?;
        match (event.topic.as_str(), found) {
            ("article.unpublished", Some(found)) => self.withdraw(tx, found).await?,
            ("article.unpublished", None) => {}
            (_, Some(found)) => self.follow(tx, found, &article).await?,
            (_, None) if article.comments => self.open(tx, &article, event.at).await?,
            _ => {}
        }
        Ok(())
    }

    async fn open(&self, tx: &mut Tx, article: &Article, at: Timestamp) -> Result<(), DbError> {
        let Some(author_id) = article.author_id else { return Ok(()) };
        let Some(category_id) = self.category(tx, at).await? else { return Ok(()) };
        let known = authors::find(tx, author_id).await?;
        let is_known = known.is_some();
        let author = known.unwrap_or_else(|| Author::unknown(author_id));
        let (id, post_id) = (self.db.id_at_hand()?, self.db.id_at_hand()?);
        let whose = (category_id, author.clone());
        let thread = Thread::begun(id, whose, title(article), &[], at)?;
        let (body, body_html) = self.told(article);
        let opening = Post { body_html, ..Post::written(post_id, (id, author), &body, at)? };
        let nobody = BTreeSet::new();
        threads::insert(tx, &thread, &[]).await?;
        posts::insert(tx, &opening, &nobody).await?;
        if is_known {
            // They hear of what is said about it.
            reading::has_written(tx, author_id, id, 1).await?;
        }
        discussions::begin(tx, (article.id, id, post_id), &thread.title).await?;
        let title = thread.title.as_str();
        tx.publish(&ThreadCreated {
            id,
            category_id,
            author_id,
            title,
            post_id,
            mentioned: nobody,
        });
        tx.makes_old(tags::showing(id));
        tx.makes_old([tags::discussion(article.id)]);
        Ok(())
    }

    /// The category in which articles are discussed; nothing if there is no room for one.
    async fn category(&self, tx: &mut Tx, now: Timestamp) -> Result<Option<Id>, DbError> {
        if let Some(found) = categories::by_slug(tx, &self.category).await? {
            return Ok(Some(found.id));
        }
        let count = categories::slugs(tx).await?.len();
        if i64::try_from(count).unwrap_or(i64::MAX) >= MAX_CATEGORIES {
            tracing::warn!(
                slug = self.category,
                "there are as many categories as there may be: comments have none"
            );
            return Ok(None);
        }
        let category = Category {
            id: self.db.id_at_hand()?,
            name: NAME.to_owned(),
            slug: self.category.clone(),
            parent_id: None,
            description: Some(DESCRIPTION.to_owned()),
            position: MAX_CATEGORIES,
            read_role: None,
            post_role: None,
            created_at: now,
            read_level: 0,
            version: 1,
        };
        categories::insert(tx, &category).await?;
        tx.makes_old([tags::CATEGORIES]);
        Ok(Some(category.id))
    }

    /// The article was changed, or is public again.
    async fn follow(
        &self,
        tx: &mut Tx,
        found: Discussion,
        article: &Article,
    ) -> Result<(), DbError> {
        let Some(mut thread) = held(tx, &found).await? else { return Ok(()) };
        let id = thread.id;
        if found.is_withdrawn() && article.comments {
            (thread.deleted, thread.version) = (false, thread.version + 1);
            threads::restore(tx, &thread, &thread.tag_list()).await?;
            discussions::withdraw(tx, article.id, None).await?;
            tx.publish(&ThreadRestored { id });
            tx.makes_old(tags::showing(id));
        }
        if thread.deleted {
            // Nobody reads it. If somebody restores it, what is told of the article next is taken into account.
            return Ok(());
        }
        // Of a thread of its own: one that others were merged into, or that somebody renamed, is called something else.
        let title = title(article);
        if found.title != title {
            if thread.title == found.title {
                (thread.slug, thread.version) = (threads::slug(&title), thread.version + 1);
                thread.title.clone_from(&title);
                threads::update(tx, &thread, None).await?;
                let category_id = thread.category_id;
                tx.publish(&ThreadEdited { id, category_id, title: &title });
                tx.makes_old(tags::showing(id));
            }
            discussions::retitle(tx, article.id, &title).await?;
        }
        let (body, body_html) = self.told(article);
        if discussions::retell(tx, found.opening, (&body, &body_html)).await? {
            let mentioned = BTreeSet::new();
            tx.publish(&PostEdited { id: found.opening, thread_id: id, mentioned });
            tx.makes_old(tags::showing(id));
        }
        Ok(())
    }

    /// The article is not public any more, so nothing tells of it, and nobody discusses it.
    async fn withdraw(&self, tx: &mut Tx, found: Discussion) -> Result<(), DbError> {
        let Some(thread) = held(tx, &found).await? else { return Ok(()) };
        // What was merged into another thread is that one's.
        if thread.deleted || found.after > 1 {
            return Ok(());
        }
        let (id, now) = (thread.id, self.db.clock().now());
        threads::delete(tx, id, thread.author.id, now).await?;
        discussions::withdraw(tx, found.article, Some(now)).await?;
        tx.publish(&ThreadDeleted { id });
        tx.removes(tags::showing(id));
        Ok(())
    }

    /// What the opening post says, in Markdown and in HTML: the beginning of the article, and where it is.
    fn told(&self, article: &Article) -> (String, String) {
        let (title, url) = (literal(&article.title), &self.public_url);
        let mut body = String::new();
        if !article.excerpt.trim().is_empty() {
            body.extend(["> ", &literal(&article.excerpt), "\n\n"]);
        }
        body.extend(["[", &title, "](", url, "/blog/", &segment(&article.slug), ")"]);
        let html = render(&body, &calling(People::new())).html;
        (body, html)
    }
}

/// The thread, held until the transaction ends; nothing if it is another one by now, and not this one's any more.
async fn held(tx: &mut Tx, found: &Discussion) -> Result<Option<Thread>, DbError> {
    let held = threads::for_change(tx, found.thread, ITSELF).await?;
    let Some(standing) = held else { return Ok(None) };
    if standing.merged {
        let now = discussions::find(tx, found.article).await?;
        if now.is_some_and(|now| now.thread != found.thread) {
            // While this waited for it; it is found there by the next try.
            return Err(DbError::Contention);
        }
        // By a node of an earlier release, which knows of no articles.
        return Ok(None);
    }
    Ok(Some(standing.thread))
}

/// The article's title, as a thread can have it.
fn title(article: &Article) -> String {
    let title = article.title.trim();
    match title.char_indices().nth(MAX_TITLE_CHARS) {
        None => title.to_owned(),
        Some(_) => title.chars().take(MAX_TITLE_CHARS - 1).chain(['\u{2026}']).collect(),
    }
}
