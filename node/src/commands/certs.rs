//! `panel-node certs init` and `certs issue`, which need no node and no database, and `certs renew`, which works beside
//! running nodes.

use std::path::PathBuf;

use panel_cluster::tls::{Authority, TlsError, Validity};
use panel_kernel::time::{Clock, Timestamp};

use super::{brief_runtime, database, say};
use crate::cli::{AuthorityArgs, CommonArgs, IssueArgs};
use crate::config::{Config, check_node_name, check_role};
use crate::{Failure, node};

pub(super) fn init(args: &AuthorityArgs) -> Result<(), Failure> {
    let data_dir = data_dir(args)?;
    crate::lock::make_private_dir(&data_dir).map_err(|error| {
        Failure::Other(format!("{} can't be used: {error}", data_dir.display()))
    })?;
    let ca = data_dir.join("ca");
    let authority = Authority::create(Clock::system().now()).map_err(failure)?;
    authority.save(&ca).map_err(failure)?;
    if let Err(error) = node::cluster_key(&data_dir, None) {
        // Both or none, so that it can be tried again.
        drop(std::fs::remove_dir_all(&ca));
        return Err(error);
    }
    say(format_args!(
        "{} is the authority of this cluster until {}. Keep the directory as you keep passwords.",
        ca.display(),
        day(authority.not_after())
    ));
    Ok(())
}

pub(super) fn issue(args: &IssueArgs) -> Result<(), Failure> {
    check_node_name(&args.name).map_err(|why| Failure::Usage(format!("--name: {why}")))?;
    for role in &args.roles {
        check_role(role).map_err(|why| Failure::Usage(format!("--roles: {why}")))?;
    }
    let data_dir = data_dir(&args.authority)?;
    let ca = data_dir.join("ca");
    if !ca.exists() {
        return Err(Failure::Other(format!(
            "{} is not there: make an authority with panel-node certs init, or say with \
             --data-dir where it is",
            ca.display()
        )));
    }
    let authority = Authority::load(&ca).map_err(failure)?;
    let roles = args.roles.iter().cloned().collect();
    let validity = Validity::days(Clock::system().now(), args.days);
    let issued = authority.issue(&args.name, &roles, validity).map_err(failure)?;
    issued.write(&args.out, &data_dir.join("keys").join("cluster.key")).map_err(failure)?;
    let roles: Vec<&str> = issued.certificate().roles.iter().map(String::as_str).collect();
    say(format_args!(
        "{} is for {} ({}) until {}. Its two keys are secret.",
        args.out.display(),
        args.name,
        roles.join(", "),
        day(issued.certificate().not_after)
    ));
    Ok(())
}

pub(super) fn renew(args: &CommonArgs) -> Result<(), Failure> {
    let config = Config::load_common(args)?;
    let acme = &config.gateway.tls.acme;
    if config.shared().map_err(Failure::Usage)?.is_none() {
        let why = "no certificate is issued here: there is no gateway.tls.acme.directory";
        return Err(Failure::Usage(why.to_owned()));
    }
    brief_runtime()?.block_on(async {
        let db =
            database::open(&config, panel_gateway::SCHEMA, &panel_gateway::migrations()).await?;
        let wanted = panel_gateway::renew(&db, acme, &config.node.public_url).await;
        db.give_back().await;
        wanted.map_err(Failure::Other)
    })?;
    say(
        "Another certificate is asked for, as soon as a gateway notices; `panel-node status` and the log say more.",
    );
    Ok(())
}

fn data_dir(args: &AuthorityArgs) -> Result<PathBuf, Failure> {
    let common = CommonArgs {
        config: args.config.clone(),
        data_dir: args.data_dir.clone(),
        ..CommonArgs::default()
    };
    Ok(Config::load_common(&common)?.node.data_dir)
}

fn failure(error: TlsError) -> Failure {
    match error {
        TlsError::Request(why) => Failure::Usage(why),
        other => Failure::other(other),
    }
}

/// The date, in UTC.
fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}
