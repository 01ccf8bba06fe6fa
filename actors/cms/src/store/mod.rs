//! The only SQL of this service. Nothing in here decides: who may do what comes from `rules`.

pub(crate) mod articles;
pub(crate) mod autosaves;
pub(crate) mod erasure;
pub(crate) mod lists;
pub(crate) mod media;
pub(crate) mod menus;
pub(crate) mod people;
pub(crate) mod personal;
pub(crate) mod redirects;
pub(crate) mod revisions;
pub(crate) mod search;
pub(crate) mod shown;
pub(crate) mod slugs;
pub(crate) mod terms;
pub(crate) mod transfer;
pub(crate) mod translations;
pub(crate) mod webhooks;
