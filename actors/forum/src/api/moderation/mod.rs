//! Moderation: flags and the queue, bans, rules for what is written, the log, and how people stand.

mod bans;
mod content_rules;
mod deciding;
mod flags;
mod log;
mod queue;
mod resolving;
mod standing;

use panel_kernel::access::{Guarded as _, Need};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{MODERATOR, Shared};

/// Their routes.
pub(super) fn router(router: OpenApiRouter<Shared>) -> OpenApiRouter<Shared> {
    router
        .guarded(Need::Account, routes!(flags::flag_post))
        .guarded(MODERATOR, routes!(queue::list_queue))
        .guarded(MODERATOR, routes!(queue::read_queue_item))
        .guarded(MODERATOR, routes!(queue::list_flags))
        .guarded(MODERATOR, routes!(queue::assign_queue_item))
        .guarded(MODERATOR, routes!(queue::note_queue_item))
        .guarded(MODERATOR, routes!(resolving::approve_queue_item))
        .guarded(MODERATOR, routes!(resolving::reject_queue_item))
        .guarded(MODERATOR, routes!(resolving::hide_queue_item))
        .guarded(MODERATOR, routes!(bans::list_bans))
        .guarded(MODERATOR, routes!(bans::create_ban))
        .guarded(MODERATOR, routes!(bans::end_ban))
        .guarded(Need::Account, routes!(bans::appeal_ban))
        .guarded(MODERATOR, routes!(content_rules::list_content_rules))
        .guarded(MODERATOR, routes!(content_rules::create_content_rule))
        .guarded(MODERATOR, routes!(content_rules::delete_content_rule))
        .guarded(MODERATOR, routes!(standing::read_standing_of))
        .guarded(Need::Account, routes!(standing::read_standing))
        .guarded(Need::Nothing, routes!(log::list_log))
}
