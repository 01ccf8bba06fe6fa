//! `panel-node run`.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::cli::RunArgs;
use crate::config::Config;
use crate::{Failure, node, telemetry};

/// How long work that does not end with the node may still take.
const LEFT_OVER: Duration = Duration::from_secs(2);
/// `SIGXFSZ`, the same number on every platform this runs on.
const FILE_TOO_LARGE: SignalKind = SignalKind::from_raw(25);

pub(super) fn run(args: &RunArgs) -> Result<(), Failure> {
    let config = Config::load(args)?;
    let _logging = telemetry::start(&config.log).map_err(Failure::Other)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("panel")
        .build()
        .map_err(Failure::other)?;
    let outcome = runtime.block_on(async {
        // Before anything starts, so that no signal falls into a gap.
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::other)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(Failure::other)?;
        // Heard, so that it does not end the process: a file that may not grow is a full disk by
        // another name. The write fails, and who wrote deals with it.
        let _file_too_large = signal(FILE_TOO_LARGE).map_err(Failure::other)?;
        let mut node = node::start(&config).await?;
        let drain = node.drain().clone();
        tokio::select! {
            () = drain.wished() => {}
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            why = node.root_ended() => {
                tracing::error!(why, "the root supervisor ended");
                let sentence = format!("the root supervisor ended ({why}); start the node again");
                return Err(Failure::Other(sentence));
            }
        }
        tokio::select! {
            () = node.shut_down() => Ok(()),
            _ = interrupt.recv() => Err(Failure::Other("told twice, stopped at once".into())),
            _ = terminate.recv() => Err(Failure::Other("told twice, stopped at once".into())),
        }
    });
    // What is left over does not keep the process.
    runtime.shutdown_timeout(LEFT_OVER);
    outcome
}
