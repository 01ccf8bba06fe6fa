//! Facts the forum publishes, and auth's facts about people, of which it keeps the names.

use futures::future::BoxFuture;
use panel_kernel::data::{Fact, Tx};
use panel_kernel::events::{Consumer, Event, Rejected};
use panel_kernel::ids::Id;
use serde::{Deserialize, Serialize};

use crate::store;

/// A thread was started. Its opening body is a post of its own, without a fact of its own.
#[derive(Debug, Serialize)]
pub(crate) struct ThreadCreated<'a> {
    pub(crate) id: Id,
    pub(crate) category_id: Id,
    pub(crate) author_id: Id,
    pub(crate) title: &'a str,
}

impl Fact for ThreadCreated<'_> {
    const TOPIC: &'static str = "thread.created";
}

/// A thread's title, tags or category changed.
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

/// Somebody replied.
#[derive(Debug, Serialize)]
pub(crate) struct PostCreated {
    pub(crate) id: Id,
    pub(crate) thread_id: Id,
    pub(crate) number: i64,
    pub(crate) author_id: Id,
    pub(crate) reply_to: Option<Id>,
}

impl Fact for PostCreated {
    const TOPIC: &'static str = "post.created";
}

/// A post's text changed.
#[derive(Debug, Serialize)]
pub(crate) struct PostEdited {
    pub(crate) id: Id,
    pub(crate) thread_id: Id,
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

/// Keeps the names of authors as auth tells them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AuthorNames;

impl Consumer for AuthorNames {
    fn apply<'t>(
        &'t self,
        tx: &'t mut Tx,
        _source: &'t str,
        event: &'t Event,
    ) -> BoxFuture<'t, Result<(), Rejected>> {
        Box::pin(async move {
            if event.topic == "user.erased" {
                let Erased { id } = serde_json::from_str(event.payload.get())?;
                store::authors::erase(tx, id).await?;
            } else if let Some((id, name)) = told_name(event)? {
                store::authors::rename(tx, id, &name).await?;
            }
            Ok(())
        })
    }
}

#[derive(Deserialize)]
struct Registered {
    id: Id,
    username: String,
    display_name: Option<String>,
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

/// Whose name the fact tells; `None` for facts that tell of something else.
fn told_name(event: &Event) -> Result<Option<(Id, String)>, serde_json::Error> {
    let payload = event.payload.get();
    Ok(match event.topic.as_str() {
        "user.registered" => {
            let Registered { id, username, display_name } = serde_json::from_str(payload)?;
            Some((id, display_name.unwrap_or(username)))
        }
        "user.renamed" => {
            let Renamed { id, display_name } = serde_json::from_str(payload)?;
            Some((id, display_name))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use panel_kernel::time::Timestamp;
    use serde_json::value::RawValue;

    use super::*;

    fn told(topic: &str, payload: &str) -> Result<Option<(Id, String)>, serde_json::Error> {
        told_name(&Event {
            position: 1,
            topic: topic.to_owned(),
            at: Timestamp::from_micros(0),
            payload: RawValue::from_string(payload.to_owned()).unwrap(),
        })
    }

    #[test]
    fn names_are_read_from_facts() {
        let (id, name) = told(
            "user.registered",
            r#"{"id":"0000000000001","username":"ann","display_name":"Ann","email":"a@e.org",
                "role":"user","created_at":"2026-01-01T00:00:00Z"}"#,
        )
        .unwrap()
        .unwrap();
        assert_eq!((id.raw(), name.as_str()), (1, "Ann"));
        let bare = r#"{"id":"0000000000001","username":"ann","display_name":null}"#;
        assert_eq!(told("user.registered", bare).unwrap().unwrap().1, "ann");
        let renamed = r#"{"id":"0000000000001","display_name":"Anne","later":1}"#;
        assert_eq!(told("user.renamed", renamed).unwrap().unwrap().1, "Anne");
    }

    #[test]
    fn other_facts_are_passed_over_and_nonsense_is_refused() {
        assert!(told("user.banned", "{}").unwrap().is_none());
        assert!(told("user.renamed", r#"{"id":"1"}"#).is_err());
        assert!(told("user.registered", "[]").is_err());
    }
}
