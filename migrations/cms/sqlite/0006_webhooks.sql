-- Servers of others that are told what becomes of articles.

CREATE TABLE webhooks (
    id               INTEGER NOT NULL PRIMARY KEY,
    url              TEXT    NOT NULL,
    description      TEXT    NOT NULL,
    -- Topics with spaces between them, or '*' alone.
    topics           TEXT    NOT NULL,
    enabled          INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    -- What happened before is not told: when it was made, or enabled again.
    since            INTEGER NOT NULL,
    -- What deliveries are signed with, sealed; and what they were signed with before, as long as they still are.
    secret           BLOB    NOT NULL,
    earlier_secret   BLOB,
    earlier_until    INTEGER,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    version          INTEGER NOT NULL DEFAULT 1,
    -- How much of what it is to be told waits.
    pending          INTEGER NOT NULL DEFAULT 0,
    -- How much it was told so far: they are told in that order.
    numbered         INTEGER NOT NULL DEFAULT 0,
    -- How often in a row it could not be reached, and when it is tried again.
    failures         INTEGER NOT NULL DEFAULT 0,
    resumes_at       INTEGER NOT NULL DEFAULT 0,
    -- How often in a row it did not take anything, and since when.
    misses           INTEGER NOT NULL DEFAULT 0,
    failing_since    INTEGER,
    delivered_at     INTEGER,
    -- Why nothing is sent there any more, if nobody has said so.
    disabled_because TEXT    CHECK (disabled_because IN ('gone', 'failing')),
    -- It stays until its deliveries are removed.
    deleted_at       INTEGER
);
CREATE INDEX webhooks_there ON webhooks (id) WHERE deleted_at IS NULL;
CREATE INDEX webhooks_deleted ON webhooks (deleted_at) WHERE deleted_at IS NOT NULL;

-- What one of them is to be told, or was.
CREATE TABLE webhook_deliveries (
    id          INTEGER NOT NULL PRIMARY KEY,
    webhook_id  INTEGER NOT NULL REFERENCES webhooks (id),
    -- Its place among what that webhook is told.
    number      INTEGER NOT NULL,
    topic       TEXT    NOT NULL,
    -- As it is sent, to the byte: it is signed.
    body        TEXT    NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    attempts    INTEGER NOT NULL DEFAULT 0,
    created_at  INTEGER NOT NULL,
    next_at     INTEGER NOT NULL,
    give_up_at  INTEGER NOT NULL,
    finished_at INTEGER
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, next_at, number)
    WHERE state = 'pending';
CREATE INDEX webhook_deliveries_late ON webhook_deliveries (give_up_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_of ON webhook_deliveries (webhook_id, id);
CREATE INDEX webhook_deliveries_in ON webhook_deliveries (webhook_id, state, id);
CREATE INDEX webhook_deliveries_finished ON webhook_deliveries (finished_at)
    WHERE finished_at IS NOT NULL;

-- What came of it each time that it was sent. Without an outcome: it was begun, and whoever sent it has ended.
CREATE TABLE webhook_attempts (
    delivery_id INTEGER NOT NULL REFERENCES webhook_deliveries (id) ON DELETE CASCADE,
    number      INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    millis      INTEGER,
    -- What it was answered with: a status, and the beginning of what was said.
    status      INTEGER,
    answer      TEXT,
    -- Why there is no answer, or why it is none that counts.
    error       TEXT,
    PRIMARY KEY (delivery_id, number)
);
