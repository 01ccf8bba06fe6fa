//! One stream: what is pushed and what was missed, in order and once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use panel_kernel::ids::Id;
use panel_kernel::problem::Problem;
use panel_kernel::push::{Missed, Pushed, STREAMS_PATH};

use super::inbox::Inbox;
use super::{LIFE, Registered};
use crate::places::Place;

/// A sign of life is sent after so long without anything else, so that both ends notice when the other is
/// gone. Some sooner, so that streams that were opened at the same moment don't all do so.
const BEAT: Duration = Duration::from_secs(20);
/// After so many of them it is asked what may have been missed for whatever reason.
const LOOK_EVERY: u32 = 6;
/// When to ask again where nobody answers.
const AGAIN: Duration = Duration::from_secs(2);
/// How many events are asked for at a time.
const PAGE: u32 = 100;

/// What a reader is told next.
#[derive(Debug)]
pub(super) enum Told {
    /// Something new.
    Event(Arc<Pushed>),
    /// What they had missed, in order.
    Events(Vec<Pushed>),
    /// Some events of the moment may have been lost.
    Missed,
    /// Nothing, for some time.
    Alive,
    /// It is over.
    Over(Over),
}

/// Why a stream is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// It has lasted as long as one may.
    Age,
    /// The reader's session is.
    Session,
    /// The gateway leaves.
    Gateway,
}

/// From three quarters to all of it.
fn share() -> f64 {
    0.75 + rand::random::<f64>() / 4.0
}

/// A stream.
pub(super) struct Feed {
    registered: Registered,
    inbox: Arc<Inbox>,
    service: &'static str,
    /// The last event the reader has; `None` where events are of the moment.
    last: Option<Id>,
    session: Option<Id>,
    until: Instant,
    /// Something may have been missed.
    looks: bool,
    beats: u32,
    _place: Place,
}

impl Feed {
    pub(super) fn new(
        registered: Registered,
        inbox: Arc<Inbox>,
        place: Place,
        (service, last): (&'static str, Option<Id>),
        session: Option<Id>,
    ) -> Self {
        Self {
            registered,
            inbox,
            service,
            last,
            session,
            // Those that were opened at the same moment need not end at the same moment.
            until: Instant::now() + LIFE.mul_f64(share()),
            // What came since the service answered. Of what is of the moment, readers look themselves.
            looks: last.is_some(),
            beats: 0,
            _place: place,
        }
    }

    /// What is to be told next, the end last.
    pub(super) async fn next(&mut self) -> Told {
        loop {
            if let Some(over) = self.is_over() {
                return Told::Over(over);
            }
            if self.inbox.has_missed() || self.looks {
                let Some(last) = self.last else {
                    self.looks = false;
                    return Told::Missed;
                };
                // Boxed: a stream that waits need not carry the size of this.
                match Box::pin(self.missed(last)).await {
                    Ok(missed) => {
                        self.looks = missed.more;
                        if let Some(told) = self.all(missed) {
                            return told;
                        }
                        continue;
                    }
                    // The service is not there. What is pushed meanwhile is looked for as well.
                    Err(_) => self.looks = true,
                }
            }
            if let Some(told) = self.wait().await {
                return told;
            }
        }
    }

    /// Waits for something to tell, or to do.
    async fn wait(&mut self) -> Option<Told> {
        let patience = if self.looks { AGAIN } else { BEAT.mul_f64(share()) };
        let ending = &self.registered.streams.0.ending;
        tokio::select! {
            event = self.inbox.next() => self.event(event?),
            () = tokio::time::sleep(patience) => {
                if self.looks {
                    return None;
                }
                self.beats += 1;
                self.looks = self.last.is_some() && self.beats.is_multiple_of(LOOK_EVERY);
                Some(Told::Alive)
            }
            () = ending.cancelled() => None,
        }
    }

    /// Something that was pushed: told, if it is what comes next.
    fn event(&mut self, event: Arc<Pushed>) -> Option<Told> {
        if event.id.is_some() {
            if event.id <= self.last || self.looks {
                return None;
            }
            if event.after > self.last {
                // The one before it is still on its way, or was lost.
                self.looks = true;
                return None;
            }
        }
        if let Some(over) = self.is_over() {
            return Some(Told::Over(over));
        }
        self.last = event.id.or(self.last);
        self.registered.streams.0.events.with_label_values(&["pushed"]).inc();
        Some(Told::Event(event))
    }

    /// What was missed, as far as it is new.
    fn all(&mut self, missed: Missed) -> Option<Told> {
        let mut events = missed.events;
        events.retain(|event| {
            let is_new = event.id > self.last;
            self.last = self.last.max(event.id);
            is_new
        });
        let count = events.len() as u64;
        self.registered.streams.0.events.with_label_values(&["asked_for"]).inc_by(count);
        (count > 0).then_some(Told::Events(events))
    }

    async fn missed(&self, last: Id) -> Result<Missed, Problem> {
        let streams = &self.registered.streams.0;
        let _turn = streams.asking.acquire().await.map_err(|_| Problem::internal())?;
        let (_, topic) = &self.registered.key;
        let topic =
            percent_encoding::utf8_percent_encode(topic, percent_encoding::NON_ALPHANUMERIC);
        let path = format!("{STREAMS_PATH}?topic={topic}&after={last}&limit={PAGE}");
        streams.dispatcher.ask_for_clients(self.service, &path).await
    }

    /// Whether it is over, and why.
    fn is_over(&self) -> Option<Over> {
        let streams = &self.registered.streams.0;
        if streams.ending.is_cancelled() {
            Some(Over::Gateway)
        } else if self.session.is_some_and(|session| streams.identity.is_revoked(session)) {
            Some(Over::Session)
        } else {
            (Instant::now() >= self.until).then_some(Over::Age)
        }
    }
}
