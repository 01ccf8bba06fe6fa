//! A service's database, opened by a command: beside running nodes, or without any.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use panel_kernel::blobs::{Blobs, BlobsLocation};
use panel_kernel::data::{Database, Migrations};
use panel_kernel::metrics::Metrics;
use panel_kernel::time::Clock;

use crate::Failure;
use crate::config::Config;

/// Opens it, ready to make ids; to be given back when the command is done.
pub(super) async fn open(
    config: &Config,
    service: &'static str,
    migrations: &Migrations,
) -> Result<Database, Failure> {
    let location = config.location(service).map_err(Failure::Usage)?;
    let about = (Clock::system(), metrics()?);
    let db = Database::new(service, &location, &config.database, "admin", about)
        .map_err(Failure::Usage)?;
    db.open_once(migrations)
        .await
        .map_err(|error| Failure::Other(format!("the database can't be opened: {error}")))?;
    db.supply().await.map_err(|error| Failure::Other(format!("no id can be made: {error}")))?;
    Ok(db)
}

/// Opens the store of files.
pub(super) async fn blobs(config: &Config) -> Result<Blobs, Failure> {
    let Some(location) = config.blobs().map_err(Failure::Usage)? else {
        return Err(Failure::Usage("it is not said where files are (blobs.url)".to_owned()));
    };
    if let BlobsLocation::Directory(path) = &location {
        owned(path)?;
    }
    let about = (Clock::system(), metrics()?);
    let opened = Blobs::open_once(location, &config.database, about).await;
    opened.map_err(|error| Failure::Other(format!("the store of files can't be opened: {error}")))
}

/// What this makes in a directory must be the node's as well: else that could neither use nor remove it.
fn owned(folder: &Path) -> Result<(), Failure> {
    let owner = |path: &Path| path.metadata().map(|about| about.uid()).ok();
    match (owner(folder), owner(Path::new("/proc/self"))) {
        (Some(owner), Some(own)) if owner != own => Err(Failure::Usage(format!(
            "{} belongs to another user (uid {owner}): run this as that user",
            folder.display()
        ))),
        _ => Ok(()),
    }
}

/// What nobody reads.
pub(super) fn metrics() -> Result<Metrics, Failure> {
    Metrics::new().map_err(Failure::other)
}
