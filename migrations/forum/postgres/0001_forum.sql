-- The forum: categories, threads, posts, and what it knows of their authors.

-- Names of authors: a projection of what auth tells. No row: shown as "deleted user".
CREATE TABLE authors (
    id   BIGINT NOT NULL PRIMARY KEY,
    name TEXT   NOT NULL
);

-- A tree of two levels. Levels are ranks as numbers, 0 is everybody. `own_read_level` is what
-- was asked for; `read_level` is what holds: never less than the parent's.
CREATE TABLE categories (
    id             BIGINT NOT NULL PRIMARY KEY,
    parent_id      BIGINT REFERENCES categories (id),
    name           TEXT   NOT NULL,
    slug           TEXT   NOT NULL UNIQUE,
    description    TEXT,
    position       BIGINT NOT NULL,
    own_read_level BIGINT NOT NULL CHECK (own_read_level BETWEEN 0 AND 5),
    read_level     BIGINT NOT NULL CHECK (read_level BETWEEN own_read_level AND 5),
    post_level     BIGINT NOT NULL CHECK (post_level BETWEEN 0 AND 5),
    version        BIGINT NOT NULL DEFAULT 1,
    created_at     BIGINT NOT NULL,
    CHECK (parent_id <> id)
);
CREATE INDEX categories_by_parent ON categories (parent_id) WHERE parent_id IS NOT NULL;

-- `last_number` counts posts ever made, `reply_count` the replies still there. `tags` is a JSON
-- array, for display; `thread_tags` is for finding.
CREATE TABLE threads (
    id           BIGINT NOT NULL PRIMARY KEY,
    category_id  BIGINT NOT NULL REFERENCES categories (id),
    author_id    BIGINT NOT NULL,
    title        TEXT   NOT NULL,
    slug         TEXT   NOT NULL,
    tags         TEXT   NOT NULL DEFAULT '[]',
    created_at   BIGINT NOT NULL,
    last_post_at BIGINT NOT NULL,
    last_number  BIGINT NOT NULL DEFAULT 1,
    reply_count  BIGINT NOT NULL DEFAULT 0 CHECK (reply_count >= 0),
    view_count   BIGINT NOT NULL DEFAULT 0,
    pinned       BIGINT NOT NULL DEFAULT 0 CHECK (pinned IN (0, 1)),
    locked       BIGINT NOT NULL DEFAULT 0 CHECK (locked IN (0, 1)),
    version      BIGINT NOT NULL DEFAULT 1,
    deleted_at   BIGINT,
    deleted_by   BIGINT
);
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
    thread_id    BIGINT NOT NULL REFERENCES threads (id),
    tag          TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    last_post_at BIGINT NOT NULL,
    reply_count  BIGINT NOT NULL,
    PRIMARY KEY (thread_id, tag)
);
CREATE INDEX thread_tags_by_activity ON thread_tags (tag, last_post_at, thread_id);
CREATE INDEX thread_tags_by_creation ON thread_tags (tag, created_at, thread_id);
CREATE INDEX thread_tags_by_replies ON thread_tags (tag, reply_count, thread_id);

-- Numbers within a thread have no gaps: a deleted post stays as a tombstone. `reactions` is a
-- JSON object of counts by name.
CREATE TABLE posts (
    id         BIGINT NOT NULL PRIMARY KEY,
    thread_id  BIGINT NOT NULL REFERENCES threads (id),
    number     BIGINT NOT NULL CHECK (number >= 1),
    author_id  BIGINT NOT NULL,
    body       TEXT   NOT NULL,
    body_html  TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    edited_at  BIGINT,
    reply_to   BIGINT REFERENCES posts (id),
    quote_of   BIGINT REFERENCES posts (id),
    reactions  TEXT   NOT NULL DEFAULT '{}',
    version    BIGINT NOT NULL DEFAULT 1,
    deleted_at BIGINT,
    deleted_by BIGINT,
    UNIQUE (thread_id, number)
);
