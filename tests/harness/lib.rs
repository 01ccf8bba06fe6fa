//! What Panel's tests stand on.
//!
//! | module | what it gives a test |
//! |---|---|
//! | [`node`] | the real `panel-node` as a child process: start, ask, stop, kill, restart |
//! | [`cluster`] | several nodes on one PostgreSQL, linked with each other |
//! | [`service`] | services, cluster and gateway inside the test's own process |
//! | [`probe`] | a service whose routes do what tests need: answer, panic, stall, write |
//! | [`scripted`] | a member of a service that does what the test says |
//! | [`http`] | a small HTTP client that checks problems and prints what it did not expect |
//! | [`session`] | a signed-in person |
//! | [`ids`] | ids that a test makes itself |
//! | [`forum`] | a thread to write in |
//! | [`load`] | clients that read and write, and remember every request |
//! | [`checks`] | what has to be true of that, whatever happened meanwhile |
//! | [`backend`] | the same test on SQLite and on PostgreSQL |
//! | [`redis`] | a Redis server of the test's own |
//! | [`files`] | a web server of the test's own, with files |
//! | [`oidc`] | an OpenID Connect provider of the test's own |
//! | [`authority`] | an authority of the test's own that issues certificates |
//! | [`cdn`] | a CDN of the test's own that keeps answers, and purges them |
//! | [`receiver`] | a server of the test's own that takes webhooks |
//! | [`smtp`] | a mail server of the test's own |
//! | [`process`] | that nothing the harness started is left |
//! | [`proxy`] | a TCP proxy that cuts, silences, delays and throttles |
//! | [`raw_sql`] | a test's own connection to what a service has stored |
//! | [`postgres`] | a PostgreSQL server, private or given |
//! | [`port`] | a port that no other test takes |
//! | [`metrics`] | what the ops port counts |
//! | [`mod@eventually`] | waiting for something to become true, with a deadline |
//!
//! Architecture invariant: nothing here sleeps for a fixed time and hopes. Whatever is waited
//! for is looked at again and again until it is there or its deadline has passed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test that can't go on panics; that is how it fails"
)]
#![allow(clippy::print_stderr, reason = "what a failed test shows goes to its output")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests stand outside the program: they have a clock, an environment and tasks of \
              their own"
)]

pub mod authenticator;
pub mod authority;
pub mod backend;
pub mod browser;
pub mod bucket;
pub mod cdn;
pub mod checks;
pub mod cluster;
pub mod events;
pub mod eventually;
pub mod files;
pub mod forum;
mod guard;
pub mod http;
pub mod ids;
pub mod issuer;
pub mod load;
pub mod metrics;
pub mod node;
pub mod oidc;
pub mod passkey;
pub mod pictures;
pub mod port;
pub mod postgres;
pub mod probe;
pub mod process;
pub mod proxy;
pub mod raw_sql;
pub mod receiver;
pub mod redis;
pub mod scripted;
pub mod service;
pub mod session;
pub mod site_certificate;
pub mod smtp;
pub mod sockets;

pub use authenticator::Authenticator;
pub use authority::{Authority, AuthorityPlan};
pub use backend::{Backend, TestDatabase};
pub use browser::Browser;
pub use bucket::Bucket;
pub use cdn::Cdn;
pub use cluster::{Cluster, ClusterBuilder, Network, Trust};
pub use events::{Event, Events};
pub use eventually::eventually;
pub use files::FileServer;
pub use forum::Thread;
pub use http::{Answer, Client, raw};
pub use ids::new_id;
pub use load::{History, Load};
pub use metrics::Metrics;
pub use node::{Node, NodeBuilder};
pub use oidc::OidcProvider;
pub use port::Port;
pub use postgres::Postgres;
pub use probe::Probe;
pub use process::NoLeaks;
pub use proxy::Proxy;
pub use raw_sql::RawSql;
pub use receiver::{Answering, Received, Receiver};
pub use redis::Redis;
pub use scripted::Scripted;
pub use service::{Rig, RigBuilder};
pub use session::{PASSWORD, Session};
pub use site_certificate::SiteCertificate;
pub use smtp::{Mail, Smtp};
pub use sockets::{Closed, Socket};
