-- Browsers keep a session as a cookie, of which the hash is here. Whoever has signed in, or has shown
-- again who they are, a moment ago (`authenticated_at`) may change what guards the account.
ALTER TABLE sessions ADD COLUMN cookie_hash BYTEA;
ALTER TABLE sessions ADD COLUMN authenticated_at BIGINT NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX sessions_by_cookie ON sessions (cookie_hash) WHERE cookie_hash IS NOT NULL;

-- Keys with which programs act for an account, within their scopes (separated by spaces). The key itself
-- is shown once; `prefix` is how its owner recognises it. `changed_at` is when something was changed that
-- gateways must hear of.
CREATE TABLE api_keys (
    id           BIGINT NOT NULL PRIMARY KEY,
    user_id      BIGINT NOT NULL REFERENCES users (id),
    name         TEXT   NOT NULL,
    prefix       TEXT   NOT NULL,
    hash         BYTEA  NOT NULL UNIQUE,
    scopes       TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    last_used_at BIGINT,
    changed_at   BIGINT,
    revoked_at   BIGINT
);
CREATE INDEX api_keys_by_user ON api_keys (user_id, id);
CREATE INDEX api_keys_changed ON api_keys (changed_at) WHERE changed_at IS NOT NULL;
CREATE INDEX api_keys_by_expiry ON api_keys (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX api_keys_revoked ON api_keys (revoked_at) WHERE revoked_at IS NOT NULL;
