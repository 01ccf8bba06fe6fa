//! The room of a thread: who is typing there.
//!
//! It is opened by the first who types, and closes when nobody does any more. It owns a few names, for some
//! seconds. Failure: nobody is seen typing until somebody types on, which opens another.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use panel_kernel::ids::Id;
use ractor::{Actor, ActorProcessingErr, ActorRef, Message};

use super::news::News;
use super::{Rooms, Turn};
use crate::store::authors::Author;

/// For how long somebody types who does not say it again.
const LASTS: Duration = Duration::from_secs(6);
/// How often others are told that somebody still does.
const TELL_EVERY: Duration = Duration::from_secs(2);
/// Between two looks for those who have stopped.
const LOOK: Duration = Duration::from_secs(1);
/// People who are seen typing in one thread.
const MOST_TYPING: usize = 20;

/// What a room is told.
#[derive(Debug)]
pub(crate) enum RoomMessage {
    /// Somebody types.
    Typing { by: Author, _turn: Turn },
    /// Somebody types no more, which others know already.
    Ended { by: Id, _turn: Turn },
    /// Time to look who has stopped. A tick.
    Look,
}

impl Message for RoomMessage {}

/// The room of a thread.
pub(super) struct Room {
    pub(super) thread: Id,
    pub(super) rooms: Rooms,
}

/// Somebody who types.
#[derive(Debug)]
pub(super) struct Typist {
    who: Author,
    told: Instant,
    until: Instant,
}

/// Those who type.
type Typists = BTreeMap<Id, Typist>;

impl Actor for Room {
    type Msg = RoomMessage;
    type State = Typists;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<RoomMessage>,
        (): (),
    ) -> Result<Typists, ActorProcessingErr> {
        drop(myself.send_after(LOOK, || RoomMessage::Look));
        Ok(Typists::new())
    }

    async fn handle(
        &self,
        myself: ActorRef<RoomMessage>,
        message: RoomMessage,
        typists: &mut Typists,
    ) -> Result<(), ActorProcessingErr> {
        let now = Instant::now();
        match message {
            RoomMessage::Typing { by, .. } => {
                if begins(typists, &by, now) {
                    self.tell([(by, true)]);
                }
            }
            RoomMessage::Ended { by, .. } => drop(typists.remove(&by)),
            RoomMessage::Look => {
                self.tell(over(typists, now).map(|who| (who, false)));
                if typists.is_empty() {
                    myself.stop(None);
                } else {
                    drop(myself.send_after(LOOK, || RoomMessage::Look));
                }
            }
        }
        Ok(())
    }
}

impl Room {
    fn tell(&self, who: impl IntoIterator<Item = (Author, bool)>) {
        let typing = |(user, typing)| News::Typing { thread_id: self.thread, user, typing };
        let news: Vec<News> = who.into_iter().map(typing).collect();
        if !news.is_empty() {
            self.rooms.tell(news);
        }
    }
}

/// Somebody types; whether others are to be told.
fn begins(typists: &mut Typists, by: &Author, now: Instant) -> bool {
    if let Some(typist) = typists.get_mut(&by.id) {
        typist.until = now + LASTS;
        let tells = now.duration_since(typist.told) >= TELL_EVERY;
        if tells {
            typist.told = now;
        }
        return tells;
    }
    if typists.len() >= MOST_TYPING {
        return false;
    }
    typists.insert(by.id, Typist { who: by.clone(), told: now, until: now + LASTS });
    true
}

/// Takes out those who have stopped.
fn over(typists: &mut Typists, now: Instant) -> impl Iterator<Item = Author> + use<> {
    let is_over = |_: &Id, typist: &mut Typist| typist.until <= now;
    let over: Vec<Author> = typists.extract_if(.., is_over).map(|(_, typist)| typist.who).collect();
    over.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn somebody(raw: i64) -> Author {
        Author { id: Id::from_raw(raw), name: raw.to_string() }
    }

    #[test]
    fn others_are_told_now_and_then() {
        let (mut typists, begun, ada) = (Typists::new(), Instant::now(), somebody(1));
        assert!(begins(&mut typists, &ada, begun));
        assert!(!begins(&mut typists, &ada, begun + TELL_EVERY / 2));
        assert!(begins(&mut typists, &ada, begun + TELL_EVERY));
        // Since she last said so.
        assert_eq!(over(&mut typists, begun + LASTS).count(), 0);
        let late = over(&mut typists, begun + TELL_EVERY + LASTS).collect::<Vec<_>>();
        assert_eq!(late.iter().map(|who| who.id).collect::<Vec<_>>(), [ada.id]);
        assert!(typists.is_empty());
    }

    #[test]
    fn there_are_not_more_than_can_be_read() {
        let (mut typists, now) = (Typists::new(), Instant::now());
        let told = (0..100).filter(|raw| begins(&mut typists, &somebody(*raw), now)).count();
        assert_eq!((told, typists.len()), (MOST_TYPING, MOST_TYPING));
    }
}
