//! Writing everything into a file: people when they are first named, each thread with its posts, and at the end what
//! refers to something that came after it.

use std::path::Path;

use panel_kernel::data::Database;
use panel_kernel::ids::{Id, random_hex};
use panel_kernel::partial_file::PartialFile;
use panel_kernel::role::Role;
use serde_json::from_str;

use super::resuming::Resumed;
use super::{
    Author, Category, Forum, Merged, Post, Reaction, Record, Reference, Revision, Thread,
    TransferError, VERSION,
};
use crate::store::transfer::reading::{self, Link, PostRow, ThreadRow};
use crate::store::transfer::site;

/// Threads, and posts, that are read at a time.
const PAGE: i64 = 100;
/// The same for reactions, which are small.
const REACTIONS: i64 = 1_000;
/// The same for texts as they were, which may be as long as posts.
const REVISIONS: i64 = 20;

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Lines, the last one included.
    pub lines: u64,
    /// Of them, those that were there from an attempt that was cut off.
    pub kept: u64,
}

/// Writes the forum into a file, telling `told` how many posts are in it, and how many there are. What is not finished is in a file
/// beside it, where the next attempt goes on. What people write meanwhile may be in it, or not.
///
/// # Errors
/// [`TransferError`]; a file of that name is there.
pub async fn export(
    db: &Database,
    file: &Path,
    mut told: impl FnMut(u64, u64),
) -> Result<Exported, TransferError> {
    // Whoever has it reads everything.
    let out = PartialFile::open(file)?;
    let resumed = Resumed::read(out.partial())?;
    let kept = resumed.lines;
    let mut exporter = Exporter { db, out, at: resumed };
    let total = u64::try_from(reading::count_posts(&mut db.reader().await?).await?).unwrap_or(0);
    exporter.head().await?;
    exporter.threads(&mut |done| told(done, total)).await?;
    exporter.references().await?;
    let records = exporter.at.lines;
    exporter.write(&Record::End { records })?;
    let lines = exporter.at.lines;
    exporter.out.finish()?;
    Ok(Exported { lines, kept })
}

struct Exporter<'d> {
    db: &'d Database,
    out: PartialFile,
    at: Resumed,
}

