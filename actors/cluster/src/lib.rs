//! Which node serves what. Knows ractor's process groups; knows no HTTP and no service.
//!
//! ```text
//! cluster
//! └── membership    follows the process groups, keeps the directory
//! ```
//!
//! If membership fails, the directory stands still until it is restarted: known members go on
//! being called, and new ones are found a moment later.

mod membership;
pub mod tls;

pub use membership::{Membership, MembershipMessage};

use panel_kernel::service::Runtime;
use panel_kernel::supervision::{ChildSpec, SupervisorSpec};

/// The cluster's part of a node, as a child of the root.
#[must_use]
pub fn child(runtime: &Runtime) -> ChildSpec {
    let membership = {
        let runtime = runtime.clone();
        ChildSpec::new("membership", move || (Membership { runtime: runtime.clone() }, ()))
    };
    SupervisorSpec::new("cluster", &runtime.tree).child(membership).into_child("cluster")
}
