//! Taking records in, within a transaction.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use panel_kernel::data::{DbError, Tx};
use panel_kernel::http::validate::Check;
use panel_kernel::ids::{Id, Ids};
use panel_kernel::names::lookup_key;
use panel_kernel::time::Timestamp;
use panel_text::names;

use super::importing::{Imported, Prepared};
use super::{
    Author, Category, Merged, Post, Reaction, Record, Reference, Revision, Thread, TransferError,
};
use crate::rules;
use crate::store::transfer::writing::{self, Kind, NewPost, NewThread};
use crate::store::{authors, categories, reactions, search};

/// What things from elsewhere are called here.
pub(super) type Known = HashMap<(Kind, String), Id>;

/// From where it is, and who is who.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) source: Arc<str>,
    /// It is this very forum: ids are what they are.
    pub(super) is_same: bool,
    /// Whoever has the same name here is the same person.
    pub(super) match_names: bool,
}

/// Why a record can't be taken in.
#[derive(Debug)]
pub(super) enum Refusal {
    Reason(String),
    Database(DbError),
}

impl From<DbError> for Refusal {
    fn from(error: DbError) -> Self {
        match error {
            DbError::BadText => Self::Reason("it contains the character NUL".to_owned()),
            error => Self::Database(error),
        }
    }
}

fn refuse<T>(reason: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Reason(reason.into()))
}

/// A batch that is being taken in.
pub(super) struct Taking<'t> {
    tx: &'t mut Tx,
    origin: Origin,
    /// From earlier batches.
    known: Arc<Known>,
    now: Timestamp,
    new: Known,
    threads: BTreeSet<Id>,
    reacted: BTreeSet<Id>,
    written: BTreeMap<Id, i64>,
    counts: Imported,
}

impl<'t> Taking<'t> {
    pub(super) fn new(tx: &'t mut Tx, origin: Origin, known: Arc<Known>, now: Timestamp) -> Self {
        Self {
            tx,
            origin,
            known,
            now,
            new: Known::new(),
            threads: BTreeSet::new(),
            reacted: BTreeSet::new(),
            written: BTreeMap::new(),
            counts: Imported::default(),
        }
    }

    /// Takes all of them in: what they are called here, and how many were new.
    pub(super) async fn all(
        mut self,
        batch: &[Prepared],
    ) -> Result<(Known, Imported), TransferError> {
        for prepared in batch {
            self.take(prepared).await.map_err(|refusal| match refusal {
                Refusal::Reason(reason) => TransferError::Line { line: prepared.line, reason },
                Refusal::Database(error) => error.into(),
            })?;
        }
        for thread in std::mem::take(&mut self.threads) {
            writing::recount(self.tx, thread).await?;
        }
        for post in std::mem::take(&mut self.reacted) {
            let counts = writing::reacted(self.tx, post).await?;
            let counts: serde_json::Map<_, _> =
                counts.into_iter().map(|(name, count)| (name, count.into())).collect();
            let counts = serde_json::Value::Object(counts).to_string();
            reactions::count(self.tx, post, &counts).await?;
        }
        for (author, more) in std::mem::take(&mut self.written) {
            writing::count_written(self.tx, author, more).await?;
        }
        Ok((self.new, self.counts))
    }

    async fn take(&mut self, prepared: &Prepared) -> Result<(), Refusal> {
        let is_new = match &prepared.record {
            Record::Author(author) => self.author(author, prepared.fresh).await?,
            Record::Category(category) => self.category(category, prepared.fresh).await?,
            Record::Thread(thread) => self.thread(thread, prepared.fresh).await?,
            Record::Post(post) => self.post(post, prepared).await?,
            Record::Revision(revision) => self.revision(revision, prepared.fresh).await?,
            Record::Reaction(reaction) => self.reaction(reaction, prepared.fresh).await?,
            Record::Reference(reference) => return self.reference(reference).await,
            Record::Merged(merged) => return self.merged(merged).await,
            Record::Forum(_) | Record::End { .. } => return refuse("this is not its place"),
        };
        self.counts.count(&prepared.record, is_new);
        Ok(())
    }

    async fn find(&mut self, kind: Kind, key: &str) -> Result<Option<Id>, DbError> {
        let name = (kind, key.to_owned());
        if let Some(id) = self.new.get(&name).or_else(|| self.known.get(&name)) {
            return Ok(Some(*id));
        }
        let found = if self.origin.is_same {
            match key.parse::<Id>() {
                Ok(id) => writing::exists(self.tx, kind, id).await?.then_some(id),
                Err(_) => None,
            }
        } else {
            writing::find(self.tx, &self.origin.source, kind, key).await?
        };
        if let Some(id) = found {
            self.new.insert(name, id);
        }
        Ok(found)
    }

