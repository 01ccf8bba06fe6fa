//! Administration: people, and the record of what was done.
//!
//! ```text
//! admin
//! ├── keeper, writer, relay, janitor   (kernel)
//! └── serving                          (kernel)
//! ```
//!
//! What it shows of accounts is its own picture of them, fed by the facts of the auth service;
//! audit records of all services arrive the same way. While it is down, both wait in the other
//! services' outboxes, and none is lost.

mod api;
mod config;
mod events;
mod rules;
mod store;
mod supervisor;

pub use config::AdminConfig;
pub use supervisor::SERVICE;
