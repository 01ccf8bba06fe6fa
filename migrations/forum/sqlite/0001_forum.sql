-- The forum: categories, threads, posts, and what it knows of their authors.

-- Names of authors: a projection of what auth tells. No row: shown as "deleted user".
CREATE TABLE authors (
    id   INTEGER NOT NULL PRIMARY KEY,
    name TEXT    NOT NULL
) STRICT;

-- A tree of two levels. Levels are ranks as numbers, 0 is everybody. `own_read_level` is what
-- was asked for; `read_level` is what holds: never less than the parent's.
CREATE TABLE categories (
    id             INTEGER NOT NULL PRIMARY KEY,
    parent_id      INTEGER REFERENCES categories (id),
    name           TEXT    NOT NULL,
    slug           TEXT    NOT NULL UNIQUE,
    description    TEXT,
    position       INTEGER NOT NULL,
    own_read_level INTEGER NOT NULL CHECK (own_read_level BETWEEN 0 AND 5),
    read_level     INTEGER NOT NULL CHECK (read_level BETWEEN own_read_level AND 5),
    post_level     INTEGER NOT NULL CHECK (post_level BETWEEN 0 AND 5),
    version        INTEGER NOT NULL DEFAULT 1,
    created_at     INTEGER NOT NULL,
    CHECK (parent_id <> id)
) STRICT;
CREATE INDEX categories_by_parent ON categories (parent_id) WHERE parent_id IS NOT NULL;

-- `last_number` counts posts ever made, `reply_count` the replies still there. `tags` is a JSON
-- array, for display; `thread_tags` is for finding.
CREATE TABLE threads (
    id           INTEGER NOT NULL PRIMARY KEY,
    category_id  INTEGER NOT NULL REFERENCES categories (id),
    author_id    INTEGER NOT NULL,
    title        TEXT    NOT NULL,
    slug         TEXT    NOT NULL,
    tags         TEXT    NOT NULL DEFAULT '[]',
    created_at   INTEGER NOT NULL,
    last_post_at INTEGER NOT NULL,
    last_number  INTEGER NOT NULL DEFAULT 1,
    reply_count  INTEGER NOT NULL DEFAULT 0 CHECK (reply_count >= 0),
    view_count   INTEGER NOT NULL DEFAULT 0,
    pinned       INTEGER NOT NULL DEFAULT 0 CHECK (pinned IN (0, 1)),
    locked       INTEGER NOT NULL DEFAULT 0 CHECK (locked IN (0, 1)),
    version      INTEGER NOT NULL DEFAULT 1,
    deleted_at   INTEGER,
    deleted_by   INTEGER
) STRICT;
CREATE INDEX threads_by_activity ON threads (last_post_at, id) WHERE deleted_at IS NULL;
CREATE INDEX threads_by_creation ON threads (created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX threads_by_replies ON threads (reply_count, id) WHERE deleted_at IS NULL;
CREATE INDEX threads_of_category_by_activity
    ON threads (category_id, last_post_at, id) WHERE deleted_at IS NULL;
-- Whole, because the foreign key also counts what is deleted.
CREATE INDEX threads_of_category_by_creation ON threads (category_id, created_at, id);
CREATE INDEX threads_of_category_by_replies
    ON threads (category_id, reply_count, id) WHERE deleted_at IS NULL;

-- The tags of threads that are not deleted, with what lists by tag are sorted by.
CREATE TABLE thread_tags (
    thread_id    INTEGER NOT NULL REFERENCES threads (id),
    tag          TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    last_post_at INTEGER NOT NULL,
    reply_count  INTEGER NOT NULL,
    PRIMARY KEY (thread_id, tag)
) STRICT, WITHOUT ROWID;
CREATE INDEX thread_tags_by_activity ON thread_tags (tag, last_post_at, thread_id);
CREATE INDEX thread_tags_by_creation ON thread_tags (tag, created_at, thread_id);
CREATE INDEX thread_tags_by_replies ON thread_tags (tag, reply_count, thread_id);

-- Numbers within a thread have no gaps: a deleted post stays as a tombstone. `reactions` is a
-- JSON object of counts by name.
CREATE TABLE posts (
    id         INTEGER NOT NULL PRIMARY KEY,
    thread_id  INTEGER NOT NULL REFERENCES threads (id),
    number     INTEGER NOT NULL CHECK (number >= 1),
    author_id  INTEGER NOT NULL,
    body       TEXT    NOT NULL,
    body_html  TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    edited_at  INTEGER,
    reply_to   INTEGER REFERENCES posts (id),
    quote_of   INTEGER REFERENCES posts (id),
    reactions  TEXT    NOT NULL DEFAULT '{}',
    version    INTEGER NOT NULL DEFAULT 1,
    deleted_at INTEGER,
    deleted_by INTEGER,
    UNIQUE (thread_id, number)
) STRICT;
