//! What moderation needs to know and keeps: how people stand, bans, flags, the queue, rules, the log.

pub(crate) mod bans;
pub(crate) mod content_rules;
pub(crate) mod flags;
pub(crate) mod hiding;
pub(crate) mod log;
pub(crate) mod notes;
pub(crate) mod queue;
