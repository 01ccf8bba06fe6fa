//! What readers who keep a stream open get: what they are told, as it is stored.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use panel_kernel::data::{Database, DbError};
use panel_kernel::ids::Id;
use panel_kernel::problem::Problem;
use panel_kernel::push::{Pushed, StreamSource};
use serde_json::value::to_raw_value;

use crate::store::notifications::list::{self, Notification};
use crate::store::notifications::telling::Told;

/// The topic of what somebody is told.
pub(crate) fn topic(user: Id) -> String {
    format!("user:{user}")
}

/// Answers who may have missed something.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    pub(crate) db: Database,
}

impl Streams {
    /// What was stored, as it is pushed.
    pub(crate) async fn stored(&self, told: &[Told]) -> Result<Vec<Pushed>, DbError> {
        let mut found = Vec::with_capacity(told.len());
        let mut conn = self.db.reader().await?;
        for piece in told.chunks(100) {
            found.extend(list::these(&mut conn, piece).await?);
        }
        // Each person's in order.
        found.sort_unstable_by_key(|it| (it.user_id, it.id));
        Ok(found.iter().filter_map(pushed).collect())
    }
}

impl StreamSource for Streams {
    fn since<'s>(
        &'s self,
        topic: &'s str,
        after: Id,
        limit: u32,
    ) -> BoxFuture<'s, Result<Vec<Pushed>, Problem>> {
        async move {
            let user = topic.strip_prefix("user:").and_then(|id| id.parse::<Id>().ok());
            let user = user.ok_or_else(|| Problem::not_found("topic"))?;
            let mut conn = self.db.reader().await?;
            let found = list::since(&mut conn, user, after.raw(), i64::from(limit)).await?;
            Ok(found.iter().filter_map(pushed).collect())
        }
        .boxed()
    }
}

fn pushed(notification: &Notification) -> Option<Pushed> {
    Some(Pushed {
        topic: topic(notification.user_id),
        id: Some(notification.id),
        after: notification.after,
        event: "notification".to_owned(),
        data: to_raw_value(notification).ok()?,
    })
}
