//! Looks at the traffic file now and then.

use std::time::Duration;

use panel_kernel::blocking::BlockingPool;
use panel_kernel::certificates::FileError;
use panel_kernel::metrics::Metrics;
use panel_kernel::supervision::ChildSpec;
use prometheus::IntGauge;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;

use super::{Looked, Traffic};

/// A change is in force after two of these: it must be the same twice, so that nothing half written counts.
const LOOK: Duration = Duration::from_millis(400);

/// What the watch is told.
#[derive(Debug, RactorMessage)]
pub(crate) enum WatchMessage {
    /// Look at the file. A tick.
    Look,
}

/// Puts in force what lies in the traffic file. What can't be does not count: what was in force before stays. If the
/// watch fails, the same until it is restarted.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    traffic: Traffic,
    /// A directory that hangs holds up the watch and nobody else.
    files: BlockingPool,
    in_force: IntGauge,
}

impl Watch {
    /// The watch as a child of the gateway; `None` where there is no file.
    pub(crate) fn child(
        traffic: &Traffic,
        metrics: &Metrics,
    ) -> prometheus::Result<Option<ChildSpec>> {
        if traffic.is_in_force().is_none() {
            return Ok(None);
        }
        let help = "1 if the traffic file as it lies there is in force, 0 if it can't be.";
        let gauge = IntGauge::new("panel_gateway_traffic_file_in_force", help)?;
        let watch = Self {
            traffic: traffic.clone(),
            files: BlockingPool::new(1, 1),
            in_force: metrics.register(gauge)?,
        };
        Ok(Some(ChildSpec::new("traffic", move || (watch.clone(), ()))))
    }
}

impl Actor for Watch {
    type Msg = WatchMessage;
    /// What was said already.
    type State = Option<FileError>;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<WatchMessage>,
        (): (),
    ) -> Result<Self::State, ActorProcessingErr> {
        self.in_force.set(1);
        myself.send_message(WatchMessage::Look)?;
        Ok(None)
    }

    async fn handle(
        &self,
        myself: ActorRef<WatchMessage>,
        WatchMessage::Look: WatchMessage,
        said: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        // Refused only where a look from before a restart still hangs: the next may go.
        if let Ok(place) = self.files.enter() {
            let traffic = self.traffic.clone();
            let looked = place.run(move || traffic.look()).await?;
            match looked {
                Ok(Looked::Changing | Looked::Same) => {}
                Ok(Looked::Applied) => {
                    tracing::info!("the traffic file has changed, and is in force");
                    *said = None;
                }
                Err(error) if said.as_ref() == Some(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "the traffic file can't be used, what it said before stays in force");
                    *said = Some(error);
                }
            }
            self.in_force.set((self.traffic.is_in_force() == Some(true)).into());
        }
        drop(myself.send_after(LOOK, || WatchMessage::Look));
        Ok(())
    }
}
