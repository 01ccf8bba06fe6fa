//! The routes of this service.

mod articles;
mod autosaves;
mod comments;
mod editing;
mod lists;
mod media;
mod menus;
mod previews;
mod redirects;
mod revisions;
pub(crate) mod search;
mod signing;
mod steps;
mod terms;
mod translations;
mod views;
mod webhooks;
mod writing;

use std::sync::Arc;

use axum::{Extension, Router};
use panel_kernel::access::{Guarded as _, Need};
use panel_kernel::cursor::Cursors;
use panel_kernel::data::Database;
use panel_kernel::problem::{FieldError, ProblemBody};
use panel_kernel::service::{Runtime, ServiceContext};
use panel_text::markdown::Dialect;
use panel_text::rendering::Renderer;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::{Operation, PathItem, Paths};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

use crate::comments::Comments;
use crate::config::CmsConfig;
use crate::media::Media;
use crate::pages;
use crate::rules::{EDITOR, Kind, Status};
use crate::store::terms::TermKind;
use crate::webhooks::Webhooks;

pub(crate) use articles::{Found, find};
pub(crate) use menus::tree;
pub(crate) use previews::unkept;

const MODERATOR: Need = Need::Rank(EDITOR);

/// What routes work with.
#[derive(Debug)]
pub(crate) struct Cms {
    pub(crate) db: Database,
    /// By which other services are asked.
    pub(crate) runtime: Runtime,
    pub(crate) cursors: Cursors,
    pub(crate) renderer: Renderer,
    pub(crate) dialect: Dialect,
    pub(crate) max_body_chars: usize,
    pub(crate) public_url: Arc<str>,
    /// Where the site begins.
    pub(crate) home: String,
    pub(crate) media: Media,
    pub(crate) webhooks: Webhooks,
    pub(crate) comments: Comments,
    /// Whether posts want comments where nobody says.
    pub(crate) comments_wanted: bool,
    /// What the page of an article may show and load.
    pub(crate) allowed: String,
}

/// The service as routes share it.
pub(crate) type Shared = Arc<Cms>;

impl Cms {
    /// As configured.
    pub(crate) fn new(
        context: &ServiceContext,
        config: &CmsConfig,
        renderer: &Renderer,
        media: &Media,
        webhooks: &Webhooks,
    ) -> Self {
        Self {
            media: media.clone(),
            webhooks: webhooks.clone(),
            comments: Comments::new(&context.runtime, config.pool.workers),
            comments_wanted: config.comments,
            db: context.db.clone(),
            runtime: context.runtime.clone(),
            cursors: context.runtime.cursors.clone(),
            renderer: renderer.clone(),
            dialect: Dialect::Article { embeds: config.embeds.clone() },
            max_body_chars: config.max_body_chars,
            allowed: allowed(config),
            home: config.home.clone(),
            public_url: Arc::clone(&context.runtime.public_url),
        }
    }
}

/// Pictures, and players of videos.
fn allowed(config: &CmsConfig) -> String {
    let players: Vec<&str> = config.embeds.iter().map(|embed| embed.origin()).collect();
    let frames = if players.is_empty() {
        String::new()
    } else {
        format!("frame-src {}; ", players.join(" "))
    };
    format!("style-src {{nonce}}; {frames}img-src 'self' http: https:; form-action 'self'")
}

/// The routes, and the pages, running on `cms`.
pub(crate) fn router(cms: Shared) -> Router {
    Router::from(documented()).merge(pages::router()).with_state(cms)
}

/// Their documentation.
pub(crate) fn openapi() -> OpenApi {
    documented().into_openapi()
}

