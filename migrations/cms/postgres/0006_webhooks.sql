-- Servers of others that are told what becomes of articles.

CREATE TABLE webhooks (
    id               BIGINT  NOT NULL PRIMARY KEY,
    url              TEXT    NOT NULL,
    description      TEXT    NOT NULL,
    -- Topics with spaces between them, or '*' alone.
    topics           TEXT    NOT NULL,
    enabled          BIGINT  NOT NULL CHECK (enabled IN (0, 1)),
    -- What happened before is not told: when it was made, or enabled again.
    since            BIGINT  NOT NULL,
    -- What deliveries are signed with, sealed; and what they were signed with before, as long as they still are.
    secret           BYTEA   NOT NULL,
    earlier_secret   BYTEA,
    earlier_until    BIGINT,
    created_at       BIGINT  NOT NULL,
    updated_at       BIGINT  NOT NULL,
    version          BIGINT  NOT NULL DEFAULT 1,
    -- How much of what it is to be told waits.
    pending          BIGINT  NOT NULL DEFAULT 0,
    -- How much it was told so far: they are told in that order.
    numbered         BIGINT  NOT NULL DEFAULT 0,
    -- How often in a row it could not be reached, and when it is tried again.
    failures         BIGINT  NOT NULL DEFAULT 0,
    resumes_at       BIGINT  NOT NULL DEFAULT 0,
    -- How often in a row it did not take anything, and since when.
    misses           BIGINT  NOT NULL DEFAULT 0,
    failing_since    BIGINT,
    delivered_at     BIGINT,
    -- Why nothing is sent there any more, if nobody has said so.
    disabled_because TEXT    CHECK (disabled_because IN ('gone', 'failing')),
    -- It stays until its deliveries are removed.
    deleted_at       BIGINT
);
CREATE INDEX webhooks_there ON webhooks (id) WHERE deleted_at IS NULL;
CREATE INDEX webhooks_deleted ON webhooks (deleted_at) WHERE deleted_at IS NOT NULL;

-- What one of them is to be told, or was.
CREATE TABLE webhook_deliveries (
    id          BIGINT  NOT NULL PRIMARY KEY,
    webhook_id  BIGINT  NOT NULL REFERENCES webhooks (id),
    -- Its place among what that webhook is told.
    number      BIGINT  NOT NULL,
    topic       TEXT    NOT NULL,
    -- As it is sent, to the byte: it is signed.
    body        TEXT    NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    attempts    BIGINT  NOT NULL DEFAULT 0,
    created_at  BIGINT  NOT NULL,
    next_at     BIGINT  NOT NULL,
    give_up_at  BIGINT  NOT NULL,
    finished_at BIGINT
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
    delivery_id BIGINT  NOT NULL REFERENCES webhook_deliveries (id) ON DELETE CASCADE,
    number      BIGINT  NOT NULL,
    at          BIGINT  NOT NULL,
    millis      BIGINT,
    -- What it was answered with: a status, and the beginning of what was said.
    status      BIGINT,
    answer      TEXT,
    -- Why there is no answer, or why it is none that counts.
    error       TEXT,
    PRIMARY KEY (delivery_id, number)
);
