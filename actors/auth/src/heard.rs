//! What other services tell: that somebody is to get a mail.

use futures::future::BoxFuture;
use panel_kernel::data::{Database, Tx};
use panel_kernel::events::{Consumer, Event, Rejected, Subscription};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;
use serde::Deserialize;

use crate::error::AuthError;
use crate::mail::{Letter, Post, Recipient, Requested};
use crate::store::users;

/// What it wants to hear.
pub(crate) const SUBSCRIPTIONS: &[Subscription] =
    &[Subscription { source: "forum", topics: &["mail.requested"] }];

/// Somebody is to get a mail: who has an account knows no address but auth.
#[derive(Debug, Deserialize)]
struct MailRequested {
    user_id: Id,
    /// After that, it is of no use.
    good_until: Timestamp,
    #[serde(flatten)]
    requested: Requested,
}

/// Has mails delivered that other services ask for.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) db: Database,
    pub(crate) post: Post,
}

impl Consumer for Heard {
    fn apply<'t>(
        &'t self,
        tx: &'t mut Tx,
        _source: &'t str,
        event: &'t Event,
    ) -> BoxFuture<'t, Result<(), Rejected>> {
        Box::pin(async move {
            if event.topic == "mail.requested" {
                let wanted: MailRequested = serde_json::from_str(event.payload.get())?;
                self.mail(tx, wanted).await?;
            }
            Ok(())
        })
    }
}

impl Heard {
    /// Writes a letter to who is there, may use the account, and has proven that the address is theirs.
    async fn mail(&self, tx: &mut Tx, wanted: MailRequested) -> Result<(), Rejected> {
        let now = self.db.clock().now();
        let user = users::by_id(tx, wanted.user_id).await?;
        let user = user.filter(|user| user.is_active(now) && user.is_verified());
        let Some(user) = user.filter(|_| now <= wanted.good_until) else { return Ok(()) };
        let id = self.db.id_at_hand()?;
        let to = Recipient { email: user.email, name: user.display_name };
        let letter = Letter::Requested(wanted.requested);
        self.post.send(tx, id, &to, &letter, now).await.map_err(|error| match error {
            AuthError::Database(error) => Rejected::Database(error),
            error => Rejected::Nonsense(error.to_string()),
        })
    }
}
