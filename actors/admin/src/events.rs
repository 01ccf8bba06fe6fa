//! Facts taken into account: who has an account, and what was done.

use futures::future::BoxFuture;
use panel_kernel::data::Tx;
use panel_kernel::events::{Consumer, Event, Rejected, Subscription};
use panel_kernel::ids::Id;
use panel_kernel::role::Role;
use panel_kernel::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::rules;
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

/// An account was erased.
#[derive(Debug, Deserialize)]
struct UserErased {
    id: Id,
}

/// The part of an audit record that is searched for.
#[derive(Debug, Deserialize)]
pub(crate) struct AuditRecord {
    pub(crate) at: Timestamp,
    pub(crate) actor: String,
    pub(crate) action: String,
    pub(crate) target: String,
    #[serde(default)]
    before: Value,
    #[serde(default)]
    after: Value,
}

impl AuditRecord {
    /// Whom it is about, where it is about somebody.
    pub(crate) fn subject(&self) -> Option<Id> {
        let named = [&self.after, &self.before].map(|part| part["user_id"].as_str());
        let target = self.target.strip_prefix("user:");
        [target].into_iter().chain(named).flatten().next().and_then(|id| id.parse().ok())
    }

    /// Who acted, and whom it is about.
    fn people(&self) -> impl Iterator<Item = Id> {
        self.actor.parse().ok().into_iter().chain(self.subject())
    }
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
                    // Who is in it may have been erased by the time it comes. Only once it is there
                    // is it certain that an erasure that isn't seen here finds it.
                    let mut text = payload.to_owned();
                    for id in record.people() {
                        if users::is_erased(tx, id).await? {
                            text = rules::without_person(source, &text, id);
                        }
                    }
                    if text != payload {
                        audit::replace(tx, source, event.position, &text).await?;
                    }
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
                "user.erased" => {
                    let UserErased { id } = serde_json::from_str(payload)?;
                    users::erase(tx, id).await?;
                    audit::erase(tx, id).await?;
                }
                // A newer auth service may tell more than this release understands.
                _ => {}
            }
            Ok(())
        })
    }
}
