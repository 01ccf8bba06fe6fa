//! Facts taken into account: who has an account, and what was done.

use futures::future::BoxFuture;
use panel_kernel::data::Tx;
use panel_kernel::events::{Consumer, Event, Rejected, Subscription};
use panel_kernel::ids::Id;
use panel_kernel::role::Role;
use panel_kernel::time::Timestamp;
use serde::Deserialize;

use crate::store::{audit, users};

/// What this service wants to hear.
pub(crate) const SUBSCRIPTIONS: &[Subscription] = &[
    Subscription { source: "auth", topics: &["user.*"] },
    Subscription { source: "*", topics: &["audit"] },
];

/// An account was made.
#[derive(Debug, Deserialize)]
pub(crate) struct UserRegistered {
    pub(crate) id: Id,
    pub(crate) username: String,
    pub(crate) email: String,
    pub(crate) display_name: String,
    pub(crate) role: Role,
    pub(crate) created_at: Timestamp,
}

/// An account is shown under another name.
#[derive(Debug, Deserialize)]
struct UserRenamed {
    id: Id,
    display_name: String,
}

/// An account has another mail address.
#[derive(Debug, Deserialize)]
struct UserEmailChanged {
    id: Id,
    email: String,
}

/// An account may not be used, until then or for good.
#[derive(Debug, Deserialize)]
struct UserSuspended {
    id: Id,
    until: Option<Timestamp>,
}

/// An account may be used again.
#[derive(Debug, Deserialize)]
struct UserRestored {
    id: Id,
}

/// An account has another rank.
#[derive(Debug, Deserialize)]
struct UserRoleChanged {
    id: Id,
    role: Role,
}

/// The part of an audit record that is searched for.
#[derive(Debug, Deserialize)]
pub(crate) struct AuditRecord {
    pub(crate) at: Timestamp,
    pub(crate) actor: String,
    pub(crate) action: String,
    pub(crate) target: String,
}

/// Keeps this service's picture.
#[derive(Debug)]
pub(crate) struct Listener;

impl Consumer for Listener {
    fn apply<'t>(
        &'t self,
        tx: &'t mut Tx,
        source: &'t str,
        event: &'t Event,
    ) -> BoxFuture<'t, Result<(), Rejected>> {
        Box::pin(async move {
            let payload = event.payload.get();
            match event.topic.as_str() {
                "audit" => {
                    let record: AuditRecord = serde_json::from_str(payload)?;
                    audit::append(tx, source, event.position, &record, payload).await?;
                }
                "user.registered" => {
                    let user: UserRegistered = serde_json::from_str(payload)?;
                    users::upsert(tx, &user).await?;
                }
                "user.renamed" => {
                    let user: UserRenamed = serde_json::from_str(payload)?;
                    users::rename(tx, user.id, &user.display_name).await?;
                }
                "user.email_changed" => {
                    let user: UserEmailChanged = serde_json::from_str(payload)?;
                    users::change_email(tx, user.id, &user.email).await?;
                }
                "user.suspended" => {
                    let UserSuspended { id, until } = serde_json::from_str(payload)?;
                    users::set_status(tx, id, "suspended", until).await?;
                }
                "user.restored" => {
                    let UserRestored { id } = serde_json::from_str(payload)?;
                    users::set_status(tx, id, "active", None).await?;
                }
                "user.role_changed" => {
                    let UserRoleChanged { id, role } = serde_json::from_str(payload)?;
                    users::set_role(tx, id, role).await?;
                }
                // A newer auth service may tell more than this release understands.
                _ => {}
            }
            Ok(())
        })
    }
}
