//! Requests for one thing at one time become one request.
//!
//! The first asks, the others wait for it. If the first goes away before its answer is there, the
//! next of them asks.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OnceCell;

/// What is asked for: a key of the cache, and the number of the last purge that concerned it.
pub(super) type Flight = (Arc<str>, u64);

/// Those under way. At most as many as there are requests.
pub(super) struct Flights<T>(Mutex<HashMap<Flight, Arc<OnceCell<T>>>>);

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Flights<T> {
    /// What `ask` brings, of whoever comes first.
    pub(super) async fn join<F: Future<Output = T>>(
        &self,
        flight: &Flight,
        ask: impl FnOnce() -> F,
    ) -> T {
        let cell = Arc::clone(self.0.lock().entry(flight.clone()).or_default());
        let seat = Seat { flights: self, flight, cell };
        seat.cell.get_or_init(ask).await.clone()
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        self.0.lock().len()
    }
}

/// One that waits. The flight ends when it has landed, or when nobody is left.
struct Seat<'a, T> {
    flights: &'a Flights<T>,
    flight: &'a Flight,
    cell: Arc<OnceCell<T>>,
}

impl<T> Drop for Seat<'_, T> {
    fn drop(&mut self) {
        let mut flights = self.flights.0.lock();
        // Others may have begun another flight since.
        let same = flights.get(self.flight).is_some_and(|cell| Arc::ptr_eq(cell, &self.cell));
        // Under the lock nobody can join: the list's own and ours are the last two.
        let last = self.cell.initialized() || Arc::strong_count(&self.cell) <= 2;
        if same && last {
            flights.remove(self.flight);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures::FutureExt as _;
    use tokio::sync::Notify;

    use super::*;

    fn flight(generation: u64) -> Flight {
        ("key".into(), generation)
    }

    #[tokio::test]
    async fn many_ask_once_and_who_comes_after_a_purge_for_themselves() {
        let (flights, asked, go) = (Flights::default(), AtomicU32::new(0), Notify::new());
        let ask = || async {
            let nth = asked.fetch_add(1, Ordering::SeqCst);
            go.notified().await;
            nth
        };
        let (old, new) = (flight(1), flight(2));
        let mut first: Vec<_> = (0..10).map(|_| Box::pin(flights.join(&old, ask))).collect();
        assert!(first.iter_mut().all(|one| one.now_or_never().is_none()));
        let mut other = Box::pin(flights.join(&new, ask));
        assert!(other.as_mut().now_or_never().is_none());
        assert_eq!((asked.load(Ordering::SeqCst), flights.count()), (2, 2));
        go.notify_waiters();
        for one in first {
            assert_eq!(one.await, 0);
        }
        assert_eq!(other.await, 1);
        assert_eq!(flights.count(), 0);
    }

    #[tokio::test]
    async fn if_the_first_goes_away_the_next_asks() {
        let (flights, key) = (Flights::default(), flight(1));
        let mut first = Box::pin(flights.join(&key, std::future::pending::<u32>));
        assert!(first.as_mut().now_or_never().is_none());
        let mut second = Box::pin(flights.join(&key, || async { 2 }));
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        assert_eq!(flights.count(), 1);
        assert_eq!(second.await, 2);
        assert_eq!(flights.count(), 0);
        let mut alone = Box::pin(flights.join(&key, std::future::pending::<u32>));
        assert!(alone.as_mut().now_or_never().is_none());
        drop(alone);
        assert_eq!(flights.count(), 0);
    }
}
