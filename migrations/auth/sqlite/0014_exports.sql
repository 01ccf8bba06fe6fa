-- What there is of somebody, put together for them. The file is in the blob store, under the row's id:
-- the row is there before the file, and goes after it. `progress` is JSON: what was gathered so far. `node`
-- puts it together, until `next_at`.
CREATE TABLE exports (
    id            INTEGER NOT NULL PRIMARY KEY,
    user_id       INTEGER NOT NULL REFERENCES users (id),
    status        TEXT    NOT NULL CHECK (status IN ('waiting', 'ready', 'failed', 'ended')),
    requested_at  INTEGER NOT NULL,
    next_at       INTEGER NOT NULL,
    attempts      INTEGER NOT NULL DEFAULT 0,
    node          TEXT,
    progress      TEXT    NOT NULL DEFAULT '{}',
    bytes         INTEGER,
    sha256        BLOB,
    finished_at   INTEGER,
    expires_at    INTEGER,
    downloaded_at INTEGER
) STRICT;
CREATE INDEX exports_by_user ON exports (user_id, id);
CREATE INDEX exports_waiting ON exports (next_at) WHERE status = 'waiting';
CREATE INDEX exports_over ON exports (expires_at) WHERE expires_at IS NOT NULL;

-- Whose they are, for themselves.
CREATE INDEX invitations_by_creator ON invitations (created_by, id);
