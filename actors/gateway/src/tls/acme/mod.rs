//! The site's certificate from an authority that issues it by itself (ACME, RFC 8555): Let's Encrypt or another.
//!
//! ```text
//! gateway/acme          one for one
//! ├── certificate       takes what any gateway was issued
//! └── issuer            has it issued when it is due: on one gateway at a time
//! ```
//!
//! Gateways share ([`commons`](crate::commons)): the account at the authority and the
//! certificate, their keys sealed under the cluster's; what went wrong, and when to try again, so that a node
//! that is started again and again asks no more often; and what the authority wants to see of a host
//! ([`answers`]), so that any gateway shows it, whichever asked for it.
//!
//! The issuer holds a lease while it speaks with the authority ([`order`]); what it was issued is kept only if
//! it holds it still. A certificate is due at two thirds of its life, which for ninety days leaves a month to
//! try in.
//!
//! Failure: a certificate that is in force stays so, whatever fails. A node that starts while the database is
//! down uses the copy it has kept for itself ([`copy`]). Without either nobody can shake hands until there is
//! one, and health says so.

mod account;
mod answers;
mod config;
mod copy;
mod issuer;
mod order;
mod store;

use std::sync::Arc;
use std::time::Duration;

use instant_acme::ChallengeType;
use panel_kernel::blocking::BlockingPool;
use panel_kernel::data::{Database, DbError, Upkeep};
use panel_kernel::keys::SealingKey;
use panel_kernel::metrics::Metrics;
use panel_kernel::outbound::Outbound;
use panel_kernel::service::Runtime;
use panel_kernel::supervision::{ChildSpec, SupervisorSpec};
use panel_kernel::time::{Clock, Timestamp};
use parking_lot::Mutex;
use prometheus::{IntCounterVec, Opts};
use zeroize::Zeroizing;

pub(crate) use answers::{ACME_TLS, Answers};
pub use config::{AcmeConfig, ChallengeChoice};
use copy::LocalCopy;
pub(crate) use store::EXPIRIES;
use store::{Failures, Stored, Which};

use super::SiteCertificate;
use crate::commons::Commons;

/// Requests to the authority at one time. They come one after the other.
const REQUESTS: usize = 2;
/// How long the authority may take for one.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at what any gateway was issued.
const LOOK: Duration = Duration::from_secs(2);
/// The same as long as there is none.
const FIRST_LOOK: Duration = Duration::from_millis(250);

/// What has the site's certificate issued. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Acme(Arc<Inner>);

struct Inner {
    config: AcmeConfig,
    hosts: Vec<String>,
    which: Which,
    /// How it can be shown that the hosts are the site's.
    challenges: Vec<ChallengeType>,
    clock: Clock,
    upkeep: Upkeep,
    seal: SealingKey,
    site: SiteCertificate,
    copy: Option<LocalCopy>,
    /// A disk that hangs holds up nobody else.
    copying: BlockingPool,
    answers: Answers,
    outbound: Outbound,
    orders: IntCounterVec,
    known: Mutex<Known>,
}

/// What was found at the last look.
#[derive(Clone, Debug, Default)]
struct Known {
    has_looked: bool,
    /// When the certificate in force was issued.
    issued_at: Option<Timestamp>,
    /// Somebody has asked for another.
    is_wanted: bool,
    failures: Failures,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("which", &self.which).finish_non_exhaustive()
    }
}

impl Acme {
    /// For the site of this node, with what gateways share.
    ///
    /// Reads this node's own copy of the certificate, if there is one.
    ///
    /// # Errors
    /// In words, for what can't be used.
    pub(crate) fn new(
        (config, has_port_80): (&AcmeConfig, bool),
        commons: &Commons,
        runtime: &Runtime,
    ) -> Result<Self, String> {
        let hosts = config.hosts(&runtime.public_url)?;
        let which = Which { directory: config.directory_url().to_owned(), names: hosts.join(" ") };
        let (upkeep, clock) = (commons.upkeep.clone(), runtime.clock.clone());
        let db = upkeep.db.clone();
        let outbound = Outbound::new(&config.ca_file, REQUESTS)
            .map_err(|why| format!("the authority's own: {why}"))?;
        let acme = Self(Arc::new(Inner {
            challenges: challenges(config.challenge, has_port_80),
            config: config.clone(),
            hosts,
            which,
            clock,
            upkeep,
            seal: runtime.key.derive("acme"),
            site: SiteCertificate::to_be_issued()?,
            // SQLite is there whenever the node is.
            copy: db.is_postgres().then(|| LocalCopy::of(&runtime.data_dir)),
            copying: BlockingPool::new(1, 1),
            answers: Answers::new(db),
            outbound: outbound.patient(PATIENCE),
            orders: orders(&runtime.metrics).map_err(|error| error.to_string())?,
            known: Mutex::default(),
        }));
        acme.use_copy();
        Ok(acme)
    }

    /// The certificate, as soon as there is one.
    pub(crate) fn site(&self) -> &SiteCertificate {
        &self.0.site
    }

