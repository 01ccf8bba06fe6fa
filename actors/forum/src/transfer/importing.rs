//! Taking records in, some hundred in a transaction.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use panel_kernel::data::{Database, DbError, OwnAct};
use panel_kernel::http::validate::{Check, printable};
use panel_kernel::ids::{Id, random_hex};
use panel_text::markdown::{self, People, Rendered, candidates};
use serde_json::json;

use super::taking::{Known, Origin, Refusal, Taking, checked};
use super::{Record, TransferError, VERSION};
use crate::SERVICE;
use crate::people::calling;
use crate::store::authors;
use crate::store::transfer::site;

/// Records in one transaction, and bytes of their texts.
const MOST_RECORDS: usize = 200;
const MOST_BYTES: usize = 1024 * 1024;
/// Lines that were left out, of which it is remembered why.
const MOST_SKIPPED: usize = 1_000;
/// Names that are kept at hand.
const MOST_KNOWN: usize = 200_000;
/// How often something is tried that a database does not do at the moment.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);

/// How to take a file in.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whoever signs in with the same name here is the same person.
    pub match_names: bool,
    /// What can't be taken in is left out, instead of ending it there.
    pub skip: bool,
    /// The longest post, in characters.
    pub max_body_chars: usize,
}

/// What was taken in, and was not there before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// People.
    pub authors: u64,
    /// Categories.
    pub categories: u64,
    /// Threads.
    pub threads: u64,
    /// Posts.
    pub posts: u64,
    /// Texts before an edit.
    pub revisions: u64,
    /// Reactions.
    pub reactions: u64,
    /// Of all these, what was there.
    pub known: u64,
}

impl Imported {
    pub(super) const fn count(&mut self, record: &Record, is_new: bool) {
        let of_kind = match record {
            _ if !is_new => &mut self.known,
            Record::Author(_) => &mut self.authors,
            Record::Category(_) => &mut self.categories,
            Record::Thread(_) => &mut self.threads,
            Record::Post(_) => &mut self.posts,
            Record::Revision(_) => &mut self.revisions,
            Record::Reaction(_) => &mut self.reactions,
            _ => return,
        };
        *of_kind += 1;
    }

    fn add(&mut self, other: Self) {
        self.authors += other.authors;
        self.categories += other.categories;
        self.threads += other.threads;
        self.posts += other.posts;
        self.revisions += other.revisions;
        self.reactions += other.reactions;
        self.known += other.known;
    }
}

/// A record that is ready to be stored.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub(super) line: u64,
    pub(super) record: Record,
    /// What it may be called here.
    pub(super) fresh: Id,
    /// The text of a post as it is shown.
    pub(super) text: Rendered,
}

/// A file that is being taken in.
#[derive(Debug)]
pub struct Import<'d> {
    db: &'d Database,
    options: Options,
    origin: Option<Origin>,
    lines: u64,
    batch: Vec<Prepared>,
    bytes: usize,
    known: Arc<Known>,
    counts: Imported,
    ended: bool,
    skipped: Skipped,
}

/// Lines that were left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// How many.
    pub count: u64,
    /// Of the first of them, which they are, and why.
    pub reasons: Vec<(u64, String)>,
}

impl Skipped {
    fn add(&mut self, line: u64, reason: String) {
        self.count += 1;
        if self.reasons.len() < MOST_SKIPPED {
            self.reasons.push((line, reason));
        }
    }
}

impl<'d> Import<'d> {
    /// Into this database.
    #[must_use]
    pub fn new(db: &'d Database, options: Options) -> Self {
        Self {
            db,
            options,
            origin: None,
            lines: 0,
            batch: Vec::new(),
            bytes: 0,
            known: Arc::default(),
            counts: Imported::default(),
            ended: false,
            skipped: Skipped::default(),
        }
    }

