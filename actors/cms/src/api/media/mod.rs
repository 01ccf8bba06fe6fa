//! Pictures: sending them, and the library of those that are there.

mod library;
mod uploading;

use panel_kernel::access::{Guarded as _, Need};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Shared;
use super::views::Person;
use crate::config::MOST_FILE;
use crate::rules::WRITER;
use crate::rules::pictures::Asset;
use crate::rules::pictures::path;
use crate::store::media::items::Item;

/// What a form has beside a file, in bytes.
const FORM: u64 = 64 * 1024;
const WRITERS: Need = Need::Rank(WRITER);

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .uploading(WRITERS, MOST_FILE + FORM, routes!(uploading::send_media))
        .guarded(WRITERS, routes!(library::list_media))
        .guarded(WRITERS, routes!(library::media_usage))
        .guarded(WRITERS, routes!(library::read_media, library::edit_media, library::delete_media))
}

/// A picture in a library.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct MediaView {
    id: Id,
    /// Where it is, on this site. It is named by its content, and always the same.
    url: String,
    content_type: &'static str,
    /// In pixels.
    width: u32,
    height: u32,
    /// How long it is.
    bytes: u64,
    /// Of what is at `url`, in hexadecimal digits.
    sha256: String,
    /// What it shows, for who does not see it; empty: nothing that matters. Null: nobody has said yet.
    alt: Option<String>,
    /// What its sender called the file.
    name: String,
    /// More than one: it moves.
    frames: u32,
    /// The colour that most of it has, to be shown until it is there: `#` and six hexadecimal digits.
    dominant_color: String,
    /// Smaller likenesses, and the same size as WebP where that is small.
    variants: Vec<Variant>,
    owner: Person,
    created_at: Timestamp,
    updated_at: Timestamp,
    version: i64,
}

/// A likeness of a picture.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Variant {
    url: String,
    width: u32,
    height: u32,
    content_type: &'static str,
    bytes: u64,
}

impl MediaView {
    /// What somebody has.
    fn new(item: Item, asset: &Asset) -> Self {
        let whole = asset.files.first().map_or(0, |file| file.bytes);
        let variants = asset.files.iter().skip(1).map(|file| Variant {
            url: path(&asset.sha256, file.size, file.kind),
            width: file.width,
            height: file.height,
            content_type: file.kind.media_type(),
            bytes: file.bytes,
        });
        Self {
            id: item.id,
            url: path(&asset.sha256, panel_pictures::MAIN, asset.kind),
            content_type: asset.kind.media_type(),
            width: asset.width,
            height: asset.height,
            bytes: whole,
            sha256: asset.sha256.clone(),
            alt: item.alt,
            name: item.name,
            frames: asset.frames,
            dominant_color: asset.color.clone(),
            variants: variants.collect(),
            owner: item.owner.into(),
            created_at: item.created_at,
            updated_at: item.updated_at,
            version: item.version,
        }
    }
}
