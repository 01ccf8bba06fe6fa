//! `panel-node drain NAME`: lets a running node finish what it has, and waits for its end.

use super::say;
use crate::Failure;
use crate::cli::DrainArgs;
use crate::config::Config;
use crate::control::client::{self, Connection};
use crate::control::protocol::Request;
use crate::lock::RunFile;

pub(super) fn drain(args: &DrainArgs) -> Result<(), Failure> {
    let config = Config::load_common(&args.common)?;
    let data_dir = &config.node.data_dir;
    if RunFile::all(data_dir).iter().any(|(name, _)| *name == args.name) {
        let mut node = client::connect(data_dir, Some(&args.name))?;
        ask(&mut node, &Request::Drain { node: None })?;
        node.wait_for_end()?;
        say(format_args!("{} has ended.", args.name));
    } else {
        // Whichever node runs here may know the one that is meant.
        let mut node = client::connect(data_dir, None)?;
        ask(&mut node, &Request::Drain { node: Some(args.name.clone()) })?;
        say(format_args!("{} has left the cluster.", args.name));
    }
    Ok(())
}

/// Asks, and says what is left whenever that has changed.
fn ask(node: &mut Connection, request: &Request) -> Result<(), Failure> {
    let mut said = None;
    node.ask(request, |left| {
        let now = (left["requests"].as_u64(), left["connections"].as_u64());
        if said != Some(now) {
            said = Some(now);
            let (requests, connections) = (now.0.unwrap_or(0), now.1.unwrap_or(0));
            say(format_args!("requests left: {requests}, connections left: {connections}"));
        }
    })?;
    Ok(())
}
