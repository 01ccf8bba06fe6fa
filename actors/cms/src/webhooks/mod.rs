//! Webhooks: servers of others that are told what becomes of articles.
//!
//! ```text
//! webhooks             the tree of this room
//! ├── webhook_recorder  writes down, fact by fact, which webhook is to be told what
//! └── courier          sees to it that each webhook with something to be told has a messenger
//!     └── messenger …  sends what one webhook is to be told, one after the other
//! ```
//!
//! What is to be told is a row in the database, written in the transaction that notes that the fact was taken into
//! account; so it is told whoever ends meanwhile, at least once, and always under the same id. A messenger works under
//! a lease, so each webhook is told one thing at a time, by one node of a cluster. One that is slow or gone holds up
//! nobody but itself.
//!
//! What fails, and what it costs:
//!
//! - the **recorder** or the **courier** ends: deliveries are later.
//! - a **messenger** ends, or its node: what it was at counts as an attempt, and is tried again.
//! - a **webhook** is down: what it is to be told waits, for three days at most; then it is given up, and where nothing
//!   came through in that time, nothing is sent there any more until an administrator says so.
//!
//! | file | |
//! |---|---|
//! | `recorder` | from facts to deliveries |
//! | `courier` | the actor that has the messengers, and gives up what is too late |
//! | `messenger` | the actor that sends |
//! | `settling` | what follows from an attempt, or from none |
//! | `signing` | signatures by which a webhook knows who sent it |

mod courier;
mod messenger;
mod recorder;
mod settling;
pub(crate) mod signing;

use std::sync::Arc;

use panel_kernel::data::{Database, Leases};
use panel_kernel::events::follower;
use panel_kernel::ids::Id;
use panel_kernel::keys::SealingKey;
use panel_kernel::metrics::Metrics;
use panel_kernel::outbound::{Guarded, NotAsked};
use panel_kernel::problem::Problem;
use panel_kernel::service::ServiceContext;
use panel_kernel::supervision::{Bell, ChildSpec, SupervisorSpec};
use panel_kernel::time::Timestamp;
use prometheus::IntCounterVec;
use serde_json::Value;

use crate::store::webhooks::hooks::Webhook;
use courier::{Courier, CourierMessage};
use recorder::Recorder;

pub(crate) use recorder::delivery_of;

/// What sends to webhooks. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Webhooks(Arc<Room>);

/// What its actors share.
#[derive(Debug)]
struct Room {
    db: Database,
    leases: Leases,
    outbound: Guarded,
    sealing: SealingKey,
    site: Arc<str>,
    bell: Bell<CourierMessage>,
    metrics: Metrics,
}

impl Webhooks {
    /// Of this service, by way of `outbound`.
    pub(crate) fn new(context: &ServiceContext, outbound: Guarded) -> Self {
        let (db, runtime) = (context.db.clone(), &context.runtime);
        Self(Arc::new(Room {
            leases: Leases::new(db.clone(), &runtime.node.name, &runtime.node.boot),
            db,
            outbound,
            sealing: runtime.key.derive("cms webhooks"),
            site: Arc::clone(&runtime.public_url),
            bell: Bell::new(|| CourierMessage::Rung),
            metrics: runtime.metrics.clone(),
        }))
    }

    /// Its tree, below the service's.
    pub(crate) fn child(&self, context: &ServiceContext) -> ChildSpec {
        let path = format!("{}/webhooks", context.path);
        let (db, metrics) = (&self.0.db, &self.0.metrics);
        let own = self.clone();
        SupervisorSpec::new(path, &context.runtime.tree)
            .child(follower("webhook_recorder", (db, metrics), Recorder(self.clone())))
            .child(ChildSpec::new("courier", move || (Courier(own.clone()), ())))
            .into_child("webhooks")
    }

    /// Whether anything is sent to this URL at all; as it is stored.
    ///
    /// # Errors
    /// [`NotAsked`] says why not.
    pub(crate) fn check(&self, url: &str) -> Result<String, NotAsked> {
        self.0.outbound.check(url).map(String::from)
    }

    /// A secret as it is stored.
    ///
    /// # Errors
    /// Never in practice.
    pub(crate) fn sealed(&self, webhook: Id, secret: &[u8]) -> Result<Vec<u8>, Problem> {
        self.0.sealing.seal(&context(webhook), secret).map_err(|_| Problem::internal())
    }

    /// Says that there may be something to send: not to have it wait for the next look.
    pub(crate) fn ring(&self) {
        self.0.bell.ring();
    }
}

impl Room {
    /// What deliveries to a webhook are signed with; none if that was sealed with another key.
    fn secrets(&self, webhook: &Webhook, now: Timestamp) -> Option<Vec<Vec<u8>>> {
        let opened = |sealed: &Vec<u8>| {
            self.sealing.open(&context(webhook.id), sealed).ok().map(|secret| secret.to_vec())
        };
        let is_good = webhook.earlier_until.is_some_and(|until| now < until);
        let earlier = webhook.earlier_secret.as_ref().filter(|_| is_good);
        let mut secrets = vec![opened(&webhook.secret)?];
        secrets.extend(earlier.and_then(opened));
        Some(secrets)
    }

    fn outcomes(&self) -> &IntCounterVec {
        &self.metrics.webhooks
    }
}

/// Under which lease a webhook is told something.
pub(crate) fn lease(webhook: Id) -> String {
    format!("webhook:{webhook}")
}

/// What a secret is bound to.
const fn context(webhook: Id) -> [u8; 8] {
    webhook.raw().to_be_bytes()
}

/// What the audit log keeps of a webhook: of its URL only whose it is, for the rest may be a secret.
pub(crate) fn summary(it: &Webhook) -> Value {
    let end = it.url.find("://").map_or(0, |at| at + 3);
    let host = it.url[end..].find(['/', '?', '#']).map_or(it.url.len(), |at| end + at);
    serde_json::json!({
        "url": it.url[..host],
        "description": it.description,
        "topics": it.topics,
        "enabled": it.enabled,
        "disabled_because": it.disabled_because,
        "version": it.version,
    })
}
