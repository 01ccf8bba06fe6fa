//! What the forum has of people, for themselves: what they wrote, also what was deleted since.

use panel_kernel::personal::{Column, Person, Records};

/// Kinds of records, in the order in which they are told.
pub(crate) const RECORDS: [Records; 2] = [
    Records {
        name: "threads",
        select: "SELECT id, category_id, title, slug, tags, created_at, pinned, locked, deleted_at \
                 FROM threads WHERE author_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        person: Person::Id,
        columns: &[
            ("id", Column::Id),
            ("category_id", Column::Id),
            ("title", Column::Text),
            ("slug", Column::Text),
            ("tags", Column::Json),
            ("created_at", Column::Time),
            ("pinned", Column::Flag),
            ("locked", Column::Flag),
            ("deleted_at", Column::Time),
        ],
    },
    Records {
        name: "posts",
        select: "SELECT id, thread_id, number, body, created_at, edited_at, reply_to, quote_of, \
                 deleted_at FROM posts WHERE author_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        person: Person::Id,
        columns: &[
            ("id", Column::Id),
            ("thread_id", Column::Id),
            ("number", Column::Number),
            ("body", Column::Text),
            ("created_at", Column::Time),
            ("edited_at", Column::Time),
            ("reply_to", Column::Id),
            ("quote_of", Column::Id),
            ("deleted_at", Column::Time),
        ],
    },
];
