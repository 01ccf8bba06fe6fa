//! Facts the forum publishes; auth's facts about people, of which it keeps the names; and its own of
//! texts, which it indexes.

use std::collections::BTreeSet;

use futures::future::BoxFuture;
use panel_kernel::data::{Fact, Tx};
use panel_kernel::events::{Consumer, Event, Rejected};
use panel_kernel::ids::Id;
use panel_kernel::purge::Purge;
use panel_kernel::role::Role;
use panel_kernel::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::SERVICE;
use crate::rules::bans::BanKind;
use crate::rules::digests::Line;
use crate::store::moderation::queue::{QueueKind, QueueStatus};
use crate::store::{self, search};
use crate::tags;

/// A thread was started. Its opening body is a post of its own, without a fact of its own.
#[derive(Debug, Serialize)]
pub(crate) struct ThreadCreated<'a> {
    pub(crate) id: Id,
    pub(crate) category_id: Id,
    pub(crate) author_id: Id,
    pub(crate) title: &'a str,
    /// The opening post.
    pub(crate) post_id: Id,
    /// Whom it calls by name.
    pub(crate) mentioned: BTreeSet<Id>,
}

impl Fact for ThreadCreated<'_> {
    const TOPIC: &'static str = "thread.created";
}

/// A thread's title, tags or category changed, or whether it is pinned or locked.
#[derive(Debug, Serialize)]
pub(crate) struct ThreadEdited<'a> {
    pub(crate) id: Id,
    pub(crate) category_id: Id,
    pub(crate) title: &'a str,
}

impl Fact for ThreadEdited<'_> {
    const TOPIC: &'static str = "thread.edited";
}

/// A thread was deleted, with all its posts.
#[derive(Debug, Serialize)]
pub(crate) struct ThreadDeleted {
    pub(crate) id: Id,
}

impl Fact for ThreadDeleted {
    const TOPIC: &'static str = "thread.deleted";
}

/// A thread that was deleted is there again, with all its posts.
#[derive(Debug, Serialize)]
pub(crate) struct ThreadRestored {
    pub(crate) id: Id,
}

impl Fact for ThreadRestored {
    const TOPIC: &'static str = "thread.restored";
}

/// All posts of a thread are in another one now, in order, with `offset` added to their numbers.
#[derive(Debug, Serialize)]
pub(crate) struct ThreadMerged {
    pub(crate) id: Id,
    pub(crate) into: Id,
    pub(crate) offset: i64,
}

impl Fact for ThreadMerged {
    const TOPIC: &'static str = "thread.merged";
}

/// Some posts of a thread are a thread of their own now, which was not told by `thread.created`.
#[derive(Debug, Serialize)]
pub(crate) struct ThreadSplit<'a> {
    pub(crate) id: Id,
    pub(crate) from: Id,
    pub(crate) category_id: Id,
    pub(crate) author_id: Id,
    pub(crate) title: &'a str,
    /// In order; the first opens the new thread.
    pub(crate) posts: &'a [Id],
}

impl Fact for ThreadSplit<'_> {
    const TOPIC: &'static str = "thread.split";
}

/// Somebody replied.
#[derive(Debug, Serialize)]
pub(crate) struct PostCreated {
    pub(crate) id: Id,
    pub(crate) thread_id: Id,
    pub(crate) number: i64,
    pub(crate) author_id: Id,
    pub(crate) reply_to: Option<Id>,
    pub(crate) quote: Option<Id>,
    /// Whom it calls by name.
    pub(crate) mentioned: BTreeSet<Id>,
}

impl Fact for PostCreated {
    const TOPIC: &'static str = "post.created";
}

/// A post's text changed.
#[derive(Debug, Serialize)]
pub(crate) struct PostEdited {
    pub(crate) id: Id,
    pub(crate) thread_id: Id,
    /// Whom it calls by name, and did not before.
    pub(crate) mentioned: BTreeSet<Id>,
}

impl Fact for PostEdited {
    const TOPIC: &'static str = "post.edited";
}

/// A post was deleted.
#[derive(Debug, Serialize)]
pub(crate) struct PostDeleted {
    pub(crate) id: Id,
    pub(crate) thread_id: Id,
}

impl Fact for PostDeleted {
    const TOPIC: &'static str = "post.deleted";
}

/// A post that was deleted is there again.
#[derive(Debug, Serialize)]
pub(crate) struct PostRestored {
    pub(crate) id: Id,
    pub(crate) thread_id: Id,
}

impl Fact for PostRestored {
    const TOPIC: &'static str = "post.restored";
}

/// A reply is hidden until moderators have looked at it.
#[derive(Debug, Serialize)]
pub(crate) struct PostHidden {
    pub(crate) id: Id,
    pub(crate) thread_id: Id,
    pub(crate) author_id: Id,
}

impl Fact for PostHidden {
    const TOPIC: &'static str = "post.hidden";
}

