//! What every write of this service shares: somebody who is signed in, one transaction, one audit record, and for texts
//! their HTML.

use std::collections::BTreeSet;

use futures::future::BoxFuture;
use http::{StatusCode, header};
use panel_kernel::data::{Answer, Audit, DbError, Tx};
use panel_kernel::http::{IfMatch, RouteError, SignedIn};
use panel_kernel::ids::Id;
use panel_kernel::problem::Problem;
use panel_text::rendering::Renderer;
use serde_json::Value;

use super::Cms;
use super::views::ArticleView;
use crate::rules::{Kind, Viewer};
use crate::settling::summary;
use crate::store::articles::{self, Article};
use crate::store::terms::{self, Term, TermKind};

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
            .filter(|it| it.is_public() || self.viewer.sees(it.author.0));
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

    /// What the article is about from now on: its category must be there; tags come to be by being used. All that was
    /// and will be is held in one order, so that two who change articles do not wait for each other.
    pub(super) async fn about(
        &mut self,
        before: Option<&Article>,
        after: &Article,
    ) -> Result<(), RouteError> {
        let terms: BTreeSet<(TermKind, &str)> =
            before.into_iter().chain([after]).flat_map(Article::terms).collect();
        for (kind, slug) in terms {
            let new = Term {
                slug: slug.to_owned(),
                name: slug.to_owned(),
                description: String::new(),
                position: 0,
                created_at: self.by.context.now,
                article_count: 0,
                version: 1,
            };
            if kind == TermKind::Tag && terms::insert(self.tx, kind, &new).await? {
                continue;
            }
            let found = terms::held(self.tx, kind, slug).await?;
            if found.is_none() && after.category.as_deref() == Some(slug) {
                let message = "there is no such category";
                return Err(Problem::field("category", "unknown", message).into());
            }
        }
        Ok(())
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

/// `post.publish`, `page.edit`, …
fn action(kind: Kind, verb: &str) -> &'static str {
    const ACTIONS: [(&str, &str, &str); 14] = [
        ("create", "post.create", "page.create"),
        ("edit", "post.edit", "page.edit"),
        ("delete", "post.delete", "page.delete"),
        ("restore", "post.restore", "page.restore"),
        ("submit", "post.submit", "page.submit"),
        ("approve", "post.approve", "page.approve"),
        ("reject", "post.reject", "page.reject"),
        ("publish", "post.publish", "page.publish"),
        ("schedule", "post.schedule", "page.schedule"),
        ("unpublish", "post.unpublish", "page.unpublish"),
        ("archive", "post.archive", "page.archive"),
        ("restore_revision", "post.restore_revision", "page.restore_revision"),
        ("link_preview", "post.link_preview", "page.link_preview"),
        ("end_previews", "post.end_previews", "page.end_previews"),
    ];
    let found = ACTIONS.iter().find(|(known, _, _)| *known == verb);
    found.map_or("article.change", |(_, post, page)| match kind {
        Kind::Post => post,
        Kind::Page => page,
    })
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

    /// The HTML of a text, if it is short.
    pub(super) fn at_once(&self, body: &str) -> Option<String> {
        Renderer::at_once(body, &self.dialect).map(|text| text.html)
    }

    /// The HTML of a text of any length, when its turn has come.
    pub(super) async fn in_turn(&self, body: &str) -> Result<String, RouteError> {
        Ok(self.renderer.in_turn(body, self.dialect.clone()).await?.html)
    }
}
