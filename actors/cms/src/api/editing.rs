//! `PATCH`: an article's text, and what is said of it.

use std::time::Duration;

use axum::extract::State;
use http::StatusCode;
use panel_kernel::data::{Answer, DbError};
use panel_kernel::http::validate::Check;
use panel_kernel::http::{Caller, Payload, Refusal, RouteError, SignedIn, present};
use panel_kernel::ids::Id;
use panel_text::html::beginning;
use panel_text::names;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::articles::{seen, taken};
use super::signing::Signed;
use super::views::ArticleView;
use super::writing::{Named, Writing, current};
use super::{Cms, Shared};
use crate::rules::{self, Kind, Viewer, fields};
use crate::settling;
use crate::store::articles::{Article, Seo};
use crate::store::{autosaves, revisions, slugs};

/// What somebody changes within it of a draft that they changed themselves is one revision.
const ONE_TEXT: Duration = Duration::from_secs(60);

/// Changes of an article; what is absent stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[allow(clippy::option_option, reason = "absent stays, null empties")]
pub(super) struct ArticlePatch {
    #[serde(deserialize_with = "present")]
    #[schema(nullable = false)]
    title: Option<String>,
    #[serde(deserialize_with = "present")]
    #[schema(nullable = false)]
    body: Option<String>,
    /// Whoever comes by the one before is led to this one.
    #[serde(deserialize_with = "present")]
    #[schema(nullable = false)]
    slug: Option<String>,
    /// Null: the beginning of the text.
    #[serde(deserialize_with = "present")]
    excerpt: Option<Option<String>>,
    #[serde(deserialize_with = "present")]
    category: Option<Option<String>>,
    #[serde(deserialize_with = "present")]
    #[schema(nullable = false)]
    tags: Option<Vec<String>>,
    #[serde(deserialize_with = "present")]
    cover: Option<Option<String>>,
    #[serde(deserialize_with = "present")]
    #[schema(nullable = false)]
    seo: Option<SeoPatch>,
    /// Who wrote it, at most 10 accounts: first whose it is, which moderators alone change.
    #[serde(deserialize_with = "present")]
    #[schema(nullable = false)]
    authors: Option<Vec<Id>>,
    /// In which language it is: a tag of BCP 47, as in `en` or `pt-BR`.
    #[serde(deserialize_with = "present")]
    language: Option<Option<String>>,
    /// The id or the slug of an article that says the same in another language.
    #[serde(deserialize_with = "present")]
    translation_of: Option<Option<String>>,
    /// Whether people can comment on it, in the forum, while it is published; for posts alone.
    #[serde(deserialize_with = "present")]
    #[schema(nullable = false)]
    comments: Option<bool>,
}

/// Changes of how it is told of; what is absent stays.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[allow(clippy::option_option, reason = "absent stays, null empties")]
struct SeoPatch {
    #[serde(deserialize_with = "present")]
    title: Option<Option<String>>,
    #[serde(deserialize_with = "present")]
    description: Option<Option<String>>,
    #[serde(deserialize_with = "present")]
    canonical: Option<Option<String>>,
    #[serde(deserialize_with = "present")]
    #[schema(nullable = false)]
    noindex: Option<bool>,
}

/// The same, checked. Of what can be emptied, an empty one is `Some(None)`.
#[derive(Debug, Default)]
#[allow(clippy::option_option, reason = "absent stays, null empties")]
pub(super) struct Change {
    title: Option<String>,
    body: Option<Text>,
    slug: Option<String>,
    excerpt: Option<Option<String>>,
    category: Option<Option<String>>,
    tags: Option<Vec<String>>,
    cover: Option<Option<String>>,
    seo: SeoPatch,
    signed: Option<Signed>,
    language: Option<Option<String>>,
    translation_of: Option<Option<String>>,
    comments: Option<bool>,
}

/// A text and its HTML.
#[derive(Debug)]
pub(super) struct Text {
    body: String,
    html: String,
}

