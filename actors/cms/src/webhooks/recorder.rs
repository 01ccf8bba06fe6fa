//! From facts to deliveries: which webhook is to be told what.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use panel_kernel::data::{Conn, DbError, Tx};
use panel_kernel::events::{Event, Follow, Rejected};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::Webhooks;
use crate::rules::webhooks::{DeliveryState, KEEP_TRYING, MOST_PENDING, TOPICS, wants};
use crate::rules::{Kind, path};
use crate::store::webhooks::deliveries::{self, Delivery};
use crate::store::webhooks::hooks::{self, Webhook};

/// What is sent.
#[derive(Debug, Serialize)]
struct Told<'a> {
    #[serde(rename = "type")]
    topic: &'a str,
    /// When it happened.
    timestamp: Timestamp,
    data: Value,
}

/// What is told next is told in the order in which it happened; what has yet to be tried is before what waits to be tried
/// again.
const UNTRIED: Timestamp = Timestamp::from_micros(0);

/// Something for a webhook, which is held, to be told from now on.
pub(crate) fn delivery_of(
    id: Id,
    webhook: &Webhook,
    (topic, at, data): (&str, Timestamp, Value),
    now: Timestamp,
) -> Delivery {
    let told = Told { topic, timestamp: at, data };
    Delivery {
        id,
        webhook: webhook.id,
        number: webhook.numbered + 1,
        topic: topic.to_owned(),
        body: serde_json::to_string(&told).unwrap_or_default(),
        state: DeliveryState::Pending,
        attempts: 0,
        created_at: now,
        next_at: UNTRIED,
        give_up_at: now.plus(KEEP_TRYING),
        finished_at: None,
    }
}

/// Follows the service's own facts.
#[derive(Clone, Debug)]
pub(super) struct Recorder(pub(super) Webhooks);

impl Recorder {
    async fn record(&self, tx: &mut Tx, event: &Event) -> Result<bool, Rejected> {
        let room = &self.0.0;
        let mut data: Value = serde_json::from_str(event.payload.get())?;
        if let Some(url) = address(&data, &room.site) {
            data["url"] = Value::from(url);
        }
        let now = room.db.clock().now();
        let (mut all, mut told) = (Vec::new(), Vec::new());
        for webhook in hooks::held_enabled(tx).await? {
            if event.at < webhook.since || !wants(&webhook.topics, &event.topic) {
                continue;
            }
            let what = (event.topic.as_str(), event.at, data.clone());
            let mut delivery = delivery_of(room.db.id_at_hand()?, &webhook, what, now);
            let waits = webhook.pending < MOST_PENDING;
            if !waits {
                tracing::warn!(webhook = %webhook.id, "more waits for a webhook than can wait");
                delivery.state = DeliveryState::Failed;
                delivery.finished_at = Some(now);
            }
            told.push((webhook.id, waits));
            all.push(delivery);
        }
        deliveries::insert(tx, &all).await?;
        hooks::count_on(tx, &told).await?;
        Ok(!all.is_empty())
    }
}

/// Where people read the article that this tells of.
fn address(data: &Value, site: &str) -> Option<String> {
    let kind = data["kind"].as_str()?.parse::<Kind>().ok()?;
    Some(format!("{site}{}", path(kind, data["slug"].as_str()?)))
}

impl Follow for Recorder {
    /// Whether something was recorded.
    type News = bool;

    const TOPICS: &'static [&'static str] = &TOPICS;

    fn apply<'t>(
        &'t self,
        tx: &'t mut Tx,
        event: &'t Event,
        news: &'t mut bool,
    ) -> BoxFuture<'t, Result<(), Rejected>> {
        async move {
            *news |= self.record(tx, event).await?;
            Ok(())
        }
        .boxed()
    }

    fn has_more<'c>(&'c self, _: &'c mut Conn) -> BoxFuture<'c, Result<bool, DbError>> {
        async { Ok(false) }.boxed()
    }

    fn piece<'t>(&'t self, _: &'t mut Tx, _: &'t mut bool) -> BoxFuture<'t, Result<(), DbError>> {
        async { Ok(()) }.boxed()
    }

    fn tell(&self, is_recorded: bool) -> BoxFuture<'_, ()> {
        async move {
            if is_recorded {
                self.0.ring();
            }
        }
        .boxed()
    }

    fn begins(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }
}
