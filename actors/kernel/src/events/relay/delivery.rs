//! From rows to a message, and the message to a front door of the consumer.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, Uri, header};
use serde_json::value::RawValue;

use super::outbox::{OutboxRow, Place};
use crate::data::{Database, DbError};
use crate::directory::Directory;
use crate::events::{Batch, Event, Outlet, PATH};
use crate::ids::random_hex;
use crate::message::{
    Envelope, Extensions, IdempotencyKey, KeyOrigin, Payload, Principal, TraceContext,
};

/// How long the consumer may take for a batch.
const DELIVERY: Duration = Duration::from_secs(5);
/// Below the 128 KiB a message may carry inline.
const BATCH_BYTES: usize = 96 * 1024;

/// As many rows as fit a message, and how far they reach.
pub(super) fn batch(
    source: &str,
    outlet: &Outlet,
    rows: Vec<OutboxRow>,
    mut reached: Place,
) -> (Batch, Place) {
    let mut batch = Batch { source: source.to_owned(), events: Vec::new() };
    let mut bytes = 0;
    for row in rows {
        let place = row.place();
        if outlet.wants(&row.topic) {
            bytes += row.payload.len() + 128;
            if bytes > BATCH_BYTES && !batch.events.is_empty() {
                break;
            }
            let payload = RawValue::from_string(row.payload)
                .or_else(|error| RawValue::from_string(format!("{:?}", error.to_string())));
            if let Ok(payload) = payload {
                batch.events.push(Event {
                    position: row.position,
                    topic: row.topic,
                    at: row.created_at,
                    payload,
                });
            }
        }
        reached = place;
    }
    (batch, reached)
}

/// Hands a batch to a member of the consumer; `Ok` once it is committed there.
pub(super) async fn deliver(
    db: &Database,
    directory: &Directory,
    consumer: &'static str,
    batch: &Batch,
) -> Result<(), DbError> {
    let unavailable = |why: String| DbError::Unavailable(format!("{consumer}: {why}"));
    let member = directory.any(consumer).ok_or_else(|| unavailable("no member is up".into()))?;
    let body = serde_json::to_vec(batch).map_err(|error| unavailable(error.to_string()))?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let envelope = Envelope {
        method: Method::POST,
        uri: Uri::from_static(PATH),
        headers,
        body: Payload::Inline(body.into()),
        principal: Principal::Service(db.service().to_owned()),
        deadline: db.clock().now().plus(DELIVERY),
        idempotency_key: Some(IdempotencyKey { value: random_hex(), origin: KeyOrigin::Gateway }),
        trace: TraceContext::begin(),
        request_id: random_hex(),
        extensions: Extensions::default(),
    };
    match member.call(envelope, db.clock()).await {
        Ok(reply) if reply.status.is_success() => Ok(()),
        Ok(reply) => Err(unavailable(format!("answered {}", reply.status))),
        Err(error) => Err(unavailable(error.to_string())),
    }
}