impl SeoPatch {
    fn checked(self, check: &mut Check) -> Self {
        let Self { title, description, canonical, noindex } = self;
        Self {
            title: title.map(|it| it.and_then(|text| fields::seo_title(check, &text))),
            description: description
                .map(|it| it.and_then(|text| fields::seo_description(check, &text))),
            canonical: canonical
                .map(|it| it.and_then(|text| fields::address(check, "seo.canonical", &text))),
            noindex,
        }
    }
}

/// What a change is not complete without.
struct Wanting {
    body: Option<String>,
    authors: Option<Vec<Id>>,
}

impl ArticlePatch {
    /// All but the text, which is rendered, and its authors, whose names are asked for.
    fn checked(self, check: &mut Check, (kind, most): (Kind, usize)) -> (Change, Wanting) {
        let title = self.title.map(|text| fields::title(check, &text));
        let body = self.body.map(|text| fields::body(check, &text, most));
        let slug = self.slug.map(|text| fields::slug(check, &text));
        let excerpt = self.excerpt.map(|text| text.and_then(|text| fields::excerpt(check, &text)));
        let tags = self.tags.map(|tags| names::tags(check, &tags, fields::MAX_TAGS));
        let cover =
            self.cover.map(|text| text.and_then(|text| fields::address(check, "cover", &text)));
        let seo = self.seo.unwrap_or_default().checked(check);
        let comments = self.comments.map(|wanted| fields::comments(check, kind, wanted));
        let language =
            self.language.map(|text| text.and_then(|text| fields::language(check, &text)));
        let authors = self.authors.map(|ids| fields::authors(check, &ids));
        let (category, translation_of) = (self.category, self.translation_of);
        let change = Change {
            title,
            slug,
            excerpt,
            category,
            tags,
            cover,
            seo,
            language,
            translation_of,
            comments,
            ..Change::default()
        };
        (change, Wanting { body, authors })
    }
}

impl Change {
    /// To this title and this text.
    pub(super) fn of_text(title: String, text: Text) -> Self {
        Self { title: Some(title), body: Some(text), ..Self::default() }
    }

    /// The article with the changes made, as somebody else wrote it now.
    fn make(self, article: &Article) -> Article {
        let mut after = article.clone();
        let SeoPatch { title, description, canonical, noindex } = self.seo;
        let seo = &mut after.seo;
        *seo = Seo {
            title: title.unwrap_or_else(|| seo.title.take()),
            description: description.unwrap_or_else(|| seo.description.take()),
            canonical: canonical.unwrap_or_else(|| seo.canonical.take()),
            noindex: noindex.unwrap_or(seo.noindex),
        };
        if let Some(title) = self.title {
            after.title = title;
        }
        if let Some(Text { body, html }) = self.body {
            after.body = body;
            after.body_html = html;
        }
        if let Some(slug) = self.slug {
            after.slug = slug;
        }
        if let Some(category) = self.category {
            after.category = category;
        }
        if let Some(tags) = self.tags {
            after.tags = tags;
        }
        if let Some(cover) = self.cover {
            after.cover = cover;
        }
        after.comments = self.comments.unwrap_or(after.comments);
        after.language = self.language.unwrap_or(after.language);
        match self.excerpt {
            Some(Some(excerpt)) => {
                after.own_excerpt = true;
                after.excerpt = excerpt;
            }
            Some(None) => after.own_excerpt = false,
            None => {}
        }
        if !after.own_excerpt {
            after.excerpt = beginning(&after.body_html, fields::EXCERPT_CHARS);
        }
        after
    }
}

/// Change an article
///
/// For its author, until it was approved, and for moderators. `If-Match` has to name the version that is changed, so
/// that nobody writes over what somebody else wrote. What is published is changed for everybody at once.
#[utoipa::path(patch, path = "/{id}", tag = "cms",
    params(("id" = String, Path), ("If-Match" = String, Header)), request_body = ArticlePatch,
    responses((status = 200, description = "As it is now", body = ArticleView), Refusal))]
