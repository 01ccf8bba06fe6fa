//! What every service of Panel stands on. The kernel knows no service's noun: no user
//! table, no thread, no article.
//!
//! | room | what it owns |
//! |---|---|
//! | [`message`] | the frozen envelope and reply that travel between gateway and services |
//! | [`supervision`] | child specifications, restart strategies, backoff, the live tree |
//! | [`service`] | the machinery behind a service's mailbox: front door, worker pool, tree |
//! | [`directory`] | who serves what: the table of front doors that callers read |
//! | [`data`] | the database handle, transactions, exactly-once writes, leases |
//! | [`events`] | outbox, relay and inbox: facts between services |
//! | [`blobs`] | content that is too large for a row or a message |
//! | [`redis`] | the optional memory that nodes share |
//! | [`faults`] | places where tests make the program fail |
//! | [`blocking`] | work that holds a processor for long, off the async threads |
//! | [`certificates`] | certificates in files, and their renewal |
//! | [`http`] | what routes share: extractors, problems, pages, ETags |
//! | [`network`] | networks and addresses, and which of them are everybody's |
//! | [`partial_file`] | files that are there when they are whole |
//! | [`outbound`] | HTTP to others' servers, with its bounds |
//! | [`personal`] | what services have of one person, for that person |
//! | [`purge`] | what writes make old of the answers that gateways keep |
//! | [`push`] | what services push to readers who keep a stream open |
//! | [`access`] | what routes need of who asks, declared and checked in one place |
//!
//! Architecture invariant: nothing in here performs I/O at import, reads the environment,
//! or asks the operating system for time outside [`time`]; secrets come from [`ids::random_bytes`].

pub mod access;
pub mod blobs;
pub mod blocking;
pub mod certificates;
pub mod config;
pub mod cursor;
pub mod data;
pub mod deprecation;
pub mod directory;
pub mod events;
pub mod faults;
pub mod http;
pub mod identity;
pub mod ids;
pub mod keys;
pub mod local_file;
pub mod message;
pub mod metrics;
pub mod names;
pub mod network;
mod openapi;
pub mod outbound;
pub mod partial_file;
pub mod personal;
pub mod problem;
pub mod purge;
pub mod push;
pub mod redis;
pub mod role;
pub mod secret;
pub mod service;
pub mod supervision;
pub mod time;
