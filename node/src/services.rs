//! The services of this release. A new one costs a line here.

use panel_kernel::service::Registration;

/// All services, in starting order.
pub(crate) const SERVICES: &[Registration] =
    &[panel_auth::SERVICE, panel_forum::SERVICE, panel_cms::SERVICE, panel_admin::SERVICE];

/// The one that issues tokens.
pub(crate) const IDENTITY: &str = panel_auth::SERVICE.name;

/// The role of a node that is an edge.
pub(crate) const GATEWAY: &str = "gateway";