fn documented() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(articles_of(Kind::Post))
        .merge(articles_of(Kind::Page))
        .merge(terms_of(TermKind::Category))
        .merge(terms_of(TermKind::Tag))
        .merge(media::routes())
        .merge(webhooks::routes())
        .guarded(Need::Nothing, routes!(comments::list_comments))
        .guarded(Need::Account, routes!(comments::create_comment))
        .guarded(Need::Nothing, routes!(menus::list_menus))
        .guarded(Need::Nothing, routes!(menus::read_menu))
        .guarded(MODERATOR, routes!(menus::set_menu, menus::delete_menu))
        .guarded(Need::Nothing, routes!(search::search_articles))
        .guarded(Need::Nothing, routes!(previews::read_preview))
        .guarded(MODERATOR, routes!(redirects::list_redirects))
        .guarded(MODERATOR, routes!(redirects::create_redirect))
        .guarded(MODERATOR, routes!(redirects::delete_redirect))
}

/// The same for posts and pages.
fn articles_of(kind: Kind) -> OpenApiRouter<Shared> {
    let of = |routes| below(kind.route(), kind.name(), routes);
    OpenApiRouter::new()
        .guarded(Need::Nothing, of(routes!(lists::list)))
        .guarded(Need::Account, of(routes!(articles::create)))
        .guarded(Need::Account, of(routes!(lists::list_all)))
        .guarded(MODERATOR, of(routes!(lists::list_trash)))
        .guarded(Need::Nothing, of(routes!(articles::read)))
        .guarded(Need::Account, of(routes!(editing::edit, articles::delete)))
        .guarded(MODERATOR, of(routes!(articles::restore)))
        .guarded(Need::Account, of(routes!(steps::submit)))
        .guarded(MODERATOR, of(routes!(steps::approve)))
        .guarded(MODERATOR, of(routes!(steps::reject)))
        .guarded(MODERATOR, of(routes!(steps::publish)))
        .guarded(MODERATOR, of(routes!(steps::schedule)))
        .guarded(Need::Account, of(routes!(steps::unpublish)))
        .guarded(MODERATOR, of(routes!(steps::archive)))
        .guarded(Need::Nothing, of(routes!(translations::list_translations)))
        .guarded(Need::Account, of(routes!(revisions::list_revisions)))
        .guarded(Need::Account, of(routes!(revisions::read_revision)))
        .guarded(Need::Account, of(routes!(revisions::compare_revisions)))
        .guarded(Need::Account, of(routes!(revisions::restore_revision)))
        .guarded(Need::Account, of(routes!(autosaves::read_autosave)))
        .guarded(Need::Account, of(routes!(autosaves::autosave, autosaves::forget_autosave)))
        .guarded(Need::Account, of(routes!(previews::link_preview, previews::end_previews)))
        .layer(Extension(kind))
}

/// The same for categories and tags.
fn terms_of(kind: TermKind) -> OpenApiRouter<Shared> {
    let of = |routes| below(terms::route(kind), kind.name(), routes);
    OpenApiRouter::new()
        .guarded(Need::Nothing, of(routes!(terms::list_terms)))
        .guarded(MODERATOR, of(routes!(terms::create_term)))
        .guarded(Need::Nothing, of(routes!(terms::read_term)))
        .guarded(MODERATOR, of(routes!(terms::edit_term, terms::delete_term)))
        .layer(Extension(kind))
}

/// Routes of handlers that several nouns have, for one of them: below its address, each operation with a name of its own.
fn below(
    prefix: &str,
    noun: &str,
    (schemas, paths, handlers): UtoipaMethodRouter<Shared>,
) -> UtoipaMethodRouter<Shared> {
    let named = |mut item: PathItem| {
        for operation in operations(&mut item) {
            let name = operation.operation_id.as_deref().unwrap_or_default();
            let name = name.trim_end_matches("_term").trim_end_matches("_terms");
            operation.operation_id = Some(format!("{name}_{noun}"));
        }
        item
    };
    let mut placed = Paths::new();
    placed.paths = paths
        .paths
        .into_iter()
        .map(|(path, item)| (format!("{prefix}{}", path.trim_end_matches('/')), named(item)))
        .collect();
    (schemas, placed, handlers)
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

/// Schemas that routes only refer to.
#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(ProblemBody, FieldError, Status)))]
struct Document;
