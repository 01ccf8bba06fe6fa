//! Which faults there are, for whom, and that they hold.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// For the proxy's thread to do as it is told: next to nothing, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// A direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From whoever connected to the proxy.
    ToUpstream,
    /// From what the proxy is in front of.
    ToClient,
}

impl Direction {
    /// The other one.
    pub(super) const fn opposite(self) -> Self {
        match self {
            Self::ToUpstream => Self::ToClient,
            Self::ToClient => Self::ToUpstream,
        }
    }
}

/// The faults of somebody.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    pub(super) refuses: bool,
    pub(super) silent_up: bool,
    pub(super) silent_down: bool,
    pub(super) delay: Duration,
    pub(super) jitter: Duration,
    pub(super) rate: Option<u64>,
    /// How often connections were reset: those of an earlier number have to go.
    pub(super) resets: u64,
}

impl Faults {
    /// None but the resets, which are counted on.
    pub(super) fn heal(&mut self) {
        *self = Self { resets: self.resets, ..Self::default() };
    }

    pub(super) const fn is_silent(&self, direction: Direction) -> bool {
        match direction {
            Direction::ToUpstream => self.silent_up,
            Direction::ToClient => self.silent_down,
        }
    }

    fn and(&self, other: &Self) -> Self {
        Self {
            refuses: self.refuses || other.refuses,
            silent_up: self.silent_up || other.silent_up,
            silent_down: self.silent_down || other.silent_down,
            delay: self.delay.max(other.delay),
            jitter: self.jitter.max(other.jitter),
            rate: [self.rate, other.rate].into_iter().flatten().min(),
            resets: self.resets + other.resets,
        }
    }
}

/// Everybody's faults and each peer's.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    pub(super) version: u64,
    pub(super) everybody: Faults,
    peers: BTreeMap<IpAddr, Faults>,
}

impl Table {
    /// What holds for the connections of this peer.
    pub(super) fn of(&self, peer: IpAddr) -> Faults {
        self.peers.get(&peer).map_or_else(|| self.everybody.clone(), |own| own.and(&self.everybody))
    }

    pub(super) fn entry(&mut self, peer: Option<IpAddr>) -> &mut Faults {
        match peer {
            Some(peer) => self.peers.entry(peer).or_default(),
            None => &mut self.everybody,
        }
    }

    pub(super) fn heal(&mut self) {
        self.everybody.heal();
        self.peers.values_mut().for_each(Faults::heal);
    }

    /// Gives the version that has the change.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut Self)) -> u64 {
        change(self);
        self.version += 1;
        self.version
    }
}

/// The last version of the table that holds.
#[derive(Debug, Default)]
pub(super) struct Applied {
    version: Mutex<u64>,
    changed: Condvar,
}

impl Applied {
    pub(super) fn set(&self, version: u64) {
        *self.version.lock() = version;
        self.changed.notify_all();
    }

    /// Waits for a version; false if it did not come.
    pub(super) fn wait_for(&self, version: u64) -> bool {
        let mut applied = self.version.lock();
        let waited =
            self.changed.wait_while_for(&mut applied, |applied| *applied < version, PATIENCE);
        !waited.timed_out()
    }
}
