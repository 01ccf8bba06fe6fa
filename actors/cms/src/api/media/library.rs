//! The pictures that are there: those of somebody, or of everybody for those who edit.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use panel_kernel::data::Answer;
use panel_kernel::http::validate::Check;
use panel_kernel::http::{
    Caller, IdPath, IfMatch, Listing, PageQuery, Params, Payload, Refusal, RouteError, SignedIn,
    etag, present,
};
use panel_kernel::ids::Id;
use panel_kernel::problem::{Kind as ProblemKind, Problem};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::MediaView;
use crate::api::Shared;
use crate::api::writing::Writing;
use crate::rules::pictures::Asset;
use crate::rules::{Viewer, fields};
use crate::store::media::assets;
use crate::store::media::items::{self, Item};
use crate::store::media::shown;
use crate::tags;

/// What signs the cursors of the list.
const SCOPE: &str = "cms.media";

/// Which pictures are wanted.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct MediaQuery {
    /// Of whom: an account's id. Without it, for moderators: of everybody.
    owner: Option<String>,
    /// `missing`: those of which nobody has said what they show.
    alt: Option<String>,
}

/// What is said of a picture from now on. What is not given stays.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[allow(clippy::option_option, reason = "absent stays, null empties")]
pub(super) struct MediaPatch {
    /// What it shows, for who does not see it. Empty: nothing that matters; null: nobody has said.
    #[serde(deserialize_with = "present")]
    alt: Option<Option<String>>,
    /// What the file is called.
    #[serde(deserialize_with = "present")]
    #[schema(nullable = false)]
    name: Option<String>,
}

/// How a picture is removed.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(super) struct Removal {
    /// For moderators: at once, from all libraries, and although articles show it.
    everywhere: bool,
}

/// How much somebody has.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(super) struct Usage {
    /// Of all files together.
    bytes: i64,
    files: i64,
    /// How many bytes there can be; null: as many as they like.
    quota_bytes: Option<u64>,
}

/// Pictures, the newest first
#[utoipa::path(get, path = "/api/v2/cms/media", tag = "cms", params(MediaQuery, PageQuery),
    responses((status = 200, description = "One page", body = Listing<MediaView>), Refusal))]
pub(in crate::api) async fn list_media(
    State(cms): State<Shared>,
    caller: Caller,
    Params(query): Params<MediaQuery>,
    Params(page): Params<PageQuery>,
) -> Result<Json<Listing<MediaView>>, RouteError> {
    let viewer = Viewer::of(&caller.principal);
    let owner = match query.owner {
        None if viewer.edits() => None,
        None => viewer.who,
        Some(owner) => {
            let owner = owner
                .parse::<Id>()
                .map_err(|_| Problem::field("owner", "invalid", "must be the id of an account"))?;
            if !viewer.sees(owner) {
                return Err(RouteError::Forbidden("only moderators see what others have"));
            }
            Some(owner)
        }
    };
    let without_alt = match query.alt.as_deref() {
        None => false,
        Some("missing") => true,
        Some(_) => return Err(Problem::field("alt", "invalid", "can be: missing").into()),
    };
    let scope = format!("{SCOPE} {owner:?} {without_alt}");
    let page = page.newest_first(&cms.cursors, scope)?;
    let before = Id::from_raw(page.before);
    let wanted = items::Wanted { owner, without_alt, before, most: page.fetch() };
    let found = items::list(&mut cms.db.reader().await?, &wanted).await?;
    let listing = page.listing(found, |(item, _)| item.id);
    Ok(Json(listing.map(|(item, asset)| MediaView::new(item, &asset))))
}

/// How much you have
#[utoipa::path(get, path = "/api/v2/cms/media/usage", tag = "cms",
    responses((status = 200, description = "As it is now", body = Usage), Refusal))]
pub(in crate::api) async fn media_usage(
    State(cms): State<Shared>,
    caller: Caller,
) -> Result<Json<Usage>, RouteError> {
    let user = caller.principal.user()?;
    let (bytes, files) = items::usage(&mut cms.db.reader().await?, user.id).await?;
    Ok(Json(Usage { bytes, files, quota_bytes: cms.media.config().quota(user.role) }))
}

/// One of them
#[utoipa::path(get, path = "/api/v2/cms/media/{id}", tag = "cms", params(("id" = String, Path)),
    responses((status = 200, description = "As it is now", body = MediaView), Refusal))]
pub(in crate::api) async fn read_media(
    State(cms): State<Shared>,
    caller: Caller,
    IdPath(id): IdPath,
) -> Result<Response, RouteError> {
    let viewer = Viewer::of(&caller.principal);
    let mut conn = cms.db.reader().await?;
    let item = items::by_id(&mut conn, id).await?.filter(|item| viewer.sees(item.owner.0));
    let item = item.ok_or(NONE)?;
    let asset = assets::by_id(&mut conn, item.asset).await?.ok_or(NONE)?;
    Ok(etag::versioned(item.version, &MediaView::new(item, &asset)))
}

const NONE: RouteError = RouteError::NotFound("picture");

