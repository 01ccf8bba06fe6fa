//! What users and operators rely on, tested from outside.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on panics")]
#![allow(clippy::disallowed_methods, reason = "tests stand outside the actor tree")]

mod access;
mod architecture;
mod auth;
mod breaches;
mod certificates;
mod configuration;
mod contention;
mod contract;
mod control;
mod credentials;
mod data;
mod deaths;
mod dependencies;
mod devices;
mod drain;
mod edge;
mod edge_cache;
mod edge_clients;
mod erasure;
mod exactly_once;
mod factor_writes;
mod factors;
mod facts;
mod fault_points;
#[path = "../faults/mod.rs"]
mod faults;
mod federation;
mod forum;
mod generators;
mod guestbook;
mod harness_checks;
mod harness_load;
mod harness_processes;
mod harness_proxy;
mod harness_self;
mod health;
mod insiders;
mod invitations;
mod keys;
mod kills;
mod limits;
mod logs;
mod long_posts;
mod mail;
mod mail_to_strangers;
mod node_life;
mod outage;
mod outbox;
mod overtaken;
mod passkeys;
mod plans;
mod readme;
mod redis;
mod redis_server;
mod retry;
mod sanctions;
mod secrets;
mod sessions;
mod supervision;
mod telling;
mod throttle;
mod unknown_outcome;
