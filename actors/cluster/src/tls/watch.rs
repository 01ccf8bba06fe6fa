//! Looks whether the certificate's files were replaced, and says what an operator must know.

use std::time::Duration;

use panel_kernel::blocking::BlockingPool;
use panel_kernel::service::Runtime;
use panel_kernel::supervision::ChildSpec;
use panel_kernel::time::Timestamp;
use prometheus::{IntGauge, Opts};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;

use super::{Credentials, NodeCertificate, TlsError};

const LOOK: Duration = Duration::from_secs(2);
/// With less than this left, somebody must renew.
const SOON: Duration = Duration::from_secs(14 * 24 * 3_600);

/// The watch as a child of the cluster's supervisor, with its metric. To be made once per node.
///
/// # Errors
/// If the metric is registered already.
pub fn certificate_watch(
    runtime: &Runtime,
    credentials: &Credentials,
) -> prometheus::Result<ChildSpec> {
    let expires = runtime.metrics.register(IntGauge::with_opts(Opts::new(
        "panel_cluster_certificate_expires_seconds",
        "When the node's certificate expires, in seconds since the Unix epoch.",
    ))?)?;
    let watch = CertificateWatch {
        runtime: runtime.clone(),
        credentials: credentials.clone(),
        files: BlockingPool::new(1, 1),
        expires,
    };
    Ok(ChildSpec::new("certificates", move || (watch.clone(), ())))
}

/// What the watch is told.
#[derive(Debug, RactorMessage)]
pub enum CertificateWatchMessage {
    /// Look at the files. A tick.
    Look,
}

/// Reloads the credentials when their files change. If it fails, what is loaded stays in force
/// until it is restarted.
#[derive(Clone, Debug)]
pub struct CertificateWatch {
    runtime: Runtime,
    credentials: Credentials,
    /// A directory that hangs holds up the watch and nobody else.
    files: BlockingPool,
    expires: IntGauge,
}

impl Actor for CertificateWatch {
    type Msg = CertificateWatchMessage;
    type State = Told;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<CertificateWatchMessage>,
        (): (),
    ) -> Result<Told, ActorProcessingErr> {
        myself.send_message(CertificateWatchMessage::Look)?;
        Ok(Told::default())
    }

    async fn handle(
        &self,
        myself: ActorRef<CertificateWatchMessage>,
        CertificateWatchMessage::Look: CertificateWatchMessage,
        told: &mut Told,
    ) -> Result<(), ActorProcessingErr> {
        // Refused only where a look from before a restart still hangs: the next may go.
        if let Ok(place) = self.files.enter() {
            let credentials = self.credentials.clone();
            let reloaded = place.run(move || credentials.reload()).await?;
            let own = self.credentials.own();
            self.expires.set(own.not_after.as_seconds());
            for remark in told.look(reloaded, &own, self.runtime.clock.now()) {
                remark.log(&own);
            }
        }
        drop(myself.send_after(LOOK, || CertificateWatchMessage::Look));
        Ok(())
    }
}

/// What was said already, so that nothing is said twice.
#[derive(Debug, Default)]
pub struct Told {
    /// What went wrong at the last look, and whether it was said.
    failure: Option<(TlsError, bool)>,
    /// The certificate whose end was spoken of, and how.
    end: Option<(String, Remark)>,
}

/// Something to say.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Remark {
    Renewed,
    Failed(TlsError),
    EndsSoon,
    Ended,
}

impl Told {
    /// What is to be said after a look.
    fn look(
        &mut self,
        reloaded: Result<bool, TlsError>,
        own: &NodeCertificate,
        now: Timestamp,
    ) -> Vec<Remark> {
        let mut remarks = Vec::new();
        match reloaded {
            Ok(renewed) => {
                self.failure = None;
                remarks.extend(renewed.then_some(Remark::Renewed));
            }
            // Files that are being copied are wrong for a moment; those that are still wrong at
            // the next look are worth a word.
            Err(error) => match &mut self.failure {
                Some((known, said)) if *known == error => {
                    if !std::mem::replace(said, true) {
                        remarks.push(Remark::Failed(error));
                    }
                }
                failure => *failure = Some((error, false)),
            },
        }
        let left = now.until(own.not_after);
        let end = match left {
            Duration::ZERO => Some(Remark::Ended),
            left if left < SOON => Some(Remark::EndsSoon),
            _ => None,
        };
        if let Some(end) = end {
            let said = Some((own.serial.clone(), end.clone()));
            if self.end != said {
                self.end = said;
                remarks.push(end);
            }
        }
        remarks
    }
}

impl Remark {
    fn log(&self, own: &NodeCertificate) {
        let (name, not_after) = (&own.name, own.not_after);
        match self {
            Self::Renewed => {
                let serial = &own.serial;
                tracing::info!(name, %not_after, serial, "the node's certificate was renewed");
            }
            Self::Failed(error) => {
                tracing::error!(%error, %not_after, "new certificates can't be used, the old ones stay");
            }
            Self::EndsSoon => {
                tracing::warn!(name, %not_after, "the node's certificate must be renewed soon");
            }
            Self::Ended => {
                tracing::error!(name, %not_after, "the node's certificate has expired");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3_600);

    fn certificate(serial: &str, not_after: Timestamp) -> NodeCertificate {
        NodeCertificate {
            name: "n1".into(),
            roles: std::iter::once("forum".to_owned()).collect(),
            not_before: Timestamp::from_seconds(0),
            not_after,
            serial: serial.into(),
        }
    }

    #[test]
    fn a_failure_is_said_once_when_it_stays() {
        let now = Timestamp::from_seconds(1_790_000_000);
        let own = certificate("01", now.plus(DAY * 100));
        let mut told = Told::default();
        let wrong = |why: &str| Err(TlsError::Request(why.into()));
        let mut look = |outcome| told.look(outcome, &own, now);
        assert_eq!(look(wrong("a")), [], "it may be on its way");
        assert_eq!(look(wrong("a")), [Remark::Failed(TlsError::Request("a".into()))]);
        assert_eq!(look(wrong("a")), []);
        assert_eq!(look(wrong("b")), []);
        assert_eq!(look(wrong("b")), [Remark::Failed(TlsError::Request("b".into()))]);
        assert_eq!(look(Ok(true)), [Remark::Renewed]);
        assert_eq!(look(Ok(false)), []);
        assert_eq!(look(wrong("b")), []);
        assert_eq!(look(wrong("b")).len(), 1, "it came back");
    }

    #[test]
    fn the_end_is_spoken_of_once_before_and_once_after() {
        let end = Timestamp::from_seconds(1_790_000_000);
        let old = certificate("01", end);
        let mut told = Told::default();
        let mut look = |own: &NodeCertificate, now| told.look(Ok(false), own, now);
        assert_eq!(look(&old, end.minus(DAY * 15)), []);
        assert_eq!(look(&old, end.minus(DAY * 13)), [Remark::EndsSoon]);
        assert_eq!(look(&old, end.minus(DAY * 12)), []);
        assert_eq!(look(&old, end.plus(DAY)), [Remark::Ended]);
        assert_eq!(look(&old, end.plus(DAY)), []);
        let new = certificate("02", end.plus(DAY * 10));
        assert_eq!(look(&new, end.plus(DAY)), [Remark::EndsSoon], "of each certificate");
    }
}
