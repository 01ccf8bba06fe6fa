-- What people are told of.

-- `last_id`: of the latest thing somebody was told. Whoever tells them something holds the row, so that ids
-- are committed in their order, one person at a time. `muted`: kinds they don't want to hear of, as bits.
CREATE TABLE notification_boxes (
    user_id INTEGER NOT NULL PRIMARY KEY,
    last_id INTEGER NOT NULL DEFAULT 0,
    muted   INTEGER NOT NULL DEFAULT 0
) STRICT;

-- `actor_id`: who did it; nobody, where that is not told. `detail`: which reaction, what was decided.
CREATE TABLE notifications (
    user_id    INTEGER NOT NULL,
    id         INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    actor_id   INTEGER,
    thread_id  INTEGER REFERENCES threads (id),
    post_id    INTEGER REFERENCES posts (id),
    detail     TEXT    NOT NULL DEFAULT '',
    is_read    INTEGER NOT NULL DEFAULT 0 CHECK (is_read IN (0, 1)),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX notifications_unread ON notifications (user_id, id) WHERE is_read = 0;
CREATE INDEX notifications_unread_by_thread ON notifications (user_id, thread_id) WHERE is_read = 0;
CREATE INDEX notifications_by_post ON notifications (post_id, user_id) WHERE post_id IS NOT NULL;
CREATE INDEX notifications_by_thread ON notifications (thread_id) WHERE thread_id IS NOT NULL;
CREATE INDEX notifications_by_age ON notifications (created_at);

-- Posts of which those are yet to be told who watch their threads: they are told piece by piece.
CREATE TABLE notification_fanouts (
    post_id    INTEGER NOT NULL PRIMARY KEY REFERENCES posts (id),
    after_user INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Of whom somebody does not want to hear.
CREATE TABLE blocks (
    user_id    INTEGER NOT NULL,
    blocked_id INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, blocked_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX blocks_by_blocked ON blocks (blocked_id);

-- Nobody is told of what was written before.
INSERT INTO outbox_progress (consumer, epoch, position)
SELECT 'notifier', COALESCE(MAX(epoch), 0), COALESCE(MAX(position), 0) FROM outbox;
