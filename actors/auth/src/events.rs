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
