//! What readers of a thread are told, and by which facts.

use panel_kernel::data::Committed;
use panel_kernel::ids::Id;
use panel_kernel::push::Pushed;
use serde::{Deserialize, Serialize};
use serde_json::value::to_raw_value;
use utoipa::ToSchema;

use crate::store::authors::Author;

/// The topic of what happens in a thread.
pub(crate) fn topic(thread: Id) -> String {
    format!("thread:{thread}")
}

/// What has become of a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PostChange {
    /// It is new.
    Created,
    /// Its text is another.
    Edited,
    /// It is deleted.
    Deleted,
    /// It is there again, or is seen for the first time.
    Restored,
    /// It is hidden until moderators have decided.
    Hidden,
    /// Somebody has reacted to it, or takes that back.
    Reactions,
}

/// What has become of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ThreadChange {
    /// Its title, tags or category are others, or whether it is pinned or locked.
    Edited,
    /// It is deleted.
    Deleted,
    /// It is there again.
    Restored,
    /// It is hidden until moderators have decided.
    Hidden,
    /// Its posts are in another thread, or those of another are in it.
    Merged,
    /// Some of its posts are a thread of their own.
    Split,
}

/// Something that has happened in a thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum News {
    /// To a post: `event: post`.
    Post {
        /// The thread.
        thread_id: Id,
        /// The post.
        post_id: Id,
        /// Its number, where it is new.
        #[serde(skip_serializing_if = "Option::is_none")]
        number: Option<i64>,
        /// What.
        change: PostChange,
        /// Who has written it, where it is new; they type no more.
        #[serde(skip_serializing_if = "Option::is_none")]
        author_id: Option<Id>,
    },
    /// To the thread: `event: thread`.
    Thread {
        /// The thread.
        thread_id: Id,
        /// What.
        change: ThreadChange,
    },
    /// Somebody types an answer, or types no more: `event: typing`. It ends with what they write, too.
    Typing {
        /// The thread.
        thread_id: Id,
        /// Who.
        user: Author,
        /// Whether they do. Who is not named again for six seconds does not.
        typing: bool,
    },
}

impl News {
    /// As it is pushed.
    pub(super) fn pushed(&self) -> Option<Pushed> {
        let (event, thread) = match self {
            Self::Post { thread_id, .. } => ("post", *thread_id),
            Self::Thread { thread_id, .. } => ("thread", *thread_id),
            Self::Typing { thread_id, .. } => ("typing", *thread_id),
        };
        let (topic, event) = (topic(thread), event.to_owned());
        Some(Pushed { topic, id: None, after: None, event, data: to_raw_value(self).ok()? })
    }
}

/// How far back it is looked whether something was told already: what happens again does so soon.
const LOOK_BACK: usize = 50;

/// Adds something to what is to be told, at most `most` in all; `false` if there is no room. The same a second time
/// is told once, as what came last.
pub(super) fn add(told: &mut Vec<News>, news: News, most: usize) -> bool {
    let from = told.len().saturating_sub(LOOK_BACK);
    if let Some(at) = told[from..].iter().position(|earlier| *earlier == news) {
        told.remove(from + at);
    }
    let has_room = told.len() < most;
    if has_room {
        told.push(news);
    }
    has_room
}

#[derive(Deserialize)]
struct OfPost {
    id: Id,
    thread_id: Id,
    number: Option<i64>,
    author_id: Option<Id>,
}

#[derive(Deserialize)]
struct OfThread {
    id: Id,
    into: Option<Id>,
    from: Option<Id>,
}

/// What the facts of one transaction tell readers of threads. What is hidden as it is written, nobody hears of.
pub(super) fn of_facts(facts: &[Committed]) -> Vec<News> {
    let mut news: Vec<News> = facts.iter().filter_map(of_fact).flatten().collect();
    let is = |it: &News, what: PostChange| match it {
        News::Post { post_id, change, .. } if *change == what => Some(*post_id),
        _ => None,
    };
    let hidden: Vec<Id> = news.iter().filter_map(|it| is(it, PostChange::Hidden)).collect();
    let held: Vec<Id> = news
        .iter()
        .filter_map(|it| is(it, PostChange::Created))
        .filter(|post| hidden.contains(post))
        .collect();
    news.retain(|it| !matches!(it, News::Post { post_id, .. } if held.contains(post_id)));
    news
}

