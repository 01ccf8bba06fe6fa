-- Moderation: ranks and conduct of people, what is hidden, flags and the queue, bans, rules for what is
-- written, and the log.

-- `level`: the rank as auth tells it, 0 where it has not told yet. `post_count`: posts ever written, those
-- that moderators refused included, which `refused_count` counts. `burst_at`, `burst_count`: posts within a
-- minute, and since when. `restricted`: there may be bans that hold.
ALTER TABLE authors ADD COLUMN level INTEGER NOT NULL DEFAULT 0;
ALTER TABLE authors ADD COLUMN post_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE authors ADD COLUMN refused_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE authors ADD COLUMN burst_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE authors ADD COLUMN burst_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE authors ADD COLUMN restricted INTEGER NOT NULL DEFAULT 0;
UPDATE authors SET post_count =
    (SELECT COUNT(*) FROM posts p WHERE p.author_id = authors.id AND p.moved_to IS NULL);

-- What is hidden counts as deleted, but its author still sees it, and moderators are to decide about it.
ALTER TABLE threads ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0;
ALTER TABLE posts ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0;

-- Who may not write, where, and until when. `kind`: 'ban' (writes nothing that others see) or 'silence'
-- (writes no texts). Without a category: anywhere. `appeal` is what they have to say about it.
CREATE TABLE bans (
    id          INTEGER NOT NULL PRIMARY KEY,
    user_id     INTEGER NOT NULL,
    kind        TEXT    NOT NULL CHECK (kind IN ('ban', 'silence')),
    category_id INTEGER,
    reason      TEXT    NOT NULL,
    created_by  INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    until       INTEGER,
    appeal      TEXT,
    ended_at    INTEGER,
    ended_by    INTEGER
) STRICT;
CREATE INDEX bans_by_user ON bans (user_id, id);
CREATE INDEX bans_in_force ON bans (id) WHERE ended_at IS NULL;
CREATE INDEX bans_by_end ON bans (until) WHERE ended_at IS NULL AND until IS NOT NULL;
CREATE INDEX bans_by_issuer ON bans (created_by, id);

-- What moderators are to look at: posts (`flagged`, `held` before anybody saw them, `matched` by a rule), and
-- appeals against bans. One that is open per post, and per ban. `weight` is what the flags weigh together;
-- `due`: whether somebody has to look if that is enough to hide the post.
CREATE TABLE moderation_queue (
    id          INTEGER NOT NULL PRIMARY KEY,
    kind        TEXT    NOT NULL CHECK (kind IN ('flagged', 'held', 'matched', 'appeal')),
    post_id     INTEGER REFERENCES posts (id),
    ban_id      INTEGER REFERENCES bans (id),
    author_id   INTEGER NOT NULL,
    detail      TEXT    NOT NULL DEFAULT '',
    flag_count  INTEGER NOT NULL DEFAULT 0,
    weight      INTEGER NOT NULL DEFAULT 0,
    due         INTEGER NOT NULL DEFAULT 0 CHECK (due IN (0, 1)),
    status      TEXT    NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'approved', 'rejected')),
    assignee_id INTEGER,
    created_at  INTEGER NOT NULL,
    resolved_at INTEGER,
    resolved_by INTEGER,
    version     INTEGER NOT NULL DEFAULT 1,
    CHECK ((post_id IS NULL) <> (ban_id IS NULL))
) STRICT;
CREATE UNIQUE INDEX moderation_queue_open_by_post
    ON moderation_queue (post_id) WHERE status = 'open' AND post_id IS NOT NULL;
CREATE UNIQUE INDEX moderation_queue_open_by_ban
    ON moderation_queue (ban_id) WHERE status = 'open' AND ban_id IS NOT NULL;
CREATE INDEX moderation_queue_by_post ON moderation_queue (post_id, id) WHERE post_id IS NOT NULL;
CREATE INDEX moderation_queue_by_author ON moderation_queue (author_id, id);
CREATE INDEX moderation_queue_open ON moderation_queue (id) WHERE status = 'open';
CREATE INDEX moderation_queue_resolved ON moderation_queue (id) WHERE status <> 'open';
CREATE INDEX moderation_queue_due ON moderation_queue (id) WHERE due = 1;

-- Who finds something wrong with a post: once for each time that it is in the queue.
CREATE TABLE flags (
    id         INTEGER NOT NULL PRIMARY KEY,
    item_id    INTEGER NOT NULL REFERENCES moderation_queue (id),
    post_id    INTEGER NOT NULL REFERENCES posts (id),
    user_id    INTEGER NOT NULL,
    reason     TEXT    NOT NULL,
    note       TEXT    NOT NULL,
    weight     INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (item_id, user_id)
) STRICT;
CREATE INDEX flags_by_item ON flags (item_id, id);
CREATE INDEX flags_by_user ON flags (user_id, id);
CREATE INDEX flags_by_post ON flags (post_id, user_id);

-- What moderators tell each other about something in the queue.
CREATE TABLE moderation_notes (
    id         INTEGER NOT NULL PRIMARY KEY,
    item_id    INTEGER NOT NULL REFERENCES moderation_queue (id),
    author_id  INTEGER NOT NULL,
    text       TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX moderation_notes_by_item ON moderation_notes (item_id, id);
CREATE INDEX moderation_notes_by_author ON moderation_notes (author_id, id);

-- Words and links that are refused, held or flagged.
CREATE TABLE content_rules (
    id         INTEGER NOT NULL PRIMARY KEY,
    kind       TEXT    NOT NULL CHECK (kind IN ('word', 'link')),
    pattern    TEXT    NOT NULL,
    action     TEXT    NOT NULL CHECK (action IN ('refuse', 'hold', 'flag')),
    message    TEXT    NOT NULL,
    created_by INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (kind, pattern)
) STRICT;
CREATE INDEX content_rules_by_creator ON content_rules (created_by, id);
-- Counts changes of the rules, so that who keeps them knows. One row.
CREATE TABLE content_rules_version (
    one     INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL
) STRICT;
INSERT INTO content_rules_version (one, version) VALUES (1, 0);

-- What moderators, and rules in their name (moderator 0), have done.
CREATE TABLE moderation_log (
    id           INTEGER NOT NULL PRIMARY KEY,
    moderator_id INTEGER NOT NULL,
    action       TEXT    NOT NULL,
    user_id      INTEGER,
    post_id      INTEGER,
    thread_id    INTEGER,
    category_id  INTEGER,
    reason       TEXT    NOT NULL,
    created_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX moderation_log_by_moderator ON moderation_log (moderator_id, id);
CREATE INDEX moderation_log_by_user ON moderation_log (user_id, id) WHERE user_id IS NOT NULL;
CREATE INDEX moderation_log_by_thread ON moderation_log (thread_id, id) WHERE thread_id IS NOT NULL;
