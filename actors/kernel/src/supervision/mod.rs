//! Supervision: who restarts whom, when, and when to give up.
//!
//! ractor links actors and reports their end, but has no strategies: by default a parent dies
//! with its child. A [`Supervisor`] is configured by a table of [`ChildSpec`]s and restarts
//! them one by one or together with those that come after, with exponential backoff. When
//! restarts come faster than its [`Intensity`] allows, it stops the rest in order and fails
//! itself, which is its own supervisor's business then.
//!
//! [`Tree`] is the live picture of all of it: states, restart counts and last failures, read by
//! health, metrics and the administrator without asking any actor.

mod address;
mod bell;
mod child;
mod on_demand;
mod policy;
mod spec;
mod stopping;
mod supervisor;
mod task;
mod tree;

pub use address::{Address, CallFailed};
pub use bell::Bell;
pub use child::{ChildSpec, Restart};
pub use on_demand::OnDemand;
pub use policy::{Backoff, Intensity, RestartWindow, Strategy};
pub use spec::SupervisorSpec;
pub use supervisor::{Supervisor, SupervisorMessage};
pub use tree::{ActorState, ActorStatus, Tree};

#[cfg(test)]
mod tests;
