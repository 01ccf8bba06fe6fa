//! A transaction: a connection on which everything happens or nothing, and the facts to
//! publish if it does.

use std::ops::{Deref, DerefMut};

use serde::Serialize;
use serde_json::Value as Json;

use super::{Conn, DbError, Statement, WriteContext};
use crate::message::Principal;
use crate::purge::Purge;
use crate::time::Timestamp;

/// A fact for other services: something that has happened, in the past tense.
pub trait Fact: Serialize {
    /// The topic, `<noun>.<verb in the past>`: `user.registered`.
    const TOPIC: &'static str;
}

/// A transaction in progress. Reads and writes go through the connection it dereferences to.
#[derive(Debug)]
pub struct Tx {
    conn: Conn,
    pending: Vec<Committed>,
    published: Published,
    /// What was said of what it makes old.
    purge: Option<Purge>,
}

/// A fact that was committed here.
#[derive(Clone, Debug)]
pub struct Committed {
    /// Its topic: `user.registered`.
    pub topic: &'static str,
    /// The fact itself, as JSON.
    pub payload: String,
}

/// What a transaction publishes.
#[derive(Debug, Default)]
pub(super) struct Published {
    /// Whether there is anything, audit records included.
    pub(super) any: bool,
    /// The facts.
    pub(super) facts: Vec<Committed>,
    /// What of the service's public answers it makes old.
    pub(super) purge: Option<Purge>,
}

/// The topic of audit records.
pub(crate) const AUDIT_TOPIC: &str = "audit";

/// Who did what to what: one line of the audit log, published with the act itself.
#[derive(Debug)]
pub struct Audit<'a> {
    /// `<noun>.<verb>`: `thread.create`.
    pub action: &'static str,
    /// The kind and id of the thing acted upon: `thread:0c…`.
    pub target: String,
    /// What it was before, for changes and removals.
    pub before: Option<Json>,
    /// What it is now.
    pub after: Option<Json>,
    /// The request that did it.
    pub context: &'a WriteContext,
}

/// What a service does by itself: one line of the audit log.
#[derive(Debug)]
pub struct OwnAct {
    /// `<noun>.<verb>`: `post.hide`.
    pub action: &'static str,
    /// The kind and id of the thing acted upon: `post:0c…`.
    pub target: String,
    /// What it was before.
    pub before: Option<Json>,
    /// What it is now.
    pub after: Option<Json>,
}

#[derive(Serialize)]
struct AuditPayload<'a> {
    at: Timestamp,
    actor: String,
    action: &'static str,
    target: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: &'a Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: &'a Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: &'a Option<String>,
    request_id: &'a str,
}

impl Tx {
    pub(super) fn new(conn: Conn) -> Self {
        Self { conn, pending: Vec::new(), published: Published::default(), purge: None }
    }

    pub(super) fn into_conn(self) -> Conn {
        self.conn
    }

    /// Publishes a fact, if and when this transaction commits.
    pub fn publish<F: Fact>(&mut self, fact: &F) {
        let payload = serde_json::to_string(fact).unwrap_or_default();
        self.pending.push(Committed { topic: F::TOPIC, payload });
    }

    /// Public answers with one of these tags are old if this commits: not shown any more while the service can
    /// be asked. What a write makes old and does not say is told to be everything.
    pub fn makes_old<T: Into<String>>(&mut self, tags: impl IntoIterator<Item = T>) {
        self.purges(Purge::of(tags));
    }

    /// Public answers with one of these tags are gone if this commits: they show what was deleted or hidden, and
    /// are never shown again.
    pub fn removes<T: Into<String>>(&mut self, tags: impl IntoIterator<Item = T>) {
        self.purges(Purge::gone(tags));
    }

    /// No public answer is another if this commits: it changes what only some may read.
    pub fn makes_nothing_old(&mut self) {
        self.purges(Purge::nothing());
    }

    /// What it makes old if it commits, beside what was said before.
    pub fn purges(&mut self, purge: Purge) {
        self.purge.get_or_insert_default().add(purge);
    }

    /// What was said so far, for whoever tells of it.
    pub(crate) fn take_purge(&mut self) -> Option<Purge> {
        self.purge.take()
    }

    /// Records an act in the audit log, if and when this transaction commits.
    pub fn audit(&mut self, audit: &Audit<'_>) {
        self.record(&AuditPayload {
            at: audit.context.now,
            actor: audit.context.principal.label(),
            action: audit.action,
            target: &audit.target,
            before: &audit.before,
            after: &audit.after,
            ip: &audit.context.client_ip,
            request_id: &audit.context.request_id,
        });
    }

    /// The same for what a service does by itself, without anybody's request.
    pub fn audit_of_service(&mut self, service: &str, act: &OwnAct, at: Timestamp) {
        self.record(&AuditPayload {
            at,
            actor: Principal::Service(service.to_owned()).label(),
            action: act.action,
            target: &act.target,
            before: &act.before,
            after: &act.after,
            ip: &None,
            request_id: "",
        });
    }

    fn record(&mut self, payload: &AuditPayload<'_>) {
        let payload = serde_json::to_string(payload).unwrap_or_default();
        self.pending.push(Committed { topic: AUDIT_TOPIC, payload });
    }

    /// Writes the pending facts into the outbox: one statement for one or two of them, which
    /// is what nearly every write has.
    pub(super) async fn flush_facts(&mut self, now: Timestamp) -> Result<(), DbError> {
        const ONE: &str = "INSERT INTO outbox (topic, payload, created_at) VALUES ($1, $2, $3)";
        const TWO: &str =
            "INSERT INTO outbox (topic, payload, created_at) VALUES ($1, $2, $3), ($4, $5, $6)";
        self.published.any = !self.pending.is_empty();
        let facts = self.pending.iter().filter(|pending| pending.topic != AUDIT_TOPIC);
        self.published.facts = facts.cloned().collect();
        self.published.purge = self.purge.take();
        while !self.pending.is_empty() {
            let take = self.pending.len().min(2);
            let mut statement = super::sql(if take == 1 { ONE } else { TWO });
            for pending in self.pending.drain(..take) {
                statement = statement.bind(pending.topic).bind(pending.payload).bind(now);
            }
            self.conn.execute(statement).await?;
        }
        Ok(())
    }

    /// What the last flush published.
    pub(super) fn take_published(&mut self) -> Published {
        std::mem::take(&mut self.published)
    }

    /// Forgets what was to be published, before the next piece of work on this connection.
    pub(super) fn forget_facts(&mut self) {
        self.pending.clear();
        self.purge = None;
        self.published = Published::default();
    }

    /// Runs a statement that must change exactly one row; `false` if it changed none.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn changed(&mut self, statement: Statement) -> Result<bool, DbError> {
        Ok(self.conn.execute(statement).await? > 0)
    }
}

impl Deref for Tx {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.conn
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.conn
    }
}
