//! What this service has of people, for themselves: their articles, whatever has become of them, what they
//! wrote into others', and their pictures.

use panel_kernel::personal::{Column, Person, Records};

/// Kinds of records.
pub(crate) const RECORDS: [Records; 6] = [
    Records {
        name: "articles",
        select: "SELECT id, kind, slug, title, excerpt, body, status, category, tags, cover, \
                 created_at, published_at, publish_at, updated_at, deleted_at \
                 FROM articles WHERE author_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        person: Person::Id,
        columns: &[
            ("id", Column::Id),
            ("kind", Column::Text),
            ("slug", Column::Text),
            ("title", Column::Text),
            ("excerpt", Column::Text),
            ("body", Column::Text),
            ("status", Column::Text),
            ("category", Column::Text),
            ("tags", Column::Json),
            ("cover", Column::Text),
            ("created_at", Column::Time),
            ("published_at", Column::Time),
            ("publish_at", Column::Time),
            ("updated_at", Column::Time),
            ("deleted_at", Column::Time),
        ],
    },
    Records {
        name: "edited_articles",
        select: "SELECT id, slug, title, body, edited_at FROM articles \
                 WHERE edited_by = $1 AND id > $2 ORDER BY id LIMIT $3",
        person: Person::Id,
        columns: &[
            ("id", Column::Id),
            ("slug", Column::Text),
            ("title", Column::Text),
            ("body", Column::Text),
            ("edited_at", Column::Time),
        ],
    },
    Records {
        name: "co_authored_articles",
        select: "SELECT a.id, a.slug, a.title, a.body, a.created_at, a.published_at \
                 FROM co_authored x JOIN articles a ON a.id = x.article_id \
                 WHERE x.author_id = $1 AND x.article_id > $2 ORDER BY x.article_id LIMIT $3",
        person: Person::Id,
        columns: &[
            ("id", Column::Id),
            ("slug", Column::Text),
            ("title", Column::Text),
            ("body", Column::Text),
            ("created_at", Column::Time),
            ("published_at", Column::Time),
        ],
    },
    Records {
        name: "article_revisions",
        select: "SELECT id, article_id, number, title, body, created_at FROM article_revisions \
                 WHERE editor_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        person: Person::Id,
        columns: &[
            ("id", Column::Id),
            ("article_id", Column::Id),
            ("number", Column::Number),
            ("title", Column::Text),
            ("body", Column::Text),
            ("created_at", Column::Time),
        ],
    },
    Records {
        name: "autosaves",
        select: "SELECT id, article_id, title, body, saved_at FROM autosaves \
                 WHERE editor_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        person: Person::Id,
        columns: &[
            ("id", Column::Id),
            ("article_id", Column::Id),
            ("title", Column::Text),
            ("body", Column::Text),
            ("saved_at", Column::Time),
        ],
    },
    Records {
        name: "media",
        select: "SELECT m.id, m.name, m.alt, '/media/' || s.sha256 || '.' || s.kind AS url, s.width, s.height, s.bytes, m.created_at, m.updated_at \
                 FROM media m JOIN assets s ON s.id = m.asset_id \
                 WHERE m.owner_id = $1 AND m.id > $2 ORDER BY m.id LIMIT $3",
        person: Person::Id,
        columns: &[
            ("id", Column::Id),
            ("name", Column::Text),
            ("alt", Column::Text),
            ("url", Column::Text),
            ("width", Column::Number),
            ("height", Column::Number),
            ("bytes", Column::Number),
            ("created_at", Column::Time),
            ("updated_at", Column::Time),
        ],
    },
];
