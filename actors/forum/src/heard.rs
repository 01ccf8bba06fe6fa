//! Facts the forum takes in: auth's about people, of which it keeps the names; its own of texts, which it indexes; and
//! the cms's of articles, which are discussed.

use futures::future::BoxFuture;
use panel_kernel::data::Tx;
use panel_kernel::events::{Consumer, Event, Rejected};
use panel_kernel::ids::Id;
use panel_kernel::purge::Purge;
use panel_kernel::role::Role;
use serde::Deserialize;

use crate::SERVICE;
use crate::discussions::{self, Discussions};
use crate::store::{self, search};
use crate::tags;

/// Keeps the names of authors as auth tells them, indexes texts as the forum tells of them, and has articles discussed as
/// the cms tells of those.
#[derive(Clone, Debug)]
pub(crate) struct Facts(pub(crate) Discussions);

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
            if source == discussions::SOURCE {
                return self.0.heard(tx, event).await;
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
    use panel_kernel::time::Timestamp;
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
