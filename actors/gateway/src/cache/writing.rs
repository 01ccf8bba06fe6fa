//! A request that may change something, and what becomes old by it.

use std::collections::{HashSet, VecDeque};

use http::{Method, StatusCode};
use panel_kernel::message::{Extensions, Reply};
use panel_kernel::purge::{Purge, PurgeItem};
use parking_lot::Mutex;

use super::marks::OfService;

/// Exchanges that are remembered to have been purged here: those of a few seconds.
const MOST_REMEMBERED: usize = 4_096;

/// Exchanges whose purges were done here, with the replies.
#[derive(Default)]
pub(super) struct Done(Mutex<Recent>);

#[derive(Default)]
struct Recent {
    order: VecDeque<u64>,
    known: HashSet<u64>,
}

impl Done {
    fn note(&self, exchange: u64) {
        let mut recent = self.0.lock();
        if !recent.known.insert(exchange) {
            return;
        }
        recent.order.push_back(exchange);
        if recent.order.len() > MOST_REMEMBERED
            && let Some(oldest) = recent.order.pop_front()
        {
            recent.known.remove(&oldest);
        }
    }

    /// Does what a service has told, but for what was done here already. How many purges that were.
    pub(super) fn take(&self, marks: &OfService, items: &[PurgeItem]) -> usize {
        let is_new = |item: &&PurgeItem| {
            item.by.is_none_or(|exchange| !self.0.lock().known.contains(&exchange))
        };
        let new = items.iter().filter(is_new);
        new.map(|item| marks.apply(&item.purge)).count()
    }
}

/// A request that is under way and is not answered from the cache. When this is dropped, what it has made old is:
/// everything of its service, if nobody knows better.
pub(crate) struct Writing<'c> {
    marks: Option<(&'c OfService, &'c Done)>,
    exchange: u64,
    purge: Purge,
    is_known: bool,
}

impl<'c> Writing<'c> {
    pub(super) fn begin(
        marks: Option<(&'c OfService, &'c Done)>,
        method: &Method,
        exchange: u64,
    ) -> Self {
        let purge = if method.is_safe() { Purge::nothing() } else { Purge::everything() };
        Self { marks, exchange, purge, is_known: false }
    }

    /// It was answered: what it has made old is what the reply says; nothing, if it was refused.
    pub(crate) fn answered(&mut self, reply: &Reply) {
        let is_refused = StatusCode::is_client_error(&reply.status);
        match reply.extensions.text(Extensions::PURGE) {
            Some(said) => {
                self.purge = Purge::parse(said).unwrap_or_else(Purge::everything);
                self.is_known = true;
            }
            None if is_refused => self.purge = Purge::nothing(),
            // A service of an older release says nothing.
            None => {}
        }
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if let Some((marks, done)) = self.marks {
            marks.apply(&self.purge);
            if self.is_known {
                done.note(self.exchange);
            }
        }
    }
}
