//! What follows from an attempt to deliver something, or from none that came through in time. Everybody holds first the
//! webhook, then the delivery.

use panel_kernel::data::{DbError, OwnAct, Tx};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

use super::{Webhooks, summary};
use crate::SERVICE;
use crate::rules::webhooks::{DeliveryState, DisabledBecause, Verdict, wait};
use crate::store::webhooks::deliveries::{self, Delivery};
use crate::store::webhooks::hooks::{self, Webhook};

/// Begins an attempt, after which nobody tries before the usual pause; none if it is not to be tried any more.
pub(super) async fn begin(
    tx: &mut Tx,
    due: Delivery,
    now: Timestamp,
) -> Result<Option<Delivery>, DbError> {
    let found = deliveries::held(tx, due.id).await?;
    let same = |it: &Delivery| it.state == DeliveryState::Pending && it.attempts == due.attempts;
    let Some(mut delivery) = found.filter(same) else { return Ok(None) };
    delivery.attempts += 1;
    delivery.next_at = now.plus(wait(delivery.attempts, None));
    deliveries::update(tx, &delivery).await?;
    deliveries::begin(tx, &delivery, now).await?;
    Ok(Some(delivery))
}

/// Settles an attempt; how it is counted.
pub(super) async fn settle(
    tx: &mut Tx,
    room: &Webhooks,
    delivery: Id,
    verdict: &Verdict,
) -> Result<&'static str, DbError> {
    let now = room.0.db.clock().now();
    let Some(before) = deliveries::held_with_webhook(tx, delivery).await? else {
        return Ok("deferred");
    };
    let (mut webhook, mut delivery) = before;
    // Somebody has thought better of it meanwhile.
    if delivery.state != DeliveryState::Pending {
        return Ok("deferred");
    }
    let counted = match verdict {
        Verdict::Delivered => {
            finish(&mut webhook, &mut delivery, DeliveryState::Delivered, now);
            webhook.failures = 0;
            webhook.resumes_at = Timestamp::from_micros(0);
            webhook.delivered_at = Some(now);
            "delivered"
        }
        Verdict::Refused(_) => {
            delivery.next_at = now.plus(wait(delivery.attempts, None));
            "deferred"
        }
        Verdict::Unreachable(_, asked) => {
            webhook.failures += 1;
            webhook.resumes_at = now.plus(wait(webhook.failures, *asked));
            delivery.next_at = webhook.resumes_at;
            "deferred"
        }
        Verdict::Gone => {
            finish(&mut webhook, &mut delivery, DeliveryState::Failed, now);
            disable(tx, &mut webhook, DisabledBecause::Gone, now);
            "failed"
        }
    };
    deliveries::update(tx, &delivery).await?;
    hooks::update(tx, &webhook).await?;
    Ok(counted)
}

/// Gives up what is too late. Where nothing has come through since it was to be sent, nothing is sent there any more.
pub(super) async fn give_up(
    tx: &mut Tx,
    room: &Webhooks,
    delivery: Id,
    now: Timestamp,
) -> Result<(), DbError> {
    let Some((mut webhook, mut delivery)) = deliveries::held_with_webhook(tx, delivery).await?
    else {
        return Ok(());
    };
    if delivery.state != DeliveryState::Pending || now < delivery.give_up_at {
        return Ok(());
    }
    finish(&mut webhook, &mut delivery, DeliveryState::Failed, now);
    deliveries::update(tx, &delivery).await?;
    let is_dead = webhook.delivered_at.is_none_or(|at| at < delivery.created_at);
    if webhook.enabled && is_dead {
        disable(tx, &mut webhook, DisabledBecause::Failing, now);
    }
    hooks::update(tx, &webhook).await?;
    room.0.outcomes().with_label_values(&["cms", "failed"]).inc();
    Ok(())
}

fn finish(webhook: &mut Webhook, delivery: &mut Delivery, state: DeliveryState, now: Timestamp) {
    webhook.pending -= 1;
    delivery.state = state;
    delivery.finished_at = Some(now);
}

fn disable(tx: &mut Tx, webhook: &mut Webhook, because: DisabledBecause, now: Timestamp) {
    if !webhook.enabled {
        return;
    }
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
