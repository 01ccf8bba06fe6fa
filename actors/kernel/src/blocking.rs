//! Work that holds a processor for long, off the async threads: a bounded number of pieces at the
//! same time, a bounded number waiting, and what does not fit is refused at once.
//!
//! This is no actor: it owns nothing that could be lost. A place is given back when it is dropped,
//! whether the work ended, panicked (then its caller does) or nobody waits for it any more. What
//! has begun is finished, and counts as running until then.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The number of threads that leaves room for everything else: half of the processors.
#[must_use]
pub fn half_of_the_processors() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| (processors.get() / 2).max(1))
}

/// There is no place, or the process is about to end. Nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too much is waiting to be computed")]
pub struct Busy;

/// Where such work is done. Cheap to clone; clones share their places.
#[derive(Clone, Debug)]
pub struct BlockingPool {
    places: Arc<Semaphore>,
    threads: Arc<Semaphore>,
    most: usize,
}

impl BlockingPool {
    /// For `threads` pieces of work at the same time, while `queue` more wait for their turn.
    #[must_use]
    pub fn new(threads: usize, queue: usize) -> Self {
        let threads = threads.max(1);
        Self {
            places: Arc::new(Semaphore::new(threads + queue)),
            threads: Arc::new(Semaphore::new(threads)),
            most: threads + queue,
        }
    }

    /// How many are inside.
    #[must_use]
    pub fn inside(&self) -> usize {
        self.most.saturating_sub(self.places.available_permits())
    }

    /// Takes a place, at once or not at all.
    ///
    /// # Errors
    /// [`Busy`] if all are taken.
    pub fn enter(&self) -> Result<Place, Busy> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Busy)?;
        Ok(Place { threads: Arc::clone(&self.threads), _place: place })
    }
}

/// The right to have work done, one piece after the other. Whoever holds it counts as inside, also
/// before and after the work.
#[derive(Debug)]
pub struct Place {
    threads: Arc<Semaphore>,
    _place: OwnedSemaphorePermit,
}

impl Place {
    /// Does `work` when its turn has come, in the order of asking.
    ///
    /// # Errors
    /// [`Busy`] if the process ends first.
    ///
    /// # Panics
    /// If `work` does.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let turn = Arc::clone(&self.threads).acquire_owned().await.map_err(|_| Busy)?;
        #[allow(clippy::disallowed_methods, reason = "this is the bounded pool")]
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        done.await.map_err(|error| match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Busy,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures::FutureExt as _;

    use super::*;

    /// Work that says when it begins, and ends when it is told to.
    fn held() -> (impl FnOnce() -> u8 + Send, mpsc::Receiver<()>, mpsc::Sender<()>) {
        let (begins, begun) = mpsc::channel();
        let (end, ends) = mpsc::channel();
        let work = move || {
            begins.send(()).unwrap();
            ends.recv().unwrap();
            1
        };
        (work, begun, end)
    }

    #[tokio::test]
    async fn what_does_not_fit_is_refused_and_a_place_is_given_back() {
        let pool = BlockingPool::new(1, 1);
        let (running, waiting) = (pool.enter().unwrap(), pool.enter().unwrap());
        assert_eq!(pool.enter().unwrap_err(), Busy);
        let (work, begun, end) = held();
        let mut first = Box::pin(running.run(work));
        assert_eq!(first.as_mut().now_or_never(), None);
        begun.recv().unwrap();
        // One thread: the second waits, and leaves nothing behind when nobody wants it any more.
        let mut second = Box::pin(waiting.run(|| panic!("nobody waits for this")));
        assert_eq!(second.as_mut().now_or_never(), None::<Result<(), Busy>>);
        drop(second);
        drop(waiting);
        let third = pool.enter().unwrap();
        assert_eq!(pool.enter().unwrap_err(), Busy);
        end.send(()).unwrap();
        assert_eq!(first.await, Ok(1));
        assert_eq!(third.run(|| 3).await, Ok(3));
        assert_eq!(pool.inside(), 2);
        drop((running, third));
        assert_eq!(pool.inside(), 0);
    }

    #[tokio::test]
    async fn work_that_was_begun_keeps_its_thread_when_its_caller_has_gone() {
        let pool = BlockingPool::new(1, 1);
        let (work, begun, end) = held();
        let gone = pool.enter().unwrap();
        assert_eq!(gone.run(work).now_or_never(), None);
        begun.recv().unwrap();
        drop(gone);
        let next = pool.enter().unwrap();
        let mut next = Box::pin(next.run(|| 2));
        assert_eq!(next.as_mut().now_or_never(), None);
        end.send(()).unwrap();
        assert_eq!(next.await, Ok(2));
    }

    #[tokio::test]
    async fn a_panic_is_its_callers_and_costs_no_place() {
        let pool = BlockingPool::new(1, 0);
        for _ in 0..3 {
            let place = pool.enter().unwrap();
            let panics = std::panic::AssertUnwindSafe(place.run(|| panic!("as asked for")));
            assert!(panics.catch_unwind().await.is_err_and(|panic| panic.is::<&str>()));
        }
        assert_eq!(pool.enter().unwrap().run(|| 1).await, Ok(1));
    }
}