/// A thread is hidden, with all its posts, until moderators have looked at it.
#[derive(Debug, Serialize)]
pub(crate) struct ThreadHidden {
    pub(crate) id: Id,
    pub(crate) author_id: Id,
}

impl Fact for ThreadHidden {
    const TOPIC: &'static str = "thread.hidden";
}

/// Somebody finds something wrong with a post.
#[derive(Debug, Serialize)]
pub(crate) struct PostFlagged<'a> {
    pub(crate) id: Id,
    pub(crate) thread_id: Id,
    pub(crate) item_id: Id,
    pub(crate) reason: &'a str,
}

impl Fact for PostFlagged<'_> {
    const TOPIC: &'static str = "post.flagged";
}

/// Moderators have decided about a post in the queue, or about an appeal.
#[derive(Debug, Serialize)]
pub(crate) struct QueueResolved {
    pub(crate) id: Id,
    pub(crate) status: QueueStatus,
    pub(crate) kind: QueueKind,
    /// Whose post, or appeal.
    pub(crate) author_id: Id,
    pub(crate) post_id: Option<Id>,
    pub(crate) thread_id: Option<Id>,
    pub(crate) ban_id: Option<Id>,
    pub(crate) moderator_id: Id,
    /// Whether the post was held before anybody saw it, and is seen from now on.
    pub(crate) appears: bool,
}

impl Fact for QueueResolved {
    const TOPIC: &'static str = "moderation.resolved";
}

/// Somebody is kept from writing.
#[derive(Debug, Serialize)]
pub(crate) struct UserBanned {
    pub(crate) id: Id,
    pub(crate) user_id: Id,
    pub(crate) kind: BanKind,
    pub(crate) category_id: Option<Id>,
    pub(crate) until: Option<Timestamp>,
    pub(crate) moderator_id: Id,
}

impl Fact for UserBanned {
    const TOPIC: &'static str = "ban.created";
}

/// Somebody is not kept from writing any more, by this ban.
#[derive(Debug, Serialize)]
pub(crate) struct BanEnded {
    pub(crate) id: Id,
    pub(crate) user_id: Id,
    /// Nobody, if it ended by itself.
    pub(crate) moderator_id: Option<Id>,
}

impl Fact for BanEnded {
    const TOPIC: &'static str = "ban.ended";
}

/// Somebody reacted to a post. Told again where they do so again after they took it back.
#[derive(Debug, Serialize)]
pub(crate) struct PostReacted<'a> {
    pub(crate) id: Id,
    pub(crate) thread_id: Id,
    pub(crate) author_id: Id,
    pub(crate) user_id: Id,
    pub(crate) name: &'a str,
}

impl Fact for PostReacted<'_> {
    const TOPIC: &'static str = "post.reacted";
}

/// Somebody took a reaction back.
#[derive(Debug, Serialize)]
pub(crate) struct ReactionWithdrawn<'a> {
    pub(crate) id: Id,
    pub(crate) thread_id: Id,
    pub(crate) author_id: Id,
    pub(crate) user_id: Id,
    pub(crate) name: &'a str,
}

impl Fact for ReactionWithdrawn<'_> {
    const TOPIC: &'static str = "post.reaction_withdrawn";
}

/// Somebody is to get a mail, in plain text. Auth, which knows their address, writes it.
#[derive(Debug, Serialize)]
pub(crate) struct MailRequested<'a> {
    pub(crate) user_id: Id,
    pub(crate) subject: &'a str,
    pub(crate) paragraphs: &'a [String],
    pub(crate) lines: &'a [Line],
    /// The page at which they say that they want no more of them.
    pub(crate) unsubscribe: &'a str,
    /// After that it is of no use.
    pub(crate) good_until: Timestamp,
}

impl Fact for MailRequested<'_> {
    const TOPIC: &'static str = "mail.requested";
}

/// Keeps the names of authors as auth tells them, and indexes texts as the forum tells of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts;

impl Consumer for Facts {
    fn apply<'t>(
        &'t self,
        tx: &'t mut Tx,
        source: &'t str,
        event: &'t Event,
    ) -> BoxFuture<'t, Result<(), Rejected>> {
        Box::pin(async move {
            if source == SERVICE.name {
                tx.makes_old([tags::SEARCH]);
                return index(tx, event).await;
            }
            // But for names, which are everywhere.
            tx.makes_nothing_old();
            match told(event)? {
                Some(Told::Registered { id, name, username, role }) => {
                    let names = (name.as_str(), username.as_str(), role);
                    store::authors::register(tx, id, names, event.at).await?;
                }
                Some(Told::Ranked { id, role }) => store::authors::rank(tx, id, role).await?,
                Some(Told::Renamed { id, name }) => {
                    tx.purges(Purge::everything());
                    store::authors::rename(tx, id, &name).await?;
                }
                Some(Told::Erased { id }) => {
                    tx.purges(Purge::everything_gone());
                    store::erasure::erase(tx, id).await?;
                }
                None => {}
            }
            Ok(())
        })
    }
}

