//! Facts taken into account: whose names are gone.

use futures::future::BoxFuture;
use panel_kernel::data::Tx;
use panel_kernel::events::{Consumer, Event, Rejected, Subscription};
use panel_kernel::ids::Id;
use panel_kernel::purge::Purge;
use serde::Deserialize;

use crate::store::articles;

/// What this service wants to hear.
pub(crate) const SUBSCRIPTIONS: &[Subscription] =
    &[Subscription { source: "auth", topics: &["user.erased"] }];

#[derive(Deserialize)]
struct Erased {
    id: Id,
}

/// Takes the names of authors away whose accounts were erased.
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
            if event.topic == "user.erased" {
                let Erased { id } = serde_json::from_str(event.payload.get())?;
                tx.purges(Purge::everything_gone());
                articles::erase_author(tx, id).await?;
            }
            Ok(())
        })
    }
}
