//! The only SQL of this service.

pub(crate) mod api_keys;
pub(crate) mod erasure;
pub(crate) mod exports;
pub(crate) mod factors;
pub(crate) mod identities;
pub(crate) mod invitations;
pub(crate) mod keys;
pub(crate) mod locks;
pub(crate) mod mailed;
pub(crate) mod mails;
pub(crate) mod news;
pub(crate) mod one_time;
pub(crate) mod passkeys;
pub(crate) mod personal;
pub(crate) mod sessions;
pub(crate) mod setup;
pub(crate) mod users;
