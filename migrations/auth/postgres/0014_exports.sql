-- What there is of somebody, put together for them. The file is in the blob store, under the row's id:
-- the row is there before the file, and goes after it. `progress` is JSON: what was gathered so far. `node`
-- puts it together, until `next_at`.
CREATE TABLE exports (
    id            BIGINT NOT NULL PRIMARY KEY,
    user_id       BIGINT NOT NULL REFERENCES users (id),
    status        TEXT   NOT NULL CHECK (status IN ('waiting', 'ready', 'failed', 'ended')),
    requested_at  BIGINT NOT NULL,
    next_at       BIGINT NOT NULL,
    attempts      BIGINT NOT NULL DEFAULT 0,
    node          TEXT,
    progress      TEXT   NOT NULL DEFAULT '{}',
    bytes         BIGINT,
    sha256        BYTEA,
    finished_at   BIGINT,
    expires_at    BIGINT,
    downloaded_at BIGINT
);
CREATE INDEX exports_by_user ON exports (user_id, id);
CREATE INDEX exports_waiting ON exports (next_at) WHERE status = 'waiting';
CREATE INDEX exports_over ON exports (expires_at) WHERE expires_at IS NOT NULL;

-- Whose they are, for themselves.
CREATE INDEX invitations_by_creator ON invitations (created_by, id);
