//! `panel-node run`.

use tokio::signal::unix::{SignalKind, signal};

use crate::cli::RunArgs;
use crate::config::Config;
use crate::{Failure, node, telemetry};

pub(super) fn run(args: &RunArgs) -> Result<(), Failure> {
    let config = Config::load(args)?;
    let _logging = telemetry::start(&config.log).map_err(Failure::Other)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("panel")
        .build()
        .map_err(Failure::other)?;
    runtime.block_on(async {
        // Before anything starts, so that no signal falls into a gap.
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::other)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(Failure::other)?;
        let node = node::start(&config).await?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tokio::select! {
            () = node.shut_down() => Ok(()),
            _ = interrupt.recv() => Err(Failure::Other("told twice, stopped at once".into())),
            _ = terminate.recv() => Err(Failure::Other("told twice, stopped at once".into())),
        }
    })
}
