//! A reply port that can't be forgotten.

use ractor::RpcReplyPort;

use super::{Parcel, Refusal, Reply};

/// Wraps a reply port so that its caller is always answered: if the holder dies or drops it,
/// the caller gets [`Refusal::Aborted`] at once. (A bare port that is dropped sends nothing to
/// another node: the caller would wait for its deadline.)
#[derive(Debug)]
pub struct ReplyGuard(Option<RpcReplyPort<Parcel<Reply>>>);

impl ReplyGuard {
    /// Takes responsibility for the port.
    #[must_use]
    pub fn new(port: RpcReplyPort<Parcel<Reply>>) -> Self {
        Self(Some(port))
    }

    /// Answers. A caller that no longer waits is no error.
    pub fn send(mut self, reply: Reply) {
        self.answer(reply);
    }

    /// Refuses.
    pub fn refuse(self, refusal: Refusal) {
        self.send(Reply::refuse(refusal));
    }

    /// Whether the caller has stopped waiting (always `false` for callers on other nodes).
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.0.as_ref().is_none_or(RpcReplyPort::is_closed)
    }

    fn answer(&mut self, reply: Reply) {
        if let Some(port) = self.0.take() {
            // The only error is a caller that has gone, and then nobody is left to tell.
            drop(port.send(Parcel::new(reply)));
        }
    }
}

impl Drop for ReplyGuard {
    fn drop(&mut self) {
        self.answer(Reply::refuse(Refusal::Aborted));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dropped_guard_answers() {
        let (tx, rx) = ractor::concurrency::oneshot();
        drop(ReplyGuard::new(tx.into()));
        let reply = rx.await.unwrap().open().unwrap();
        assert_eq!(reply.refusal, Some(Refusal::Aborted));
        assert!(!Refusal::Aborted.nothing_was_done());
    }

    #[tokio::test]
    async fn a_sent_answer_is_the_only_one() {
        let (tx, rx) = ractor::concurrency::oneshot();
        ReplyGuard::new(tx.into()).refuse(Refusal::Busy);
        assert_eq!(rx.await.unwrap().open().unwrap().refusal, Some(Refusal::Busy));
    }
}