    /// Takes a line of a file.
    ///
    /// # Errors
    /// [`TransferError`].
    pub async fn line(&mut self, text: &[u8]) -> Result<(), TransferError> {
        if text.trim_ascii().is_empty() {
            self.lines += 1;
            return Ok(());
        }
        match serde_json::from_slice(text) {
            Ok(record) => self.take(record).await,
            Err(error) => {
                self.lines += 1;
                let reason = error.to_string();
                // Where in the line is of no use without it.
                let reason = reason.split(" at line ").next().unwrap_or_default().to_owned();
                self.refused(self.lines, reason).await
            }
        }
    }

    /// Takes a record. It is stored with others, at the latest by [`Import::finish`].
    ///
    /// # Errors
    /// [`TransferError`]; what came before the record it names is stored.
    pub async fn take(&mut self, record: Record) -> Result<(), TransferError> {
        self.lines += 1;
        let line = self.lines;
        if self.ended {
            return self.refused(line, "it comes after the last line".to_owned()).await;
        }
        match record {
            Record::Forum(forum) if self.origin.is_none() => {
                if forum.version > VERSION {
                    let reason = format!("it is of form {}; this reads {VERSION}", forum.version);
                    return Err(TransferError::Line { line, reason });
                }
                self.begin(forum.source).await
            }
            // Not by those that may be left out: nobody could know from where the others are.
            _ if self.origin.is_none() => {
                let reason = "the first line must say what the file is (type forum)".to_owned();
                Err(TransferError::Line { line, reason })
            }
            Record::End { records } => {
                self.ended = true;
                if records == line - 1 {
                    return Ok(());
                }
                let reason = format!("{} lines came before it, not {records}", line - 1);
                self.refused(line, reason).await
            }
            record => match self.prepare(line, record).await {
                Ok(prepared) => {
                    self.batch.push(prepared);
                    if self.batch.len() >= MOST_RECORDS || self.bytes >= MOST_BYTES {
                        self.store().await?;
                    }
                    Ok(())
                }
                Err(Refusal::Reason(reason)) => self.refused(line, reason).await,
                Err(Refusal::Database(error)) => Err(error.into()),
            },
        }
    }

    /// The next line can't be read at all. What came before it is stored.
    ///
    /// # Errors
    /// [`TransferError`], always: nobody knows what comes after it.
    pub async fn unreadable(&mut self, reason: String) -> Result<(), TransferError> {
        self.lines += 1;
        self.store().await?;
        Err(TransferError::Line { line: self.lines, reason })
    }

    /// Stores what is not stored yet. What was taken in, and which lines were left out.
    ///
    /// # Errors
    /// [`TransferError`], also if the file does not end with its last line.
    pub async fn finish(mut self) -> Result<(Imported, Skipped), TransferError> {
        self.store().await?;
        if let Some(origin) = self.origin.take() {
            let counts = self.counts;
            let (now, target) = (self.db.clock().now(), format!("source:{}", origin.source));
            let after = json!({"authors": counts.authors, "categories": counts.categories,
                               "threads": counts.threads, "posts": counts.posts,
                               "revisions": counts.revisions, "reactions": counts.reactions});
            let act = OwnAct { action: "forum.import", target, before: None, after: Some(after) };
            self.db
                .transact(move |tx| {
                    Box::pin(async move {
                        tx.audit_of_service(SERVICE.name, &act, now);
                        Ok::<(), DbError>(())
                    })
                })
                .await?;
        }
        if !self.ended {
            let reason = "the file ends before its last line (type end)".to_owned();
            return Err(TransferError::Line { line: self.lines + 1, reason });
        }
        Ok((self.counts, self.skipped))
    }

    /// Lines that were taken.
    #[must_use]
    pub const fn lines(&self) -> u64 {
        self.lines
    }

