//! What users and operators rely on, tested from outside.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on panics")]

mod harness_self;
mod tmp_node;
