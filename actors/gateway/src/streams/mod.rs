//! Streams of events that readers keep open here, as server-sent events ([`sse`]) or over a WebSocket ([`socket`]).
//!
//! A service answers with what the reader listens to and the last event they have. From then on the stream
//! is the gateway's: services push what is new ([`door`]), and what may have been missed is asked for
//! ([`feed`]): what came before the stream was open, what there was no room for, what a member may have
//! stored and not pushed when it was lost, and now and then, whatever the reason may be. Events of a topic
//! have ids that ascend, and each tells the one before it, so that nothing is sent twice, or out of order, and
//! nothing is left out unnoticed. Events without an id are of the moment: there is nobody to ask for those that
//! were missed, so the reader is told that some may have been.
//!
//! A stream is no task: it lives in that of its connection, which is given to it. What it holds is a place, a small
//! queue, and a timer. It ends after ten minutes at the latest, when its session is over, and when the gateway drains; the
//! reader goes on where it was, through whichever gateway.

mod config;
mod door;
mod feed;
pub(crate) mod handshake;
mod inbox;
mod socket;
mod sse;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _, stream};
use http::{Method, StatusCode, request};
use panel_kernel::identity::ACCESS_TOKEN_LIFE;
use panel_kernel::ids::Id;
use panel_kernel::message::Principal;
use panel_kernel::metrics::Metrics;
use panel_kernel::problem::{Kind, Problem};
use panel_kernel::push::PushBatch;
use parking_lot::Mutex;
use prometheus::{IntCounterVec, IntGauge, Opts};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::dispatch::Dispatcher;
use crate::identity::Identity;
use crate::limits::Client;
use crate::outgoing::{Content, Outgoing};
use crate::places::{OfOne, Places};
use crate::server::{AnswerBody, Handover};

pub use config::StreamsConfig;
pub(crate) use door::{PushDoor, watch_child};
use feed::Feed;
use handshake::Handshake;
use inbox::Inbox;

/// Streams of one.
const OF_ONE: OfOne = OfOne { account: 8, address: 100 };
/// Streams that ask what they have missed, at one time.
const ASKING: usize = 16;
/// How long a stream lasts: as long as what it was opened with.
const LIFE: Duration = ACCESS_TOKEN_LIFE;

/// Who listens to what, by service and topic.
type Listeners = HashMap<(String, String), HashMap<u64, Arc<Inbox>>>;

/// The streams that are open here. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Streams(Arc<Inner>);

struct Inner {
    listeners: Mutex<Listeners>,
    numbers: AtomicU64,
    places: Places,
    asking: Semaphore,
    dispatcher: Dispatcher,
    identity: Identity,
    ending: CancellationToken,
    open: IntGauge,
    events: IntCounterVec,
}

/// A feed's place among those who listen, until it is dropped.
struct Registered {
    streams: Streams,
    key: (String, String),
    number: u64,
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut listeners = self.streams.0.listeners.lock();
        if let Some(those) = listeners.get_mut(&self.key) {
            those.remove(&self.number);
            if those.is_empty() {
                listeners.remove(&self.key);
            }
        }
        self.streams.0.open.dec();
    }
}

impl Streams {
    /// None yet; at most so many, until `ending`.
    pub(crate) fn new(
        at_once: usize,
        (dispatcher, identity): (Dispatcher, Identity),
        ending: CancellationToken,
        metrics: &Metrics,
    ) -> prometheus::Result<Self> {
        let open = IntGauge::new("panel_streams_open", "Event streams that are open.")?;
        let events = IntCounterVec::new(
            Opts::new("panel_stream_events_total", "Events sent to readers, and how they came."),
            &["how"],
        )?;
        Ok(Self(Arc::new(Inner {
            listeners: Mutex::default(),
            numbers: AtomicU64::new(0),
            places: Places::new(at_once, OF_ONE),
            asking: Semaphore::new(ASKING),
            dispatcher,
            identity,
            ending,
            open: metrics.register(open)?,
            events: metrics.register(events)?,
        })))
    }

    /// Opens a stream, if an answer is to be one: over a WebSocket, if that was asked for.
    pub(crate) fn open(
        &self,
        (parts, handshake): (&request::Parts, Option<Handshake>),
        outgoing: &mut Outgoing,
        service: &'static str,
        reader: Reader,
    ) -> Result<(), Problem> {
        let Content::Stream { topics, after_id } = &outgoing.content else { return Ok(()) };
        if parts.method == Method::HEAD {
            outgoing.emptied();
            return Ok(());
        }
        let ([topic], Ok(after)) =
            (topics.as_slice(), after_id.as_ref().map(|id| id.parse::<Id>()).transpose())
        else {
            return Err(Problem::new(Kind::Internal, "the stream is of an unknown form"));
        };
        let place = self.0.places.enter(reader.client).map_err(|full| {
            let all = "as many streams are open as there may be";
            full.refusal(all, "streams are open to you already")
        })?;
        let inbox = Arc::new(Inbox::default());
        let key = (service.to_owned(), topic.clone());
        let number = self.0.numbers.fetch_add(1, Ordering::Relaxed);
        let told = Arc::clone(&inbox);
        self.0.listeners.lock().entry(key.clone()).or_default().insert(number, told);
        self.0.open.inc();
        let registered = Registered { streams: self.clone(), key, number };
        let feed = Feed::new(registered, inbox, place, (service, after), reader.session);
        let handover = match handshake {
            None => Handover::Pieces(sse::pieces(feed)),
            Some(handshake) => {
                outgoing.status = StatusCode::SWITCHING_PROTOCOLS;
                outgoing.headers = handshake.headers();
                let told =
                    stream::unfold(feed, |mut feed| async move { Some((feed.next().await, feed)) });
                let tell = |line, unread| socket::tell(line, unread, told.boxed()).boxed();
                Handover::Protocol(Box::new(tell))
            }
        };
        outgoing.content = Content::Open(AnswerBody::handover(handover));
        Ok(())
    }

    /// Takes what a service has pushed.
    fn take(&self, batch: PushBatch) {
        let PushBatch { service, events, look_again, purges: _ } = batch;
        if look_again {
            self.look_again(&service);
        }
        let listeners = self.0.listeners.lock();
        for event in events {
            let key = (service.clone(), event.topic.clone());
            let Some(those) = listeners.get(&key) else { continue };
            let event = Arc::new(event);
            for inbox in those.values() {
                inbox.event(Arc::clone(&event));
            }
        }
    }

    /// Whoever listens to a service may have missed something.
    fn look_again(&self, service: &str) {
        let listeners = self.0.listeners.lock();
        let those = listeners.iter().filter(|((of, _), _)| of == service);
        for inbox in those.flat_map(|(_, those)| those.values()) {
            inbox.look();
        }
    }

    /// The services to which somebody listens.
    fn services(&self) -> Vec<String> {
        let listeners = self.0.listeners.lock();
        let mut services: Vec<String> =
            listeners.keys().map(|(service, _)| service.clone()).collect();
        services.sort_unstable();
        services.dedup();
        services
    }
}

/// Who asks, as far as a stream has to do with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader {
    client: Client,
    session: Option<Id>,
}

impl Reader {
    /// Somebody at this address.
    pub(crate) fn of(principal: &Principal, address: IpAddr) -> Self {
        match principal {
            Principal::User(user) => {
                Self { client: Client::User(user.id), session: Some(user.session) }
            }
            _ => Self { client: address.into(), session: None },
        }
    }
}
