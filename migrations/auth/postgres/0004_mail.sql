-- Whether the account's address was proven, whether it must be before anybody signs in, and when
-- mails were sent there last that anybody can have sent: each kind for itself, so that none keeps
-- another from being sent.
ALTER TABLE users ADD COLUMN email_verified_at BIGINT;
ALTER TABLE users ADD COLUMN must_verify BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN verify_mailed_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN reset_mailed_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN taken_mailed_at BIGINT NOT NULL DEFAULT 0;

-- What is sent by mail to be shown to us once. It is good only as long as the account has the address
-- it was sent to. There may be several: that somebody else asks for one must not end the owner's.
CREATE TABLE one_time_tokens (
    hash       BYTEA NOT NULL PRIMARY KEY,
    purpose    TEXT NOT NULL CHECK (purpose IN ('verify_email', 'reset_password')),
    user_id    BIGINT NOT NULL REFERENCES users (id),
    email_key  TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX one_time_tokens_by_user ON one_time_tokens (user_id, purpose);
CREATE INDEX one_time_tokens_by_expiry ON one_time_tokens (expires_at);

-- Mails on their way: to whom and what, sealed with the cluster's key. One that was delivered is gone.
CREATE TABLE mails (
    id         BIGINT NOT NULL PRIMARY KEY,
    kind       TEXT NOT NULL,
    sealed     BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    next_at    BIGINT NOT NULL,
    attempts   BIGINT NOT NULL,
    failed_at  BIGINT
);
CREATE INDEX mails_due ON mails (next_at) WHERE failed_at IS NULL;
CREATE INDEX mails_failed ON mails (failed_at) WHERE failed_at IS NOT NULL;
