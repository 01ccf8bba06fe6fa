//! One stream: what is pushed and what was missed, in order and once, as a reader gets it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
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

/// What a reader waits before they open it again, in milliseconds.
const GREETING: &[u8] = b"retry: 2000\n\n";
const SIGN_OF_LIFE: &[u8] = b":\n\n";
/// Where events are of the moment: some may have been lost.
const MISSED: &[u8] = b"event: missed\ndata: {}\n\n";

/// A stream.
pub(super) struct Feed {
    registered: Registered,
    inbox: Arc<Inbox>,
    service: &'static str,
    /// The last event the reader has; `None` where events are of the moment.
    last: Option<Id>,
    session: Option<Id>,
    until: Instant,
    greeted: bool,
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
            until: Instant::now() + LIFE,
            greeted: false,
            // What came since the service answered. Of what is of the moment, readers look themselves.
            looks: last.is_some(),
            beats: 0,
            _place: place,
        }
    }

    /// What is to be sent next; nothing once it is over.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        if !self.greeted {
            self.greeted = true;
            return Some(Bytes::from_static(GREETING));
        }
        loop {
            if self.is_over() {
                return None;
            }
            if self.inbox.has_missed() || self.looks {
                let Some(last) = self.last else {
                    self.looks = false;
                    return Some(Bytes::from_static(MISSED));
                };
                // Boxed: a stream that waits need not carry the size of this.
                match Box::pin(self.missed(last)).await {
                    Ok(missed) => {
                        self.looks = missed.more;
                        if let Some(piece) = self.all(missed) {
                            return Some(piece);
                        }
                        continue;
                    }
                    // The service is not there. What is pushed meanwhile is looked for as well.
                    Err(_) => self.looks = true,
                }
            }
            match self.wait().await {
                Step::Send(piece) => return Some(piece),
                Step::Look => {}
                Step::End => return None,
            }
        }
    }

    /// Waits for something to do.
    async fn wait(&mut self) -> Step {
        let share = 0.75 + rand::random::<f64>() / 4.0;
        let patience = if self.looks { AGAIN } else { BEAT.mul_f64(share) };
        let ending = &self.registered.streams.0.ending;
        tokio::select! {
            event = self.inbox.next() => match event {
                Some(event) => self.event(&event),
                None => Step::Look,
            },
            () = tokio::time::sleep(patience) => {
                if self.looks {
                    return Step::Look;
                }
                self.beats += 1;
                self.looks = self.last.is_some() && self.beats.is_multiple_of(LOOK_EVERY);
                Step::Send(Bytes::from_static(SIGN_OF_LIFE))
            }
            () = ending.cancelled() => Step::End,
        }
    }

    /// Something that was pushed: sent, if it is what comes next.
    fn event(&mut self, event: &Pushed) -> Step {
        if event.id.is_some() {
            if event.id <= self.last || self.looks {
                return Step::Look;
            }
            if event.after > self.last {
                // The one before it is still on its way, or was lost.
                self.looks = true;
                return Step::Look;
            }
        }
        if self.is_over() {
            return Step::End;
        }
        self.last = event.id.or(self.last);
        self.registered.streams.0.events.with_label_values(&["pushed"]).inc();
        Step::Send(frame(event))
    }

    /// What was missed, as one piece.
    fn all(&mut self, missed: Missed) -> Option<Bytes> {
        let mut piece = Vec::new();
        for event in missed.events {
            if event.id <= self.last {
                continue;
            }
            piece.extend_from_slice(&frame(&event));
            self.last = event.id;
            self.registered.streams.0.events.with_label_values(&["asked_for"]).inc();
        }
        (!piece.is_empty()).then(|| piece.into())
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

    /// Whether it has lasted as long as it may, or its session has ended.
    fn is_over(&self) -> bool {
        let streams = &self.registered.streams.0;
        Instant::now() >= self.until
            || streams.ending.is_cancelled()
            || self.session.is_some_and(|session| streams.identity.is_revoked(session))
    }
}

/// What a stream does next.
enum Step {
    Send(Bytes),
    Look,
    End,
}

/// An event as readers get it. JSON has no line breaks.
fn frame(event: &Pushed) -> Bytes {
    let Pushed { id, event, data, .. } = event;
    let id = id.map_or_else(String::new, |id| format!("id: {id}\n"));
    format!("{id}event: {event}\ndata: {data}\n\n").into()
}
