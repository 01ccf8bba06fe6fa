//! Where pictures wait for a worker: so many of them, and of one account at most half of those. Accounts take turns.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use panel_kernel::http::Sent;
use panel_kernel::ids::Id;
use panel_kernel::problem::{Kind as ProblemKind, Problem};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};

use crate::rules::pictures::Asset;

/// A picture to be made. It has its place until it is made, also where nobody waits any more.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) sent: Sent,
    pub(super) tell: oneshot::Sender<Result<Asset, Problem>>,
    place: Place,
}

/// Where they wait.
#[derive(Debug)]
pub(super) struct Desk {
    line: Mutex<Line>,
    /// As many permits as there are pictures in the line; or more, where some were taken out whose senders had gone.
    waiting: Semaphore,
    inside: Inside,
    most: usize,
}

type Inside = Arc<Mutex<HashMap<Id, usize>>>;

#[derive(Debug, Default)]
struct Line {
    jobs: VecDeque<Job>,
    /// Whose picture was taken last.
    last: Option<Id>,
}

/// The right to be here. Given back when it is dropped.
#[derive(Debug)]
struct Place {
    whose: Id,
    inside: Inside,
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
        Self { line: Mutex::default(), waiting: Semaphore::new(0), inside: Inside::default(), most }
    }

    /// What becomes of a picture; none if its worker ended over it.
    ///
    /// # Errors
    /// There is no place for it: 429 if they are its sender's own that are taken, else 503.
    pub(super) async fn made(
        &self,
        sent: &Sent,
        whose: Id,
    ) -> Result<Option<Result<Asset, Problem>>, Problem> {
        let place = self.enter(whose)?;
        let (tell, told) = oneshot::channel();
        self.line.lock().jobs.push_back(Job { sent: sent.clone(), tell, place });
        self.waiting.add_permits(1);
        Ok(told.await.ok())
    }

    fn enter(&self, whose: Id) -> Result<Place, Problem> {
        self.take(whose).or_else(|_| {
            // Some may have gone who waited.
            let gone: VecDeque<Job> = {
                let mut line = self.line.lock();
                let (gone, there) = line.jobs.drain(..).partition(|job| job.tell.is_closed());
                line.jobs = there;
                gone
            };
            drop(gone);
            self.take(whose)
        })
    }

    fn take(&self, whose: Id) -> Result<Place, Problem> {
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

    /// The next one, when there is one that somebody waits for.
    pub(super) async fn next(&self) -> Option<Job> {
        loop {
            self.waiting.acquire().await.ok()?.forget();
            let next = self.line.lock().next();
            if let Some(job) = next.filter(|job| !job.tell.is_closed()) {
                return Some(job);
            }
        }
    }
}

impl Line {
    /// The first of somebody else than the last was of, if there is one.
    fn next(&mut self) -> Option<Job> {
        let other = self.jobs.iter().position(|job| Some(job.place.whose) != self.last);
        let job = self.jobs.remove(other.unwrap_or(0))?;
        self.last = Some(job.place.whose);
        Some(job)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use panel_kernel::message::BlobRef;

    use super::*;

    fn sent(number: u8) -> Sent {
        let mut sent = Sent::alone(BlobRef { key: "a".to_owned(), bytes: 1, sha256: [number; 32] });
        sent.name = Some(number.to_string());
        sent
    }

    fn name(job: &Job) -> &str {
        job.sent.name.as_deref().unwrap()
    }

    #[tokio::test]
    async fn accounts_take_turns_and_have_half_of_the_places() {
        let desk = Desk::new(4);
        let [ada, bob] = [1, 2].map(Id::from_raw);
        let pictures = [sent(1), sent(2), sent(3), sent(4), sent(5)];
        let mut waiting: Vec<_> = [(0, ada), (1, ada), (2, bob), (3, bob)]
            .into_iter()
            .map(|(at, whose)| Box::pin(desk.made(&pictures[at], whose)))
            .collect();
        assert!(waiting[0].as_mut().now_or_never().is_none());
        assert!(waiting[1].as_mut().now_or_never().is_none());
        let refused = desk.made(&pictures[4], ada).await.unwrap_err();
        assert_eq!(refused.kind, ProblemKind::RateLimited);
        assert!(waiting[2].as_mut().now_or_never().is_none());
        assert!(waiting[3].as_mut().now_or_never().is_none());
        let refused = desk.made(&pictures[4], Id::from_raw(3)).await.unwrap_err();
        assert_eq!(refused.kind, ProblemKind::Unavailable);
        // By turns; and what nobody waits for any more makes room.
        let first = desk.next().await.unwrap();
        assert_eq!(name(&first), "1");
        let second = desk.next().await.unwrap();
        assert_eq!(name(&second), "3");
        drop(waiting.pop());
        let mut late = Box::pin(desk.made(&pictures[4], bob));
        assert!(late.as_mut().now_or_never().is_none());
        let third = desk.next().await.unwrap();
        assert_eq!(name(&third), "2");
        let fourth = desk.next().await.unwrap();
        assert_eq!(name(&fourth), "5");
        assert!(desk.next().now_or_never().is_none());
        // A worker that ends over one says nothing.
        drop((first, second, third, fourth));
        assert!(late.await.unwrap().is_none());
        assert!(desk.inside.lock().is_empty());
    }
}
