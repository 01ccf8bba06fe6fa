//! What a stream is told, until it takes it. Empty, it takes hardly any memory: there are ten thousand of them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use panel_kernel::push::Pushed;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Events that wait for one reader; of more, they are asked for.
const WAITING: usize = 16;

/// Where one stream is told.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    waiting: Mutex<VecDeque<Arc<Pushed>>>,
    /// Something may have been missed, or there was no room for it.
    looks: AtomicBool,
    told: Notify,
}

impl Inbox {
    /// Something new.
    pub(super) fn event(&self, event: Arc<Pushed>) {
        let mut waiting = self.waiting.lock();
        if waiting.len() < WAITING {
            waiting.push_back(event);
        } else {
            self.looks.store(true, Ordering::Release);
        }
        drop(waiting);
        self.told.notify_one();
    }

    /// Something may have been missed.
    pub(super) fn look(&self) {
        self.looks.store(true, Ordering::Release);
        self.told.notify_one();
    }

    /// Whether something may have been missed since this was asked last.
    pub(super) fn has_missed(&self) -> bool {
        self.looks.swap(false, Ordering::AcqRel)
    }

    /// The next event, once there is one; `None` if something may have been missed.
    pub(super) async fn next(&self) -> Option<Arc<Pushed>> {
        loop {
            if self.looks.load(Ordering::Acquire) {
                return None;
            }
            let next = self.waiting.lock().pop_front();
            if next.is_some() {
                return next;
            }
            self.told.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use panel_kernel::ids::Id;
    use serde_json::value::RawValue;

    use super::*;

    fn event(raw: i64) -> Arc<Pushed> {
        Arc::new(Pushed {
            topic: "t".to_owned(),
            id: Some(Id::from_raw(raw)),
            after: None,
            event: "e".to_owned(),
            data: RawValue::from_string("{}".to_owned()).unwrap(),
        })
    }

    #[tokio::test]
    async fn what_there_is_no_room_for_is_known_to_be_missed() {
        let inbox = Inbox::default();
        for raw in 0..16 {
            inbox.event(event(raw));
        }
        assert_eq!(inbox.next().await.unwrap().id, Some(Id::from_raw(0)));
        inbox.event(event(16));
        inbox.event(event(17));
        assert!(inbox.next().await.is_none());
        assert!(inbox.has_missed() && !inbox.has_missed());
        for raw in 1..17 {
            assert_eq!(inbox.next().await.unwrap().id, Some(Id::from_raw(raw)));
        }
        // Who waits is woken.
        let (next, ()) = tokio::join!(inbox.next(), async { inbox.look() });
        assert!(next.is_none());
    }
}
