-- What people do with threads and posts beside writing them: revisions, reactions, reading, drafts;
-- and what moderators do: pinning, merging, splitting.

-- By what an author is mentioned (`@name`); as auth looks names up. `read_before`: what was last
-- written before that moment counts as read.
ALTER TABLE authors ADD COLUMN username_key TEXT;
ALTER TABLE authors ADD COLUMN read_before INTEGER NOT NULL DEFAULT 0;
UPDATE authors SET read_before = (SELECT COALESCE(MAX(last_post_at), 0) FROM threads);
CREATE UNIQUE INDEX authors_by_username ON authors (username_key) WHERE username_key IS NOT NULL;

-- Where a thread's posts went. Such a thread has none any more, and counts as deleted.
ALTER TABLE threads ADD COLUMN merged_into INTEGER REFERENCES threads (id);
CREATE INDEX threads_by_target ON threads (merged_into) WHERE merged_into IS NOT NULL;

-- By what threads go by activity: the latest post, and pinned ones before all others. As one number,
-- because PostgreSQL guesses how many rows are beyond a pair by the first of it alone.
ALTER TABLE thread_tags ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
ALTER TABLE threads ADD COLUMN activity INTEGER NOT NULL
    GENERATED ALWAYS AS (last_post_at + pinned * 4611686018427387904) VIRTUAL;
ALTER TABLE thread_tags ADD COLUMN activity INTEGER NOT NULL
    GENERATED ALWAYS AS (last_post_at + pinned * 4611686018427387904) VIRTUAL;
DROP INDEX threads_by_activity;
CREATE INDEX threads_by_activity ON threads (activity, id) WHERE deleted_at IS NULL;
DROP INDEX threads_of_category_by_activity;
CREATE INDEX threads_of_category_by_activity
    ON threads (category_id, activity, id) WHERE deleted_at IS NULL;
DROP INDEX thread_tags_by_activity;
CREATE INDEX thread_tags_by_activity ON thread_tags (tag, activity, thread_id);

-- `moved_to`: this is only the place of a post that was moved to another thread. `edited_by`: who
-- wrote the text as it is, if not the author.
ALTER TABLE posts ADD COLUMN moved_to INTEGER REFERENCES posts (id);
ALTER TABLE posts ADD COLUMN edited_by INTEGER;
CREATE INDEX posts_by_editor ON posts (edited_by, id) WHERE edited_by IS NOT NULL;

-- Texts as they were before an edit, from 1. Of a hidden one only the row is left.
CREATE TABLE post_revisions (
    id         INTEGER NOT NULL PRIMARY KEY,
    post_id    INTEGER NOT NULL REFERENCES posts (id),
    number     INTEGER NOT NULL CHECK (number >= 1),
    body       TEXT    NOT NULL,
    editor_id  INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    hidden     INTEGER NOT NULL DEFAULT 0 CHECK (hidden IN (0, 1)),
    UNIQUE (post_id, number)
) STRICT;
CREATE INDEX post_revisions_by_editor ON post_revisions (editor_id, id);

-- Who reacted how; `posts.reactions` has the counts.
CREATE TABLE post_reactions (
    id         INTEGER NOT NULL PRIMARY KEY,
    post_id    INTEGER NOT NULL REFERENCES posts (id),
    user_id    INTEGER NOT NULL,
    name       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (post_id, user_id, name)
) STRICT;
CREATE INDEX post_reactions_by_post ON post_reactions (post_id, id);
CREATE INDEX post_reactions_by_name ON post_reactions (post_id, name, id);
CREATE INDEX post_reactions_by_user ON post_reactions (user_id, id);

-- Whom a post has called by name, perhaps in an earlier text.
CREATE TABLE post_mentions (
    post_id INTEGER NOT NULL REFERENCES posts (id),
    user_id INTEGER NOT NULL,
    PRIMARY KEY (post_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX post_mentions_by_user ON post_mentions (user_id, post_id);

-- How far somebody has read a thread, and whether they want to hear of what is new in it.
CREATE TABLE thread_readers (
    user_id   INTEGER NOT NULL,
    thread_id INTEGER NOT NULL REFERENCES threads (id),
    last_read INTEGER NOT NULL CHECK (last_read >= 0),
    watching  INTEGER NOT NULL DEFAULT 0 CHECK (watching IN (0, 1)),
    PRIMARY KEY (user_id, thread_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX thread_readers_by_thread ON thread_readers (thread_id, watching);

-- What somebody has begun to write, under a key of their own. `content` is a JSON object.
CREATE TABLE drafts (
    id         INTEGER NOT NULL PRIMARY KEY,
    user_id    INTEGER NOT NULL,
    key        TEXT    NOT NULL,
    content    TEXT    NOT NULL,
    version    INTEGER NOT NULL DEFAULT 1,
    updated_at INTEGER NOT NULL,
    UNIQUE (user_id, key)
) STRICT;
