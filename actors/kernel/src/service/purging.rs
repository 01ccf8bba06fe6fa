//! What a request has made old of the public answers, by its reply: what was said, and the safe guess where nothing
//! was.

use http::{StatusCode, header};

use crate::message::{Envelope, Extensions, Reply};
use crate::purge::{Begun, Purge, Purger};

/// A request, as far as it can make something old.
pub(super) struct Concern {
    is_write: bool,
    /// Its number at the gateway that carries it.
    exchange: Option<u64>,
}

impl Concern {
    pub(super) fn of(envelope: &Envelope) -> Self {
        let is_write = !envelope.method.is_safe();
        let exchange = envelope.extensions.text(Extensions::EXCHANGE);
        Self { is_write, exchange: exchange.and_then(|text| u64::from_str_radix(text, 16).ok()) }
    }

    /// Has told what is old, and says so in the reply. Where nothing is for everybody, nothing is.
    pub(super) fn settle(self, reply: &mut Reply, begun: &Begun, purger: Option<&Purger>) {
        let Some(purger) = purger else {
            let control = reply.headers.get(header::CACHE_CONTROL);
            if control.is_some_and(|control| control.as_bytes().starts_with(b"public")) {
                reply.headers.remove(header::CACHE_CONTROL);
            }
            return;
        };
        let Some(purge) = self.purge(reply, begun) else { return };
        reply.extensions.set(Extensions::PURGE, purge.to_text());
        purger.purge_by(self.exchange, purge);
    }

    fn purge(&self, reply: &Reply, begun: &Begun) -> Option<Purge> {
        if let Some(said) = reply.extensions.text(Extensions::PURGE) {
            return Some(Purge::parse(said).unwrap_or_else(Purge::everything));
        }
        if !self.is_write || nothing_was_done(reply) {
            return None;
        }
        // It may have been committed and not said so: then what it removed is gone.
        let mut purge = Purge::everything();
        if !is_done(reply.status) {
            purge.add(Purge { gone: begun.so_far().gone, ..Purge::nothing() });
        }
        Some(purge)
    }
}

const fn is_done(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200..400)
}

fn nothing_was_done(reply: &Reply) -> bool {
    match reply.refusal {
        Some(refusal) => refusal.nothing_was_done(),
        None => reply.status.is_client_error(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Refusal;
    use crate::problem::{Kind, Problem};

    fn purged(is_write: bool, reply: &Reply, begun: &Begun) -> Option<Purge> {
        Concern { is_write, exchange: None }.purge(reply, begun)
    }

    #[test]
    fn what_says_nothing_makes_everything_old_unless_nothing_was_done() {
        let begun = Begun::default();
        let done = Reply::json(StatusCode::CREATED, "{}");
        assert_eq!(purged(true, &done, &begun), Some(Purge::everything()));
        assert_eq!(purged(false, &done, &begun), None);
        let refused = Reply::problem(&Problem::not_found("thread"));
        let busy = Reply::refuse(Refusal::Busy);
        for nothing in [refused, busy, Reply::refuse(Refusal::DeadlinePassed)] {
            assert_eq!(purged(true, &nothing, &begun), None);
        }
        let failed = Reply::problem(&Problem::internal());
        let late = Reply::problem(&Problem::new(Kind::DeadlineExceeded, "late"));
        for unknown in [failed, late, Reply::refuse(Refusal::Aborted)] {
            assert_eq!(purged(true, &unknown, &begun), Some(Purge::everything()));
        }
    }

    #[test]
    fn what_is_said_counts_and_what_may_have_been_removed_is_gone() {
        let begun = Begun::default();
        let mut said = Reply::json(StatusCode::OK, "{}");
        for purge in [Purge::nothing(), Purge::of(["threads"]), Purge::gone(["thread:1"])] {
            said.extensions.set(Extensions::PURGE, purge.to_text());
            assert_eq!(purged(true, &said, &begun), Some(purge));
        }
        said.extensions.set(Extensions::PURGE, "nonsense");
        assert_eq!(purged(true, &said, &begun), Some(Purge::everything()));
        begun.add(Purge::gone(["thread:1"]));
        begun.add(Purge::of(["threads"]));
        let mut unknown = Purge::everything();
        unknown.add(Purge::gone(["thread:1"]));
        let aborted = Reply::refuse(Refusal::Aborted);
        assert_eq!(purged(true, &aborted, &begun), Some(unknown));
    }
}
