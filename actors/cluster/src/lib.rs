//! Which node serves what, and the links between nodes. Knows ractor's process groups and
//! ractor_cluster; knows no service.
//!
//! ```text
//! cluster                one for one
//! ├── membership         follows the process groups, keeps the directory
//! ├── prober             asks members whether they answer, moves their breakers
//! └── links              rest for one; only where the node is to be linked with others
//!     ├── roster         which nodes there are, and the links to them
//!     │   └── (ractor's node server and its sessions)
//!     ├── agent          remotable: what other nodes' agents talk to
//!     ├── dialer         dials whom the roster names
//!     └── listener       accepts and greets other nodes
//! ```
//!
//! If membership fails, the directory stands still until it is restarted: known members go on
//! being called, and new ones are found a moment later. If anything of the links fails, they
//! are made anew; what was in flight on them is sent again by who had sent it.

mod agent;
mod arrival;
mod cluster;
mod config;
mod dialer;
mod failed;
mod grievances;
mod handshake;
mod hello;
mod link;
mod listener;
mod membership;
mod messages;
mod prober;
mod protocol;
mod roster;
mod rules;
mod security;
pub mod tls;

pub use cluster::{Cluster, ClusterParts};
pub use config::ClusterConfig;
