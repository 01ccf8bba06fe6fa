//! Where handlers leave what is to be mailed.

use std::sync::Arc;

use panel_kernel::data::Tx;
use panel_kernel::ids::Id;
use panel_kernel::keys::SealingKey;
use panel_kernel::service::Runtime;
use panel_kernel::supervision::Bell;
use panel_kernel::time::Timestamp;

use super::letter::{Letter, Mail, Recipient};
use super::mailer::MailerMessage;
use crate::error::AuthError;
use crate::rules::lookup_key;
use crate::store::mailed;
use crate::store::mails::{self, MailRow};

/// Takes letters. Cheap to clone; clones have one mailer.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    sealing: Arc<SealingKey>,
    subjects: Arc<SealingKey>,
    site: Arc<str>,
    bell: Bell<MailerMessage>,
}

impl Post {
    pub(crate) fn new(runtime: &Runtime) -> Self {
        Self {
            sealing: Arc::new(runtime.key.derive("auth mail")),
            subjects: Arc::new(runtime.key.derive("auth mail subjects")),
            site: Arc::clone(&runtime.public_url),
            bell: Bell::new(|| MailerMessage::Rung),
        }
    }

    /// Has a letter delivered, if and when this transaction commits.
    pub(crate) async fn send(
        &self,
        tx: &mut Tx,
        id: Id,
        to: &Recipient,
        letter: &Letter,
        now: Timestamp,
    ) -> Result<(), AuthError> {
        let crypto = |why: String| AuthError::Crypto(format!("a mail can't be written: {why}"));
        let mail = letter.write(to, &self.site).map_err(|error| crypto(error.to_string()))?;
        let json = serde_json::to_vec(&mail).map_err(|error| crypto(error.to_string()))?;
        let context = id.raw().to_be_bytes();
        let sealed = self.sealing.seal(&context, &json).map_err(|it| crypto(it.to_string()))?;
        Ok(mails::add(tx, id, (letter.kind(), letter.is_bulk()), sealed, now).await?)
    }

    /// Has a letter delivered to an address that is no account's, as if it were any; unless it had such
    /// letters just now, or several today.
    pub(crate) async fn send_to_stranger(
        &self,
        tx: &mut Tx,
        id: Id,
        email: String,
        letter: &Letter,
        now: Timestamp,
    ) -> Result<(), AuthError> {
        let about = self.subjects.tag(&[b"address", lookup_key(&email).as_bytes()]);
        if !mailed::may_mail(tx, about, now).await? {
            return Ok(());
        }
        self.send(tx, id, &Recipient::stranger(email), letter, now).await
    }

    /// Whether a mail about a passkey may be sent now: not where there was one just now, or several today.
    pub(crate) async fn may_tell_of(
        &self,
        tx: &mut Tx,
        passkey: Id,
        now: Timestamp,
    ) -> Result<bool, AuthError> {
        let about = self.subjects.tag(&[b"passkey", &passkey.raw().to_be_bytes()]);
        Ok(mailed::may_mail(tx, about, now).await?)
    }

    /// Says that there may be something to deliver: not to have it wait for the next look.
    pub(crate) fn ring(&self) {
        self.bell.ring();
    }

    /// What the mailer hears it by.
    pub(super) const fn bell(&self) -> &Bell<MailerMessage> {
        &self.bell
    }

    /// What was written; `None` if it was sealed with another key.
    pub(super) fn open(&self, row: &MailRow) -> Option<Mail> {
        let json = self.sealing.open(&row.id.raw().to_be_bytes(), &row.sealed).ok()?;
        serde_json::from_slice(&json).ok()
    }
}
