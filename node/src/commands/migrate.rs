//! `panel-node migrate`: brings every service's schema up to date, and ends.

use panel_kernel::blobs;
use panel_kernel::data::Database;
use panel_kernel::metrics::Metrics;
use panel_kernel::time::Clock;

use super::{brief_runtime, say};
use crate::Failure;
use crate::cli::CommonArgs;
use crate::config::Config;

pub(super) fn migrate(args: &CommonArgs) -> Result<(), Failure> {
    let config = Config::load_common(args)?;
    crate::lock::make_private_dir(&config.node.data_dir).map_err(Failure::other)?;
    brief_runtime()?.block_on(async {
        let services = config.services.iter().map(|spec| (spec.name, spec.migrations));
        let shared = config.shared().map_err(Failure::Usage)?;
        let shared = shared.map(|_| (panel_gateway::SCHEMA, panel_gateway::migrations()));
        for (name, migrations) in services.chain(shared) {
            let location = config.location(name).map_err(Failure::Usage)?;
            let metrics = Metrics::new().map_err(Failure::other)?;
            let clock = Clock::system();
            let db = Database::new(name, &location, &config.database, "migrate", (clock, metrics))
                .map_err(Failure::Usage)?;
            db.open_once(&migrations)
                .await
                .map_err(|error| Failure::Other(format!("{name}: {error}")))?;
            say(format_args!("{name}: up to date"));
        }
        let location = config.blobs().map_err(Failure::Usage)?;
        if let Some(location) = location.filter(|location| location.database().is_some()) {
            let metrics = Metrics::new().map_err(Failure::other)?;
            blobs::migrate(&location, &config.database, (Clock::system(), metrics))
                .await
                .map_err(|error| Failure::Other(format!("blobs: {error}")))?;
            say(format_args!("blobs: up to date"));
        }
        Ok(())
    })
}
