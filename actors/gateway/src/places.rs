//! Places for what takes long: so many on a gateway, and so many of them for one account.

use std::collections::HashMap;
use std::sync::Arc;

use panel_kernel::ids::Id;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many places each account has that has any.
type Accounts = Arc<Mutex<HashMap<Id, usize>>>;

/// The places there are. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    all: Arc<Semaphore>,
    of_one: usize,
    accounts: Accounts,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// All are taken.
    Gateway,
    /// This account has as many as it may have.
    Account,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    account: Option<(Accounts, Id)>,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    /// So many, and so many of them for one account.
    pub(crate) fn new(all: usize, of_one: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), of_one, accounts: Accounts::default() }
    }

    /// The most that one account may have.
    pub(crate) const fn of_one(&self) -> usize {
        self.of_one
    }

    /// Takes one.
    pub(crate) fn enter(&self, account: Option<Id>) -> Result<Place, Full> {
        let permit = Arc::clone(&self.all).try_acquire_owned().map_err(|_| Full::Gateway)?;
        if let Some(id) = account {
            let mut accounts = self.accounts.lock();
            let count = accounts.entry(id).or_default();
            if *count >= self.of_one {
                return Err(Full::Account);
            }
            *count += 1;
        }
        let account = account.map(|id| (Arc::clone(&self.accounts), id));
        Ok(Place { account, _permit: permit })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((accounts, id)) = &self.account else { return };
        let mut accounts = accounts.lock();
        if let Some(count) = accounts.get_mut(id) {
            *count -= 1;
            if *count == 0 {
                accounts.remove(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_taken_and_given_back() {
        let places = Places::new(3, 2);
        let ada = Some(Id::from_raw(1));
        let first = places.enter(ada).unwrap();
        let _second = places.enter(ada).unwrap();
        assert_eq!(places.enter(ada).unwrap_err(), Full::Account);
        let _third = places.enter(None).unwrap();
        assert_eq!(places.enter(Some(Id::from_raw(2))).unwrap_err(), Full::Gateway);
        drop(first);
        drop(places.enter(ada).unwrap());
        assert_eq!(places.accounts.lock().len(), 1);
    }
}
