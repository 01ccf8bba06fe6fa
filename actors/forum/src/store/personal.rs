//! What the forum has of people, for themselves: what they wrote, also what was deleted since, and what
//! they did beside that.

use panel_kernel::personal::{Column, Person, Records};

/// Kinds of records, in the order in which they are told.
pub(crate) const RECORDS: [Records; 20] = [
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
                 deleted_at FROM posts WHERE author_id = $1 AND id > $2 AND moved_to IS NULL \
                 ORDER BY id LIMIT $3",
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
    Records {
        name: "edited_posts",
        select: "SELECT id, thread_id, number, body, edited_at FROM posts \
                 WHERE edited_by = $1 AND id > $2 ORDER BY id LIMIT $3",
        person: Person::Id,
        columns: &[
            ("id", Column::Id),
            ("thread_id", Column::Id),
            ("number", Column::Number),
            ("body", Column::Text),
            ("edited_at", Column::Time),
        ],
    },
    Records {
        name: "revisions",
        select: "SELECT id, post_id, number, body, created_at FROM post_revisions \
                 WHERE editor_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        person: Person::Id,
        columns: &[
            ("id", Column::Position),
            ("post_id", Column::Id),
            ("number", Column::Number),
            ("body", Column::Text),
            ("created_at", Column::Time),
        ],
    },
    Records {
        name: "reactions",
        select: "SELECT id, post_id, name, created_at FROM post_reactions \
                 WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        person: Person::Id,
        columns: &[
            ("id", Column::Position),
            ("post_id", Column::Id),
            ("name", Column::Text),
            ("created_at", Column::Time),
        ],
    },
    Records {
        name: "mentions",
        select: "SELECT post_id FROM post_mentions \
                 WHERE user_id = $1 AND post_id > $2 ORDER BY post_id LIMIT $3",
        person: Person::Id,
        columns: &[("post_id", Column::Id)],
    },
    Records {
        name: "reading",
        select: "SELECT thread_id, last_read, watching FROM thread_readers \
                 WHERE user_id = $1 AND thread_id > $2 ORDER BY thread_id LIMIT $3",
        person: Person::Id,
        columns: &[
            ("thread_id", Column::Id),
            ("last_read", Column::Number),
            ("watching", Column::Flag),
        ],
    },
    Records {
        name: "drafts",
        select: "SELECT id, key, content, updated_at FROM drafts \
                 WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        person: Person::Id,
        columns: &[
            ("id", Column::Position),
            ("key", Column::Text),
            ("content", Column::Json),
            ("updated_at", Column::Time),
        ],
    },
    Records {
        name: "bans",
        select: "SELECT id, kind, category_id, reason, created_at, until, ended_at, appeal \
                 FROM bans WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        person: Person::Id,
        columns: &[
            ("id", Column::Id),
            ("kind", Column::Text),
            ("category_id", Column::Id),
            ("reason", Column::Text),
            ("created_at", Column::Time),
            ("until", Column::Time),
            ("ended_at", Column::Time),
            ("appeal", Column::Text),
        ],
    },
    Records {
        name: "bans_issued",
        select: "SELECT id, user_id, kind, category_id, reason, created_at, until FROM bans \
                 WHERE created_by = $1 AND id > $2 ORDER BY id LIMIT $3",
        person: Person::Id,
        columns: &[
            ("id", Column::Id),
            ("user_id", Column::Id),
            ("kind", Column::Text),
            ("category_id", Column::Id),
            ("reason", Column::Text),
            ("created_at", Column::Time),
            ("until", Column::Time),
        ],
    },
    Records {
        name: "flags",
        select: "SELECT id, post_id, reason, note, created_at FROM flags WHERE user_id = $1 AND \
                 id > $2 ORDER BY id LIMIT $3",
        person: Person::Id,
        columns: &[
            ("id", Column::Position),
            ("post_id", Column::Id),
            ("reason", Column::Text),
            ("note", Column::Text),
            ("created_at", Column::Time),
        ],
    },
    Records {
        name: "queued",
        select: "SELECT id, kind, post_id, ban_id, status, created_at, resolved_at \
                 FROM moderation_queue WHERE author_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        person: Person::Id,
        columns: &[
            ("id", Column::Id),
            ("kind", Column::Text),
            ("post_id", Column::Id),
            ("ban_id", Column::Id),
            ("status", Column::Text),
            ("created_at", Column::Time),
            ("resolved_at", Column::Time),
        ],
    },
    Records {
        name: "moderated",
        select: "SELECT id, action, post_id, thread_id, reason, created_at FROM moderation_log \
                 WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        person: Person::Id,
        columns: &[
            ("id", Column::Position),
            ("action", Column::Text),
            ("post_id", Column::Id),
            ("thread_id", Column::Id),
            ("reason", Column::Text),
            ("created_at", Column::Time),
        ],
    },
    Records {
        name: "moderation_acts",
        select: "SELECT id, action, user_id, post_id, thread_id, reason, created_at \
                 FROM moderation_log WHERE moderator_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        person: Person::Id,
        columns: &[
            ("id", Column::Position),
            ("action", Column::Text),
            ("user_id", Column::Id),
            ("post_id", Column::Id),
            ("thread_id", Column::Id),
            ("reason", Column::Text),
            ("created_at", Column::Time),
        ],
    },
    Records {
        name: "moderation_notes",
        select: "SELECT id, item_id, text, created_at FROM moderation_notes WHERE author_id = \
                 $1 AND id > $2 ORDER BY id LIMIT $3",
        person: Person::Id,
        columns: &[
            ("id", Column::Position),
            ("item_id", Column::Id),
            ("text", Column::Text),
            ("created_at", Column::Time),
        ],
    },
    Records {
        name: "content_rules",
        select: "SELECT id, kind, pattern, action, message, created_at FROM content_rules WHERE \
                 created_by = $1 AND id > $2 ORDER BY id LIMIT $3",
        person: Person::Id,
        columns: &[
            ("id", Column::Id),
            ("kind", Column::Text),
            ("pattern", Column::Text),
            ("action", Column::Text),
            ("message", Column::Text),
            ("created_at", Column::Time),
        ],
    },
    Records {
        name: "notifications",
        select: "SELECT id, kind, actor_id, thread_id, post_id, detail, is_read, created_at \
                 FROM notifications WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        person: Person::Id,
        columns: &[
            ("id", Column::Id),
            ("kind", Column::Text),
            ("actor_id", Column::Id),
            ("thread_id", Column::Id),
            ("post_id", Column::Id),
            ("detail", Column::Text),
            ("is_read", Column::Flag),
            ("created_at", Column::Time),
        ],
    },
    Records {
        name: "notification_preferences",
        select: "SELECT user_id, muted FROM notification_boxes \
                 WHERE user_id = $1 AND user_id > $2 ORDER BY user_id LIMIT $3",
        person: Person::Id,
        columns: &[("user_id", Column::Position), ("muted", Column::Number)],
    },
    Records {
        name: "digests",
        select: "SELECT user_id, every, next_at FROM digests \
                 WHERE user_id = $1 AND user_id > $2 ORDER BY user_id LIMIT $3",
        person: Person::Id,
        columns: &[
            ("user_id", Column::Position),
            ("every", Column::Text),
            ("next_at", Column::Time),
        ],
    },
    Records {
        name: "blocks",
        select: "SELECT blocked_id, created_at FROM blocks \
                 WHERE user_id = $1 AND blocked_id > $2 ORDER BY blocked_id LIMIT $3",
        person: Person::Id,
        columns: &[("blocked_id", Column::Id), ("created_at", Column::Time)],
    },
];
