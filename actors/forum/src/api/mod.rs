//! The routes of the forum.

mod blocks;
mod categories;
mod conduct;
mod discussions;
mod drafts;
mod feed;
mod live;
mod merging;
mod moderation;
mod notifications;
mod post_list;
mod posts;
mod query;
mod reactions;
mod reading;
mod revisions;
pub(crate) mod search;
mod thread_actions;
mod thread_list;
mod threads;
mod writing;

use std::sync::Arc;

use axum::Router;
use panel_kernel::access::{Guarded as _, Need};
use panel_kernel::cursor::Cursors;
use panel_kernel::data::Database;
use panel_kernel::problem::{FieldError, ProblemBody};
use panel_kernel::role::Role;
use panel_text::rendering::Renderer;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::live::Rooms;
use crate::moderation_automat::{Automat, RulesInForce};
use crate::pages;
use crate::rules::notices::NoticeKind;
use crate::store::moderation::queue::QueueKind;
use crate::store::search::Order;
use crate::store::thread_list::Sort;
use crate::view_counter::Views;

const MODERATOR: Need = Need::Rank(Role::Moderator);

/// What routes work with.
#[derive(Debug)]
pub(crate) struct Forum {
    pub(crate) db: Database,
    pub(crate) cursors: Cursors,
    pub(crate) views: Views,
    pub(crate) renderer: Renderer,
    pub(crate) max_body_chars: usize,
    /// When mails of what is new are due, in UTC.
    pub(crate) digest_hour: u8,
    /// How people can react.
    pub(crate) reactions: Vec<String>,
    pub(crate) public_url: Arc<str>,
    /// What the site wants of those who write.
    pub(crate) policy: Arc<Policy>,
    /// The rules for what is written, as last known.
    pub(crate) content_rules: RulesInForce,
    /// What moderates without a moderator.
    pub(crate) automat: Automat,
    /// Where it is told who types.
    pub(crate) rooms: Rooms,
}

/// The forum as routes share it.
pub(crate) type Shared = Arc<Forum>;

pub(crate) use conduct::Policy;
pub(crate) use threads::thread_or_target;

/// The routes, and the pages, running on `forum`.
pub(crate) fn router(forum: Shared) -> Router {
    Router::from(documented()).merge(discussions::routes()).merge(pages::router()).with_state(forum)
}

/// Their documentation.
pub(crate) fn openapi() -> OpenApi {
    documented().into_openapi()
}

fn documented() -> OpenApiRouter<Shared> {
    let router = OpenApiRouter::with_openapi(Document::openapi())
        .guarded(Need::Nothing, routes!(categories::list_categories))
        .guarded(Need::Nothing, routes!(categories::read_category))
        .guarded(MODERATOR, routes!(categories::create_category))
        .guarded(MODERATOR, routes!(categories::edit_category, categories::delete_category))
        .guarded(Need::Nothing, routes!(thread_list::list_threads))
        .guarded(Need::Nothing, routes!(threads::read_thread))
        .guarded(Need::Account, routes!(threads::create_thread))
        .guarded(Need::Account, routes!(threads::edit_thread, threads::delete_thread))
        .guarded(MODERATOR, routes!(thread_actions::pin_thread))
        .guarded(MODERATOR, routes!(thread_actions::unpin_thread))
        .guarded(MODERATOR, routes!(thread_actions::lock_thread))
        .guarded(MODERATOR, routes!(thread_actions::unlock_thread))
        .guarded(MODERATOR, routes!(thread_actions::move_thread))
        .guarded(MODERATOR, routes!(thread_actions::restore_thread))
        .guarded(MODERATOR, routes!(merging::merge_thread))
        .guarded(MODERATOR, routes!(merging::split_thread))
        .guarded(Need::Nothing, routes!(live::stream_thread))
        .guarded(Need::Session, routes!(live::type_in_thread))
        .guarded(Need::Account, routes!(reading::mark_thread_read))
        .guarded(Need::Account, routes!(reading::watch_thread))
        .guarded(Need::Account, routes!(reading::unwatch_thread))
        .guarded(Need::Account, routes!(thread_list::list_unread))
        .guarded(Need::Account, routes!(reading::mark_everything_read))
        .guarded(Need::Nothing, routes!(post_list::list_posts))
        .guarded(Need::Nothing, routes!(posts::read_post))
        .guarded(Need::Account, routes!(posts::create_post))
        .guarded(Need::Account, routes!(posts::edit_post, posts::delete_post))
        .guarded(MODERATOR, routes!(posts::restore_post))
        .guarded(Need::Nothing, routes!(revisions::list_revisions))
        .guarded(Need::Nothing, routes!(revisions::read_revision))
        .guarded(MODERATOR, routes!(revisions::hide_revision))
        .guarded(Need::Nothing, routes!(revisions::compare_revisions))
        .guarded(Need::Nothing, routes!(reactions::list_reactions))
        .guarded(Need::Account, routes!(reactions::react, reactions::take_back_reaction))
        .guarded(Need::Account, routes!(drafts::list_drafts))
        .guarded(Need::Account, routes!(drafts::read_draft))
        .guarded(Need::Account, routes!(drafts::store_draft, drafts::delete_draft))
        .guarded(Need::Nothing, routes!(search::search))
        .guarded(Need::Nothing, routes!(feed::threads_feed))
        .guarded(Need::Nothing, routes!(feed::posts_feed))
        .guarded(Need::Account, routes!(blocks::list_blocks))
        .guarded(Need::Account, routes!(blocks::block_user, blocks::unblock_user));
    notifications::router(moderation::router(router))
}

/// Schemas that routes only refer to.
#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(ProblemBody, FieldError, Sort, Order, QueueKind, NoticeKind)))]
struct Document;
