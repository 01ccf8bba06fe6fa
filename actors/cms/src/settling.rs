//! What follows from what becomes of an article: what it makes old, and what is told of it. Whoever changes one, a route
//! or the scheduler, does it by this.

use std::collections::BTreeSet;

use panel_kernel::data::{DbError, Tx};
use panel_kernel::ids::Id;
use serde_json::{Value, json};

use crate::events::{ArticleEdited, ArticlePublished, ArticleUnpublished};
use crate::rules::Kind;
use crate::store::articles::{self, Article};
use crate::store::menus;
use crate::tags;

/// Stores what has become of an article, in the transaction that holds it.
pub(crate) async fn settle(tx: &mut Tx, before: &Article, after: &Article) -> Result<(), DbError> {
    articles::update(tx, before, after).await?;
    told(tx, Some(before), after);
    let place = |it: &Article| it.is_public().then(|| it.slug.clone());
    if place(before) != place(after) && menus::follow(tx, after.id).await? {
        tx.makes_old([tags::MENUS]);
    }
    Ok(())
}

/// Tells of an article that was not there before.
pub(crate) fn begun(tx: &mut Tx, article: &Article) {
    told(tx, None, article);
}

fn told(tx: &mut Tx, before: Option<&Article>, after: &Article) {
    let groups: BTreeSet<Id> =
        before.into_iter().chain([after]).filter_map(Article::group).collect();
    let showing = || {
        tags::showing(after.id).into_iter().chain(groups.iter().copied().map(tags::translations))
    };
    let was_public = before.is_some_and(Article::is_public);
    match (was_public, after.is_public()) {
        (false, false) => tx.makes_nothing_old(),
        (false, true) => {
            let first = before.is_none_or(|before| before.published_at.is_none());
            tx.publish(&ArticlePublished::of(after, first));
            tx.makes_old(showing());
        }
        (true, true) => {
            tx.publish(&ArticleEdited::of(after));
            tx.makes_old(showing());
        }
        (true, false) => {
            tx.publish(&ArticleUnpublished::of(before.unwrap_or(after)));
            tx.removes(showing());
        }
    }
}

/// What the audit log keeps of an article: not its text, of which there are revisions.
pub(crate) fn summary(article: &Article) -> Value {
    json!({
        "title": article.title,
        "slug": article.slug,
        "status": article.status,
        "category": article.category,
        "tags": article.tags,
        "authors": article.authors().map(|(id, _)| id).collect::<Vec<_>>(),
        "language": article.language,
        "translation_of": article.translation_of,
        "comments": article.comments,
        "publish_at": article.publish_at,
        "version": article.version,
    })
}

/// `post.publish`, `page.edit`, …: what the audit log calls it.
pub(crate) fn action(kind: Kind, verb: &str) -> &'static str {
    const ACTIONS: [(&str, &str, &str); 15] = [
        ("create", "post.create", "page.create"),
        ("edit", "post.edit", "page.edit"),
        ("delete", "post.delete", "page.delete"),
        ("restore", "post.restore", "page.restore"),
        ("submit", "post.submit", "page.submit"),
        ("approve", "post.approve", "page.approve"),
        ("reject", "post.reject", "page.reject"),
        ("publish", "post.publish", "page.publish"),
        ("publish_scheduled", "post.publish_scheduled", "page.publish_scheduled"),
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
