//! The node's certificate, as it is watched.

use panel_kernel::certificates::{Certified, Current, Watch};
use panel_kernel::service::Runtime;
use panel_kernel::supervision::ChildSpec;

use super::{Credentials, TlsError};

/// The watch as a child of the cluster's supervisor, with its metric. To be made once per node.
///
/// # Errors
/// If the metric is registered already.
pub fn certificate_watch(
    runtime: &Runtime,
    credentials: &Credentials,
) -> prometheus::Result<ChildSpec> {
    let named = ("the node's", "panel_cluster_certificate_expires_seconds");
    Watch::child(named, credentials, &runtime.clock, &runtime.metrics)
}

impl Certified for Credentials {
    type Error = TlsError;

    fn reload(&self) -> Result<bool, TlsError> {
        Self::reload(self)
    }

    fn current(&self) -> Option<Current> {
        let own = self.own();
        Some(Current { not_after: own.not_after, serial: own.serial.clone() })
    }
}
