//! Delivers mails, on every node that runs the service: whoever claims one first. A mail is claimed
//! for a minute before it is tried, so one whose mailer dies is tried again by another; it may then
//! come twice, under the same Message-ID.
//!
//! Failure: mails wait in the database, and come later.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use panel_kernel::data::{Database, DbError};
use panel_kernel::supervision::Backoff;
use panel_kernel::time::Timestamp;
use prometheus::IntCounterVec;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;

use super::Post;
use super::delivery::{Carrier, Delivery, Undelivered};
use crate::store::mails::{self, MailRow};

/// How often it looks for what others have left.
const LOOK: Duration = Duration::from_secs(5);
/// Before the second attempt; then twice as long each time.
const PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);
/// After which it is given up.
const KEEP_TRYING: Duration = Duration::from_secs(3 * 24 * 3_600);
/// Mails of one look.
const AT_ONCE: u8 = 20;

/// What the mailer is told.
#[derive(Debug, RactorMessage)]
pub(crate) enum MailerMessage {
    /// Time to look. A tick.
    Look,
    /// Something was written.
    Rung,
}

/// Delivers mails.
#[derive(Debug)]
pub(crate) struct Mailer {
    pub(crate) db: Database,
    pub(crate) post: Post,
    pub(crate) delivery: Arc<Delivery>,
    /// Where mails go without a server.
    pub(crate) directory: PathBuf,
    pub(crate) outcomes: IntCounterVec,
}

impl Actor for Mailer {
    type Msg = MailerMessage;
    type State = Carrier;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<MailerMessage>,
        (): (),
    ) -> Result<Carrier, ActorProcessingErr> {
        let carrier = self.delivery.carrier(self.directory.clone());
        if let Carrier::Files(directory) = &carrier {
            tracing::info!(
                directory = %directory.display(),
                "no mail server is configured (auth.mail.url): mails are written to files"
            );
        }
        self.post.bell().answered_by(&myself);
        myself.send_message(MailerMessage::Look)?;
        Ok(carrier)
    }

    async fn handle(
        &self,
        myself: ActorRef<MailerMessage>,
        message: MailerMessage,
        carrier: &mut Carrier,
    ) -> Result<(), ActorProcessingErr> {
        self.post.bell().heard();
        match self.look(carrier).await {
            Ok(true) => self.post.ring(),
            Ok(false) => {}
            Err(error) if error.is_outage() => {}
            Err(error) => tracing::warn!(%error, "mails can't be read"),
        }
        if matches!(message, MailerMessage::Look) {
            drop(myself.send_after(LOOK, || MailerMessage::Look));
        }
        Ok(())
    }
}

impl Mailer {
    /// Tries what is due; whether there may be more.
    async fn look(&self, carrier: &Carrier) -> Result<bool, DbError> {
        let now = self.db.clock().now();
        let due = mails::due(&mut self.db.reader().await?, now, i64::from(AT_ONCE)).await?;
        for mail in &due {
            if !self.attempt(carrier, mail).await? {
                return Ok(false);
            }
        }
        Ok(due.len() >= usize::from(AT_ONCE))
    }

    /// Tries one; whether it makes sense to go on with others.
    async fn attempt(&self, carrier: &Carrier, mail: &MailRow) -> Result<bool, DbError> {
        let now = self.db.clock().now();
        if !mails::claim(&self.db, mail, now.plus(pause(mail.attempts))).await? {
            return Ok(true);
        }
        let delivered = self.deliver(carrier, mail).await;
        let go_on = !matches!(delivered, Err(Undelivered::NoServer(_)));
        let outcome = match delivered {
            Ok(()) => {
                mails::remove(&self.db, mail.id).await?;
                "delivered"
            }
            Err(Undelivered::NoServer(why) | Undelivered::ForNow(why))
                if !is_too_old(mail, now) =>
            {
                let (mail, kind) = (mail.id, mail.kind.as_str());
                tracing::warn!(%mail, kind, why, "a mail was not delivered and is tried again");
                "deferred"
            }
            Err(
                Undelivered::NoServer(why) | Undelivered::ForNow(why) | Undelivered::ForGood(why),
            ) => {
                mails::give_up(&self.db, mail.id, now).await?;
                let (mail, kind) = (mail.id, mail.kind.as_str());
                tracing::error!(%mail, kind, why, "a mail was given up");
                "failed"
            }
        };
        self.outcomes.with_label_values(&["auth", outcome]).inc();
        Ok(go_on)
    }

    async fn deliver(&self, carrier: &Carrier, row: &MailRow) -> Result<(), Undelivered> {
        let sealed = || Undelivered::ForGood("it is sealed with another cluster key".to_owned());
        let mail = self.post.open(row).ok_or_else(sealed)?;
        carrier.deliver(row.id, self.delivery.message(row.id, &mail)?).await
    }
}

fn pause(attempts: i64) -> Duration {
    let backoff = Backoff { first: PAUSE, most: LONGEST_PAUSE };
    backoff.wait(u32::try_from(attempts.saturating_add(1)).unwrap_or(u32::MAX))
}

fn is_too_old(mail: &MailRow, now: Timestamp) -> bool {
    mail.created_at.until(now) >= KEEP_TRYING
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_become_longer_up_to_an_hour() {
        assert_eq!([0, 1, 2].map(|attempts| pause(attempts).as_secs()), [60, 120, 240]);
        assert_eq!([6, 60, i64::MAX].map(|attempts| pause(attempts).as_secs()), [3_600; 3]);
    }
}
