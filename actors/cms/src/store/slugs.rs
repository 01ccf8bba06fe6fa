//! Addresses that articles had, and which are taken.

use panel_kernel::data::{Conn, DbError, Tx, sql};
use panel_kernel::ids::Id;

/// Tries before a slug is made unlike any other.
const TRIES: u32 = 50;

/// Whether another article has this slug now; or had it, so that people may come by it.
pub(crate) async fn is_taken(tx: &mut Tx, slug: &str, article: Id) -> Result<bool, DbError> {
    let is_in_use = is_in_use(tx, slug, article).await?;
    Ok(is_in_use || formerly(tx, slug).await?.is_some_and(|other| other != article))
}

/// Whether another article has this slug now.
pub(crate) async fn is_in_use(tx: &mut Tx, slug: &str, article: Id) -> Result<bool, DbError> {
    let find = sql("SELECT id FROM articles WHERE slug = $1 AND id <> $2");
    Ok(tx.optional::<(Id,)>(find.bind(slug).bind(article)).await?.is_some())
}

/// `slug`, or the first of `slug-2`, `slug-3`, … that no article has or had. After many of them, one that ends with
/// the article's id.
pub(crate) async fn free(tx: &mut Tx, slug: &str, article: Id) -> Result<String, DbError> {
    if !is_taken(tx, slug, article).await? {
        return Ok(slug.to_owned());
    }
    for n in 2..TRIES {
        let candidate = format!("{slug}-{n}");
        if !is_taken(tx, &candidate, article).await? {
            return Ok(candidate);
        }
    }
    Ok(format!("{slug}-{article}"))
}

/// An article is found by `now` from now on, and whoever comes by `before` is led there.
pub(crate) async fn moved(
    tx: &mut Tx,
    article: Id,
    (before, now): (Option<&str>, &str),
) -> Result<(), DbError> {
    // Whoever had it earlier has another one.
    tx.execute(sql("DELETE FROM article_slugs WHERE slug = $1").bind(now)).await?;
    match before {
        Some(before) => keep(tx, article, before).await,
        None => Ok(()),
    }
}

/// Whoever comes by this slug is led to this article, or told that it is gone.
pub(crate) async fn keep(tx: &mut Tx, article: Id, slug: &str) -> Result<(), DbError> {
    let keep = sql("INSERT INTO article_slugs (slug, article_id) VALUES ($1, $2) \
                    ON CONFLICT (slug) DO UPDATE SET article_id = excluded.article_id");
    tx.execute(keep.bind(slug).bind(article)).await.map(drop)
}

/// Whose slug it was.
pub(crate) async fn formerly(conn: &mut Conn, slug: &str) -> Result<Option<Id>, DbError> {
    let find = sql("SELECT article_id FROM article_slugs WHERE slug = $1").bind(slug);
    let found: Option<(Id,)> = conn.optional(find).await?;
    Ok(found.map(|(id,)| id))
}
