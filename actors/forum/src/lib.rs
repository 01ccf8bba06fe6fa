//! The forum: categories, threads and posts, in Markdown.
//!
//! ```text
//! forum                     the kernel's tree of a service (keeper, writer, relay, …), and in it:
//! ├── view_counter          gathers views of threads, writes them at most every five seconds
//! ├── moderation_automat    hides what is flagged often, ends bans, keeps the rules for what is written
//! ├── digester              mails people what they were told and have not read, as often as they want it
//! ├── notifier              tells people of what has to do with them
//! ├── rooms                 tells those who have a thread open what happens in it
//! │   └── (room)            of a thread in which somebody types: who does
//! ├── search_indexer        indexes the posts that are not, or by rules of another version
//! └── serving               runs the routes of `api`
//! ```
//!
//! What fails, and what it costs:
//!
//! - the **view counter** ends: the views of the last five seconds. Reading goes on; views that
//!   come before it is back are not counted.
//! - the **moderation automat** ends: flags are taken, and hide nothing until it is back. Bans are over when
//!   their time is. Rules for what is written hold as they were last known.
//! - the **notifier** ends: people are told later, each once.
//! - the **digester** ends, or auth is down: mails come later, each once.
//! - the **rooms** end, or one of them: who has a thread open is told that they have missed something, and
//!   reads it again; nobody is seen typing until they type on.
//! - the **search indexer** ends: what was not indexed yet is found later. What is written meanwhile is
//!   indexed by the facts that tell of it, also where the indexer is gone; while facts wait, what they
//!   tell of is not found yet.
//! - **auth** is down: nothing. Names of authors are a projection in this database, kept up to
//!   date by auth's facts.
//! - everything else is as in every service (`panel_kernel::service`).
//!
//! | file | |
//! |---|---|
//! | `api` | routes: parse, decide by `rules`, write by `store`, answer |
//! | `pages`, `templates/` | what people read without a program of their own |
//! | `rules` | who may do what, and what a valid field is; no I/O |
//! | `store` | the only SQL |
//! | `tags` | by which public answers are made old |
//! | `hiding` | hiding a post, and telling of it |
//! | `live` | what happens in threads while they are open somewhere |
//! | `transfer` | all of it into a file, and from one |
//! | `streams` | what is pushed to readers who keep a stream open |
//! | `discussions` | threads in which articles are discussed |
//! | `events` | facts published |
//! | `heard` | auth's facts, the cms's, and the forum's own, taken in |

mod api;
mod config;
mod digester;
mod discussions;
mod events;
mod heard;
mod hiding;
mod live;
mod moderation_automat;
mod notifier;
mod pages;
mod people;
mod rules;
mod search_indexer;
mod store;
mod streams;
mod tags;
#[cfg(test)]
mod tests;
pub mod transfer;
mod view_counter;

use std::sync::Arc;

pub use crate::config::migrations;

use panel_kernel::push::Pusher;
use panel_kernel::service::{Assembly, Registration, ServiceContext};
use panel_text::rendering::Renderer;

use crate::api::{Forum, Policy};
use crate::config::ForumConfig;
use crate::digester::Digester;
use crate::discussions::Discussions;
use crate::heard::Facts;
use crate::live::Rooms;
use crate::moderation_automat::Automat;
use crate::streams::Streams;
use crate::view_counter::Views;

/// The forum's entry in the node's list of services.
pub const SERVICE: Registration =
    Registration { name: "forum", configure: config::configure, effective: config::effective };

/// Puts the service together; called at every start of its tree.
fn assemble(context: &ServiceContext, config: &ForumConfig, renderer: &Renderer) -> Assembly {
    let views = Views::new(context.db.clone());
    let rooms = Rooms::default();
    let told = rooms.clone();
    context.db.on_facts(move |facts| told.committed(facts));
    let automat = Automat::new(context.db.clone(), config.moderation.hide_at);
    let policy = Policy {
        moderation: config.moderation.clone(),
        trust: config.trust.clone(),
        limits: context.runtime.limits,
    };
    let forum = Arc::new(Forum {
        db: context.db.clone(),
        cursors: context.runtime.cursors.clone(),
        views: views.clone(),
        renderer: renderer.clone(),
        max_body_chars: config.max_body_chars,
        digest_hour: config.digest_hour,
        reactions: config.reactions.clone(),
        public_url: context.runtime.public_url.clone(),
        policy: Arc::new(policy),
        content_rules: automat.rules(),
        automat: automat.clone(),
        rooms: rooms.clone(),
    });
    let discussions = Discussions {
        db: context.db.clone(),
        category: config.comments.category.clone(),
        public_url: Arc::clone(&context.runtime.public_url),
    };
    let streams = Streams { db: context.db.clone() };
    let (directory, clock) = (context.runtime.directory.clone(), context.runtime.clock.clone());
    let pusher = Pusher::new(SERVICE.name, directory, clock);
    Assembly::new(api::router(forum))
        .child(views.into_child())
        .child(automat.into_child())
        .child(rooms.child(&pusher))
        .child(Digester::new(context, config.digest_hour).into_child())
        .child(notifier::child(&streams, pusher, &context.runtime.metrics))
        .child(search_indexer::child(context.db.clone()))
        .consumer(Facts(discussions))
        .streams(streams)
        .personal(store::personal::RECORDS)
        .expiring([store::notifications::EXPIRY])
}
