-- Passkeys (WebAuthn): the public part of each, and how often it was used by its own count.
CREATE TABLE passkeys (
    id            BIGINT NOT NULL PRIMARY KEY,
    user_id       BIGINT NOT NULL REFERENCES users (id),
    credential_id BYTEA    NOT NULL UNIQUE,
    name          TEXT    NOT NULL,
    passkey       TEXT    NOT NULL,
    created_at    BIGINT NOT NULL,
    last_used_at  BIGINT
);
CREATE INDEX passkeys_by_user ON passkeys (user_id, id);

-- What was begun is finished once; what is begun is carried by the client, sealed.
CREATE TABLE finished_ceremonies (
    hash       BYTEA    NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX finished_ceremonies_by_expiry ON finished_ceremonies (expires_at);
