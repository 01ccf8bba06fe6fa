//! Why there is no gateway.

use panel_kernel::certificates::FileError;

/// Why a gateway can't be put together.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The site's certificate can't be used.
    #[error("{0} (gateway.tls)")]
    Certificate(#[from] FileError),
    /// None can be issued.
    #[error("{0} (gateway.tls.acme)")]
    Acme(String),
    /// The traffic file can't be used.
    #[error("{0} (gateway.traffic_file)")]
    Traffic(FileError),
    /// What gateways share can't be.
    #[error("{0} (database)")]
    Commons(String),
    /// A CDN can't be told of purges.
    #[error("{0} (gateway.cdn)")]
    Cdn(String),
    /// Its metrics clash with others of the same name.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}
