//! Measures the built `panel-node` over loopback and, in the same run and against the same
//! data, the same handlers behind a bare axum server without actors. Prints a table of
//! ratios.
//!
//! `panel-bench run ROUNDS NODE_BINARY [sqlite] [postgres] [instructions] [edge] [links] [accounts] [articles] [wordpress] [pictures] [streams] [purges] [large]` measures;
//! `panel-bench bare …` and `panel-bench constant …` are the comparison programs, started by the former.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark that fails says so and ends"
)]
#![allow(clippy::print_stdout, reason = "its output is the report")]
#![allow(clippy::disallowed_methods, reason = "a program of its own, outside the actor tree")]

mod accounts;
mod articles;
mod bare;
mod edge;
mod instructions;
mod large;
mod links;
mod load;
mod pictures;
mod purges;
mod report;
mod scenario;
mod seed;
mod streams;
mod tokens;
mod wordpress;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["run", rounds, node, backends @ ..] => {
            let rounds = rounds.parse().unwrap();
            runtime.block_on(scenario::run(node, rounds, backends));
            if backends.is_empty() || backends.contains(&"instructions") {
                runtime.block_on(instructions::run(node));
            }
            if backends.is_empty() || backends.contains(&"edge") {
                runtime.block_on(edge::run(node, rounds));
            }
            if backends.is_empty() || backends.contains(&"links") {
                runtime.block_on(links::run(rounds));
            }
            if backends.is_empty() || backends.contains(&"accounts") {
                runtime.block_on(accounts::run(rounds));
                tokens::run();
            }
            if backends.is_empty() || backends.contains(&"articles") {
                runtime.block_on(articles::run(node, rounds));
            }
            if backends.is_empty() || backends.contains(&"wordpress") {
                runtime.block_on(wordpress::run(node, rounds));
            }
            if backends.is_empty() || backends.contains(&"pictures") {
                runtime.block_on(pictures::run(rounds));
            }
            if backends.is_empty() || backends.contains(&"streams") {
                runtime.block_on(streams::run());
            }
            if backends.is_empty() || backends.contains(&"purges") {
                runtime.block_on(purges::run());
            }
            if backends.is_empty() || backends.contains(&"large") {
                runtime.block_on(large::run(node));
            }
            ExitCode::SUCCESS
        }
        ["constant", file] => {
            runtime.block_on(edge::constant(file));
            ExitCode::SUCCESS
        }
        ["bare", service, database, data_dir] => {
            runtime.block_on(bare::serve(service, database, data_dir));
            ExitCode::SUCCESS
        }
        _ => {
            println!(
                "usage: panel-bench run ROUNDS NODE_BINARY [sqlite] [postgres] [instructions] [edge] [links] [accounts] [articles] [wordpress] [pictures] [streams] [purges] [large]"
            );
            ExitCode::from(2)
        }
    }
}
