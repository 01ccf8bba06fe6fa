//! What every write of this service shares: somebody who is signed in, one transaction, one audit record, and for texts
//! their HTML.

use std::collections::BTreeSet;

use axum::extract::FromRequestParts;
use futures::future::BoxFuture;
use http::request::Parts;
use http::{StatusCode, header};
use panel_kernel::data::{Answer, Audit, DbError, Tx};
use panel_kernel::http::{IfMatch, MAX_PAGE_BYTES, RouteError, Segments, SignedIn, json_bytes};
use panel_kernel::ids::Id;
use panel_kernel::problem::Problem;
use panel_text::rendering::Renderer;
use serde_json::Value;

use super::Cms;
use super::views::ArticleView;
use crate::rules::{Kind, Viewer, pictures};
use crate::settling::{action, summary};
use crate::store::articles::{self, Article};
use crate::store::slugs;
use crate::store::terms::{self, TermKind};
use crate::texts::{self, Unshown};

/// Which article somebody means, by its id or its slug, and which version of it.
pub(super) struct Named {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) if_match: IfMatch,
}

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let kind = parts.extensions.get::<Kind>().copied().ok_or_else(Problem::internal)?;
        let Segments(name) = Segments::from_request_parts(parts, state).await?;
        let if_match = IfMatch::from_request_parts(parts, state).await?;
        Ok(Self { kind, name, if_match })
    }
}

/// A write in progress.
pub(super) struct Writing<'t> {
    pub(super) tx: &'t mut Tx,
    pub(super) by: SignedIn,
    pub(super) viewer: Viewer,
    /// What something that it keeps is called: a revision, or an autosave.
    pub(super) kept_id: Id,
}

impl Writing<'_> {
    /// Records the act: `post.publish` is done to `post:<id>`.
    pub(super) fn audit(
        &mut self,
        action: &'static str,
        target: String,
        (before, after): (Option<Value>, Option<Value>),
    ) {
        let context = &self.by.context;
        self.tx.audit(&Audit { action, target, before, after, context });
    }

    /// The same for what was done to an article.
    pub(super) fn audit_article(&mut self, verb: &str, before: Option<&Article>, after: &Article) {
        let target = format!("{}:{}", after.kind.name(), after.id);
        let was_and_is = (before.map(summary), Some(summary(after)));
        self.audit(action(after.kind, verb), target, was_and_is);
    }

    /// The article that this names, by id or slug, held until the transaction ends: if they may see it.
    pub(super) async fn held(&mut self, kind: Kind, name: &str) -> Result<Article, RouteError> {
        let found = self.any(kind, name).await?;
        let seen = found
            .filter(|it| it.deleted_at.is_none())
            .filter(|it| it.is_public() || it.is_seen_by(self.viewer));
        seen.ok_or(RouteError::NotFound(kind.name()))
    }

    /// The same, whatever has become of it.
    pub(super) async fn any(&mut self, kind: Kind, name: &str) -> Result<Option<Article>, DbError> {
        let id = match name.parse::<Id>() {
            Ok(id) => id,
            Err(_) => match articles::by_slug(self.tx, name).await? {
                Some(found) => found.id,
                None => return Ok(None),
            },
        };
        Ok(articles::for_change(self.tx, id).await?.filter(|found| found.kind == kind))
    }

    /// The category that the article has from now on must be there. The one that it had is held as well, in one order,
    /// so that two who change articles do not wait for each other.
    pub(super) async fn categorised(
        &mut self,
        before: Option<&Article>,
        after: &Article,
    ) -> Result<(), RouteError> {
        let both = before.into_iter().chain([after]);
        let slugs: BTreeSet<&String> = both.flat_map(|it| &it.category).collect();
        for slug in slugs {
            let found = terms::held(self.tx, TermKind::Category, slug).await?;
            if found.is_none() && after.category.as_ref() == Some(slug) {
                let message = "there is no such category";
                return Err(Problem::field("category", "unknown", message).into());
            }
        }
        Ok(())
    }

    /// Whether this article can't have that slug. By one that another had, people may come: an editor may take it.
    pub(super) async fn is_taken(&mut self, slug: &str, article: Id) -> Result<bool, DbError> {
        if self.viewer.edits() {
            slugs::is_in_use(self.tx, slug, article).await
        } else {
            slugs::is_taken(self.tx, slug, article).await
        }
    }

    /// The answer: the article as it is now, with its tag.
    pub(super) fn shown(&self, status: StatusCode, article: Article) -> Answer {
        let (version, kind, id) = (article.version, article.kind, article.id);
        let answer = Answer::versioned(status, version, &ArticleView::new(article, self.viewer));
        match status {
            StatusCode::CREATED => {
                answer.header(header::LOCATION, &format!("{}/{id}", kind.route()))
            }
            _ => answer,
        }
    }
}

/// Must be the current version, which has to be said.
pub(super) fn current(if_match: IfMatch, article: &Article) -> Result<(), Problem> {
    if_match.required()?.check(article.version)
}

impl Cms {
    /// Does `work` exactly once, in one transaction.
    pub(super) async fn write<F>(&self, by: SignedIn, work: F) -> Result<Answer, RouteError>
    where
        F: for<'t> FnOnce(Writing<'t>) -> BoxFuture<'t, Result<Answer, RouteError>>
            + Send
            + 'static,
    {
        let (viewer, context) = (Viewer::from(&by.user), by.context.clone());
        let kept_id = self.db.next_id().await?;
        self.db.write(&context, move |tx| work(Writing { tx, by, viewer, kept_id })).await
    }

    /// The HTML of a text, if it is short and shows no picture of this site.
    pub(super) fn at_once(&self, body: &str) -> Option<String> {
        let html = Renderer::at_once(body, &self.dialect)?.html;
        pictures::shown_in(&html).is_empty().then_some(html)
    }

    /// The HTML of a text of any length, when its turn has come. What becomes much longer than it is, as footnotes can
    /// be made to, is refused: an article goes through in one message.
    pub(super) async fn in_turn(&self, body: &str) -> Result<String, RouteError> {
        let html = self.renderer.in_turn(body, self.dialect.clone()).await?.html;
        let html = texts::with_pictures(&self.db, html).await.map_err(|why| match why {
            Unshown::TooManyPictures => {
                Problem::field("body", "too_many_pictures", texts::too_many()).into()
            }
            Unshown::Database(error) => RouteError::from(error),
        })?;
        if json_bytes(&html) > MAX_PAGE_BYTES {
            let message = "becomes too long when it is shown; divide it";
            return Err(Problem::field("body", "too_long", message).into());
        }
        Ok(html)
    }
}
