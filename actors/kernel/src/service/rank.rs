//! Who waits before whom: what other services and gateways ask (keys and revocations, facts) is
//! little, and everybody's safety hangs on it, so that a flood of clients must not hold it up. It
//! has places of its own and goes first; each of them has one request at a time, so that clients
//! are not held up either.

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
}
