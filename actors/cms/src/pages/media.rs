//! The files of pictures.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use panel_kernel::http::{CacheFor, File, RouteError, Segments};
use panel_kernel::ids::unhex;
use panel_kernel::message::BlobRef;

use crate::api::Shared;
use crate::media::key;
use crate::rules::pictures::named;
use crate::store::media::assets;
use crate::tags;

/// `GET /media/{name}`: always the same under the same name.
pub(super) async fn file(
    State(cms): State<Shared>,
    Segments(name): Segments<String>,
) -> Result<Response, RouteError> {
    const NONE: RouteError = RouteError::NotFound("picture");
    let (sha256, size, kind) = named(&name).ok_or(NONE)?;
    let asset = assets::by_content(&mut cms.db.reader().await?, sha256).await?.ok_or(NONE)?;
    let mut files = asset.files.iter().enumerate();
    let (number, made) =
        files.find(|(_, file)| (file.size, file.kind) == (size, kind)).ok_or(NONE)?;
    let content = unhex(&made.sha256).ok_or(NONE)?;
    let blob = BlobRef { key: key(asset.id, number), bytes: made.bytes, sha256: content };
    let cache = CacheFor::ever().tagged([tags::picture(sha256)]);
    Ok((cache, File { blob, media_type: kind.media_type() }).into_response())
}
