//! The edge: HTTP outside, messages inside. It knows services by their names and prefixes and
//! none of their routes.
//!
//! ```text
//! gateway               one for one
//! ├── identity          follows the signing keys and revocations of the identity service
//! ├── push              takes what services push to readers who keep a stream open, and what is old of what is kept
//! ├── stream_watch      notices lost members: what they stored, they may not have pushed, or purged
//! ├── limits            (with Redis) tells the other gateways what clients have taken
//! ├── cache             (with Redis) keeps answers there, for all gateways
//! ├── commons           (where gateways share something) keeps their database
//! ├── cdn               (with a CDN) purges there what is old, on one gateway at a time
//! ├── traffic           (with a traffic file) reads it again when it has changed
//! ├── acme              (with TLS, if asked for) has the site's certificate issued and renewed
//! ├── certificates      (with TLS) reads the site's certificate again when it was renewed
//! ├── listener          accepts on the public address; one task per connection
//! ├── redirect          (with TLS, if asked for) the same in the clear: says where the site is
//! └── auth, forum, …    the same per service port
//! ```
//!
//! If a listener fails it is restarted on the same socket: connections wait in the kernel's
//! backlog for that moment. If the identity follower fails, signed-in people go on working
//! with the keys it had. If the watch of the certificate fails, the one that was read last stays in force. If that of
//! the traffic file fails, what it said last stays in force. If the push door or the watch fails, streams ask what they have missed when it is
//! back, or after two minutes. If the reports of limits fail, each gateway limits by itself for that moment.

mod behind;
mod cache;
mod cdn;
mod commons;
mod compression;
mod config;
mod dispatch;
mod edge;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
mod health;
mod identity;
mod limits;
mod listener;
mod matching;
mod outgoing;
mod own;
mod places;
mod proxies;
pub mod server;
mod service_port;
mod site;
mod streams;
mod supervisor;
mod tags;
mod tls;
mod traffic;

pub use cache::CacheConfig;
pub use cdn::{CdnConfig, CdnKind};
pub use commons::{SCHEMA, migrations};
pub use compression::CompressionConfig;
pub use config::{CorsConfig, FilesConfig, GatewayConfig};
pub use dispatch::Balance;
pub use error::GatewayError;
pub use health::{Dependencies, DependencyHealth};
pub use identity::{AuthenticationConfig, TokenCheck};
pub use limits::{LimitRule, LimitsConfig, RulePer};
pub use listener::{Listener, ListenerMessage};
pub use matching::RuleMethods;
pub use own::own_document;
pub use proxies::{ForwardedHeader, Proxies};
pub use streams::StreamsConfig;
pub use supervisor::{Gateway, GatewayParts, Sockets};
pub use tls::TlsConfig;
pub use tls::acme::{AcmeConfig, ChallengeChoice, renew};
pub use traffic::TrafficConfig;
