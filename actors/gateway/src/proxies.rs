//! Proxies in front of the gateway, and how they say for whom they ask.

use std::net::IpAddr;

use panel_kernel::network::Network;
use serde::{Deserialize, Serialize};

/// The `[gateway.proxies]` section: proxies in front of the gateway that are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Proxies {
    /// Addresses and networks of those that are, as far as they say for whom they ask.
    pub trusted: Vec<Network>,
    /// In which header they say it.
    pub header: ForwardedHeader,
}

/// In which header they say it. The other one is whatever a client has sent, and is not looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`: addresses, separated by commas.
    #[default]
    #[serde(rename = "x-forwarded-for")]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    #[serde(rename = "forwarded")]
    Forwarded,
}

impl Proxies {
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }
}