/// Indexes what a fact of the forum tells of, as it is by now.
async fn index(tx: &mut Tx, event: &Event) -> Result<(), Rejected> {
    let payload = event.payload.get();
    match event.topic.as_str() {
        "thread.created" | "thread.edited" | "thread.split" => {
            let Thing { id } = serde_json::from_str(payload)?;
            search::index_number(tx, id, 1).await?;
        }
        "post.created" | "post.edited" => {
            let Thing { id } = serde_json::from_str(payload)?;
            search::index(tx, id).await?;
        }
        // What opened a thread has its title no more.
        "thread.merged" => {
            let Merged { into, offset } = serde_json::from_str(payload)?;
            search::index_number(tx, into, offset.saturating_add(1)).await?;
        }
        _ => {}
    }
    Ok(())
}

#[derive(Deserialize)]
struct Thing {
    id: Id,
}

#[derive(Deserialize)]
struct Merged {
    into: Id,
    offset: i64,
}

#[derive(Deserialize)]
struct Registered {
    id: Id,
    username: String,
    display_name: Option<String>,
    #[serde(default = "lowest")]
    role: Role,
}

/// What somebody is of whom auth does not tell.
const fn lowest() -> Role {
    Role::User
}

#[derive(Deserialize)]
struct Ranked {
    id: Id,
    role: Role,
}

#[derive(Deserialize)]
struct Erased {
    id: Id,
}

#[derive(Deserialize)]
struct Renamed {
    id: Id,
    display_name: String,
}

/// What a fact of auth tells the forum.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Registered { id: Id, name: String, username: String, role: Role },
    Ranked { id: Id, role: Role },
    Renamed { id: Id, name: String },
    Erased { id: Id },
}

/// What the fact tells; `None` for facts that tell of something else.
fn told(event: &Event) -> Result<Option<Told>, serde_json::Error> {
    let payload = event.payload.get();
    Ok(match event.topic.as_str() {
        "user.registered" => {
            let Registered { id, username, display_name, role } = serde_json::from_str(payload)?;
            let name = display_name.unwrap_or_else(|| username.clone());
            Some(Told::Registered { id, name, username, role })
        }
        "user.role_changed" => {
            let Ranked { id, role } = serde_json::from_str(payload)?;
            Some(Told::Ranked { id, role })
        }
        "user.renamed" => {
            let Renamed { id, display_name: name } = serde_json::from_str(payload)?;
            Some(Told::Renamed { id, name })
        }
        "user.erased" => {
            let Erased { id } = serde_json::from_str(payload)?;
            Some(Told::Erased { id })
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn told(topic: &str, payload: &str) -> Result<Option<Told>, serde_json::Error> {
        super::told(&Event {
            position: 1,
            topic: topic.to_owned(),
            at: Timestamp::from_micros(0),
            payload: RawValue::from_string(payload.to_owned()).unwrap(),
        })
    }

    #[test]
    fn names_are_read_from_facts() {
        let id = Id::from_raw(1);
        let (ann, username) = ("Ann".to_owned(), "ann".to_owned());
        let fact = r#"{"id":"0000000000001","username":"ann","display_name":"Ann","email":"a@e.org",
            "role":"admin","created_at":"2026-01-01T00:00:00Z"}"#;
        let registered = told("user.registered", fact).unwrap();
        let (admin, role) = (Role::Admin, Role::User);
        let expected = Told::Registered { id, name: ann, username: username.clone(), role: admin };
        assert_eq!(registered, Some(expected));
        let bare = r#"{"id":"0000000000001","username":"ann","display_name":null}"#;
        let expected = Told::Registered { id, name: username.clone(), username, role };
        assert_eq!(told("user.registered", bare).unwrap(), Some(expected));
        let renamed = r#"{"id":"0000000000001","display_name":"Anne","later":1}"#;
        let expected = Told::Renamed { id, name: "Anne".to_owned() };
        assert_eq!(told("user.renamed", renamed).unwrap(), Some(expected));
        let ranked = told("user.role_changed", r#"{"id":"0000000000001","role":"moderator"}"#);
        assert_eq!(ranked.unwrap(), Some(Told::Ranked { id, role: Role::Moderator }));
        let erased = told("user.erased", r#"{"id":"0000000000001"}"#).unwrap();
        assert_eq!(erased, Some(Told::Erased { id }));
    }

    #[test]
    fn other_facts_are_passed_over_and_nonsense_is_refused() {
        assert!(told("user.banned", "{}").unwrap().is_none());
        assert!(told("user.renamed", r#"{"id":"1"}"#).is_err());
        assert!(told("user.registered", "[]").is_err());
    }
}
