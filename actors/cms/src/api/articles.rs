//! An article: begun, read, deleted and taken back.

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;
use http::{StatusCode, header};
use panel_kernel::data::{Answer, Conn, DbError};
use panel_kernel::http::validate::Check;
use panel_kernel::http::{
    CacheFor, Caller, Payload, Refusal, RouteError, Segments, SignedIn, etag,
};
use panel_kernel::ids::Id;
use panel_kernel::problem::{Kind as ProblemKind, Problem};
use panel_text::html::beginning;
use panel_text::names;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Shared;
use super::signing::Signed;
use super::views::ArticleView;
use super::writing::{Named, current};
use crate::rules::{self, Kind, Status, Viewer, fields};
use crate::settling;
use crate::store::articles::{self, Article, Seo};
use crate::store::slugs;
use crate::tags;

/// Tries to find a slug while others take them.
const TRIES: u32 = 3;

/// How it is to be told of where it is not read.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NewSeo {
    /// Instead of its title, at most 120 characters.
    title: Option<String>,
    /// Instead of its excerpt, at most 320 characters.
    description: Option<String>,
    /// Where it was first, if not here.
    canonical: Option<String>,
    /// Whether search engines are to leave it out.
    noindex: bool,
}

impl NewSeo {
    pub(super) fn checked(self, check: &mut Check) -> Seo {
        let mut take = |text: Option<String>, rule: fn(&mut Check, &str) -> Option<String>| {
            text.and_then(|text| rule(check, &text))
        };
        let title = take(self.title, fields::seo_title);
        let description = take(self.description, fields::seo_description);
        let canonical = self.canonical;
        let canonical = canonical.and_then(|text| fields::address(check, "seo.canonical", &text));
        Seo { title, description, canonical, noindex: self.noindex }
    }
}

/// A new article.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewArticle {
    /// At most 200 characters.
    title: String,
    /// Markdown.
    #[serde(default)]
    body: String,
    /// a-z, 0-9 and hyphens; follows from the title where it is not said.
    slug: Option<String>,
    /// At most 500 characters; the beginning of the text where there is none.
    excerpt: Option<String>,
    /// The slug of a category.
    category: Option<String>,
    /// At most 20, of 1 to 30 characters.
    #[serde(default)]
    tags: Vec<String>,
    /// The address of a picture.
    cover: Option<String>,
    #[serde(default)]
    seo: NewSeo,
    /// Who wrote it, at most 10 accounts: first whose it is, which moderators alone say of somebody else. Who begins it,
    /// where it is not said.
    authors: Option<Vec<Id>>,
    /// In which language it is: a tag of BCP 47, as in `en` or `pt-BR`.
    language: Option<String>,
    /// The id or the slug of an article that says the same in another language.
    translation_of: Option<String>,
    /// Whether people can comment on it, in the forum, while it is published; for posts alone. As configured where it is
    /// not said.
    comments: Option<bool>,
}

/// Begin an article
///
/// It is a draft, which its author and moderators see. Posts are begun by premium members and moderators, pages by
/// moderators.
#[utoipa::path(post, path = "/", tag = "cms", request_body = NewArticle,
    responses((status = 201, description = "Begun", body = ArticleView), Refusal))]
