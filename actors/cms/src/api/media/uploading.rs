//! Sending a picture.

use axum::extract::State;
use http::{StatusCode, header};
use panel_kernel::data::Answer;
use panel_kernel::http::validate::Check;
use panel_kernel::http::{Params, Refusal, RouteError, Sent, SignedIn, Upload};
use panel_kernel::problem::{Kind as ProblemKind, Problem};
use panel_pictures::Kind;
use serde::Deserialize;
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::MediaView;
use crate::api::Shared;
use crate::api::writing::Writing;
use crate::rules::fields;
use crate::rules::pictures::Asset;
use crate::store::media::assets;
use crate::store::media::items::{self, Item};

/// What is said of a picture that is sent alone.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Said {
    /// What it shows, for who does not see it. Empty: nothing that matters.
    alt: Option<String>,
    /// What the file is called.
    name: Option<String>,
}

/// A picture in a form: `multipart/form-data`.
#[derive(ToSchema)]
#[allow(dead_code, reason = "for the document")]
pub(super) struct MediaForm {
    /// The picture.
    #[schema(format = Binary, content_media_type = "application/octet-stream")]
    file: String,
    /// What it shows, for who does not see it. Empty: nothing that matters.
    alt: Option<String>,
}

/// Send a picture
///
/// The file alone as the body, or in a form. What it is, is decided by what is in it: JPEG, PNG, GIF or WebP. It is kept
/// upright, in sRGB, and without what a camera has written about it. Who sends the same again has it already (200).
#[utoipa::path(post, path = "/api/v2/cms/media", tag = "cms", params(Said),
    request_body(content(
        (Vec<u8> = "image/*"),
        (MediaForm = "multipart/form-data"),
    )),
    responses(
        (status = 201, description = "What was made of it", body = MediaView),
        (status = 200, description = "It was there already", body = MediaView),
        Refusal
    ))]
pub(in crate::api) async fn send_media(
    State(cms): State<Shared>,
    by: SignedIn,
    Params(said): Params<Said>,
    upload: Upload,
) -> Result<Answer, RouteError> {
    let sent = upload.opened(cms.media.blobs()).await?;
    let mut check = Check::new();
    let alt = sent.word("alt").map(str::to_owned).or(said.alt);
    let alt = alt.map(|text| fields::alt(&mut check, &text));
    let name = said.name.as_deref().or(sent.name.as_deref()).unwrap_or_default();
    let name = fields::file_name(name);
    check.done()?;
    acceptable(&sent, cms.media_config.max_bytes)?;
    let asset = cms.media.asset_of(sent, by.user.id).await?;
    let quota = cms.media_config.quota(by.user.role);
    cms.write(by, move |mut writing| {
        Box::pin(async move { taken(&mut writing, asset, (name, alt), quota).await })
    })
    .await
}

/// Before anything is made of it.
fn acceptable(sent: &Sent, most: u64) -> Result<(), Problem> {
    if sent.bytes > most {
        let detail = format!("a picture has at most {most} bytes");
        return Err(Problem::new(ProblemKind::PayloadTooLarge, detail));
    }
    match Kind::of(&sent.beginning) {
        Some(_) => Ok(()),
        None => {
            let detail = "pictures are taken as JPEG, PNG, GIF and WebP";
            Err(Problem::new(ProblemKind::UnsupportedMediaType, detail))
        }
    }
}

/// Puts it into the sender's library, if it is not there.
async fn taken(
    writing: &mut Writing<'_>,
    asset: Asset,
    (name, alt): (String, Option<String>),
    quota: Option<u64>,
) -> Result<Answer, RouteError> {
    writing.tx.makes_nothing_old();
    let now = writing.by.context.now;
    let Some(asset) = assets::held(writing.tx, asset.id).await? else {
        // Nobody had it, and it went this very moment.
        let detail = "the picture went while it came; send it again";
        return Err(Problem::new(ProblemKind::Unavailable, detail).retry_after(1).into());
    };
    let owner = (writing.by.user.id, writing.by.user.name.clone());
    if let Some(item) = items::of(writing.tx, owner.0, asset.id).await? {
        let version = item.version;
        return Ok(Answer::versioned(StatusCode::OK, version, &MediaView::new(item, &asset)));
    }
    let bytes = items::gained(writing.tx, owner.0, asset.bytes()).await?;
    if quota.is_some_and(|quota| u64::try_from(bytes).is_ok_and(|bytes| bytes > quota)) {
        let detail = "there is no room for it in your library; remove something first";
        return Err(Problem::new(ProblemKind::Conflict, detail).code("quota_exceeded").into());
    }
    let (id, asset_id) = (writing.kept_id, asset.id);
    let item = Item {
        id,
        asset: asset_id,
        owner,
        name,
        alt,
        created_at: now,
        updated_at: now,
        version: 1,
    };
    items::insert(writing.tx, &item, &asset).await?;
    let made = json!({"name": item.name, "sha256": asset.sha256, "bytes": asset.bytes()});
    writing.audit("media.create", format!("media:{id}"), (None, Some(made)));
    let answer = Answer::versioned(StatusCode::CREATED, 1, &MediaView::new(item, &asset));
    Ok(answer.header(header::LOCATION, &format!("/api/v2/cms/media/{id}")))
}
