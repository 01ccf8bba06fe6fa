//! The command line of `panel-node certs`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::CommonArgs;

/// Certificates.
#[derive(Debug, Subcommand)]
pub(crate) enum CertsCommand {
    /// Make the cluster's certificate authority, and the cluster key if there is none yet.
    ///
    /// They are written to ca/ and keys/ in the data directory. Done once per cluster, on the
    /// machine that certificates are issued on.
    Init(AuthorityArgs),
    /// Make or renew the certificate of a node.
    ///
    /// The directory gets node.pem, node.key, ca.pem and cluster.key: all that the node needs, to
    /// be copied there in secret. A node that runs takes a renewed certificate by itself.
    Issue(IssueArgs),
    /// Have another certificate issued for the site, before it is due.
    ///
    /// Of the authority in gateway.tls.acme. Gateways that run notice within seconds and ask for it, also where it was to
    /// be tried again later; the certificate in force stays until there is another.
    Renew(CommonArgs),
}

/// Where the authority is.
#[derive(Clone, Debug, Args)]
pub(crate) struct AuthorityArgs {
    /// The configuration file [default: cluster.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where the authority and the cluster key are kept [default: ./data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// The certificate to make.
#[derive(Clone, Debug, Args)]
pub(crate) struct IssueArgs {
    #[command(flatten)]
    pub(crate) authority: AuthorityArgs,
    /// The node's name
    #[arg(long)]
    pub(crate) name: String,
    /// What the node may do: gateway, auth, forum, cms, admin
    #[arg(long, value_name = "ROLE,…", value_delimiter = ',', required = true)]
    pub(crate) roles: Vec<String>,
    /// The directory to make or renew
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// How long it is good
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3_650))]
    pub(crate) days: u32,
}