pub(super) async fn create(
    State(cms): State<Shared>,
    Extension(kind): Extension<Kind>,
    caller: Caller,
    by: SignedIn,
    Payload(new): Payload<NewArticle>,
) -> Result<Answer, RouteError> {
    if let Err(refusal) = rules::may_begin(Viewer::from(&by.user), kind) {
        return cms.db.refuse(&by.context, refusal).await;
    }
    let mut check = Check::new();
    let title = fields::title(&mut check, &new.title);
    let body = fields::body(&mut check, &new.body, cms.max_body_chars);
    let own_slug = new.slug.map(|slug| fields::slug(&mut check, &slug));
    let excerpt = new.excerpt.and_then(|text| fields::excerpt(&mut check, &text));
    let tags = names::tags(&mut check, &new.tags, fields::MAX_TAGS);
    let cover = new.cover.and_then(|text| fields::address(&mut check, "cover", &text));
    let seo = new.seo.checked(&mut check);
    let signed = new.authors.map(|ids| fields::authors(&mut check, &ids));
    let language = new.language.and_then(|text| fields::language(&mut check, &text));
    let wanted = new.comments.map(|wanted| fields::comments(&mut check, kind, wanted));
    check.done()?;
    let body_html = match cms.at_once(&body) {
        Some(html) => html,
        None => match cms.in_turn(&body).await {
            Ok(html) => html,
            Err(refusal) => return cms.db.refuse(&by.context, refusal).await,
        },
    };
    let signed = match signed {
        None => None,
        Some(ids) => match cms.called(&caller, &by, ids).await {
            Ok(signed) => Some(signed),
            Err(refusal) => return cms.db.refuse(&by.context, refusal).await,
        },
    };
    let (now, author) = (by.context.now, (by.user.id, by.user.name.clone()));
    let slug = own_slug.clone().unwrap_or_else(|| fields::slug_of(&title, kind.name()));
    let article = Article {
        id: cms.db.next_id().await?,
        kind,
        slug,
        own_excerpt: excerpt.is_some(),
        excerpt: excerpt.unwrap_or_else(|| beginning(&body_html, fields::EXCERPT_CHARS)),
        title,
        body,
        body_html,
        status: Status::Draft,
        author: author.clone(),
        co_authors: Vec::new(),
        edited_by: author,
        edited_at: now,
        category: new.category,
        tags,
        cover,
        seo,
        language,
        translation_of: None,
        comments: wanted.unwrap_or(kind == Kind::Post && cms.comments_wanted),
        created_at: now,
        published_at: None,
        publish_at: None,
        review_note: None,
        updated_at: now,
        preview_epoch: 0,
        deleted_at: None,
        version: 1,
    };
    let mut tries = 0;
    loop {
        tries += 1;
        let named = Naming {
            own_slug: own_slug.is_some(),
            signed: signed.clone(),
            translation_of: new.translation_of.clone(),
        };
        match begin(&cms, by.clone(), article.clone(), named).await {
            // Somebody else took the one that was free.
            Err(RouteError::Database(DbError::Unique)) if tries < TRIES => {}
            Err(RouteError::Database(DbError::Unique)) => return Err(taken().into()),
            done => return done,
        }
    }
}

/// What a new article is called by, and names.
struct Naming {
    own_slug: bool,
    signed: Option<Signed>,
    translation_of: Option<String>,
}

async fn begin(
    cms: &Shared,
    by: SignedIn,
    mut article: Article,
    Naming { own_slug, signed, translation_of }: Naming,
) -> Result<Answer, RouteError> {
    cms.write(by, move |mut writing| {
        Box::pin(async move {
            if !own_slug {
                article.slug = slugs::free(writing.tx, &article.slug, article.id).await?;
            } else if writing.is_taken(&article.slug, article.id).await? {
                return Err(taken().into());
            }
            writing.categorised(None, &article).await?;
            if let Some(signed) = signed {
                writing.signed(&mut article, signed).await?;
            }
            if let Some(of) = translation_of {
                writing.translates(&mut article, &of).await?;
            }
            writing.speaks(&article).await?;
            slugs::moved(writing.tx, article.id, (None, &article.slug)).await?;
            articles::insert(writing.tx, &article).await?;
            settling::begun(writing.tx, &article);
            writing.audit_article("create", None, &article);
            Ok(writing.shown(StatusCode::CREATED, article))
        })
    })
    .await
}

/// Another article has the slug.
pub(super) fn taken() -> Problem {
    Problem::new(
        ProblemKind::Conflict,
        "another article has this slug, had it, or was deleted with it",
    )
    .code("slug_taken")
}

/// One article, by its id or its slug
///
/// What is not published is for its author and for moderators. By a slug that it had before, it leads to where it is now.
#[utoipa::path(get, path = "/{id}", tag = "cms", params(("id" = String, Path)),
    responses(
        (status = 200, description = "As it is now", body = ArticleView),
        (status = 301, description = "It has another slug now", headers(("Location" = String))),
        Refusal
    ))]
pub(super) async fn read(
    State(cms): State<Shared>,
    Extension(kind): Extension<Kind>,
    caller: Caller,
    Segments(name): Segments<String>,
) -> Result<Response, RouteError> {
    let viewer = Viewer::of(&caller.principal);
    let found: Result<_, RouteError> =
        cms.db.look(move |conn| find(conn, kind, name, viewer).boxed()).await;
    let cache = CacheFor::everybody(&caller.principal);
    Ok(match found? {
        Found::Here(article) => {
            let cache = cache.tagged([tags::article(article.id)]);
            let version = article.version;
            let shown = etag::versioned(version, &ArticleView::new(*article, viewer));
            (cache, shown).into_response()
        }
        Found::There(article) => {
            let there = format!("{}/{}", kind.route(), article.slug);
            let cache = cache.tagged([tags::article(article.id)]);
            (StatusCode::MOVED_PERMANENTLY, cache, [(header::LOCATION, there)]).into_response()
        }
    })
}

/// Where an article is.
pub(crate) enum Found {
    /// By that name.
    Here(Box<Article>),
    /// By another name now.
    There(Box<Article>),
}

