-- A second factor: codes by time (RFC 6238). The secret is sealed with the cluster's key; it counts from
-- `confirmed_at` on, and `last_step` is that of the last code that was used, which none may be again.
CREATE TABLE totp (
    user_id      INTEGER NOT NULL PRIMARY KEY REFERENCES users (id),
    sealed       BLOB    NOT NULL,
    created_at   INTEGER NOT NULL,
    confirmed_at INTEGER,
    last_step    INTEGER NOT NULL
) STRICT;

-- For who has lost the second factor: each works once, and is gone then.
CREATE TABLE recovery_codes (
    user_id INTEGER NOT NULL REFERENCES users (id),
    hash    BLOB    NOT NULL,
    PRIMARY KEY (user_id, hash)
) STRICT, WITHOUT ROWID;

-- A link can also confirm the address that an account is to have.
CREATE TABLE one_time_tokens_new (
    hash       BLOB NOT NULL PRIMARY KEY,
    purpose    TEXT NOT NULL CHECK (purpose IN ('verify_email', 'reset_password', 'change_email')),
    user_id    INTEGER NOT NULL REFERENCES users (id),
    email_key  TEXT NOT NULL,
    new_email  TEXT,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO one_time_tokens_new (hash, purpose, user_id, email_key, expires_at)
    SELECT hash, purpose, user_id, email_key, expires_at FROM one_time_tokens;
DROP TABLE one_time_tokens;
ALTER TABLE one_time_tokens_new RENAME TO one_time_tokens;
CREATE INDEX one_time_tokens_by_user ON one_time_tokens (user_id, purpose);
CREATE INDEX one_time_tokens_by_expiry ON one_time_tokens (expires_at);

ALTER TABLE users ADD COLUMN change_mailed_at INTEGER NOT NULL DEFAULT 0;