    async fn begin(&mut self, source: String) -> Result<(), TransferError> {
        if !(1..=100).contains(&source.len()) {
            let reason = "its source must have 1 to 100 bytes".to_owned();
            return Err(TransferError::Line { line: self.lines, reason });
        }
        let fresh = random_hex();
        let own =
            self.db.transact(move |tx| Box::pin(async move { site(tx, &fresh).await })).await?;
        let (is_same, match_names) = (own == source, self.options.match_names);
        self.origin = Some(Origin { source: source.into(), is_same, match_names });
        Ok(())
    }

    /// A line can't be taken in. What came before it is stored first, and is what is wrong first.
    async fn refused(&mut self, line: u64, reason: String) -> Result<(), TransferError> {
        if self.options.skip {
            self.skipped.add(line, reason);
            return Ok(());
        }
        self.store().await?;
        Err(TransferError::Line { line, reason })
    }

    async fn prepare(&mut self, line: u64, mut record: Record) -> Result<Prepared, Refusal> {
        let mut text = Rendered::default();
        match &mut record {
            Record::Post(post) => {
                post.body = printable(&post.body);
                let least = usize::from(post.deleted_at.is_none());
                let mut check = Check::new();
                post.body = check.text("body", &post.body, least, self.options.max_body_chars);
                checked(check)?;
                self.bytes += post.body.len();
                let called = candidates(&post.body);
                let people = if called.is_empty() {
                    People::new()
                } else {
                    authors::called(&mut self.db.reader().await?, &called).await?
                };
                text = markdown::render(&post.body, &calling(people));
            }
            Record::Revision(revision) => {
                revision.body = printable(&revision.body);
                let mut check = Check::new();
                check.text("body", &revision.body, 0, self.options.max_body_chars);
                checked(check)?;
                self.bytes += revision.body.len();
            }
            Record::Thread(thread) => thread.title = printable(&thread.title),
            Record::Category(category) => category.name = printable(&category.name),
            _ => {}
        }
        let fresh = self.db.next_id().await?;
        Ok(Prepared { line, record, fresh, text })
    }

    /// Stores the batch; without those that are refused, where they may be left out.
    async fn store(&mut self) -> Result<(), TransferError> {
        let mut refused = BTreeSet::new();
        let mut batch = std::mem::take(&mut self.batch);
        self.bytes = 0;
        loop {
            match self.transact(&batch).await {
                Ok((new, counts)) => {
                    self.counts.add(counts);
                    self.learn(new);
                    return Ok(());
                }
                Err(TransferError::Line { line, reason }) => {
                    if self.options.skip {
                        refused.insert(line);
                        self.skipped.add(line, reason);
                        batch.retain(|prepared| !refused.contains(&prepared.line));
                        continue;
                    }
                    // What came before it is good.
                    batch.retain(|prepared| prepared.line < line);
                    if let Ok((_, counts)) = self.transact(&batch).await {
                        self.counts.add(counts);
                    }
                    return Err(TransferError::Line { line, reason });
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn transact(&self, batch: &[Prepared]) -> Result<(Known, Imported), TransferError> {
        let Some(origin) = &self.origin else { return Ok(Default::default()) };
        if batch.is_empty() {
            return Ok(Default::default());
        }
        let (batch, now): (Arc<[Prepared]>, _) = (batch.into(), self.db.clock().now());
        let mut tries = 0;
        loop {
            let (batch, origin) = (Arc::clone(&batch), origin.clone());
            let known = Arc::clone(&self.known);
            let done = self
                .db
                .transact(move |tx| {
                    Box::pin(async move { Taking::new(tx, origin, known, now).all(&batch).await })
                })
                .await;
            tries += 1;
            match done {
                // Whether it was done or not: what is there is passed over.
                Err(TransferError::Database(error)) if error.may_pass() && tries < TRIES => {
                    tokio::time::sleep(PAUSE).await;
                }
                done => return done,
            }
        }
    }

    fn learn(&mut self, new: Known) {
        let known = Arc::make_mut(&mut self.known);
        if known.len() > MOST_KNOWN {
            known.clear();
        }
        known.extend(new);
    }
}
