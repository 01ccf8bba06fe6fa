//! `…/{id}/revisions`: texts of an article as they were. For those who see it before it is published.

use axum::extract::State;
use axum::{Extension, Json};
use panel_kernel::data::{Answer, Conn};
use panel_kernel::http::{
    Caller, IfMatch, Listing, MAX_PAGE_BYTES, PageQuery, Params, Refusal, RouteError, Segments,
    SignedIn,
};
use panel_kernel::time::Timestamp;
use panel_text::diff::{self, Change as Piece};
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::articles::seen;
use super::editing::Change;
use super::views::{ArticleView, Person};
use super::writing::current;
use crate::rules::{Kind, Viewer};
use crate::store::articles::Article;
use crate::store::revisions::{self, Revision};

/// A text of an article, in the list of them.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RevisionItem {
    /// From 1; the highest is the text as it is now.
    number: i64,
    title: String,
    /// How long the text is.
    bytes: i64,
    editor: Person,
    created_at: Timestamp,
}

/// A text of an article, whole.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RevisionView {
    number: i64,
    title: String,
    body: String,
    editor: Person,
    created_at: Timestamp,
}

/// What changed from one text to another. In order: what is equal or deleted makes the first text, what is equal or
/// inserted the second.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ArticleComparison {
    from: i64,
    to: i64,
    title: Vec<Piece>,
    body: Vec<Piece>,
}

/// The texts an article had, the latest first
#[utoipa::path(get, path = "/{id}/revisions", tag = "cms", params(("id" = String, Path), PageQuery),
    responses((status = 200, description = "One page", body = Listing<RevisionItem>), Refusal))]
pub(super) async fn list_revisions(
    State(cms): State<Shared>,
    Extension(kind): Extension<Kind>,
    caller: Caller,
    Segments(name): Segments<String>,
    Params(query): Params<PageQuery>,
) -> Result<Json<Listing<RevisionItem>>, RouteError> {
    let page = query.checked()?;
    let viewer = Viewer::of(&caller.principal);
    let mut conn = cms.db.reader().await?;
    let article = written(&mut conn, kind, &name, viewer).await?;
    let scope = format!("cms.revisions {}", article.id);
    let [before] = page.after(&cms.cursors, &scope)?.unwrap_or([i64::MAX]);
    let rows = revisions::list(&mut conn, article.id, before, page.fetch()).await?;
    let listing = Listing::from_excess(rows, page.limit, |(last, _)| {
        cms.cursors.encode(&scope, &[last.number])
    });
    Ok(Json(listing.map(|(revision, bytes)| {
        let Revision { number, title, editor, created_at, .. } = revision;
        RevisionItem { number, title, bytes, editor: editor.into(), created_at }
    })))
}

/// One of the texts an article had
#[utoipa::path(get, path = "/{id}/revisions/{number}", tag = "cms",
    params(("id" = String, Path), ("number" = i64, Path)),
    responses((status = 200, description = "The text", body = RevisionView), Refusal))]
pub(super) async fn read_revision(
    State(cms): State<Shared>,
    Extension(kind): Extension<Kind>,
    caller: Caller,
    Segments((name, number)): Segments<(String, i64)>,
) -> Result<Json<RevisionView>, RouteError> {
    let viewer = Viewer::of(&caller.principal);
    let mut conn = cms.db.reader().await?;
    let article = written(&mut conn, kind, &name, viewer).await?;
    let Revision { number, title, body, editor, created_at } =
        one(&mut conn, &article, number).await?;
    Ok(Json(RevisionView { number, title, body, editor: editor.into(), created_at }))
}

/// What changed from one text of an article to another
#[utoipa::path(get, path = "/{id}/revisions/{from}/diff/{to}", tag = "cms",
    params(("id" = String, Path), ("from" = i64, Path), ("to" = i64, Path)),
    responses((status = 200, description = "Piece by piece", body = ArticleComparison), Refusal))]
pub(super) async fn compare_revisions(
    State(cms): State<Shared>,
    Extension(kind): Extension<Kind>,
    caller: Caller,
    Segments((name, from, to)): Segments<(String, i64, i64)>,
) -> Result<Json<ArticleComparison>, RouteError> {
    let viewer = Viewer::of(&caller.principal);
    let mut conn = cms.db.reader().await?;
    let article = written(&mut conn, kind, &name, viewer).await?;
    let earlier = one(&mut conn, &article, from).await?;
    let later = one(&mut conn, &article, to).await?;
    drop(conn);
    let compare = move || {
        let title = diff::changes(&earlier.title, &later.title);
        (title, diff::changes_within(&earlier.body, &later.body, MAX_PAGE_BYTES))
    };
    let compared = cms.renderer.for_readers("too many texts are compared at once", compare);
    let (title, body) = compared.await?;
    Ok(Json(ArticleComparison { from, to, title, body }))
}

/// Have an article as it was
///
/// Its title and its text; what they are now is a revision like the others.
#[utoipa::path(post, path = "/{id}/revisions/{number}/restore", tag = "cms",
    params(("id" = String, Path), ("number" = i64, Path), ("If-Match" = String, Header)),
    responses((status = 200, description = "As it is now", body = ArticleView), Refusal))]
pub(super) async fn restore_revision(
    State(cms): State<Shared>,
    Extension(kind): Extension<Kind>,
    by: SignedIn,
    Segments((name, number)): Segments<(String, i64)>,
    if_match: IfMatch,
) -> Result<Answer, RouteError> {
    let viewer = Viewer::from(&by.user);
    let asked = name.clone();
    let read: Result<Revision, RouteError> = cms
        .db
        .look(move |conn| {
            Box::pin(async move {
                let article = written(conn, kind, &asked, viewer).await?;
                one(conn, &article, number).await
            })
        })
        .await;
    let prepared = match read {
        Ok(Revision { title, body, .. }) => {
            let text = cms.written(&by, (kind, &name), body).await;
            text.map(|text| Change::of_text(title, text))
        }
        Err(refusal) => Err(refusal),
    };
    let change = match prepared {
        Ok(change) => change,
        Err(refusal) => return cms.db.refuse(&by.context, refusal).await,
    };
    cms.write(by, move |mut writing| {
        Box::pin(async move {
            let before = writing.held(kind, &name).await?;
            current(if_match, &before)?;
            writing.change(before, change, "restore_revision").await
        })
    })
    .await
}

/// The article, for those who see it before it is published.
pub(super) async fn written(
    conn: &mut Conn,
    kind: Kind,
    name: &str,
    viewer: Viewer,
) -> Result<Article, RouteError> {
    let article = seen(conn, kind, name, viewer).await?;
    if article.is_seen_by(viewer) {
        Ok(article)
    } else {
        Err(RouteError::Forbidden("only its authors and moderators see how it was written"))
    }
}

async fn one(conn: &mut Conn, article: &Article, number: i64) -> Result<Revision, RouteError> {
    let found = revisions::find(conn, article.id, number).await?;
    found.ok_or(RouteError::NotFound("revision"))
}
