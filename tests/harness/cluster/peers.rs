//! The network between two nodes, and what can be done to it.

use std::net::IpAddr;
use std::time::Duration;

use crate::proxy::{Direction, Link, Proxy};

/// One of the two: its proxy, and the address it dials from.
#[derive(Clone, Copy, Debug)]
pub(super) struct End<'a> {
    pub(super) proxy: &'a Proxy,
    pub(super) dials_from: IpAddr,
}

/// What lies between two nodes, whoever of them dials.
#[derive(Clone, Copy, Debug)]
#[must_use = "it does nothing by itself"]
pub struct Network<'a> {
    pub(super) from: End<'a>,
    pub(super) to: End<'a>,
}

#[allow(
    clippy::redundant_closure_for_method_calls,
    reason = "the methods by themselves are for one lifetime, the closures for any"
)]
impl Network<'_> {
    /// Resets what there is and refuses what comes.
    pub fn cut(self) {
        self.both(|link| link.cut());
    }

    /// Resets what there is; what comes is welcome.
    pub fn reset(self) {
        self.both(|link| link.reset());
    }

    /// Loses everything, in both directions, and tells nobody.
    pub fn partition(self) {
        self.both(|link| link.blackhole());
    }

    /// Loses what the first says to the second, and tells nobody.
    pub fn one_way(self) {
        // The connections the first has made, and those the second has.
        self.made_by_first().one_way(Direction::ToUpstream);
        self.made_by_second().one_way(Direction::ToClient);
    }

    /// Everything takes this much longer, each way.
    pub fn delay(self, delay: Duration) {
        self.both(|link| link.delay(delay));
    }

    /// No more than this goes through, each way.
    pub fn throttle(self, bytes_per_second: u64) {
        self.both(|link| link.throttle(bytes_per_second));
    }

    /// All is well again.
    pub fn heal(self) {
        self.both(|link| link.heal());
    }

    fn made_by_first(&self) -> Link<'_> {
        self.to.proxy.peer(self.from.dials_from)
    }

    fn made_by_second(&self) -> Link<'_> {
        self.from.proxy.peer(self.to.dials_from)
    }

    fn both(self, change: impl Fn(Link<'_>)) {
        change(self.made_by_first());
        change(self.made_by_second());
    }
}
