//! Facts between services: what happened in one is told to the others, at least once, in
//! order, and handled once.
//!
//! A fact is a row in the outbox, written in the transaction of the act it tells of. The
//! relay of the publishing service (one per consumer, leased) reads the outbox in commit
//! order and sends batches to a front door of each consuming service, as a message like any
//! other. There the batch is handled in a transaction with its inbox rows, so that a fact that
//! arrives twice has its effect once. Only then does the relay move on.
//!
//! What a service does because of its own facts, it does by a [`follower()`], which needs no messages.
//!
//! A fact its consumer can't make sense of is recorded in the inbox with the reason and does
//! not hold up the others. A consumer that is down holds up nobody but itself.

mod follower;
mod inbox;
mod relay;
mod subscription;

pub use follower::{Follow, FollowerMessage, follower};
pub(crate) use inbox::{Batch, receive};
pub use inbox::{Consumer, Event, Rejected};
pub(crate) use relay::Relay;
pub use relay::RelayMessage;
pub use subscription::{Outlet, Subscription};

/// The path under which every service with a consumer takes batches. Not reachable from
/// outside: the gateway refuses it, and the handler takes services only.
pub const PATH: &str = "/.panel/events";
