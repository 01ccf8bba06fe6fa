//! One link to one node, from the greeting to its end.
//!
//! The bytes go through a [line](mod@line) that hears, stalls and can be cut; ractor's session lives
//! on it; beats on it say whether messages really come through, both ways.

mod beats;
pub(crate) mod line;
mod links;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use panel_kernel::directory::{MemberStatus, Standing};
use panel_kernel::time::Timestamp;
use parking_lot::Mutex;
use ractor::{ActorRef, ActorStatus};
use ractor_cluster::NodeSessionMessage;

use crate::hello::Hello;
use crate::protocol::NodeAgentMessage;
use beats::Beats;
pub(crate) use line::{Duplex, Line, Watched};
pub(crate) use links::Links;

/// A node that says nothing for this long gets no new requests, and what is in flight there is
/// sent again elsewhere.
pub(crate) const SUSPECT: Duration = Duration::from_secs(1);
/// A link on which nothing comes for this long is cut.
pub(crate) const CUT: Duration = Duration::from_secs(3);
/// A link that is not ready after this long is cut.
const READY: Duration = Duration::from_secs(5);

/// One link.
#[derive(Debug)]
pub(crate) struct Link {
    /// Unique in this process; the session's label.
    pub(crate) label: String,
    /// Who is at the other end.
    pub(crate) peer: Hello,
    /// What our beats must carry, so that the peer knows whose they are.
    pub(crate) line: Arc<Line>,
    /// What members on that node share.
    pub(crate) standing: Arc<Standing>,
    /// By which the peer's beats on this link are known.
    pub(crate) token: String,
    /// When the peer's certificate expires, if it has one.
    expires: Option<Timestamp>,
    begun: Instant,
    session: OnceLock<Session>,
    agent: ArcSwapOption<ActorRef<NodeAgentMessage>>,
    beats: Mutex<Beats>,
}

/// ractor's part of a link.
#[derive(Debug)]
pub(crate) struct Session {
    /// The number that ids of actors on that node carry.
    pub(crate) node_id: u64,
    /// The session.
    pub(crate) actor: ActorRef<NodeSessionMessage>,
}

/// What a look at a link has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// Nothing new.
    Same,
    /// Its standing has changed, from and to.
    Changed(MemberStatus, MemberStatus),
    /// It must be cut, for this reason.
    Hopeless(&'static str),
}

impl Link {
    pub(crate) fn new(label: String, token: String, peer: Hello, budget: usize) -> Self {
        let standing = Standing::new(budget);
        // Nothing is sent before it is ready, and the first beat has come back.
        standing.set_status(MemberStatus::Suspect);
        Self {
            label,
            peer,
            line: Line::new(),
            standing,
            token,
            expires: None,
            begun: Instant::now(),
            session: OnceLock::new(),
            agent: ArcSwapOption::empty(),
            beats: Mutex::new(Beats::new(Instant::now())),
        }
    }

    /// A link ends with the certificate it was made with.
    pub(crate) const fn until(mut self, expires: Option<Timestamp>) -> Self {
        self.expires = expires;
        self
    }

    /// ractor has taken the stream.
    pub(crate) fn opened(&self, session: Session) {
        drop(self.session.set(session));
    }

    pub(crate) fn session(&self) -> Option<&Session> {
        self.session.get()
    }

    /// The peer's agent is known: messages go both ways.
    pub(crate) fn ready(&self, agent: ActorRef<NodeAgentMessage>) {
        self.beats.lock().forgive(Instant::now());
        self.line.heard();
        self.agent.store(Some(Arc::new(agent)));
    }

    pub(crate) fn agent(&self) -> Option<Arc<ActorRef<NodeAgentMessage>>> {
        self.agent.load_full()
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.agent.load().is_some()
    }

    /// Whether the agent that is known lives.
    pub(crate) fn has_agent(&self) -> bool {
        self.agent.load().as_ref().is_some_and(|agent| agent.get_status() < ActorStatus::Stopping)
    }

    /// Whether a beat has come back: then it is known what the clock shows there, too.
    pub(crate) fn is_proven(&self) -> bool {
        self.is_ready() && self.standing.round_trip().is_some()
    }

    /// Whether it works, or has only just begun to.
    pub(crate) fn is_well(&self) -> bool {
        let silent = self.is_proven() && self.standing.status() == MemberStatus::Suspect;
        !silent && !self.line.is_cut()
    }

    /// The number of the next beat, which is about to be sent.
    pub(crate) fn next_beat(&self, now: Timestamp) -> u64 {
        let number = self.beats.lock().next(Instant::now(), now);
        self.standing.beat(number);
        number
    }

    /// The beat of this number has come back, from a node whose clock shows `there`.
    pub(crate) fn beat_returned(&self, number: u64, there: Timestamp) {
        let Some(trip) = self.beats.lock().returned(number, there, Instant::now()) else { return };
        let is_first = !self.is_proven();
        self.standing.measured(trip.took, trip.offset_micros);
        self.standing.beat_returned(number);
        if is_first {
            self.standing.set_status(MemberStatus::Up);
        }
        if self.line.is_cut() {
            self.standing.set_status(MemberStatus::Down);
        }
    }

    /// This process was not there for a while, so its silence means nothing.
    pub(crate) fn forgive(&self) {
        self.line.heard();
        self.beats.lock().forgive(Instant::now());
    }

    /// How it is now. `leaving`: the peer has said that it drains.
    pub(crate) fn look(&self, leaving: bool, now: Timestamp) -> Finding {
        if self.line.is_cut() {
            return Finding::Hopeless("it was cut");
        }
        if self.expires.is_some_and(|expires| expires < now) {
            return Finding::Hopeless("its certificate has expired");
        }
        if !self.is_proven() {
            let late = self.begun.elapsed() > READY;
            return if late {
                Finding::Hopeless("it was not ready in time")
            } else {
                Finding::Same
            };
        }
        let deaf = self.beats.lock().overdue(Instant::now());
        let silence = self.line.silence().max(deaf);
        if silence > CUT {
            return Finding::Hopeless("nothing was heard for 3 s");
        }
        let status = if silence > SUSPECT {
            MemberStatus::Suspect
        } else if leaving {
            MemberStatus::Draining
        } else {
            MemberStatus::Up
        };
        let before = self.standing.set_status(status);
        if before == status { Finding::Same } else { Finding::Changed(before, status) }
    }

    /// Ends it: what is in flight is lost at once.
    pub(crate) fn cut(&self) {
        self.standing.set_status(MemberStatus::Down);
        self.line.cut();
        if let Some(session) = self.session.get() {
            session.actor.stop(Some("cut".to_owned()));
        }
    }
}
