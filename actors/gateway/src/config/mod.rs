//! The `[gateway]` section.

mod cors;
mod files;

use std::collections::BTreeMap;
use std::path::PathBuf;

use panel_kernel::config::{BadValue, Span};
use serde::{Deserialize, Serialize};

use crate::cache::CacheConfig;
use crate::cdn::CdnConfig;
use crate::compression::CompressionConfig;
use crate::dispatch::Balance;
use crate::identity::AuthenticationConfig;
use crate::proxies::Proxies;
use crate::streams::StreamsConfig;
use crate::tls::TlsConfig;

pub use cors::CorsConfig;
pub use files::FilesConfig;

/// How the edge behaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GatewayConfig {
    /// Open connections at one time, all listeners together.
    pub max_connections: usize,
    /// How long a client may take to send its request head.
    pub head_timeout: Span,
    /// How long a client may take to send its body.
    pub body_timeout: Span,
    /// How long a client may leave an answer unread before its connection is closed. Every byte
    /// it takes starts the time anew.
    pub write_timeout: Span,
    /// How long a node that is told to stop goes on as before, unready: for load balancers to
    /// notice.
    pub drain_delay: Span,
    /// How long a request may take inside, from the last byte of the body to the answer.
    pub request_timeout: Span,
    /// The largest body, in bytes. Bodies up to 128 KiB travel in messages.
    pub max_body_bytes: usize,
    /// The longest path and query, in bytes.
    pub max_uri_bytes: usize,
    /// The most bytes in all header fields together.
    pub max_header_bytes: usize,
    /// Whose pages may call the API.
    pub cors: CorsConfig,
    /// Proxies in front that are believed.
    pub proxies: Proxies,
    /// What is remembered of credentials.
    pub authentication: AuthenticationConfig,
    /// What is kept of answers.
    pub cache: CacheConfig,
    /// Which files are sent and received.
    pub files: FilesConfig,
    /// How many streams there are.
    pub streams: StreamsConfig,
    /// Where it is said how requests are spread over members beyond that; empty: nowhere.
    pub traffic_file: PathBuf,
    /// How a member of a service is chosen, by service.
    pub balance: BTreeMap<String, Balance>,
    /// Which answers are made smaller.
    pub compression: CompressionConfig,
    /// How the site is spoken to under TLS.
    pub tls: TlsConfig,
    /// The CDN in front of the site.
    pub cdn: CdnConfig,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            head_timeout: Span::seconds(10),
            body_timeout: Span::seconds(30),
            write_timeout: Span::seconds(30),
            drain_delay: Span::seconds(0),
            request_timeout: Span::seconds(10),
            max_body_bytes: INLINE_LIMIT,
            max_uri_bytes: 8 * 1024,
            max_header_bytes: 32 * 1024,
            cors: CorsConfig::default(),
            proxies: Proxies::default(),
            authentication: AuthenticationConfig::default(),
            cache: CacheConfig::default(),
            files: FilesConfig::default(),
            streams: StreamsConfig::default(),
            traffic_file: PathBuf::new(),
            balance: BTreeMap::new(),
            compression: CompressionConfig::default(),
            tls: TlsConfig::default(),
            cdn: CdnConfig::default(),
        }
    }
}

/// The most a message carries in itself.
const INLINE_LIMIT: usize = 128 * 1024;

impl GatewayConfig {
    /// Checks what belongs to a CDN.
    fn check_cdn(&self) -> Result<(), (&'static str, &'static str)> {
        self.cdn.check()?;
        if self.cdn.is_on() && self.cache.bytes == 0 {
            return Err((
                "cdn.kind",
                "needs gateway.cache.bytes: what is old at a CDN is known from there",
            ));
        }
        Ok(())
    }

    /// Checks the bounds.
    ///
    /// # Errors
    /// [`BadValue`] names the key and the reason.
    pub fn checked(self) -> Result<Self, BadValue> {
        let bad =
            |key: &str, reason: String| Err(BadValue { key: format!("gateway.{key}"), reason });
        if !(1..=INLINE_LIMIT).contains(&self.max_body_bytes) {
            return bad("max_body_bytes", format!("must be between 1 and {INLINE_LIMIT}"));
        }
        if !(256..=64 * 1024).contains(&self.max_uri_bytes) {
            return bad("max_uri_bytes", "must be between 256 and 65536".to_owned());
        }
        if !(1_024..=256 * 1024).contains(&self.max_header_bytes) {
            return bad("max_header_bytes", "must be between 1024 and 262144".to_owned());
        }
        if self.max_connections == 0 {
            return bad("max_connections", "must be at least 1".to_owned());
        }
        if self.streams.max > 1_000_000 {
            return bad("streams.max", "must be at most 1000000".to_owned());
        }
        for (key, span) in [
            ("head_timeout", self.head_timeout),
            ("body_timeout", self.body_timeout),
            ("write_timeout", self.write_timeout),
            ("request_timeout", self.request_timeout),
        ] {
            if span.0.is_zero() {
                return bad(key, "must be longer than nothing".to_owned());
            }
        }
        if let Err((key, reason)) = self.tls.check().and_then(|()| self.check_cdn()) {
            return bad(key, reason.to_owned());
        }
        if self.drain_delay.0.as_secs() > 60 {
            return bad("drain_delay", "must be at most 60s".to_owned());
        }
        if let Err((key, reason)) = self.cors.check().and_then(|()| self.files.check()) {
            return bad(key, reason);
        }
        Ok(self)
    }
}
