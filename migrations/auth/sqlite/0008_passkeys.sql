-- Passkeys (WebAuthn): the public part of each, and how often it was used by its own count.
CREATE TABLE passkeys (
    id            INTEGER NOT NULL PRIMARY KEY,
    user_id       INTEGER NOT NULL REFERENCES users (id),
    credential_id BLOB    NOT NULL UNIQUE,
    name          TEXT    NOT NULL,
    passkey       TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    last_used_at  INTEGER
) STRICT;
CREATE INDEX passkeys_by_user ON passkeys (user_id, id);

-- What was begun is finished once; what is begun is carried by the client, sealed.
CREATE TABLE finished_ceremonies (
    hash       BLOB    NOT NULL PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX finished_ceremonies_by_expiry ON finished_ceremonies (expires_at);
