//! Facts published by this service. Consumers keep their own picture of accounts from them.

use panel_kernel::data::Fact;
use panel_kernel::ids::Id;
use panel_kernel::role::Role;
use panel_kernel::time::Timestamp;
use serde::Serialize;

/// An account was made.
#[derive(Debug, Serialize)]
pub(crate) struct UserRegistered {
    pub(crate) id: Id,
    pub(crate) username: String,
    pub(crate) email: String,
    pub(crate) display_name: String,
    pub(crate) role: Role,
    pub(crate) created_at: Timestamp,
}

impl Fact for UserRegistered {
    const TOPIC: &'static str = "user.registered";
}

/// An account may not be used, until then or for good.
#[derive(Debug, Serialize)]
pub(crate) struct UserSuspended {
    pub(crate) id: Id,
    pub(crate) until: Option<Timestamp>,
}

impl Fact for UserSuspended {
    const TOPIC: &'static str = "user.suspended";
}

/// An account was erased: whatever tells who that was goes.
#[derive(Debug, Serialize)]
pub(crate) struct UserErased {
    pub(crate) id: Id,
}

impl Fact for UserErased {
    const TOPIC: &'static str = "user.erased";
}

/// An account may be used again.
#[derive(Debug, Serialize)]
pub(crate) struct UserRestored {
    pub(crate) id: Id,
}

impl Fact for UserRestored {
    const TOPIC: &'static str = "user.restored";
}

/// An account has another rank.
#[derive(Debug, Serialize)]
pub(crate) struct UserRoleChanged {
    pub(crate) id: Id,
    pub(crate) role: Role,
}

impl Fact for UserRoleChanged {
    const TOPIC: &'static str = "user.role_changed";
}

/// An account has another mail address.
#[derive(Debug, Serialize)]
pub(crate) struct UserEmailChanged {
    pub(crate) id: Id,
    pub(crate) email: String,
}

impl Fact for UserEmailChanged {
    const TOPIC: &'static str = "user.email_changed";
}

/// An account is shown under another name.
#[derive(Debug, Serialize)]
pub(crate) struct UserRenamed {
    pub(crate) id: Id,
    pub(crate) display_name: String,
}

impl Fact for UserRenamed {
    const TOPIC: &'static str = "user.renamed";
}
