//! Work that is of nobody's connection: it goes on when the client has gone, and ends with the gateway.

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Where such work is done. Cheap to clone; clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Behind {
    tasks: TaskTracker,
    ending: CancellationToken,
}

impl Behind {
    /// None yet; all of it ends when `ending` is cancelled.
    pub(crate) fn new(ending: CancellationToken) -> Self {
        Self { tasks: TaskTracker::new(), ending }
    }

    /// Begins with some.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let ending = self.ending.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = Box::pin(work) => {}
                () = ending.cancelled() => {}
            }
        });
    }

    /// Waits for the last of it to have ended, once it is to.
    pub(crate) async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}
