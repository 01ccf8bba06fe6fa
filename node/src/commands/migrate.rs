//! `panel-node migrate`: brings every service's schema up to date, and ends.

use panel_kernel::blobs::{self, BlobsLocation};
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
        for spec in &config.services {
            let location = config.location(spec.name).map_err(Failure::Usage)?;
            let metrics = Metrics::new().map_err(Failure::other)?;
            let clock = Clock::system();
            let db =
                Database::new(spec.name, &location, &config.database, "migrate", (clock, metrics))
                    .map_err(Failure::Usage)?;
            db.open_once(&spec.migrations)
                .await
                .map_err(|error| Failure::Other(format!("{}: {error}", spec.name)))?;
            say(format_args!("{}: up to date", spec.name));
        }
        if let Some(location @ BlobsLocation::Database(_)) =
            config.blobs().map_err(Failure::Usage)?
        {
            let metrics = Metrics::new().map_err(Failure::other)?;
            blobs::migrate(location, &config.database, (Clock::system(), metrics))
                .await
                .map_err(|error| Failure::Other(format!("blobs: {error}")))?;
            say(format_args!("blobs: up to date"));
        }
        Ok(())
    })
}
