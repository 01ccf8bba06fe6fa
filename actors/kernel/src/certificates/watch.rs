//! Looks whether a certificate's files were replaced, and says what an operator must know.

use std::fmt::Debug;
use std::time::Duration;

use prometheus::{IntGauge, Opts};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;

use crate::blocking::BlockingPool;
use crate::metrics::Metrics;
use crate::supervision::ChildSpec;
use crate::time::{Clock, Timestamp};

const LOOK: Duration = Duration::from_secs(2);
/// With less than this left, somebody must renew.
const SOON: Duration = Duration::from_secs(14 * 24 * 3_600);

/// What is watched: a certificate that can be read again. Clones see each reload.
pub trait Certified: Clone + Debug + Send + Sync + 'static {
    /// Why it can't be read, or not used.
    type Error: std::error::Error + Clone + PartialEq + Send + Sync + 'static;

    /// Reads the files again; true if they changed. Blocks.
    ///
    /// # Errors
    /// If they can't be used: what was loaded before stays in force.
    fn reload(&self) -> Result<bool, Self::Error>;

    /// The one in force, if there is one yet.
    fn current(&self) -> Option<Current>;
}

/// What the watch is told.
#[derive(Debug, RactorMessage)]
pub enum WatchMessage {
    /// Look at the files. A tick.
    Look,
}

/// Reloads a certificate when its files change. If it fails, what is loaded stays in force until it is
/// restarted.
#[derive(Clone, Debug)]
pub struct Watch<C> {
    /// Whose it is, in what is said: "the node's".
    whose: &'static str,
    certificate: C,
    clock: Clock,
    /// A directory that hangs holds up the watch and nobody else.
    files: BlockingPool,
    expires: IntGauge,
}

impl<C: Certified> Watch<C> {
    /// The watch as a child of a supervisor, with its metric, the seconds since the Unix epoch at which the
    /// certificate expires. To be made once per node.
    ///
    /// # Errors
    /// If the metric is registered already.
    pub fn child(
        (whose, metric): (&'static str, &str),
        certificate: &C,
        clock: &Clock,
        metrics: &Metrics,
    ) -> prometheus::Result<ChildSpec> {
        let help = format!("When {whose} certificate expires, in seconds since the Unix epoch.");
        let watch = Self {
            whose,
            certificate: certificate.clone(),
            clock: clock.clone(),
            files: BlockingPool::new(1, 1),
            expires: metrics.register(IntGauge::with_opts(Opts::new(metric, help))?)?,
        };
        Ok(ChildSpec::new("certificates", move || (watch.clone(), ())))
    }
}

impl<C: Certified> Actor for Watch<C> {
    type Msg = WatchMessage;
    type State = Told<C::Error>;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<WatchMessage>,
        (): (),
    ) -> Result<Told<C::Error>, ActorProcessingErr> {
        myself.send_message(WatchMessage::Look)?;
        Ok(Told::default())
    }

    async fn handle(
        &self,
        myself: ActorRef<WatchMessage>,
        WatchMessage::Look: WatchMessage,
        told: &mut Told<C::Error>,
    ) -> Result<(), ActorProcessingErr> {
        // Refused only where a look from before a restart still hangs: the next may go.
        if let Ok(place) = self.files.enter() {
            let certificate = self.certificate.clone();
            let reloaded = place.run(move || certificate.reload()).await?;
            if let Some(current) = self.certificate.current() {
                self.expires.set(current.not_after.as_seconds());
                for remark in told.look(reloaded, &current, self.clock.now()) {
                    remark.log(self.whose, &current);
                }
            }
        }
        drop(myself.send_after(LOOK, || WatchMessage::Look));
        Ok(())
    }
}

/// The certificate in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    /// Until when it is good.
    pub not_after: Timestamp,
    /// Its number: another one's is another.
    pub serial: String,
}

/// What was said already, so that nothing is said twice.
#[derive(Debug)]
pub struct Told<E> {
    /// What went wrong at the last look, and whether it was said.
    failure: Option<(E, bool)>,
    /// The certificate whose end was spoken of, and how.
    end: Option<(String, End)>,
}

impl<E> Default for Told<E> {
    fn default() -> Self {
        Self { failure: None, end: None }
    }
}

/// Something to say.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Remark<E> {
    Renewed,
    Failed(E),
    Ending(End),
}

/// How near its end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Soon,
    Over,
}

impl<E: Clone + PartialEq> Told<E> {
    /// What is to be said after a look.
    fn look(
        &mut self,
        reloaded: Result<bool, E>,
        current: &Current,
        now: Timestamp,
    ) -> Vec<Remark<E>> {
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
        let left = now.until(current.not_after);
        let end = match left {
            Duration::ZERO => Some(End::Over),
            left if left < SOON => Some(End::Soon),
            _ => None,
        };
        if let Some(end) = end {
            let said = Some((current.serial.clone(), end));
            if self.end != said {
                self.end = said;
                remarks.push(Remark::Ending(end));
            }
        }
        remarks
    }
}

impl<E: std::fmt::Display> Remark<E> {
    fn log(&self, whose: &str, current: &Current) {
        let (not_after, serial) = (current.not_after, &current.serial);
        match self {
            Self::Renewed => {
                tracing::info!(%not_after, serial, "{whose} certificate was renewed");
            }
            Self::Failed(error) => {
                tracing::error!(%error, %not_after, "new certificates can't be used, the old ones stay");
            }
            Self::Ending(End::Soon) => {
                tracing::warn!(%not_after, serial, "{whose} certificate must be renewed soon");
            }
            Self::Ending(End::Over) => {
                tracing::error!(%not_after, serial, "{whose} certificate has expired");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3_600);

    fn certificate(serial: &str, not_after: Timestamp) -> Current {
        Current { not_after, serial: serial.into() }
    }

    #[test]
    fn a_failure_is_said_once_when_it_stays() {
        let now = Timestamp::from_seconds(1_790_000_000);
        let own = certificate("01", now.plus(DAY * 100));
        let mut told = Told::default();
        let wrong = |why: &str| Err(why.to_owned());
        let mut look = |outcome| told.look(outcome, &own, now);
        assert_eq!(look(wrong("a")), [], "it may be on its way");
        assert_eq!(look(wrong("a")), [Remark::Failed("a".to_owned())]);
        assert_eq!(look(wrong("a")), []);
        assert_eq!(look(wrong("b")), []);
        assert_eq!(look(wrong("b")), [Remark::Failed("b".to_owned())]);
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
        let mut look = |own: &Current, now| told.look(Ok::<_, String>(false), own, now);
        assert_eq!(look(&old, end.minus(DAY * 15)), []);
        assert_eq!(look(&old, end.minus(DAY * 13)), [Remark::Ending(End::Soon)]);
        assert_eq!(look(&old, end.minus(DAY * 12)), []);
        assert_eq!(look(&old, end.plus(DAY)), [Remark::Ending(End::Over)]);
        assert_eq!(look(&old, end.plus(DAY)), []);
        let new = certificate("02", end.plus(DAY * 10));
        assert_eq!(look(&new, end.plus(DAY)), [Remark::Ending(End::Soon)], "of each certificate");
    }
}
