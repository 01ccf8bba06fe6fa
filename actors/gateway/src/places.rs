//! Places for what takes long: so many on a gateway, and so many of them for one account, or for one address
//! where nobody is signed in.

use std::collections::HashMap;
use std::sync::Arc;

use panel_kernel::problem::{Kind, Problem};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::Client;

/// How many places each has that has any.
type Taken = Arc<Mutex<HashMap<Client, usize>>>;

/// How many of them one may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OfOne {
    /// An account.
    pub(crate) account: usize,
    /// An address, which may be that of many people.
    pub(crate) address: usize,
}

impl OfOne {
    const fn of(self, client: Client) -> usize {
        match client {
            Client::User(_) | Client::Key(_) => self.account,
            Client::V4(_) | Client::V6Network(_) | Client::Everybody => self.address,
        }
    }
}

/// The places there are. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    all: Arc<Semaphore>,
    of_one: OfOne,
    taken: Taken,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// All are taken.
    Gateway,
    /// This one has as many as it may have.
    Client(usize),
}

impl Full {
    /// What is said of it: 503 that `all` of them are taken, or 429 that so many of `yours` are.
    pub(crate) fn refusal(self, all: &str, yours: &str) -> Problem {
        let problem = match self {
            Self::Gateway => Problem::new(Kind::Unavailable, all),
            Self::Client(most) => Problem::new(Kind::RateLimited, format!("{most} {yours}")),
        };
        problem.retry_after(5)
    }
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    taken: Taken,
    client: Client,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    /// So many, and so many of them for one.
    pub(crate) fn new(all: usize, of_one: OfOne) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), of_one, taken: Taken::default() }
    }

    /// Takes one.
    pub(crate) fn enter(&self, client: Client) -> Result<Place, Full> {
        let permit = Arc::clone(&self.all).try_acquire_owned().map_err(|_| Full::Gateway)?;
        let most = self.of_one.of(client);
        let mut taken = self.taken.lock();
        let count = taken.entry(client).or_default();
        if *count >= most {
            return Err(Full::Client(most));
        }
        *count += 1;
        drop(taken);
        Ok(Place { taken: Arc::clone(&self.taken), client, _permit: permit })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock();
        if let Some(count) = taken.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use panel_kernel::ids::Id;

    use super::*;

    #[test]
    fn places_are_taken_and_given_back() {
        let places = Places::new(3, OfOne { account: 2, address: 1 });
        let (ada, home) = (Client::User(Id::from_raw(1)), Client::V4(Ipv4Addr::LOCALHOST));
        let first = places.enter(ada).unwrap();
        let _second = places.enter(ada).unwrap();
        assert_eq!(places.enter(ada).unwrap_err(), Full::Client(2));
        let third = places.enter(home).unwrap();
        assert_eq!(places.enter(Client::User(Id::from_raw(2))).unwrap_err(), Full::Gateway);
        drop(first);
        drop(places.enter(ada).unwrap());
        assert_eq!(places.enter(home).unwrap_err(), Full::Client(1));
        drop(third);
        drop(places.enter(home).unwrap());
        assert_eq!(places.taken.lock().len(), 1);
    }
}