    async fn wanted(&mut self, kind: Kind, key: &str) -> Result<Id, Refusal> {
        match self.find(kind, key).await? {
            Some(id) => Ok(id),
            None => refuse(format!("there is no {} {key:?} before it", kind.name())),
        }
    }

    async fn wanted_if(&mut self, kind: Kind, key: Option<&str>) -> Result<Option<Id>, Refusal> {
        match key {
            Some(key) => self.wanted(kind, key).await.map(Some),
            None => Ok(None),
        }
    }

    /// What it is to be called here: as there, if that may be and is free.
    async fn named(&mut self, kind: Kind, key: &str, fresh: Id) -> Result<Id, DbError> {
        if let Ok(id) = key.parse::<Id>()
            && Ids::made_at(id) < self.now
            && !writing::exists(self.tx, kind, id).await?
        {
            return Ok(id);
        }
        Ok(fresh)
    }

    async fn note(&mut self, kind: Kind, key: &str, id: Id) -> Result<(), Refusal> {
        if !(1..=200).contains(&key.len()) {
            return refuse("its id must have 1 to 200 bytes");
        }
        if !self.origin.is_same {
            writing::note(self.tx, &self.origin.source, (kind, key), id).await?;
        }
        self.new.insert((kind, key.to_owned()), id);
        Ok(())
    }

    async fn author(&mut self, author: &Author, fresh: Id) -> Result<bool, Refusal> {
        if self.find(Kind::Author, &author.id).await?.is_some() {
            return Ok(false);
        }
        let name = author.name.trim().chars().filter(|c| !c.is_control()).take(100);
        let name: String = name.collect();
        let id = self.person(author, fresh).await?;
        writing::author(self.tx, id, &name).await?;
        self.note(Kind::Author, &author.id, id).await?;
        Ok(true)
    }

    /// Who that is here.
    async fn person(&mut self, author: &Author, fresh: Id) -> Result<Id, Refusal> {
        if let Some(account) = author.account {
            return Ok(account);
        }
        let key = author.username.as_deref().map(lookup_key).unwrap_or_default();
        if let Ok(id) = author.id.parse::<Id>()
            && (self.origin.is_same
                || (!key.is_empty()
                    && writing::signs_in_as(self.tx, id).await?.is_some_and(|known| known == key)))
        {
            return Ok(id);
        }
        if self.origin.match_names
            && !key.is_empty()
            && let Some(known) = authors::named(self.tx, &key).await?
        {
            return Ok(known.id);
        }
        Ok(self.named(Kind::Author, &author.id, fresh).await?)
    }

    async fn category(&mut self, category: &Category, fresh: Id) -> Result<bool, Refusal> {
        if self.find(Kind::Category, &category.id).await?.is_some() {
            return Ok(false);
        }
        let taken = categories::slugs(self.tx).await?;
        if i64::try_from(taken.len()).unwrap_or(i64::MAX) >= rules::MAX_CATEGORIES {
            return refuse("there are as many categories as there may be");
        }
        let mut check = Check::new();
        let name = rules::name(&mut check, &category.name);
        let description =
            category.description.as_deref().and_then(|text| rules::description(&mut check, text));
        checked(check)?;
        let parent_id = self.wanted_if(Kind::Category, category.parent_id.as_deref()).await?;
        let above = match parent_id {
            Some(parent) => {
                let parent = categories::find(self.tx, parent, rules::ITSELF).await?;
                if parent.as_ref().is_some_and(|parent| parent.parent_id.is_some()) {
                    return refuse("categories have two levels");
                }
                parent.map(|parent| parent.read_level)
            }
            None => None,
        };
        let slug = names::slug(category.slug.as_deref().unwrap_or(&name), "category");
        let id = self.named(Kind::Category, &category.id, fresh).await?;
        let read_level = rules::effective_level(rules::level(category.read_role), above);
        let new = categories::Category {
            id,
            slug: names::free_slug(slug, &taken),
            name,
            parent_id,
            description,
            position: category.position.clamp(0, 1_000_000),
            read_role: category.read_role,
            post_role: category.post_role,
            created_at: category.created_at,
            read_level,
            version: 1,
        };
        categories::insert(self.tx, &new).await?;
        self.note(Kind::Category, &category.id, id).await?;
        Ok(true)
    }