/// Say what one shows, or call it otherwise
///
/// `If-Match` has to name the version that is changed.
#[utoipa::path(patch, path = "/api/v2/cms/media/{id}", tag = "cms",
    params(("id" = String, Path), ("If-Match" = String, Header)), request_body = MediaPatch,
    responses((status = 200, description = "As it is now", body = MediaView), Refusal))]
pub(in crate::api) async fn edit_media(
    State(cms): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
    if_match: IfMatch,
    Payload(patch): Payload<MediaPatch>,
) -> Result<Answer, RouteError> {
    let mut check = Check::new();
    let alt = patch.alt.map(|alt| alt.map(|text| fields::alt(&mut check, &text)));
    let name = patch.name.map(|text| fields::file_name(&text));
    check.done()?;
    cms.write(by, move |mut writing| {
        Box::pin(async move {
            let (before, asset) = held(&mut writing, id).await?;
            writing.tx.makes_old([tags::picture(&asset.sha256)]);
            if_match.required()?.check(before.version)?;
            let mut after = before.clone();
            after.alt = alt.unwrap_or(after.alt);
            after.name = name.unwrap_or(after.name);
            if after != before {
                after.version += 1;
                after.updated_at = writing.by.context.now;
                items::update(writing.tx, &after).await?;
                let (was, is) = (Some(summary(&before)), Some(summary(&after)));
                writing.audit("media.edit", format!("media:{id}"), (was, is));
            }
            let version = after.version;
            Ok(Answer::versioned(StatusCode::OK, version, &MediaView::new(after, &asset)))
        })
    })
    .await
}

/// Remove one that no article shows
///
/// Its files go an hour after the last who has them has removed it.
#[utoipa::path(delete, path = "/api/v2/cms/media/{id}", tag = "cms",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header), Removal),
    responses((status = 204, description = "Gone"), Refusal))]
pub(in crate::api) async fn delete_media(
    State(cms): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
    if_match: IfMatch,
    Params(removal): Params<Removal>,
) -> Result<Answer, RouteError> {
    cms.write(by, move |mut writing| {
        Box::pin(async move {
            let (item, asset) = held(&mut writing, id).await?;
            if_match.check(item.version)?;
            if removal.everywhere {
                return taken_down(&mut writing, id, &asset).await;
            }
            writing.tx.makes_old([tags::picture(&asset.sha256)]);
            // Whoever begins to show it waits for us, and then finds that it is gone.
            let now = writing.by.context.now;
            items::delete(writing.tx, &item, now).await?;
            if !items::has_owner(writing.tx, asset.id).await? {
                unused(&mut writing, &asset).await?;
            }
            items::lost(writing.tx, item.owner.0, asset.bytes()).await?;
            writing.audit("media.delete", format!("media:{id}"), (Some(summary(&item)), None));
            Ok(Answer::no_content())
        })
    })
    .await
}

/// Removes a picture from all libraries, and its files, whoever shows it: what must not be shown.
async fn taken_down(
    writing: &mut Writing<'_>,
    id: Id,
    asset: &Asset,
) -> Result<Answer, RouteError> {
    if !writing.viewer.edits() {
        return Err(RouteError::Forbidden("only moderators remove what others have"));
    }
    let now = writing.by.context.now;
    let items = items::of_asset(writing.tx, asset.id).await?;
    for item in &items {
        items::delete(writing.tx, item, now).await?;
        items::lost(writing.tx, item.owner.0, asset.bytes()).await?;
    }
    assets::give_away(writing.tx, asset.id, now).await?;
    writing.tx.removes([tags::picture(&asset.sha256)]);
    let owners: Vec<Id> = items.iter().map(|item| item.owner.0).collect();
    let was = json!({"sha256": asset.sha256, "owners": owners});
    writing.audit("media.take_down", format!("media:{id}"), (Some(was), None));
    Ok(Answer::no_content())
}

/// A picture that this person may change, and what was made of it: nobody else changes either now.
async fn held(writing: &mut Writing<'_>, id: Id) -> Result<(Item, Asset), RouteError> {
    let item = items::by_id(writing.tx, id).await?.ok_or(NONE)?;
    let asset = assets::held(writing.tx, item.asset).await?.ok_or(NONE)?;
    let item = items::for_change(writing.tx, id).await?.ok_or(NONE)?;
    if writing.viewer.sees(item.owner.0) { Ok((item, asset)) } else { Err(NONE) }
}

async fn unused(writing: &mut Writing<'_>, asset: &Asset) -> Result<(), RouteError> {
    let articles = shown::by(writing.tx, &asset.sha256).await?;
    if articles.is_empty() {
        return Ok(());
    }
    let viewer = writing.viewer;
    let titles: Vec<String> = articles
        .into_iter()
        .filter(|(_, author, _)| viewer.sees(*author))
        .map(|(id, _, title)| format!("{title} ({id})"))
        .collect();
    let which = if titles.is_empty() { "somebody's".to_owned() } else { titles.join(", ") };
    let detail = format!("articles show this picture: {which}");
    Err(Problem::new(ProblemKind::Conflict, detail).code("in_use").into())
}

fn summary(item: &Item) -> Value {
    json!({"name": item.name, "alt": item.alt, "version": item.version})
}
