-- A second factor: codes by time (RFC 6238). The secret is sealed with the cluster's key; it counts from
-- `confirmed_at` on, and `last_step` is that of the last code that was used, which none may be again.
CREATE TABLE totp (
    user_id      BIGINT NOT NULL PRIMARY KEY REFERENCES users (id),
    sealed       BYTEA  NOT NULL,
    created_at   BIGINT NOT NULL,
    confirmed_at BIGINT,
    last_step    BIGINT NOT NULL
);

-- For who has lost the second factor: each works once, and is gone then.
CREATE TABLE recovery_codes (
    user_id BIGINT NOT NULL REFERENCES users (id),
    hash    BYTEA  NOT NULL,
    PRIMARY KEY (user_id, hash)
);

-- A link can also confirm the address that an account is to have.
ALTER TABLE one_time_tokens DROP CONSTRAINT one_time_tokens_purpose_check;
ALTER TABLE one_time_tokens ADD CONSTRAINT one_time_tokens_purpose_check
    CHECK (purpose IN ('verify_email', 'reset_password', 'change_email'));
ALTER TABLE one_time_tokens ADD COLUMN new_email TEXT;

ALTER TABLE users ADD COLUMN change_mailed_at BIGINT NOT NULL DEFAULT 0;
