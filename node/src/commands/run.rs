//! `panel-node run`.

use std::time::Duration;

use rustix::process::{Resource, Rlimit};
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
    raise_open_files();
    let outcome = runtime.block_on(async {
        // Before anything starts, so that no signal falls into a gap.
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::other)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(Failure::other)?;
        // Heard, so that it does not end the process: a file that may not grow is a full disk by
        // another name. The write fails, and who wrote deals with it.
        let _file_too_large = signal(FILE_TOO_LARGE).map_err(Failure::other)?;
        let mut node = node::start(&config).await?;
        let drain = node.drain().clone();
        let mut signals = 0;
        tokio::select! {
            () = drain.wished() => {}
            _ = interrupt.recv() => signals += 1,
            _ = terminate.recv() => signals += 1,
            why = node.root_ended() => {
                tracing::error!(why, "the root supervisor ended");
                let sentence = format!("the root supervisor ended ({why}); start the node again");
                return Err(Failure::Other(sentence));
            }
        }
        let stopping = node.shut_down();
        tokio::pin!(stopping);
        loop {
            // The first signal to a node that drains already asks for nothing more.
            tokio::select! {
                () = &mut stopping => return Ok(()),
                _ = interrupt.recv() => signals += 1,
                _ = terminate.recv() => signals += 1,
            }
            if signals > 1 {
                return Err(Failure::Other("told twice, stopped at once".into()));
            }
        }
    });
    // What is left over does not keep the process.
    runtime.shutdown_timeout(LEFT_OVER);
    outcome
}

/// As many open files as the system lets this process have: each connection is one.
fn raise_open_files() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = rustix::process::setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}
