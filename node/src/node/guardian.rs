//! Above the root, whom nobody restarts: hears that it ended, and why.

use panel_kernel::supervision::{Supervisor, SupervisorMessage, SupervisorSpec};
use ractor::{Actor, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};
use ractor_cluster::RactorMessage;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A guardian is told nothing; it only hears of the root.
#[derive(Debug, RactorMessage)]
enum GuardianMessage {}

struct Guardian;

/// The root, and word of its end.
pub(super) struct Root {
    pub(super) actor: ActorRef<SupervisorMessage>,
    task: JoinHandle<()>,
    why: oneshot::Receiver<String>,
}

impl Root {
    /// Starts the root and everything below it.
    pub(super) async fn start(spec: SupervisorSpec) -> Result<Self, SpawnErr> {
        let (tell, why) = oneshot::channel();
        #[allow(clippy::disallowed_methods, reason = "there is nobody above the guardian")]
        let (guardian, _) = Actor::spawn(None, Guardian, tell).await?;
        #[allow(clippy::disallowed_methods, reason = "the root's restart rule: the process's end")]
        let root = Actor::spawn_linked(None, Supervisor, spec, guardian.get_cell()).await;
        if root.is_err() {
            guardian.stop(None);
        }
        let (actor, task) = root?;
        Ok(Self { actor, task, why })
    }

    /// Waits until it has ended by itself, which it never should: why it did.
    pub(super) async fn ended(&mut self) -> String {
        (&mut self.why).await.unwrap_or_else(|_| "its guardian ended".to_owned())
    }

    /// Stops it, and waits for everything below it to stop.
    pub(super) async fn stop(self) {
        self.actor.stop(None);
        if self.task.await.is_err() {
            tracing::warn!("the root supervisor did not end cleanly");
        }
    }
}

impl Actor for Guardian {
    type Msg = GuardianMessage;
    type State = Option<oneshot::Sender<String>>;
    type Arguments = oneshot::Sender<String>;

    async fn pre_start(
        &self,
        _: ActorRef<GuardianMessage>,
        tell: oneshot::Sender<String>,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(Some(tell))
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<GuardianMessage>,
        event: SupervisionEvent,
        tell: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let why = match event {
            SupervisionEvent::ActorFailed(_, error) => error.to_string(),
            SupervisionEvent::ActorTerminated(_, _, reason) => {
                reason.unwrap_or_else(|| "it was stopped".to_owned())
            }
            _ => return Ok(()),
        };
        if let Some(tell) = tell.take() {
            // Nobody listens any more when the node itself has stopped it.
            drop(tell.send(why));
        }
        myself.stop(None);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use panel_kernel::metrics::Metrics;
    use panel_kernel::supervision::{ChildSpec, Intensity, Tree};
    use panel_kernel::time::Clock;

    use super::*;

    struct Fails;

    impl Actor for Fails {
        type Msg = GuardianMessage;
        type State = ();
        type Arguments = ();

        async fn pre_start(
            &self,
            _: ActorRef<GuardianMessage>,
            (): (),
        ) -> Result<(), ActorProcessingErr> {
            Ok(())
        }

        async fn post_start(
            &self,
            _: ActorRef<GuardianMessage>,
            (): &mut (),
        ) -> Result<(), ActorProcessingErr> {
            Err("the disk fell out".into())
        }
    }

    fn spec() -> SupervisorSpec {
        let tree = Tree::new(Clock::system(), Metrics::new().unwrap());
        SupervisorSpec::new("", &tree)
    }

    async fn why(root: &mut Root) -> String {
        tokio::time::timeout(Duration::from_secs(5), root.ended()).await.unwrap()
    }

    #[tokio::test]
    async fn a_root_that_gives_up_says_why() {
        let spec = spec().intensity(Intensity::new(0, Duration::from_secs(60)));
        let fails = spec.child(ChildSpec::new("disk", || (Fails, ())));
        let mut root = Root::start(fails).await.unwrap();
        let why = why(&mut root).await;
        assert!(why.contains("the disk fell out") && why.contains("too often"), "{why}");
    }

    #[tokio::test]
    async fn a_root_that_is_killed_or_stopped_is_missed() {
        let mut root = Root::start(spec()).await.unwrap();
        root.actor.kill();
        assert_eq!(why(&mut root).await, "killed");
        let mut root = Root::start(spec()).await.unwrap();
        root.actor.stop(None);
        assert_eq!(why(&mut root).await, "it was stopped");
    }
}
