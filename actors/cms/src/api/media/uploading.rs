//! Sending a picture.

use axum::extract::State;
use http::{StatusCode, header};
use panel_kernel::data::Answer;
use panel_kernel::http::validate::Check;
use panel_kernel::http::{Params, Refusal, RouteError, SignedIn, Upload};
use panel_kernel::problem::{Kind as ProblemKind, Problem};
use serde::Deserialize;
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::FORM;
use super::MediaView;
use crate::api::writing::Writing;
use crate::api::{Cms, Shared};
use crate::media::too_long;
use crate::rules::fields;
use crate::rules::pictures::Asset;
use crate::store::media::assets;
use crate::store::media::items::{self, Item};
use crate::tags;

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
    let quota = cms.media.config().quota(by.user.role);
    match Box::pin(made(&cms, &by, quota, (said, upload))).await {
        Ok((asset, words)) => {
            cms.write(by, move |mut writing| {
                Box::pin(async move { taken(&mut writing, asset, words, quota).await })
            })
            .await
        }
        // Unless it was taken when it was sent before.
        Err(refusal) => cms.db.refuse(&by.context, refusal).await,
    }
}

/// What the file is called, and what it shows.
type Words = (String, Option<String>);

/// What is made of a file that may be taken.
async fn made(
    cms: &Cms,
    by: &SignedIn,
    quota: Option<u64>,
    (said, upload): (Said, Upload),
) -> Result<(Asset, Words), RouteError> {
    let most = cms.media.config().max_bytes;
    if upload.blob.bytes > most.saturating_add(FORM) {
        return Err(too_long(most).into());
    }
    let (bytes, _) = items::usage(&mut cms.db.reader().await?, by.user.id).await?;
    if exceeds(bytes, quota) {
        return Err(full().into());
    }
    let sent = upload.opened(cms.media.blobs()).await?;
    let mut check = Check::new();
    let alt = sent.word("alt").map(str::to_owned).or(said.alt);
    let alt = alt.map(|text| fields::alt(&mut check, &text));
    let name = said.name.as_deref().or(sent.name.as_deref()).unwrap_or_default();
    let name = fields::file_name(name);
    check.done()?;
    cms.media.accepts(sent.bytes, &sent.beginning)?;
    let asset = cms.media.asset_of(sent, by.user.id).await?;
    Ok((asset, (name, alt)))
}

fn exceeds(bytes: i64, quota: Option<u64>) -> bool {
    quota.is_some_and(|quota| u64::try_from(bytes).is_ok_and(|bytes| bytes > quota))
}

fn full() -> Problem {
    let detail = "there is no room for it in your library; remove something first";
    Problem::new(ProblemKind::Conflict, detail).code("quota_exceeded")
}

/// Puts it into the sender's library, if it is not there.
async fn taken(
    writing: &mut Writing<'_>,
    asset: Asset,
    (name, alt): Words,
    quota: Option<u64>,
) -> Result<Answer, RouteError> {
    let now = writing.by.context.now;
    let Some(asset) = assets::held(writing.tx, asset.id).await? else {
        // Nobody had it, and it went this very moment.
        let detail = "the picture went while it came; send it again";
        return Err(Problem::new(ProblemKind::Unavailable, detail).retry_after(1).into());
    };
    let owner = (writing.by.user.id, writing.by.user.name.clone());
    if let Some(item) = items::of(writing.tx, owner.0, asset.id).await? {
        let version = item.version;
        writing.tx.makes_nothing_old();
        return Ok(Answer::versioned(StatusCode::OK, version, &MediaView::new(item, &asset)));
    }
    let bytes = items::gained(writing.tx, owner.0, asset.bytes()).await?;
    if exceeds(bytes, quota) {
        return Err(full().into());
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
    // Pages say from now on what it shows.
    writing.tx.makes_old([tags::picture(&asset.sha256)]);
    let made = json!({"name": item.name, "sha256": asset.sha256, "bytes": asset.bytes()});
    writing.audit("media.create", format!("media:{id}"), (None, Some(made)));
    let answer = Answer::versioned(StatusCode::CREATED, 1, &MediaView::new(item, &asset));
    Ok(answer.header(header::LOCATION, &format!("/api/v2/cms/media/{id}")))
}
