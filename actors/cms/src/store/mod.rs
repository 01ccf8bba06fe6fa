//! The only SQL of this service.

pub(crate) mod articles;
pub(crate) mod personal;