    /// What is shown to the authority.
    pub(crate) fn answers(&self) -> &Answers {
        &self.0.answers
    }

    /// Its tree.
    pub(crate) fn child(&self, runtime: &Runtime) -> ChildSpec {
        let (followed, issued) = (self.clone(), self.clone());
        SupervisorSpec::new("gateway/acme", &runtime.tree)
            .child(ChildSpec::task("certificate", move || followed.clone().follow()))
            .child(ChildSpec::task("issuer", move || issuer::run(issued.clone())))
            .into_child("acme")
    }

    /// Takes what any gateway was issued, for as long as this one lives.
    async fn follow(self) -> Result<(), String> {
        loop {
            match self.look().await {
                Ok(()) => {}
                // The keeper reports an outage.
                Err(error) if error.is_outage() => {}
                Err(error) => tracing::warn!(%error, "the site's certificate can't be looked for"),
            }
            let has_one = self.0.site.validity().is_some();
            tokio::time::sleep(if has_one { LOOK } else { FIRST_LOOK }).await;
        }
    }

    /// Looks what any gateway was issued, and what went wrong.
    async fn look(&self) -> Result<(), DbError> {
        let mut conn = self.0.upkeep.db.reader().await?;
        let standing = store::standing(&mut conn, &self.0.which).await?;
        let known = self.0.known.lock().issued_at;
        if standing.issued_at.is_some() && standing.issued_at != known {
            let stored = store::certificate(&mut conn, &self.0.which).await?;
            drop(conn);
            if let Some(stored) = stored
                && let Err(why) = self.take(&stored).await
            {
                tracing::error!(why, "the certificate that was issued can't be used");
            }
        }
        let mut known = self.0.known.lock();
        known.has_looked = true;
        known.is_wanted = standing.is_wanted;
        known.failures = standing.failures;
        Ok(())
    }

    /// Puts what was issued in force. It is not looked at again, also where it can't be used.
    async fn take(&self, stored: &Stored) -> Result<(), String> {
        let Inner { site, known, copy, .. } = &*self.0;
        known.lock().issued_at = Some(stored.issued_at);
        let key = self.open(stored)?;
        site.install(&stored.chain, &key)?;
        // Refused only where the copy before it is still being written: the next start will do without.
        if let (Some(copy), Ok(place)) = (copy.clone(), self.0.copying.enter()) {
            let (which, stored) = (self.0.which.clone(), stored.clone());
            let written = place.run(move || copy.write(&which, &stored)).await;
            if let Ok(Err(error)) = written {
                tracing::warn!(%error, "no copy of the site's certificate was kept");
            }
        }
        Ok(())
    }

    /// Uses this node's own copy until the database says otherwise.
    fn use_copy(&self) {
        let Inner { copy, which, site, .. } = &*self.0;
        let Some(stored) = copy.as_ref().and_then(|copy| copy.read(which)) else { return };
        let used = self.open(&stored).and_then(|key| site.install(&stored.chain, &key));
        if let Err(why) = used {
            tracing::warn!(why, "this node's copy of the site's certificate can't be used");
        }
    }

    /// The key of a certificate that is kept.
    fn open(&self, stored: &Stored) -> Result<Zeroizing<String>, String> {
        let opened = self.0.seal.open(&self.context(), &stored.sealed_key);
        let key = opened.map_err(|error| error.to_string())?;
        let key = std::str::from_utf8(&key).map_err(|error| error.to_string())?;
        Ok(Zeroizing::new(key.to_owned()))
    }

    /// What a sealed key belongs to.
    fn context(&self) -> Vec<u8> {
        format!("certificate {} {}", self.0.which.directory, self.0.which.names).into_bytes()
    }
}

fn challenges(choice: ChallengeChoice, has_port_80: bool) -> Vec<ChallengeType> {
    match choice {
        ChallengeChoice::Http01 => vec![ChallengeType::Http01],
        ChallengeChoice::Any if has_port_80 => {
            vec![ChallengeType::Http01, ChallengeType::TlsAlpn01]
        }
        ChallengeChoice::TlsAlpn01 | ChallengeChoice::Any => vec![ChallengeType::TlsAlpn01],
    }
}

fn orders(metrics: &Metrics) -> prometheus::Result<IntCounterVec> {
    let help = "Certificates that were asked for, by what became of that.";
    let options = Opts::new("panel_gateway_acme_orders_total", help);
    metrics.register(IntCounterVec::new(options, &["result"])?)
}

/// Has another certificate asked for, at once and whatever went wrong; gateways notice within seconds.
///
/// # Errors
/// In words: what is wrong with the configuration, or with the database.
pub async fn renew(db: &Database, config: &AcmeConfig, public_url: &str) -> Result<(), String> {
    let which = which(config, &config.hosts(public_url)?);
    let wanted = db.transact(move |tx| Box::pin(async move { store::want(tx, &which).await }));
    wanted.await.map_err(|error: DbError| error.to_string())
}

fn which(config: &AcmeConfig, hosts: &[String]) -> Which {
    Which { directory: config.directory_url().to_owned(), names: hosts.join(" ") }
}
