//! The only SQL of this service.

pub(crate) mod keys;
pub(crate) mod mails;
pub(crate) mod one_time;
pub(crate) mod sessions;
pub(crate) mod setup;
pub(crate) mod users;
