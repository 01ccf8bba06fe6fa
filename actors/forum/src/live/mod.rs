//! What happens in threads while they are open somewhere: new posts, changes, who is typing.
//!
//! Readers of a thread keep a stream open at a gateway. What is committed here is pushed to them at once, many
//! together; who is typing is known to the room of the thread, an actor of its own that is there only while
//! somebody types. All of it is of the moment and stored nowhere: a node tells of what it has committed itself,
//! and a reader who may have missed something is told so, and reads the page again.
//!
//! Failure: what was to be told in that moment is not, and readers are told that they have missed something.
//! Posts are written, and read, as ever.

mod news;
mod room;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use panel_kernel::data::Committed;
use panel_kernel::ids::Id;
use panel_kernel::push::Pusher;
use panel_kernel::supervision::{Address, ChildSpec, OnDemand};
use ractor::{Actor, ActorProcessingErr, ActorRef, Message, SupervisionEvent};

pub(crate) use news::{News, topic};
use room::{Room, RoomMessage};

use crate::store::authors::Author;

/// How long news gathers: what is pushed together costs one message to each gateway.
const GATHER: Duration = Duration::from_millis(10);
/// News that is held at a time; of more, readers are told that they have missed something.
const MOST_NEWS: usize = 1_000;
/// Between two times that readers are told so: each makes them read.
const TELL_LOSS: Duration = Duration::from_secs(2);
/// Messages on their way to this actor and to rooms.
const MOST_WAITING: usize = 10_000;
/// Threads in which people type at a time; in more, nobody is seen typing.
const MOST_ROOMS: usize = 1_000;

/// What the actor is told.
#[derive(Debug)]
pub(crate) enum RoomsMessage {
    /// Something was committed here, or a room tells who types.
    News { news: Vec<News>, _turn: Turn },
    /// Somebody types in a thread, or types no more.
    Typing { thread: Id, by: Author, typing: bool, turn: Turn },
    /// What has gathered is to be pushed. A tick.
    Go,
}

impl Message for RoomsMessage {}

/// A place among the messages on their way, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn(Arc<AtomicUsize>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Where it is told what happens in threads. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rooms {
    address: Address<RoomsMessage>,
    waiting: Arc<AtomicUsize>,
    /// Whether something was not told.
    lost: Arc<AtomicBool>,
}

impl Rooms {
    /// These facts were committed here.
    pub(crate) fn committed(&self, facts: &[Committed]) {
        let news = news::of_facts(facts);
        if !news.is_empty() {
            self.tell(news);
        }
    }

    /// Somebody types in a thread, or types no more.
    pub(crate) fn types(&self, thread: Id, by: Author, typing: bool) {
        // Whoever types does so again in a moment.
        if let Some(turn) = self.turn() {
            drop(self.address.send(RoomsMessage::Typing { thread, by, typing, turn }));
        }
    }

    fn tell(&self, news: Vec<News>) {
        let turn = self.turn();
        let told = turn.map(|turn| self.address.send(RoomsMessage::News { news, _turn: turn }));
        if !matches!(told, Some(Ok(()))) {
            self.lost.store(true, Ordering::Relaxed);
        }
    }

    fn turn(&self) -> Option<Turn> {
        let turn = Turn(Arc::clone(&self.waiting));
        (self.waiting.fetch_add(1, Ordering::Relaxed) < MOST_WAITING).then_some(turn)
    }

    /// The actor behind it, as a child of the service.
    pub(crate) fn child(&self, pusher: &Pusher) -> ChildSpec {
        let (rooms, pusher) = (self.clone(), pusher.clone());
        ChildSpec::new("rooms", move || {
            (RoomKeeper { rooms: rooms.clone(), pusher: pusher.clone() }, ())
        })
    }
}

/// Has the rooms, and pushes what happens in threads.
struct RoomKeeper {
    rooms: Rooms,
    pusher: Pusher,
}