/// What a fact tells readers of threads; nothing, if it has nothing to do with them.
fn of_fact(fact: &Committed) -> Option<Vec<News>> {
    let (noun, _) = fact.topic.split_once('.')?;
    match noun {
        "post" => {
            let change = match fact.topic {
                "post.created" => PostChange::Created,
                "post.edited" => PostChange::Edited,
                "post.deleted" => PostChange::Deleted,
                "post.restored" => PostChange::Restored,
                "post.hidden" => PostChange::Hidden,
                "post.reacted" | "post.reaction_withdrawn" => PostChange::Reactions,
                _ => return None,
            };
            let OfPost { id, thread_id, number, author_id } =
                serde_json::from_str(&fact.payload).ok()?;
            let author_id = author_id.filter(|_| change == PostChange::Created);
            Some(vec![News::Post { thread_id, post_id: id, number, change, author_id }])
        }
        "thread" => {
            let change = match fact.topic {
                "thread.edited" => ThreadChange::Edited,
                "thread.deleted" => ThreadChange::Deleted,
                "thread.restored" => ThreadChange::Restored,
                "thread.hidden" => ThreadChange::Hidden,
                "thread.merged" => ThreadChange::Merged,
                "thread.split" => ThreadChange::Split,
                _ => return None,
            };
            let OfThread { id, into, from } = serde_json::from_str(&fact.payload).ok()?;
            let threads = match change {
                // The one that was split off is new: nobody reads it yet.
                ThreadChange::Split => [from, None],
                _ => [Some(id), into],
            };
            let news = |thread_id| News::Thread { thread_id, change };
            Some(threads.into_iter().flatten().map(news).collect())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::events::{PostReacted, ThreadMerged, ThreadSplit};

    fn told<F: panel_kernel::data::Fact>(fact: &F) -> Vec<(String, String)> {
        let payload = serde_json::to_string(fact).unwrap();
        let news = of_fact(&Committed { topic: F::TOPIC, payload }).unwrap_or_default();
        let pushed = news.iter().map(|news| news.pushed().unwrap());
        pushed.map(|pushed| (pushed.topic, pushed.data.get().to_owned())).collect()
    }

    #[test]
    fn the_same_twice_is_told_once_as_what_came_last() {
        let types = |typing| News::Typing {
            thread_id: Id::from_raw(1),
            user: Author { id: Id::from_raw(2), name: "ada".to_owned() },
            typing,
        };
        let mut told = Vec::new();
        for typing in [true, false, true] {
            assert!(add(&mut told, types(typing), 2));
        }
        assert_eq!(told, [types(false), types(true)]);
        let (thread_id, change) = (Id::from_raw(1), ThreadChange::Edited);
        assert!(!add(&mut told, News::Thread { thread_id, change }, 2));
        assert_eq!(told.len(), 2);
    }

    #[test]
    fn facts_tell_those_threads_in_which_something_has_happened() {
        let id = Id::from_raw;
        let of = |raw: i64| topic(id(raw));
        let text = |value: serde_json::Value| value.to_string();
        let (thread_id, author_id, user_id) = (id(1), id(8), id(9));
        let reacted = PostReacted { id: id(2), thread_id, author_id, user_id, name: "like" };
        let data = json!({"thread_id": id(1), "post_id": id(2), "change": "reactions"});
        assert_eq!(told(&reacted), [(of(1), text(data))]);
        let merged = ThreadMerged { id: id(3), into: id(4), offset: 1 };
        let data = |raw| text(json!({"thread_id": id(raw), "change": "merged"}));
        assert_eq!(told(&merged), [(of(3), data(3)), (of(4), data(4))]);
        let split = ThreadSplit {
            id: id(5),
            from: id(6),
            category_id: id(7),
            author_id,
            title: "",
            posts: &[],
        };
        let data = text(json!({"thread_id": id(6), "change": "split"}));
        assert_eq!(told(&split), [(of(6), data)]);
        let odd = Committed { topic: "post.edited", payload: "{}".to_owned() };
        assert_eq!(of_fact(&odd), None);
    }
}
