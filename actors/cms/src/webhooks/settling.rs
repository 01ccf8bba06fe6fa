//! What follows from an attempt to deliver something, or from none that came through in time. Everybody holds first the
//! webhook, then the delivery.

use panel_kernel::data::{DbError, OwnAct, Tx};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

use super::summary;
use crate::SERVICE;
use crate::rules::webhooks::{
    DeliveryState, DisabledBecause, KEEP_TRYING, MOST_MISSES, Verdict, wait,
};
use crate::store::webhooks::deliveries::{self, Delivery};
use crate::store::webhooks::hooks::{self, Webhook};

/// How an attempt is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    Delivered,
    Deferred,
    Failed,
}

impl Counted {
    /// As metrics call it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Deferred => "deferred",
            Self::Failed => "failed",
        }
    }
}

/// Begins an attempt, and says to whom; none if nothing is to be sent, or not that. If whoever sends it ends over it, it is
/// tried again after the usual pause, counted from now.
pub(super) async fn begin(
    tx: &mut Tx,
    due: Delivery,
    now: Timestamp,
) -> Result<Option<(Webhook, Delivery)>, DbError> {
    let Some((webhook, mut delivery)) = deliveries::held_with_webhook(tx, due.id).await? else {
        return Ok(None);
    };
    let is_same = delivery.state == DeliveryState::Pending && delivery.attempts == due.attempts;
    if !is_same || !webhook.enabled || now < webhook.resumes_at {
        return Ok(None);
    }
    delivery.attempts += 1;
    delivery.next_at = now.plus(wait(delivery.attempts, None));
    deliveries::update(tx, &delivery).await?;
    deliveries::begin(tx, &delivery, now).await?;
    Ok(Some((webhook, delivery)))
}

/// Settles an attempt to tell the webhook as it was in this version. What it answered says nothing of another.
pub(super) async fn settle(
    tx: &mut Tx,
    delivery: Id,
    (version, verdict): (i64, &Verdict),
    now: Timestamp,
) -> Result<Counted, DbError> {
    let Some(found) = deliveries::held_with_webhook(tx, delivery).await? else {
        return Ok(Counted::Deferred);
    };
    let (mut webhook, mut delivery) = found;
    let is_same = webhook.version == version;
    if *verdict == Verdict::Delivered {
        // Also one that was given up meanwhile.
        if delivery.state == DeliveryState::Pending {
            webhook.pending -= 1;
        }
        delivery.state = DeliveryState::Delivered;
        delivery.finished_at = Some(now);
        webhook.delivered_at = Some(now);
        webhook.misses = 0;
        webhook.failing_since = None;
        if is_same {
            webhook.failures = 0;
            webhook.resumes_at = Timestamp::from_micros(0);
        }
    } else if delivery.state == DeliveryState::Pending {
        refused(&mut webhook, &mut delivery, (is_same, verdict), now);
        if delivery.state == DeliveryState::Failed && is_same {
            let because = match verdict {
                Verdict::Gone => Some(DisabledBecause::Gone),
                _ => is_dead(&webhook, now).then_some(DisabledBecause::Failing),
            };
            disable(tx, &mut webhook, because, now);
        }
    }
    deliveries::update(tx, &delivery).await?;
    hooks::update(tx, &webhook).await?;
    Ok(match delivery.state {
        DeliveryState::Delivered => Counted::Delivered,
        DeliveryState::Pending => Counted::Deferred,
        DeliveryState::Failed => Counted::Failed,
    })
}

/// It did not take it: when it is tried again, if it is.
fn refused(
    webhook: &mut Webhook,
    delivery: &mut Delivery,
    (is_same, verdict): (bool, &Verdict),
    now: Timestamp,
) {
    let is_gone = *verdict == Verdict::Gone && is_same;
    if is_gone || now >= delivery.give_up_at {
        finish(webhook, delivery, now);
    }
    if !is_same {
        // At once, where it is now.
        delivery.next_at = now;
        return;
    }
    webhook.misses += 1;
    webhook.failing_since.get_or_insert(now);
    delivery.next_at = match verdict {
        Verdict::Unreachable(_, asked) => {
            webhook.failures += 1;
            webhook.resumes_at = now.plus(wait(webhook.failures, *asked));
            // As soon as anything is.
            now
        }
        _ => {
            webhook.failures = 0;
            now.plus(wait(delivery.attempts, None))
        }
    };
}

/// Gives up what is too late, if that is so.
pub(super) async fn give_up(tx: &mut Tx, delivery: Id, now: Timestamp) -> Result<bool, DbError> {
    let Some(found) = deliveries::held_with_webhook(tx, delivery).await? else {
        return Ok(false);
    };
    let (mut webhook, mut delivery) = found;
    let is_late = delivery.state == DeliveryState::Pending && now >= delivery.give_up_at;
    if !is_late || webhook.enabled && !is_dead(&webhook, now) {
        return Ok(false);
    }
    finish(&mut webhook, &mut delivery, now);
    let because = is_dead(&webhook, now).then_some(DisabledBecause::Failing);
    disable(tx, &mut webhook, because, now);
    deliveries::update(tx, &delivery).await?;
    hooks::update(tx, &webhook).await?;
    Ok(true)
}

fn finish(webhook: &mut Webhook, delivery: &mut Delivery, now: Timestamp) {
    webhook.pending -= 1;
    delivery.state = DeliveryState::Failed;
    delivery.finished_at = Some(now);
}

/// Whether nothing has come through for as long as anything is tried, and as often: a site may have been down itself.
fn is_dead(webhook: &Webhook, now: Timestamp) -> bool {
    let long_ago = now.minus(KEEP_TRYING);
    webhook.misses >= MOST_MISSES && webhook.failing_since.is_some_and(|since| since <= long_ago)
}

fn disable(tx: &mut Tx, webhook: &mut Webhook, because: Option<DisabledBecause>, now: Timestamp) {
    let Some(because) = because.filter(|_| webhook.enabled) else { return };
    let before = summary(webhook);
    webhook.enabled = false;
    webhook.disabled_because = Some(because);
    webhook.version += 1;
    webhook.updated_at = now;
    tracing::warn!(webhook = %webhook.id, because = because.name(), "a webhook is told nothing more");
    let act = OwnAct {
        action: "webhook.disable",
        target: format!("webhook:{}", webhook.id),
        before: Some(before),
        after: Some(summary(webhook)),
    };
    tx.audit_of_service(SERVICE.name, &act, now);
}