/// What is not pushed yet, and the rooms there are.
#[derive(Debug)]
struct Kept {
    news: Vec<News>,
    rooms: OnDemand<Id, RoomMessage>,
    /// When readers may be told again that they have missed something.
    may_tell: Instant,
    /// They are to be, then.
    tells_later: bool,
}

impl Actor for RoomKeeper {
    type Msg = RoomsMessage;
    type State = Kept;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<RoomsMessage>,
        (): (),
    ) -> Result<Kept, ActorProcessingErr> {
        self.rooms.address.announce(&myself);
        // What waited for the one before went with it.
        self.rooms.lost.store(true, Ordering::Relaxed);
        myself.send_message(RoomsMessage::Go)?;
        let rooms = OnDemand::new(MOST_ROOMS);
        Ok(Kept { news: Vec::new(), rooms, may_tell: Instant::now(), tells_later: false })
    }

    async fn handle(
        &self,
        myself: ActorRef<RoomsMessage>,
        message: RoomsMessage,
        kept: &mut Kept,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            RoomsMessage::News { news, .. } => {
                for news in news {
                    self.keep(&myself, news, kept);
                }
            }
            RoomsMessage::Typing { thread, by, typing: true, turn } => {
                let make = || (Room { thread, rooms: self.rooms.clone() }, ());
                match kept.rooms.ensure(thread, &myself, make).await {
                    Ok(Some(room)) => {
                        drop(room.send_message(RoomMessage::Typing { by, _turn: turn }));
                    }
                    Ok(None) => tracing::debug!("there are as many rooms as there may be"),
                    Err(error) => tracing::warn!(%error, "a room can't be opened"),
                }
            }
            // Told in any case: they may be in a room on another node.
            RoomsMessage::Typing { thread, by, typing: false, .. } => {
                self.ended(thread, by.id, kept);
                let news = News::Typing { thread_id: thread, user: by, typing: false };
                self.keep(&myself, news, kept);
            }
            RoomsMessage::Go => self.push(&myself, kept).await,
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<RoomsMessage>,
        event: SupervisionEvent,
        kept: &mut Kept,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorTerminated(room, ..) => drop(kept.rooms.ended(room.get_id())),
            SupervisionEvent::ActorFailed(room, error) => {
                let thread = kept.rooms.ended(room.get_id());
                tracing::error!(?thread, %error, "a room has failed");
            }
            _ => {}
        }
        Ok(())
    }
}

impl RoomKeeper {
    /// Keeps something until it is pushed.
    fn keep(&self, myself: &ActorRef<RoomsMessage>, news: News, kept: &mut Kept) {
        if let News::Post { thread_id, author_id: Some(author), .. } = &news {
            // Whoever has written types no more.
            self.ended(*thread_id, *author, kept);
        }
        if kept.news.is_empty() {
            drop(myself.send_after(GATHER, || RoomsMessage::Go));
        }
        if !news::add(&mut kept.news, news, MOST_NEWS) {
            self.rooms.lost.store(true, Ordering::Relaxed);
        }
    }

    /// Somebody types no more in a thread, if they did so in a room here.
    fn ended(&self, thread: Id, by: Id, kept: &Kept) {
        if let (Some(room), Some(turn)) = (kept.rooms.get(&thread), self.rooms.turn()) {
            drop(room.send_message(RoomMessage::Ended { by, _turn: turn }));
        }
    }

    async fn push(&self, myself: &ActorRef<RoomsMessage>, kept: &mut Kept) {
        let events = std::mem::take(&mut kept.news).iter().filter_map(News::pushed).collect();
        if self.rooms.lost.load(Ordering::Relaxed) {
            let wait = kept.may_tell.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                self.rooms.lost.store(false, Ordering::Relaxed);
                (kept.may_tell, kept.tells_later) = (Instant::now() + TELL_LOSS, false);
                self.pusher.look_again().await;
            } else if !kept.tells_later {
                kept.tells_later = true;
                drop(myself.send_after(wait, || RoomsMessage::Go));
            }
        }
        self.pusher.push(events).await;
    }
}
