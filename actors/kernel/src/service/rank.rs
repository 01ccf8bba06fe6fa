//! Who waits before whom: what other services and gateways ask (keys and revocations, facts) is
//! little, and everybody's safety hangs on it, so that a flood of clients must not hold it up. It
//! has places of its own and goes first; each of them has one request at a time, so that clients
//! are not held up either.

use ractor::factory::queues::{Priority, PriorityManager, PriorityQueue};

use crate::message::Principal;

/// Places beyond a service's capacity that only insiders may take.
pub(super) const RESERVED: usize = 16;

/// Who asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Rank {
    /// Another service or a gateway, for itself.
    Insider,
    /// Somebody outside.
    #[default]
    Client,
}

impl Rank {
    pub(super) fn of(principal: &Principal) -> Self {
        if principal.goes_first() { Self::Insider } else { Self::Client }
    }

    /// The key of the job with this number: the factory knows nothing else of a job.
    pub(super) const fn key(self, number: u64) -> u64 {
        number << 1
            | match self {
                Self::Insider => 1,
                Self::Client => 0,
            }
    }

    const fn of_key(key: u64) -> Self {
        if key & 1 == 1 { Self::Insider } else { Self::Client }
    }
}

impl Priority for Rank {
    fn get_index(&self) -> usize {
        match self {
            Self::Insider => 0,
            Self::Client => 1,
        }
    }
}

impl From<usize> for Rank {
    fn from(index: usize) -> Self {
        if index == 0 { Self::Insider } else { Self::Client }
    }
}

/// Tells the factory's queue.
#[derive(Debug)]
pub(super) struct Ranks;

impl PriorityManager<u64, Rank> for Ranks {
    /// Insiders are bounded by their places.
    fn is_discardable(&self, key: &u64) -> bool {
        Rank::of_key(*key) == Rank::Client
    }

    fn get_priority(&self, key: &u64) -> Option<Rank> {
        Some(Rank::of_key(*key))
    }
}

/// A factory's queue of jobs with message `M`.
pub(super) type Queue<M> = PriorityQueue<u64, M, Rank, Ranks, 2>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_keeps_the_rank() {
        for rank in [Rank::Insider, Rank::Client] {
            assert_eq!(Ranks.get_priority(&rank.key(7)), Some(rank));
            assert_eq!(Rank::from(rank.get_index()), rank);
        }
        assert!(Ranks.is_discardable(&Rank::Client.key(7)));
        assert!(!Ranks.is_discardable(&Rank::Insider.key(7)));
    }
}