/// The article with this id or slug, if they may see it.
pub(crate) async fn find(
    conn: &mut Conn,
    kind: Kind,
    name: String,
    viewer: Viewer,
) -> Result<Found, RouteError> {
    let mut moved = false;
    let mut found = match name.parse::<Id>() {
        Ok(id) => articles::by_id(conn, id).await?,
        Err(_) => articles::by_slug(conn, &name).await?,
    };
    if found.is_none() {
        let Some(id) = slugs::formerly(conn, &name).await? else {
            return Err(RouteError::NotFound(kind.name()));
        };
        found = articles::by_id(conn, id).await?;
        if found.is_none() {
            return Err(gone());
        }
        moved = true;
    }
    let article = found.filter(|it| it.kind == kind).ok_or(RouteError::NotFound(kind.name()))?;
    if article.deleted_at.is_some() && article.published_at.is_some() {
        return Err(gone());
    }
    let is_seen =
        article.is_public() || (article.deleted_at.is_none() && article.is_seen_by(viewer));
    match is_seen {
        false => Err(RouteError::NotFound(kind.name())),
        true if moved => Ok(Found::There(Box::new(article))),
        true => Ok(Found::Here(Box::new(article))),
    }
}

fn gone() -> RouteError {
    Problem::new(ProblemKind::Gone, "this was removed").into()
}

/// The same for whoever goes on with it, by whichever name.
pub(super) async fn seen(
    conn: &mut Conn,
    kind: Kind,
    name: &str,
    viewer: Viewer,
) -> Result<Article, RouteError> {
    let found = find(conn, kind, name.to_owned(), viewer).await?;
    let (Found::Here(article) | Found::There(article)) = found;
    Ok(*article)
}

/// Delete an article
///
/// For its author, until it was approved, and for moderators, who can take that back for thirty days.
#[utoipa::path(delete, path = "/{id}", tag = "cms",
    params(("id" = String, Path), ("If-Match" = String, Header)),
    responses((status = 204, description = "Gone"), Refusal))]
pub(super) async fn delete(
    State(cms): State<Shared>,
    by: SignedIn,
    Named { kind, name, if_match }: Named,
) -> Result<Answer, RouteError> {
    cms.write(by, move |mut writing| {
        Box::pin(async move {
            let before = writing.held(kind, &name).await?;
            let is_author = before.is_by(writing.viewer);
            rules::may_change(writing.viewer, (is_author, kind), before.status)?;
            current(if_match, &before)?;
            let now = writing.by.context.now;
            let version = before.version + 1;
            let after = Article {
                deleted_at: Some(now),
                updated_at: now,
                // Links to it lead nowhere, also when this is taken back.
                preview_epoch: before.preview_epoch + 1,
                version,
                ..before.clone()
            };
            settling::settle(writing.tx, &before, &after).await?;
            if before.published_at.is_some() {
                // When it is not even in the trash any more, it still is known that there was something.
                slugs::keep(writing.tx, before.id, &before.slug).await?;
            }
            writing.audit_article("delete", Some(&before), &after);
            Ok(Answer::no_content())
        })
    })
    .await
}

/// Take back that an article was deleted
///
/// It is as it was, but what was published or scheduled is a draft.
#[utoipa::path(post, path = "/{id}/restore", tag = "cms", params(("id" = String, Path)),
    responses((status = 200, description = "As it is now", body = ArticleView), Refusal))]
pub(super) async fn restore(
    State(cms): State<Shared>,
    by: SignedIn,
    Named { kind, name, .. }: Named,
) -> Result<Answer, RouteError> {
    cms.write(by, move |mut writing| {
        Box::pin(async move {
            let found = writing.any(kind, &name).await?;
            let before = found.ok_or(RouteError::NotFound(kind.name()))?;
            let deleted_at = before.deleted_at.ok_or(RouteError::Conflict("it was not deleted"))?;
            if deleted_at.plus(articles::IN_TRASH) <= writing.by.context.now {
                // It is about to go, and parts of it may be gone.
                return Err(RouteError::NotFound(kind.name()));
            }
            let (status, publish_at) = match before.status {
                Status::Published | Status::Scheduled => (Status::Draft, None),
                other => (other, before.publish_at),
            };
            let updated_at = writing.by.context.now;
            let version = before.version + 1;
            let after = Article {
                status,
                publish_at,
                deleted_at: None,
                updated_at,
                version,
                ..before.clone()
            };
            settling::settle(writing.tx, &before, &after).await?;
            slugs::moved(writing.tx, before.id, (None, &before.slug)).await?;
            writing.audit_article("restore", Some(&before), &after);
            Ok(writing.shown(StatusCode::OK, after))
        })
    })
    .await
}
