//! The only SQL of this service.

pub(crate) mod audit;
pub(crate) mod personal;
pub(crate) mod users;
