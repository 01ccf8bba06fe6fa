//! One request and its answer, as far as logs and metrics are concerned.

use std::net::IpAddr;
use std::time::Instant;

use http::request;
use panel_kernel::ids::{Id, random_hex};
use panel_kernel::message::TraceContext;

use super::cache_status::CacheStatus;
use super::client;
use super::explain::Asked;
use super::limit::Standings;
use crate::proxies::Proxies;
use crate::server::Peer;

/// What is known of the exchange so far.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) started: Instant,
    /// Who asks, if proxies are believed.
    pub(crate) client: IpAddr,
    /// Whether it came under TLS.
    pub(crate) is_tls: bool,
    pub(crate) request_id: String,
    pub(crate) trace: TraceContext,
    pub(crate) service: Option<&'static str>,
    pub(crate) route: Option<String>,
    pub(crate) member: Option<String>,
    /// Whether it asks for a release that is to be tried.
    pub(crate) is_canary: bool,
    /// On how many members it was tried.
    pub(crate) attempts: usize,
    /// Whether, and to whom, it is explained.
    pub(crate) explains: Option<Asked>,
    pub(crate) principal: Option<Id>,
    /// Whether the browser has a session's cookie that is good for nothing any more.
    pub(crate) clears_cookie: bool,
    /// How the cache had to do with it, if it had.
    pub(crate) cache: Option<&'static str>,
    /// And what is said of that.
    pub(crate) cache_status: Option<CacheStatus>,
    /// Its number here. It is told to services alone.
    pub(crate) number: u64,
    pub(crate) standings: Standings,
}

impl Exchange {
    pub(crate) fn begin(parts: &request::Parts, peer: Peer, proxies: &Proxies) -> Self {
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let request_id = header("x-request-id").filter(|id| is_well_formed(id)).map(str::to_owned);
        let trace = header("traceparent").and_then(TraceContext::parse).map(TraceContext::child);
        let trace = trace.unwrap_or_else(TraceContext::begin);
        let client = client::address(&parts.headers, peer.address.ip(), proxies);
        Self {
            is_tls: peer.is_tls,
            // A read makes nothing old that anybody is told of.
            number: if parts.method.is_safe() { 0 } else { rand::random() },
            ..Self::new(client, request_id.unwrap_or_else(random_hex), trace)
        }
    }

    /// Of something that can't be read.
    pub(crate) fn unreadable(peer: Peer) -> Self {
        Self {
            is_tls: peer.is_tls,
            ..Self::new(peer.address.ip(), random_hex(), TraceContext::begin())
        }
    }

    fn new(client: IpAddr, request_id: String, trace: TraceContext) -> Self {
        Self {
            started: Instant::now(),
            client,
            is_tls: false,
            request_id,
            trace,
            service: None,
            route: None,
            member: None,
            is_canary: false,
            attempts: 0,
            explains: None,
            principal: None,
            clears_cookie: false,
            cache: None,
            cache_status: None,
            number: 0,
            standings: Standings::default(),
        }
    }
}

/// What a client may choose as a request id: nothing that could break a log line.
fn is_well_formed(id: &str) -> bool {
    (1..=128).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_request_ids_are_replaced() {
        assert!(is_well_formed("a-1_B.2"));
        for bad in ["", "a b", "a\"b", "é", &"x".repeat(129)] {
            assert!(!is_well_formed(bad), "{bad:?}");
        }
    }
}
