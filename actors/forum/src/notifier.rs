//! Tells people of what has to do with them: answers, quotes, mentions, reactions, what is new in threads
//! they watch, and what moderators decided.
//!
//! It follows the forum's own facts, and owns nothing: what it has told is rows, written in the transaction
//! that notes how far it is. So nobody is told twice, and nobody is forgotten. Those who watch a thread, who
//! may be many, are told piece by piece.
//!
//! Failure: everything else goes on; people are told when it is back, here or on another node.

use std::collections::{BTreeMap, BTreeSet};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use panel_kernel::data::{Conn, Database, DbError, Tx};
use panel_kernel::events::{Event, Follow, Rejected, follower};
use panel_kernel::ids::Id;
use panel_kernel::metrics::Metrics;
use panel_kernel::push::Pusher;
use panel_kernel::supervision::ChildSpec;
use panel_kernel::time::Timestamp;
use serde::Deserialize;

use crate::rules::notices::{NoticeKind, called};
use crate::store::notifications::telling::{self, Notice, Subject, Told};
use crate::streams::Streams;

/// What the notifier tells people by.
#[derive(Clone, Debug)]
pub(crate) struct Notifier {
    db: Database,
    streams: Streams,
    pusher: Pusher,
}

/// The actor, as a child of the service.
pub(crate) fn child(streams: &Streams, pusher: Pusher, metrics: &Metrics) -> ChildSpec {
    let (db, streams) = (&streams.db, streams.clone());
    follower("notifier", (db, metrics), Notifier { db: db.clone(), streams, pusher })
}

#[derive(Deserialize)]
struct ThreadCreated {
    post_id: Id,
}

#[derive(Deserialize)]
struct Post {
    id: Id,
}

#[derive(Deserialize)]
struct PostEdited {
    id: Id,
    mentioned: BTreeSet<Id>,
}

#[derive(Deserialize)]
struct Reaction {
    id: Id,
    author_id: Id,
    user_id: Id,
    name: String,
}

#[derive(Deserialize)]
struct Hidden {
    id: Id,
    author_id: Id,
}

#[derive(Deserialize)]
struct Resolved {
    id: Id,
    status: String,
    kind: String,
    author_id: Id,
    post_id: Option<Id>,
    appears: bool,
}

#[derive(Deserialize)]
struct Banned {
    user_id: Id,
    kind: String,
}

#[derive(Deserialize)]
struct BanEnded {
    user_id: Id,
}

impl Follow for Notifier {
    type News = Vec<Told>;

    const TOPICS: &'static [&'static str] = &[
        "thread.created",
        "post.created",
        "post.edited",
        "post.reacted",
        "post.reaction_withdrawn",
        "post.hidden",
        "thread.hidden",
        "moderation.resolved",
        "ban.created",
        "ban.ended",
    ];

    fn apply<'t>(
        &'t self,
        tx: &'t mut Tx,
        event: &'t Event,
        news: &'t mut Vec<Told>,
    ) -> BoxFuture<'t, Result<(), Rejected>> {
        async move {
            let id = self.db.id_at_hand()?;
            let told = Telling { tx, id, at: event.at }.of(event).await?;
            news.extend(told);
            Ok(())
        }
        .boxed()
    }

    fn has_more<'c>(&'c self, conn: &'c mut Conn) -> BoxFuture<'c, Result<bool, DbError>> {
        telling::has_fanouts(conn).boxed()
    }

    fn piece<'t>(
        &'t self,
        tx: &'t mut Tx,
        news: &'t mut Vec<Told>,
    ) -> BoxFuture<'t, Result<(), DbError>> {
        async move {
            let Some((post, after)) = telling::next_fanout(tx).await? else { return Ok(()) };
            let (id, at) = (self.db.id_at_hand()?, self.db.clock().now());
            let subject = telling::subject(tx, post).await?;
            let mut telling = Telling { tx, id, at };
            news.extend(telling.of_watched(post, subject.as_ref(), after).await?);
            Ok(())
        }
        .boxed()
    }

    fn tell(&self, told: Vec<Told>) -> BoxFuture<'_, ()> {
        async move {
            if told.is_empty() {
                return;
            }
            match self.streams.stored(&told).await {
                Ok(events) => self.pusher.push(events).await,
                // It is stored; who reads it looks for it.
                Err(error) => {
                    tracing::debug!(%error, "what was told can't be pushed");
                    self.pusher.look_again().await;
                }
            }
        }
        .boxed()
    }

    fn begins(&self) -> BoxFuture<'_, ()> {
        self.pusher.look_again().boxed()
    }
}

