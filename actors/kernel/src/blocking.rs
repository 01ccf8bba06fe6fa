//! Work that holds a processor for long, off the async threads: a bounded number of pieces at the
//! same time, a bounded number waiting, and what does not fit is refused at once.
//!
//! This is no actor: it owns nothing that could be lost. A place is given back when it is dropped,
//! whether the work ended, panicked (then its caller does) or nobody waits for it any more. What
//! has begun is finished, and counts as running until then.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Of two threads that want one processor all the time, one that stands back so far has a quarter of it.
const STANDS_BACK: i32 = 5;

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
    line: Arc<Line>,
    most: usize,
}

/// A piece of work that waits for a thread.
struct Piece {
    number: u64,
    work: Box<dyn FnOnce() + Send>,
}

/// The pieces that wait, in the order of asking, and how many threads are at work. A thread that is through
/// with one takes the next itself: nobody has to be woken between two pieces.
#[derive(Default)]
struct Waiting {
    pieces: VecDeque<Piece>,
    asked: u64,
    running: usize,
}

struct Line {
    threads: usize,
    /// How much its threads stand back where others want the processor too, as for `nice(1)`.
    niceness: i32,
    waiting: Mutex<Waiting>,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let waiting = self.waiting.lock();
        write!(f, "Line({} waiting, {} running)", waiting.pieces.len(), waiting.running)
    }
}

impl Line {
    /// Puts a piece at the end of the line; by which number it is known there.
    fn join(self: &Arc<Self>, work: Box<dyn FnOnce() + Send>) -> u64 {
        let mut waiting = self.waiting.lock();
        waiting.asked += 1;
        let number = waiting.asked;
        waiting.pieces.push_back(Piece { number, work });
        if waiting.running == self.threads {
            return number;
        }
        waiting.running += 1;
        drop(waiting);
        let thread = Thread { line: Arc::clone(self), is_through: false };
        // Threads of its own: those of the runtime are everybody's, and who has stood back once can't
        // come forward again without being allowed to.
        let spawned =
            std::thread::Builder::new().name("computing".to_owned()).spawn(move || thread.run());
        if let Err(error) = spawned {
            // What waited is gone with the thread, and says so.
            tracing::error!(%error, "there is no thread to compute on");
        }
        number
    }

    /// Nobody waits for it any more.
    fn leave(&self, number: u64) {
        self.waiting.lock().pieces.retain(|piece| piece.number != number);
    }
}

/// One of the threads, as long as there is something to do.
struct Thread {
    line: Arc<Line>,
    is_through: bool,
}

impl Thread {
    fn run(mut self) {
        if self.line.niceness > 0
            && let Err(error) = rustix::process::nice(self.line.niceness)
        {
            // On Linux that is this thread alone.
            tracing::debug!(%error, "computing stands back for nobody");
        }
        loop {
            let mut waiting = self.line.waiting.lock();
            let Some(piece) = waiting.pieces.pop_front() else {
                waiting.running -= 1;
                self.is_through = true;
                return;
            };
            drop(waiting);
            (piece.work)();
        }
    }
}

/// One that never ran, since there are no more threads: nor does what waits for it.
impl Drop for Thread {
    fn drop(&mut self) {
        if self.is_through {
            return;
        }
        let mut waiting = self.line.waiting.lock();
        waiting.running -= 1;
        let never = std::mem::take(&mut waiting.pieces);
        drop(waiting);
        drop(never);
    }
}

impl BlockingPool {
    /// For `threads` pieces of work at the same time, while `queue` more wait for their turn.
    #[must_use]
    pub fn new(threads: usize, queue: usize) -> Self {
        Self::with_niceness(threads, queue, 0)
    }

    /// The same, for work that stands back where others want the processor as well: it takes what they
    /// leave, and a part of what they want.
    #[must_use]
    pub fn standing_back(threads: usize, queue: usize) -> Self {
        Self::with_niceness(threads, queue, STANDS_BACK)
    }

    fn with_niceness(threads: usize, queue: usize, niceness: i32) -> Self {
        let threads = threads.max(1);
        Self {
            places: Arc::new(Semaphore::new(threads + queue)),
            line: Arc::new(Line { threads, niceness, waiting: Mutex::default() }),
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
        Ok(Place { line: Arc::clone(&self.line), _place: place })
    }
}

/// The right to have work done, one piece after the other. Whoever holds it counts as inside, also
/// before and after the work.
#[derive(Debug)]
pub struct Place {
    line: Arc<Line>,
    _place: OwnedSemaphorePermit,
}

/// Leaves the line with whoever waits.
struct InLine<'a> {
    line: &'a Line,
    number: u64,
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.line.leave(self.number);
    }
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
        let (done, outcome) = oneshot::channel();
        let number = self.line.join(Box::new(move || {
            // The panic is the caller's.
            drop(done.send(catch_unwind(AssertUnwindSafe(work))));
        }));
        let _in_line = InLine { line: &self.line, number };
        match outcome.await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => Err(Busy),
        }
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
        let mut asked = Box::pin(gone.run(work));
        assert_eq!(asked.as_mut().now_or_never(), None);
        begun.recv().unwrap();
        drop(asked);
        drop(gone);
        let next = pool.enter().unwrap();
        let mut next = Box::pin(next.run(|| 2));
        assert_eq!(next.as_mut().now_or_never(), None);
        end.send(()).unwrap();
        assert_eq!(next.await, Ok(2));
    }

    #[tokio::test]
    async fn pieces_are_done_in_the_order_of_asking() {
        let pool = BlockingPool::new(1, 3);
        let (work, begun, end) = held();
        let places: Vec<_> = (0..4).map(|_| pool.enter().unwrap()).collect();
        let mut first = Box::pin(places[0].run(work));
        assert_eq!(first.as_mut().now_or_never(), None);
        begun.recv().unwrap();
        let (tell, told) = mpsc::channel();
        let mut others: Vec<_> = places[1..]
            .iter()
            .enumerate()
            .map(|(number, place)| {
                let tell = tell.clone();
                Box::pin(place.run(move || tell.send(number).unwrap()))
            })
            .collect();
        for other in &mut others {
            assert_eq!(other.as_mut().now_or_never(), None);
        }
        // Who goes leaves no gap.
        drop(others.remove(1));
        end.send(()).unwrap();
        futures::future::join_all(others).await;
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [0, 2]);
        assert_eq!(first.await, Ok(1));
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
