CREATE TABLE users (
    id            BIGINT NOT NULL PRIMARY KEY,
    username      TEXT    NOT NULL,
    username_key  TEXT    NOT NULL UNIQUE,
    email         TEXT    NOT NULL,
    email_key     TEXT    NOT NULL UNIQUE,
    display_name  TEXT    NOT NULL,
    password_hash TEXT    NOT NULL,
    role          BIGINT NOT NULL CHECK (role BETWEEN 1 AND 5),
    status        TEXT    NOT NULL CHECK (status IN ('active', 'suspended')),
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    version       BIGINT NOT NULL
);

CREATE INDEX users_staff ON users (role) WHERE role >= 3;

CREATE TABLE sessions (
    id           BIGINT NOT NULL PRIMARY KEY,
    user_id      BIGINT NOT NULL REFERENCES users (id),
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    revoked_at   BIGINT,
    ip           TEXT,
    user_agent   TEXT
);
CREATE INDEX sessions_by_user ON sessions (user_id, id);
CREATE INDEX sessions_revoked ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;

-- One row per token ever given and not yet expired. A used token stays, so that using it again
-- is noticed.
CREATE TABLE refresh_tokens (
    hash       BYTEA    NOT NULL PRIMARY KEY,
    session_id BIGINT NOT NULL REFERENCES sessions (id),
    expires_at BIGINT NOT NULL,
    used_at    BIGINT
);
CREATE INDEX refresh_tokens_by_expiry ON refresh_tokens (expires_at);
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id);

-- Keys that sign access tokens; the private part is sealed with the cluster's key.
CREATE TABLE signing_keys (
    id         BIGINT NOT NULL PRIMARY KEY,
    public_key TEXT    NOT NULL,
    sealed     BYTEA    NOT NULL,
    current    BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    retired_at BIGINT
);
CREATE UNIQUE INDEX signing_keys_one_current ON signing_keys (current) WHERE current = 1;

-- The one-time link with which the first administrator is made.
CREATE TABLE setup (
    id         BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    token_hash BYTEA    NOT NULL,
    node       TEXT    NOT NULL,
    created_at BIGINT NOT NULL
);