pub(super) async fn edit(
    State(cms): State<Shared>,
    caller: Caller,
    by: SignedIn,
    Named { kind, name, if_match }: Named,
    Payload(patch): Payload<ArticlePatch>,
) -> Result<Answer, RouteError> {
    let mut check = Check::new();
    let (mut change, Wanting { body, authors }) =
        patch.checked(&mut check, (kind, cms.max_body_chars));
    check.done()?;
    if let Some(body) = body {
        change.body = match cms.written(&by, (kind, &name), body).await {
            Ok(text) => Some(text),
            Err(refusal) => return cms.db.refuse(&by.context, refusal).await,
        };
    }
    if let Some(authors) = authors {
        change.signed = match cms.called(&caller, &by, authors).await {
            Ok(signed) => Some(signed),
            Err(refusal) => return cms.db.refuse(&by.context, refusal).await,
        };
    }
    let edited = cms
        .write(by, move |mut writing| {
            Box::pin(async move {
                let before = writing.held(kind, &name).await?;
                current(if_match, &before)?;
                writing.change(before, change, "edit").await
            })
        })
        .await;
    match edited {
        // Somebody took the slug at the same moment.
        Err(RouteError::Database(DbError::Unique)) => Err(taken().into()),
        done => done,
    }
}

impl Cms {
    /// A text for the article of that name, with its HTML: if they may write it, as far as is known now.
    pub(super) async fn written(
        &self,
        by: &SignedIn,
        (kind, name): (Kind, &str),
        body: String,
    ) -> Result<Text, RouteError> {
        let viewer = Viewer::from(&by.user);
        if let Some(html) = self.at_once(&body) {
            return Ok(Text { body, html });
        }
        let mut conn = self.db.reader().await?;
        let article = seen(&mut conn, kind, name, viewer).await?;
        drop(conn);
        rules::may_change(viewer, (article.is_by(viewer), kind), article.status)?;
        let html = self.in_turn(&body).await?;
        Ok(Text { body, html })
    }
}

impl Writing<'_> {
    /// Makes a change of an article that is held, if they may.
    pub(super) async fn change(
        &mut self,
        before: Article,
        mut change: Change,
        verb: &str,
    ) -> Result<Answer, RouteError> {
        let is_author = before.is_by(self.viewer);
        rules::may_change(self.viewer, (is_author, before.kind), before.status)?;
        let (id, user, now) = (before.id, self.by.user.id, self.by.context.now);
        // Whatever they had not saved is saved now, or was not wanted.
        autosaves::forget(self.tx, id, user).await?;
        let (signed, of) = (change.signed.take(), change.translation_of.take());
        let mut after = change.make(&before);
        if let Some(signed) = signed {
            self.signed(&mut after, signed).await?;
        }
        match of {
            Some(Some(of)) => self.translates(&mut after, &of).await?,
            Some(None) => after.translation_of = None,
            None => {}
        }
        if (&after.language, after.translation_of) != (&before.language, before.translation_of) {
            self.speaks(&after).await?;
        }
        if after == before {
            self.tx.makes_nothing_old();
            return Ok(self.shown(StatusCode::OK, before));
        }
        if after.slug != before.slug {
            if self.is_taken(&after.slug, id).await? {
                return Err(taken().into());
            }
            // Nobody comes by a slug that nobody has seen.
            let led = before.published_at.map(|_| before.slug.as_str());
            slugs::moved(self.tx, id, (led, &after.slug)).await?;
        }
        if after.category != before.category {
            self.categorised(Some(&before), &after).await?;
        }
        if (&after.title, &after.body) != (&before.title, &before.body) {
            // Who saves a draft again and again writes one text.
            let goes_on = !before.is_public()
                && before.edited_by.0 == user
                && before.edited_at.plus(ONE_TEXT) > now;
            if !goes_on {
                revisions::keep(self.tx, self.kept_id, &before).await?;
                after.edited_by = (user, self.by.user.name.clone());
                // While they go on, it stays when they began: who never rests has a revision a minute.
                after.edited_at = now;
            }
        }
        after.updated_at = now;
        after.version += 1;
        settling::settle(self.tx, &before, &after).await?;
        self.audit_article(verb, Some(&before), &after);
        Ok(self.shown(StatusCode::OK, after))
    }
}