impl Exporter<'_> {
    fn write(&mut self, record: &Record) -> Result<(), TransferError> {
        self.out.write(record)?;
        self.at.lines += 1;
        Ok(())
    }

    /// What comes before threads.
    async fn head(&mut self) -> Result<(), TransferError> {
        if self.at.has_head {
            return Ok(());
        }
        let fresh = random_hex();
        let source =
            self.db.transact(move |tx| Box::pin(async move { site(tx, &fresh).await })).await?;
        let exported_at = self.db.clock().now();
        self.write(&Record::Forum(Forum { version: VERSION, source, exported_at }))?;
        let categories = reading::categories(&mut self.db.reader().await?).await?;
        for category in categories {
            self.write(&Record::Category(Category {
                id: category.id.to_string(),
                parent_id: category.parent_id.map(|id| id.to_string()),
                name: category.name,
                slug: Some(category.slug),
                description: category.description,
                position: category.position,
                read_role: Role::from_level(category.read_level),
                post_role: Role::from_level(category.post_level),
                created_at: category.created_at,
            }))?;
        }
        Ok(())
    }

    /// Those of these people who were not named before.
    async fn people(&mut self, ids: impl Iterator<Item = Id>) -> Result<(), TransferError> {
        let mut new: Vec<Id> = ids.filter(|id| !self.at.people.contains(id)).collect();
        new.sort_unstable();
        new.dedup();
        for piece in new.chunks(100) {
            let known = reading::authors(&mut self.db.reader().await?, piece).await?;
            for id in piece {
                let found = known.iter().find(|(known, ..)| known == id);
                let (name, username) =
                    found.map(|(_, name, key)| (name.clone(), key.clone())).unwrap_or_default();
                let id_text = id.to_string();
                self.write(&Record::Author(Author { id: id_text, name, username, account: None }))?;
                self.at.people.insert(*id);
            }
        }
        Ok(())
    }

    async fn threads(&mut self, told: &mut (dyn FnMut(u64) + '_)) -> Result<(), TransferError> {
        loop {
            let after = self.at.thread;
            let page = reading::threads(&mut self.db.reader().await?, after, PAGE).await?;
            if page.is_empty() {
                return Ok(());
            }
            self.people(page.iter().map(|thread| thread.author_id)).await?;
            for thread in page {
                let id = thread.id;
                self.write(&Record::Thread(shape(thread)))?;
                self.posts_of(id, told).await?;
                self.at.thread = id.raw();
            }
        }
    }

    async fn posts_of(
        &mut self,
        thread: Id,
        told: &mut (dyn FnMut(u64) + '_),
    ) -> Result<(), TransferError> {
        let mut after = 0;
        loop {
            let page = reading::posts(&mut self.db.reader().await?, thread, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.number;
            let ids: Vec<Id> = page.iter().map(|post| post.id).collect();
            let editors = page.iter().filter_map(|post| post.edited_by);
            self.people(page.iter().map(|post| post.author_id).chain(editors)).await?;
            self.at.posts += u64::try_from(page.len()).unwrap_or(0);
            for post in page {
                self.write(&Record::Post(post_shape(post)))?;
            }
            self.revisions_of(&ids).await?;
            self.reactions_to(&ids).await?;
            told(self.at.posts);
        }
    }

    async fn revisions_of(&mut self, posts: &[Id]) -> Result<(), TransferError> {
        let revised = reading::revised(&mut self.db.reader().await?, posts).await?;
        for post in revised {
            let mut after = 0;
            loop {
                let page = reading::revisions(&mut self.db.reader().await?, post, after, REVISIONS)
                    .await?;
                let Some(last) = page.last() else { break };
                after = last.number;
                self.people(page.iter().map(|revision| revision.editor_id)).await?;
                for revision in page {
                    self.write(&Record::Revision(Revision {
                        post_id: post.to_string(),
                        number: revision.number,
                        body: revision.body,
                        editor_id: revision.editor_id.to_string(),
                        created_at: revision.created_at,
                        hidden: revision.hidden,
                    }))?;
                }
            }
        }
        Ok(())
    }

    async fn reactions_to(&mut self, posts: &[Id]) -> Result<(), TransferError> {
        let mut after = (Id::from_raw(0), Id::from_raw(0));
        loop {
            let mut conn = self.db.reader().await?;
            let page = reading::reactions(&mut conn, posts, after, REACTIONS).await?;
            drop(conn);
            let Some((id, post, ..)) = page.last() else { return Ok(()) };
            after = (*post, *id);
            self.people(page.iter().map(|(_, _, user, ..)| *user)).await?;
            for (_, post, user, name, created_at) in page {
                let (post_id, user_id) = (post.to_string(), user.to_string());
                let reaction = Reaction { post_id, user_id, name, created_at };
                self.write(&Record::Reaction(reaction))?;
            }
        }
    }

    /// What refers to something that came after it, and where threads went.
    async fn references(&mut self) -> Result<(), TransferError> {
        let mut after = 0;
        loop {
            let page = reading::referring(&mut self.db.reader().await?, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.id.raw();
            for post in page {
                let (links, place) = (&post.links, (post.thread_id, post.number));
                let later = |link: Option<Link>| {
                    link.filter(|link| !is_before(link, place)).map(|(id, ..)| id.to_string())
                };
                let reference = Reference {
                    post_id: post.id.to_string(),
                    reply_to: later(links.reply_to),
                    quote: later(links.quote),
                    moved_to: links.moved_to.map(|id| id.to_string()),
                };
                let Reference { reply_to, quote, moved_to, .. } = &reference;
                if [reply_to, quote, moved_to].iter().any(|link| link.is_some()) {
                    self.write(&Record::Reference(reference))?;
                }
            }
        }
        let mut after = 0;
        loop {
            let page = reading::merged(&mut self.db.reader().await?, after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = last.raw();
            for (thread, into) in page {
                let (thread_id, into) = (thread.to_string(), into.to_string());
                self.write(&Record::Merged(Merged { thread_id, into }))?;
            }
        }
    }
}

/// Whether a post was written before the one at this place.
fn is_before((_, thread, number): &Link, place: (Id, i64)) -> bool {
    (*thread, *number) < place
}

fn shape(thread: ThreadRow) -> Thread {
    Thread {
        id: thread.id.to_string(),
        category_id: thread.category_id.to_string(),
        author_id: thread.author_id.to_string(),
        title: thread.title,
        tags: from_str(&thread.tags).unwrap_or_default(),
        created_at: thread.created_at,
        pinned: thread.pinned,
        locked: thread.locked,
        view_count: thread.view_count,
        deleted_at: thread.deleted_at,
        hidden: thread.hidden,
    }
}

fn post_shape(post: PostRow) -> Post {
    let place = (post.thread_id, post.number);
    let earlier = |link: Option<Link>| {
        link.filter(|link| is_before(link, place)).map(|(id, ..)| id.to_string())
    };
    Post {
        reply_to: earlier(post.links.reply_to),
        quote: earlier(post.links.quote),
        id: post.id.to_string(),
        thread_id: post.thread_id.to_string(),
        author_id: post.author_id.to_string(),
        body: post.body,
        created_at: post.created_at,
        edited_at: post.edited_at,
        edited_by: post.edited_by.map(|id| id.to_string()),
        deleted_at: post.deleted_at,
        hidden: post.hidden,
    }
}
