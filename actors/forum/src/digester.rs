//! Mails people, as often as they want it, what they were told and have not read.
//!
//! One node of a cluster does so at a time, under a lease. It owns nothing: who wants one and how far it is are
//! rows, and the mail is a fact, told in the transaction that notes that it was; auth, which knows addresses,
//! writes it. So nobody gets one twice, whoever ends when.
//!
//! Failure: mails come later. Who was away for several gets one.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use panel_kernel::cursor::Cursors;
use panel_kernel::data::{Chore, Database, DbError, Lease, Leases, Tx, chore};
use panel_kernel::service::ServiceContext;
use panel_kernel::supervision::ChildSpec;
use panel_kernel::time::Timestamp;

use crate::events::MailRequested;
use crate::pages::unsubscribe;
use crate::rules::digests::{GOOD_FOR, Told, lines, subject};
use crate::store::notifications::digests::{self, Due};
use crate::store::notifications::list::{self, Notification};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// For how long a node may be at it without a sign of life.
const LEASE: Duration = Duration::from_secs(30);
/// Mails between two messages, and under one look at the lease.
const MOST: i64 = 20;
/// What is counted of what somebody was told.
const COUNTED: i64 = 200;

/// What the digester mails by. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Digester {
    db: Database,
    leases: Leases,
    cursors: Cursors,
    site: Arc<str>,
    hour: u8,
}

impl Digester {
    /// At this hour, in UTC.
    pub(crate) fn new(context: &ServiceContext, hour: u8) -> Self {
        let (db, runtime) = (context.db.clone(), &context.runtime);
        let leases = Leases::new(db.clone(), &runtime.node.name, &runtime.node.boot);
        let (cursors, site) = (runtime.cursors.clone(), Arc::clone(&runtime.public_url));
        Self { db, leases, cursors, site, hour }
    }

    /// The actor, as a child of the service.
    pub(crate) fn into_child(self) -> ChildSpec {
        chore("digester", self)
    }
}

impl Chore for Digester {
    const EVERY: Duration = LOOK;
    const WAITS: &'static str = "digests wait";

    /// Mails some of those whose turn it is; whether there may be more.
    async fn look(&self) -> Result<bool, DbError> {
        let due = digests::due(&mut self.db.reader().await?, self.db.clock().now(), MOST).await?;
        if due.is_empty() {
            return Ok(false);
        }
        let Some(lease) = self.leases.acquire("digests", LEASE).await? else { return Ok(false) };
        let is_full = i64::try_from(due.len()).is_ok_and(|found| found >= MOST);
        for due in due {
            let (digester, lease) = (self.clone(), lease.clone());
            let mailed = self
                .db
                .transact(move |tx| async move { digester.mail(tx, &lease, &due).await }.boxed());
            match mailed.await {
                // The others don't wait for this one, now or later.
                Err(DbError::Fault(error)) => {
                    tracing::error!(user = %due.user, %error, "a digest can't be written");
                    let digester = self.clone();
                    let put_off = self.db.transact(move |tx| {
                        async move { digester.put_off(tx, &due).await }.boxed()
                    });
                    put_off.await?;
                }
                outcome => outcome?,
            }
        }
        Ok(is_full)
    }
}

impl Digester {
    /// Leaves out one that can't be written: what is in it is in the next.
    async fn put_off(&self, tx: &mut Tx, due: &Due) -> Result<(), DbError> {
        let next = due.every.next(self.db.clock().now(), self.hour);
        let Some(next) = next else { return Ok(()) };
        digests::advance(tx, due, next, due.last).await.map(drop)
    }

    /// Mails one of them, if there is something to tell.
    async fn mail(&self, tx: &mut Tx, lease: &Lease, due: &Due) -> Result<(), DbError> {
        lease.fence(tx).await?;
        let now = self.db.clock().now();
        let Some(next) = due.every.next(now, self.hour) else { return Ok(()) };
        let told = list::unread_since(tx, due.user, due.last, COUNTED).await?;
        let last = told.first().map_or(due.last, |latest| latest.id.raw());
        if digests::advance(tx, due, next, last).await? && !told.is_empty() {
            self.request(tx, due, &told, now);
        }
        Ok(())
    }

    fn request(&self, tx: &mut Tx, due: &Due, told: &[Notification], now: Timestamp) {
        let told: Vec<Told> = told.iter().map(Told::from).collect();
        let (lines, more) = lines(&told, &self.site);
        let mut paragraphs = vec!["This is what you have not read yet:".to_owned()];
        if more > 0 {
            let counted = i64::try_from(told.len()).is_ok_and(|counted| counted >= COUNTED);
            let at_least = if counted { "at least " } else { "" };
            paragraphs.push(format!("And {at_least}{more} more, which are not in this mail."));
        }
        let unsubscribe = unsubscribe::place(&self.site, &self.cursors, due.user);
        tx.publish(&MailRequested {
            user_id: due.user,
            subject: &subject(told.len(), &self.site),
            paragraphs: &paragraphs,
            lines: &lines,
            unsubscribe: &unsubscribe,
            good_until: now.plus(GOOD_FOR),
        });
    }
}

impl From<&Notification> for Told {
    fn from(it: &Notification) -> Self {
        let place = it.title.as_ref().and(it.thread_id).zip(it.number);
        Self {
            kind: it.kind,
            actor: it.actor.as_ref().map(|actor| actor.name.clone()),
            title: it.title.clone(),
            path: place.map(|(thread, number)| {
                format!("/forum/threads/{thread}?from={number}#post-{number}")
            }),
            thread: it.thread_id.map(panel_kernel::ids::Id::raw),
            detail: it.detail.clone(),
        }
    }
}