    async fn thread(&mut self, thread: &Thread, fresh: Id) -> Result<bool, Refusal> {
        if self.find(Kind::Thread, &thread.id).await?.is_some() {
            return Ok(false);
        }
        let mut check = Check::new();
        let title = rules::title(&mut check, &thread.title);
        let tags = names::tags(&mut check, &thread.tags, rules::MAX_TAGS);
        checked(check)?;
        let category = self.wanted(Kind::Category, &thread.category_id).await?;
        let author = self.wanted(Kind::Author, &thread.author_id).await?;
        let id = self.named(Kind::Thread, &thread.id, fresh).await?;
        let new = NewThread {
            id,
            category,
            author,
            title: &title,
            slug: &names::slug(&title, "thread"),
            tags: &tags,
            created_at: thread.created_at,
            pinned: thread.pinned,
            locked: thread.locked,
            view_count: thread.view_count.clamp(0, 1 << 53),
            deleted_at: thread.deleted_at,
            hidden: thread.hidden && thread.deleted_at.is_some(),
        };
        writing::thread(self.tx, &new).await?;
        self.note(Kind::Thread, &thread.id, id).await?;
        Ok(true)
    }

    async fn post(&mut self, post: &Post, prepared: &Prepared) -> Result<bool, Refusal> {
        if self.find(Kind::Post, &post.id).await?.is_some() {
            return Ok(false);
        }
        let thread = self.wanted(Kind::Thread, &post.thread_id).await?;
        let author = self.wanted(Kind::Author, &post.author_id).await?;
        let id = self.named(Kind::Post, &post.id, prepared.fresh).await?;
        let new = NewPost {
            id,
            thread,
            author,
            body: &post.body,
            html: &prepared.text.html,
            created_at: post.created_at,
            edited_at: post.edited_at,
            edited_by: self.wanted_if(Kind::Author, post.edited_by.as_deref()).await?,
            reply_to: self.wanted_if(Kind::Post, post.reply_to.as_deref()).await?,
            quote: self.wanted_if(Kind::Post, post.quote.as_deref()).await?,
            deleted_at: post.deleted_at,
            hidden: post.hidden && post.deleted_at.is_some(),
            mentioned: &prepared.text.mentioned,
        };
        writing::post(self.tx, &new).await?;
        search::index(self.tx, id).await?;
        self.note(Kind::Post, &post.id, id).await?;
        self.threads.insert(thread);
        *self.written.entry(author).or_default() += 1;
        Ok(true)
    }

    async fn revision(&mut self, revision: &Revision, fresh: Id) -> Result<bool, Refusal> {
        if revision.number < 1 {
            return refuse("numbers of revisions begin with 1");
        }
        let post = self.wanted(Kind::Post, &revision.post_id).await?;
        let editor = self.wanted(Kind::Author, &revision.editor_id).await?;
        let text = (revision.body.as_str(), revision.hidden);
        let kept = (editor, revision.created_at);
        Ok(writing::revision(self.tx, (fresh, post, revision.number), text, kept).await?)
    }

    async fn reaction(&mut self, reaction: &Reaction, fresh: Id) -> Result<bool, Refusal> {
        if !(1..=32).contains(&reaction.name.len()) {
            return refuse("the name of a reaction must have 1 to 32 bytes");
        }
        let post = self.wanted(Kind::Post, &reaction.post_id).await?;
        let user = self.wanted(Kind::Author, &reaction.user_id).await?;
        let what = (post, user, reaction.name.as_str());
        let is_new = reactions::insert(self.tx, fresh, what, reaction.created_at).await?;
        if is_new {
            self.reacted.insert(post);
        }
        Ok(is_new)
    }

    async fn reference(&mut self, reference: &Reference) -> Result<(), Refusal> {
        let post = self.wanted(Kind::Post, &reference.post_id).await?;
        let reply_to = self.wanted_if(Kind::Post, reference.reply_to.as_deref()).await?;
        let quote = self.wanted_if(Kind::Post, reference.quote.as_deref()).await?;
        let moved_to = self.wanted_if(Kind::Post, reference.moved_to.as_deref()).await?;
        Ok(writing::refer(self.tx, post, reply_to, quote, moved_to).await?)
    }

    async fn merged(&mut self, merged: &Merged) -> Result<(), Refusal> {
        let thread = self.wanted(Kind::Thread, &merged.thread_id).await?;
        let into = self.wanted(Kind::Thread, &merged.into).await?;
        Ok(writing::merged(self.tx, thread, into, self.now).await?)
    }
}

/// What is wrong, as a sentence.
pub(super) fn checked(check: Check) -> Result<(), Refusal> {
    check.done().map_err(|problem| {
        let wrong = problem.errors.iter().map(|error| format!("{} {}", error.field, error.message));
        Refusal::Reason(wrong.collect::<Vec<_>>().join("; "))
    })
}
