//! Where pictures wait for a worker: so many of them, and of one account at most half of those.

use std::collections::HashMap;
use std::sync::Arc;

use panel_kernel::http::Sent;
use panel_kernel::ids::Id;
use panel_kernel::problem::{Kind as ProblemKind, Problem};
use parking_lot::Mutex;
use tokio::sync::{Mutex as Turn, mpsc, oneshot};

use crate::rules::pictures::Asset;

/// A picture to be made.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) sent: Sent,
    pub(super) tell: oneshot::Sender<Result<Asset, Problem>>,
}

/// Where they wait.
#[derive(Debug)]
pub(super) struct Desk {
    jobs: mpsc::Sender<Job>,
    /// Whose turn it is to take the next.
    next: Turn<mpsc::Receiver<Job>>,
    inside: Arc<Mutex<HashMap<Id, usize>>>,
    most: usize,
}

/// The right to wait. Given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    whose: Id,
    inside: Arc<Mutex<HashMap<Id, usize>>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.inside.lock();
        if let Some(places) = inside.get_mut(&self.whose) {
            *places -= 1;
            if *places == 0 {
                inside.remove(&self.whose);
            }
        }
    }
}

impl Desk {
    /// For so many, waiting or being made.
    pub(super) fn new(most: usize) -> Self {
        // Whoever has a place has one picture here at most.
        let (jobs, next) = mpsc::channel(most);
        Self { jobs, next: Turn::new(next), inside: Arc::default(), most }
    }

    /// Takes a place, at once or not at all.
    pub(super) fn enter(&self, whose: Id) -> Result<Place, Problem> {
        let mut inside = self.inside.lock();
        let own = inside.get(&whose).copied().unwrap_or_default();
        if own >= self.most.div_ceil(2) {
            let detail = "pictures of yours are being made already";
            return Err(Problem::new(ProblemKind::RateLimited, detail).retry_after(1));
        }
        if inside.values().sum::<usize>() >= self.most {
            return Err(Problem::unavailable(crate::SERVICE.name, "too many pictures at once"));
        }
        inside.insert(whose, own + 1);
        drop(inside);
        Ok(Place { whose, inside: Arc::clone(&self.inside) })
    }

    /// What becomes of a picture; none if its worker ended over it.
    pub(super) async fn made(&self, _: &Place, sent: &Sent) -> Option<Result<Asset, Problem>> {
        let (tell, told) = oneshot::channel();
        let job = Job { sent: sent.clone(), tell };
        self.jobs.send(job).await.ok()?;
        told.await.ok()
    }

    /// The next one, when there is one that somebody waits for.
    pub(super) async fn next(&self) -> Option<Job> {
        let mut next = self.next.lock().await;
        loop {
            let job = next.recv().await?;
            if !job.tell.is_closed() {
                return Some(job);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_account_has_half_of_the_places_and_a_place_is_given_back() {
        let desk = Desk::new(3);
        let [ada, bob] = [1, 2].map(Id::from_raw);
        let first = desk.enter(ada).unwrap();
        let second = desk.enter(ada).unwrap();
        assert_eq!(desk.enter(ada).unwrap_err().kind, ProblemKind::RateLimited);
        let other = desk.enter(bob).unwrap();
        assert_eq!(desk.enter(bob).unwrap_err().kind, ProblemKind::Unavailable);
        drop(first);
        let again = desk.enter(bob).unwrap();
        drop((second, other, again));
        assert!(desk.inside.lock().is_empty());
    }
}