/// A fact on its way to people.
struct Telling<'t> {
    tx: &'t mut Tx,
    id: Id,
    at: Timestamp,
}

impl Telling<'_> {
    async fn of(mut self, event: &Event) -> Result<Vec<Told>, Rejected> {
        let payload = event.payload.get();
        let told = match event.topic.as_str() {
            "thread.created" => {
                let ThreadCreated { post_id } = serde_json::from_str(payload)?;
                self.of_post(post_id).await?
            }
            "post.created" => {
                let Post { id } = serde_json::from_str(payload)?;
                self.of_post(id).await?
            }
            "post.edited" => {
                let PostEdited { id, mentioned } = serde_json::from_str(payload)?;
                self.of_mentions(id, mentioned).await?
            }
            "post.reacted" => self.of_reaction(serde_json::from_str(payload)?).await?,
            "post.reaction_withdrawn" => {
                let Reaction { id, author_id, user_id, name } = serde_json::from_str(payload)?;
                telling::withdraw_reaction(self.tx, author_id, (id, user_id, &name)).await?;
                Vec::new()
            }
            "post.hidden" => {
                let Hidden { id, author_id } = serde_json::from_str(payload)?;
                self.of_decision(author_id, Some(id), "post_hidden").await?
            }
            "thread.hidden" => {
                let Hidden { id, author_id } = serde_json::from_str(payload)?;
                let opening = crate::store::posts::opening(self.tx, id).await?;
                self.of_decision(author_id, opening, "post_hidden").await?
            }
            "moderation.resolved" => self.of_resolution(serde_json::from_str(payload)?).await?,
            "ban.created" => {
                let Banned { user_id, kind } = serde_json::from_str(payload)?;
                let detail = if kind == "silence" { "silenced" } else { "banned" };
                self.of_decision(user_id, None, detail).await?
            }
            "ban.ended" => {
                let BanEnded { user_id } = serde_json::from_str(payload)?;
                self.of_decision(user_id, None, "ban_ended").await?
            }
            _ => Vec::new(),
        };
        Ok(told)
    }

    /// Of a post that is new, or is seen for the first time; if it still is.
    async fn of_post(&mut self, post: Id) -> Result<Vec<Told>, DbError> {
        let Some(subject) = telling::subject(self.tx, post).await? else { return Ok(Vec::new()) };
        if !subject.is_shown {
            return Ok(Vec::new());
        }
        let answered = telling::author_of(self.tx, subject.reply_to).await?;
        let quoted = telling::author_of(self.tx, subject.quote).await?;
        let mentioned = telling::mentioned(self.tx, post).await?;
        let mut people = called(subject.author, answered, quoted, mentioned);
        // Of what was told before it was held, or before a restore of the database, nobody is told again.
        for told in telling::told_of(self.tx, post).await? {
            people.remove(&told);
        }
        let mut told = self.about(post, &subject, &people).await?;
        told.extend(self.of_watched(post, Some(&subject), 0).await?);
        Ok(told)
    }

    /// Those who watch its thread: some now, the others later.
    async fn of_watched(
        &mut self,
        post: Id,
        subject: Option<&Subject>,
        after: i64,
    ) -> Result<Vec<Told>, DbError> {
        let Some(subject) = subject.filter(|subject| subject.is_shown) else {
            telling::fan_out(self.tx, post, None).await?;
            return Ok(Vec::new());
        };
        let watchers = telling::watchers(self.tx, post, after).await?;
        let rest = telling::rest(&watchers);
        if rest.is_some() || after > 0 {
            telling::fan_out(self.tx, post, rest).await?;
        }
        let people = watchers.into_iter().map(|id| (id, NoticeKind::Watched)).collect();
        self.about(post, subject, &people).await
    }

    /// Of a post that calls more people than before.
    async fn of_mentions(
        &mut self,
        post: Id,
        mentioned: BTreeSet<Id>,
    ) -> Result<Vec<Told>, DbError> {
        if mentioned.is_empty() {
            return Ok(Vec::new());
        }
        let Some(subject) = telling::subject(self.tx, post).await? else { return Ok(Vec::new()) };
        if !subject.is_shown {
            return Ok(Vec::new());
        }
        let mut people = called(subject.author, None, None, mentioned);
        for told in telling::told_of(self.tx, post).await? {
            people.remove(&told);
        }
        self.about(post, &subject, &people).await
    }

    async fn of_reaction(&mut self, reaction: Reaction) -> Result<Vec<Told>, DbError> {
        let Reaction { id, author_id, user_id, name } = reaction;
        let is_told = author_id == user_id
            || telling::has_reaction(self.tx, author_id, (id, user_id, &name)).await?;
        let Some(subject) = telling::subject(self.tx, id).await?.filter(|_| !is_told) else {
            return Ok(Vec::new());
        };
        let people = BTreeMap::from([(author_id, NoticeKind::Reaction)]);
        self.tell(&people, Some(user_id), Some((id, &subject)), &name).await
    }

    /// Of what moderators decided: the author, and those who flagged it.
    async fn of_resolution(&mut self, resolved: Resolved) -> Result<Vec<Told>, DbError> {
        let Resolved { id, status, kind, author_id, post_id, appears } = resolved;
        let is_approved = status == "approved";
        let mut told = Vec::new();
        let to_author = match (kind.as_str(), is_approved) {
            ("appeal", true) => Some("appeal_approved"),
            ("appeal", false) => Some("appeal_rejected"),
            (_, false) => Some("post_rejected"),
            ("held", true) => Some("post_approved"),
            // They may never have heard that somebody flagged it.
            (_, true) => None,
        };
        if let Some(detail) = to_author {
            told.extend(self.of_decision(author_id, post_id, detail).await?);
        }
        if appears && let Some(post) = post_id {
            told.extend(self.of_post(post).await?);
        }
        let detail = if is_approved { "flag_declined" } else { "flag_upheld" };
        for flagger in telling::flaggers(self.tx, id).await? {
            told.extend(self.of_decision(flagger, post_id, detail).await?);
        }
        Ok(told)
    }

    async fn of_decision(
        &mut self,
        user: Id,
        post: Option<Id>,
        detail: &str,
    ) -> Result<Vec<Told>, DbError> {
        let subject = match post {
            Some(post) => telling::subject(self.tx, post).await?.map(|subject| (post, subject)),
            None => None,
        };
        let people = BTreeMap::from([(user, NoticeKind::Moderation)]);
        let about = subject.as_ref().map(|(post, subject)| (*post, subject));
        self.tell(&people, None, about, detail).await
    }

    async fn about(
        &mut self,
        post: Id,
        subject: &Subject,
        people: &BTreeMap<Id, NoticeKind>,
    ) -> Result<Vec<Told>, DbError> {
        self.tell(people, Some(subject.author), Some((post, subject)), "").await
    }

    async fn tell(
        &mut self,
        people: &BTreeMap<Id, NoticeKind>,
        actor: Option<Id>,
        about: Option<(Id, &Subject)>,
        detail: &str,
    ) -> Result<Vec<Told>, DbError> {
        let notice = Notice {
            actor,
            thread: about.map(|(_, subject)| subject.thread),
            post: about.map(|(post, _)| post),
            read_level: about.map_or(0, |(_, subject)| subject.read_level),
            detail,
            at: self.at,
            id: self.id,
        };
        telling::tell(self.tx, people, notice).await
    }
}
