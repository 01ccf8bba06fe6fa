//! `panel-node keys rotate`: works beside running nodes, and without any.

use std::path::Path;

use panel_auth::Retired;

use super::{accounts, brief_runtime, say};
use crate::cli::RotateArgs;
use crate::config::Config;
use crate::{Failure, node};

pub(super) fn rotate(args: &RotateArgs) -> Result<(), Failure> {
    let config = Config::load_common(&args.common)?;
    let tls_dir = args.tls_dir.as_deref().unwrap_or(&config.cluster.tls_dir);
    let tls_dir = Some(tls_dir).filter(|dir: &&Path| !dir.as_os_str().is_empty());
    let own = config.node.data_dir.join("keys/cluster.key");
    if tls_dir.is_none() && !own.exists() {
        // Not to be made here, as a node does at its first start.
        let hint = "name the --data-dir of a node, or the --tls-dir";
        return Err(Failure::Other(format!("{} is not there; {hint}", own.display())));
    }
    let key = node::cluster_key(&config.node.data_dir, tls_dir)?;
    let retired = if args.revoke { Retired::Revoked } else { Retired::Verifying };
    let rotation = brief_runtime()?.block_on(async {
        let db = accounts::open(&config).await?;
        let rotated = panel_auth::rotate_signing_key(&db, &key, retired).await;
        db.give_back().await;
        rotated.map_err(|problem| Failure::Other(problem.detail))
    })?;
    let (kid, from) = (rotation.kid, rotation.signs_from);
    say(match retired {
        Retired::Verifying => format!(
            "The key {kid} signs access tokens from {from} on. What older keys have signed is \
             good until it ends."
        ),
        Retired::Revoked => format!(
            "The key {kid} signs access tokens from now on. What older keys have signed is good \
             no more: everybody's next request is refused until their token is refreshed."
        ),
    });
    Ok(())
}
