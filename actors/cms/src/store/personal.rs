//! What this service has of people, for themselves: their articles, whatever has become of them.

use panel_kernel::personal::{Column, Person, Records};

/// Kinds of records.
pub(crate) const RECORDS: [Records; 1] = [Records {
    name: "articles",
    select: "SELECT id, slug, title, excerpt, body, status, category, tags, published_at, updated_at \
             FROM articles WHERE author_id = $1 AND id > $2 ORDER BY id LIMIT $3",
    person: Person::Id,
    columns: &[
        ("id", Column::Id),
        ("slug", Column::Text),
        ("title", Column::Text),
        ("excerpt", Column::Text),
        ("body", Column::Text),
        ("status", Column::Text),
        ("category", Column::Text),
        ("tags", Column::Json),
        ("published_at", Column::Time),
        ("updated_at", Column::Time),
    ],
}];
